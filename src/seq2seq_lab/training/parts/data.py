"""The data of a run, from its nodes `data`, `split` and `loader`."""

import pkgutil
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.callbacks import WeightAveraging

from seq2seq_lab.config.build import build, call
from seq2seq_lab.config.trainer import counts_updates
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.training.seeds import owner_seed


def make_data(config: Mapping[str, Any]) -> TranslationDataModule:
    """The data module, its corpus loaded."""
    recipe = build(config["data"], "data")
    loader = dict(config["loader"])
    if counts_updates(config) or _averages_weights(config):
        loader["updates_per_block"] = 1
    data: TranslationDataModule = call(
        build(loader, "loader"),
        "loader",
        recipe=recipe,
        split=build(config["split"], "split"),
        seed=owner_seed(config["seed"], "order"),
    )
    data.setup()
    return data


def _averages_weights(config: Mapping[str, Any]) -> bool:
    """Whether a callback averages the weights, which Lightning's do after each batch."""
    found = [pkgutil.resolve_name(node["_target_"]) for node in config["callbacks"].values()]
    return any(isinstance(each, type) and issubclass(each, WeightAveraging) for each in found)
