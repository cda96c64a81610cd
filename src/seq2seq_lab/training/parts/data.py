"""The data of a run, from its nodes `data`, `split` and `loader`."""

import pkgutil
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.callbacks import WeightAveraging

from seq2seq_lab.config.build import build, call
from seq2seq_lab.config.trainer import counts_updates
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import UserError, counted
from seq2seq_lab.training.seeds import owner_seed


def make_data(config: Mapping[str, Any]) -> TranslationDataModule:
    """The data module, its corpus loaded.

    Raises:
        UserError: a value cannot be, or an epoch would have no update.
    """
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
    _check_shares(config["trainer"], data.train_dataloader().updates)
    return data


def _check_shares(trainer: Mapping[str, Any], updates: int) -> None:
    """Refuse a share of an epoch's updates that is less than one of them: Lightning would when the run is written."""
    for key in ("limit_train_batches", "overfit_batches"):
        share = trainer.get(key)
        if isinstance(share, float) and 0 < share * updates < 1:
            raise UserError(
                f"trainer.{key}: {share} of {counted(updates, 'update')} is none; a whole number is one of updates"
            )


def _averages_weights(config: Mapping[str, Any]) -> bool:
    """Whether a callback averages the weights, which Lightning's do after each batch."""
    found = [pkgutil.resolve_name(node["_target_"]) for node in config["callbacks"].values()]
    return any(isinstance(each, type) and issubclass(each, WeightAveraging) for each in found)
