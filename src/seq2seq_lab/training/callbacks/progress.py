"""The progress of a run: a bar on a terminal, one line for each epoch in a log."""

import shutil
import sys
import textwrap
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from seq2seq_lab.training.module import TranslationModule

_WIDTH = 110  # characters of a line at most
_BAR = len("100%|########| 0:00:00<0:00:00, ")  # between its description and the measures
_VALUE = 9  # characters of a value, such as 1.234e-05
_SECONDS = 12
# What a line shows, as far as there is space.
_FIRST = (
    "train/loss",
    "bleu",
    "loss_forced",
    "exposure_gap",
    "exact_match",
    "symbol_error_rate",
    "loss_free",
    "chrf",
)


def measured(scalars: dict[str, float], width: int, first: str) -> str:
    """The main measures of an epoch, in at most this number of characters; each has the same place in every epoch.

    Args:
        first: the metric that selects the best checkpoint.
    """
    shown: dict[str, str] = {}
    for wanted in (first, *_FIRST):
        for name, value in scalars.items():
            if wanted in (name, name.partition("/")[2]) and name.partition("/")[0] != "perf":
                more = f"  {name} {f'{value:#.4g}':<{_VALUE}}"
                if sum(map(len, shown.values())) + len(more.rstrip()) <= width:
                    shown.setdefault(name, more)
    return "".join(shown.values())


def on_screen(text: str) -> str:
    """A text in as many lines as the terminal needs, broken between words; in a log, as it is."""
    if not sys.stdout.isatty():
        return text
    columns = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(
        text, columns, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


class Lines(pl.Callback):
    """Prints one line per epoch, of at most 110 characters.

    Args:
        name: the name of the run in each line, as the runs of a sweep may share one log.
        metric: the metric to show first, which selects the best checkpoint.
    """

    def __init__(self, name: str, metric: str) -> None:
        self.metric = metric
        self.name = name if len(name) <= 40 else f"…{name[-39:]}"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what the module measured in this epoch. Must be called before `EpochScalars`, which clears it."""
        assert isinstance(pl_module, TranslationModule)
        scalars = pl_module.scalars
        last = "?" if trainer.max_epochs == -1 else str(trainer.max_epochs)
        start = f"{self.name} epoch {trainer.current_epoch + 1:>{len(last)}}/{last}"
        seconds = f"  {scalars.get('perf/epoch_seconds', 0):.3g} s".ljust(_SECONDS)
        print(
            start + measured(scalars, _WIDTH - len(start) - len(seconds), self.metric) + seconds.rstrip(),
            flush=True,
        )


class Bar(pl.Callback):
    """A bar over all of training, with the time to go and the measures of the last epoch.

    Args:
        metric: as of `Lines`.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar, at the place where a run goes on."""
        blocks = int(trainer.num_training_batches)
        epochs = trainer.max_epochs if (trainer.max_epochs or 0) > 0 else None
        done = (
            trainer.current_epoch * blocks
            + trainer.fit_loop.epoch_loop.batch_progress.current.completed % blocks
        )
        self.bar = tqdm(
            total=epochs and epochs * blocks,
            initial=done,
            desc=f"epoch {trainer.current_epoch + 1}/{epochs or '?'}",
            bar_format="{desc}{percentage:3.0f}%|{bar:8}| {elapsed}<{remaining}{postfix}",
            mininterval=0.2,
            file=sys.stdout,
        )
        self.epochs = epochs

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show what the module measured in this epoch. Must be called before `EpochScalars`, which clears it."""
        assert isinstance(pl_module, TranslationModule)
        self.bar.set_description(f"epoch {trainer.current_epoch + 1}/{self.epochs or '?'}", refresh=False)
        width = min(_WIDTH, shutil.get_terminal_size().columns) - len(self.bar.desc) - _BAR
        self.bar.set_postfix_str(measured(pl_module.scalars, width + len("  "), self.metric).strip())

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the bar, also where training was stopped."""
        if hasattr(self, "bar"):
            self.bar.close()
