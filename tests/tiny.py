"""Train tiny runs in this process, and compare them."""

import copy
import csv
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import open_dict

from hydra_plugins.seq2seq_lab_sweeper import _ComposedOnce
from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import resolve
from seq2seq_lab.config.explain import explained
from seq2seq_lab.config.misuse import refuse_misuse
from seq2seq_lab.config.options import ROOT, config_dir
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.naming import derived_name, run_folder

# A quarter of a second of training: two epochs of 36 pairs in five blocks, and four pairs held out.
SETTINGS = (
    "data=toy",
    "data.pairs=40",
    "split=source",
    "split.test=0",
    "model.hidden_size=8",
    "model.embedding_size=8",
    "trainer.max_epochs=2",
    "loader.updates_per_block=8",
    "threads=1",
    "compare=false",
)
SMALL = ("data=toy", "model.hidden_size=6", "model.embedding_size=5")  # for what trains no run
# The sizes of other models than the recurrent ones, in place of those above.
SIZES = {
    "transformer": ("model.hidden_size=8", "model.layers=1", "model.heads=2", "model.feedforward_size=8"),
}
WITH_SAMPLES = ("callbacks.translations.sentences=2", "callbacks.translations.maps=1")
# Only the trained model and the checkpoint for resuming.
LEAN = ("logger=none", "~callbacks.translations", "~callbacks.best_checkpoint")
CTRL_C = signal.SIGINT
DEFAULTS = {
    "data": "eng_fra",
    "split": "component",
    "model": "seq2seq",
    "forcing": "full",
    "target": "gold",
    "objective": "nll",
    "optimizer": "sgd",
    "lr_schedule": "none",
    "trainer": "cpu",
    "logger": "tensorboard",
    "callbacks": "default",
    "measures": "default",
    "accelerate": "auto",
}


def train(outputs: Path, *overrides: str, lean: bool = True, folder: Path | None = None) -> Path:
    """Train one run with overrides of `SETTINGS`; returns its folder, which may be given.

    This does the same as the command line, but without Hydra's application, which takes longer than the run.
    """
    from seq2seq_lab.training.train import train

    own = (each for each in SETTINGS if not (each == "split.test=0" and "split=none" in overrides))
    how = () if "callbacks=none" in overrides else LEAN if lean else WITH_SAMPLES
    settings = sized(*own, *how, *overrides)
    given = dict(override.split("=", 1) for override in settings if "=" in override)
    choices = {group: given.get(group, default) for group, default in DEFAULTS.items()}
    config = configuration(*settings) | {"choices": choices, "output_dir": str(outputs)}
    check(config)
    config["name"] = derived_name(choices, config)
    folder = folder or run_folder(config, settings, named=False)
    train(config, folder)
    return folder


def sized(*overrides: str) -> tuple[str, ...]:
    """Overrides, where the sizes of the recurrent models are replaced by those of the model that is chosen."""
    model = [each.removeprefix("model=") for each in overrides if each.startswith("model=")]
    if not model or model[-1] not in SIZES:
        return overrides
    sizes = {each for each in (*SETTINGS, *SMALL) if each.startswith("model.")}
    return (*SIZES[model[-1]], *(each for each in overrides if each not in sizes))


def sized_for(experiment: str, *overrides: str) -> tuple[str, ...]:
    """The same for the model of an experiment, on the toy corpus."""
    name = (
        configuration(experiment, "data=toy")["model"]["_target_"].rpartition(".")[2].removesuffix("_model")
    )
    return tuple(each for each in sized(*overrides, f"model={name}") if not each.startswith("model="))


def configuration(*overrides: str) -> dict[str, Any]:
    """The resolved configuration of these overrides, as a copy that the caller may change."""
    return copy.deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    """As `composed`, but each set of choices is composed once; `test_sweeper` compares with Hydra."""
    refuse_misuse(overrides, [])
    loader, master = _loader()
    with explained(overrides, []):
        config = loader.load_sweep_config(master, list(overrides))
        with open_dict(config):
            del config["hydra"]
        return resolve(config)


@cache
def _loader() -> tuple[Any, Any]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        loader: Any = GlobalHydra.instance().config_loader()
        return _ComposedOnce(loader, "tests"), loader.load_configuration(ROOT, [], run_mode=RunMode.RUN)


def stop(outputs: Path, *overrides: str, block: int, lean: bool = True) -> Path:
    """As `train`, but send Ctrl-C in a block, counted from 1; returns the folder of the interrupted run."""
    from seq2seq_lab.training.callbacks.interruption import Interrupted

    try:
        with interrupted_in_block(block):
            train(outputs, *overrides, lean=lean)
    except Interrupted:
        (folder,) = folders(outputs)
        return folder
    raise AssertionError("it was not interrupted")


def folders(outputs: Path) -> list[Path]:
    """All run folders in a folder and its subfolders."""
    return sorted(path.parent for path in outputs.rglob(layout.CONFIG))


def press(number: int) -> None:
    """Send a signal to this process, and wait until the run has handled it, in whatever thread it arrives."""
    handler = signal.getsignal(number)
    os.kill(os.getpid(), number)
    while signal.getsignal(number) is handler:  # the run restores the handlers at the first signal
        time.sleep(0.001)


@contextmanager
def interrupted_in_block(number: int) -> Iterator[None]:
    """Send Ctrl-C to the process while the run trains a block, counted from 1."""
    from seq2seq_lab.training.callbacks.interruption import Interruption

    listen = Interruption.on_train_batch_end
    blocks = 0

    def interrupt(*arguments: Any) -> None:
        nonlocal blocks
        blocks += 1
        if blocks == number:
            press(CTRL_C)
        listen(*arguments)

    with mock.patch.object(Interruption, "on_train_batch_end", interrupt):
        yield


def checkpoint(folder: Path, name: str = layout.LAST) -> dict[str, Any]:
    """A checkpoint, loaded with `weights_only=True`."""
    import torch

    return torch.load(folder / layout.CHECKPOINTS / name, weights_only=True)  # type: ignore[no-any-return]


def weights(folder: Path) -> dict[str, Any]:
    """The weights at the end of a run."""
    return checkpoint(folder)["state_dict"]  # type: ignore[no-any-return]


def same_weights(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights, bit for bit."""
    import torch

    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv as text."""
    with (folder / layout.METRICS).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def curves(folder: Path) -> list[dict[str, str]]:
    """The rows without the columns that depend on the machine's speed."""
    return [{k: v for k, v in row.items() if not k.startswith("perf/")} for row in rows(folder)]


def corpus(pairs: list[tuple[str, str]]) -> Corpus:
    """A corpus of the given normalised pairs (source, target)."""
    sources, targets = zip(*pairs, strict=True)
    return Corpus.build(
        sources, targets, archive_pairs=len(pairs), normalise=Normalisation(), origin="a test"
    )


def lettered(count: int, seed: int = 0) -> Corpus:
    """A corpus of random words, with sources of 1 to 5 words, some of which appear with several targets."""
    random = np.random.default_rng(seed)
    words = [list("abcdefgh")[i] for i in range(8)]
    sentences = [" ".join(random.choice(words, random.integers(1, 6))) for _ in range(2 * count)]
    return corpus(list(zip(sentences[:count], sentences[count:], strict=True)))
