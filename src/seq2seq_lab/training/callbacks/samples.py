"""Sample translations of a few fixed sentences, with their attention weights."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, WeightAveraging
from pytorch_lightning.loggers import TensorBoardLogger

from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.evaluation.attention import attention_table
from seq2seq_lab.evaluation.heat_maps import attention_image
from seq2seq_lab.files import write_text
from seq2seq_lab.models.mode import as_evaluated
from seq2seq_lab.runs import layout
from seq2seq_lab.training.module import TranslationModule


class SampleTranslations(Checkpoint):
    """Logs translations of the same few evaluated sentences every few epochs, with their attention weights.

    Lightning calls a `Checkpoint` after what may stop training, so that the last epoch is known here.

    Args:
        sentences: number of sentences.
        maps: number of sentences whose attention is drawn as a heat map, in the last epoch.
        every_n_epochs: number of epochs between two logs; the first and the last epoch are always logged,
            also where training stops early.
    """

    def __init__(self, *, sentences: int = 10, maps: int = 4, every_n_epochs: int = 5) -> None:
        for name, value, least in (
            ("sentences", sentences, 1),
            ("maps", maps, 0),
            ("every_n_epochs", every_n_epochs, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self.sentences = sentences
        self.maps = maps
        self.every_n_epochs = every_n_epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log a table of the translations, and in the last epoch heat maps if the model has attention."""
        epoch = trainer.current_epoch + 1
        steps = 0 < trainer.max_steps <= trainer.global_step
        last = epoch == trainer.max_epochs or trainer.should_stop or steps
        if epoch > 1 and not last and epoch % self.every_n_epochs:
            return
        assert isinstance(pl_module, TranslationModule)
        with as_validated(trainer, pl_module):
            samples = self.samples(trainer.datamodule, pl_module)  # type: ignore[attr-defined]
        text = json.dumps(samples, indent=1, ensure_ascii=False)
        write_text(Path(trainer.default_root_dir) / layout.TRANSLATIONS, text + "\n")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("translations", as_markdown(samples), epoch)
                for number, sample in enumerate(samples[: self.maps if last else 0]):
                    if "attention" in sample:
                        # TensorBoard sorts ~ last: a hundred heat maps must not come before the curves.
                        logger.experiment.add_image(
                            f"~attention/{number}", attention_image(sample), epoch, dataformats="HWC"
                        )

    def samples(self, data: TranslationDataModule, module: TranslationModule) -> list[dict[str, Any]]:
        """Source, references, hypothesis and attention weights of each sample sentence."""
        chosen = np.random.default_rng(0).permutation(data.evaluation)[: self.sentences]
        block = data.block(np.sort(chosen))
        return translate_block(block, data, module)


@contextmanager
def as_validated(trainer: pl.Trainer, module: TranslationModule) -> Iterator[None]:
    """With the weights in the module that are validated and saved: their average, where a callback keeps one.

    Lightning exchanges the two in these hooks, exactly; whether there is an average yet is for the callback to know.
    """
    averaging = [each for each in trainer.callbacks if isinstance(each, WeightAveraging)]  # type: ignore[attr-defined]
    for each in averaging:
        each.on_validation_epoch_start(trainer, module)
    try:
        yield
    finally:
        for each in reversed(averaging):
            each.on_validation_epoch_end(trainer, module)


def translate_block(
    block: Block, data: TranslationDataModule, module: TranslationModule
) -> list[dict[str, Any]]:
    """Greedy translations of a block's sources, in the form of translations.json."""
    moved = block.to(module.device)
    with as_evaluated(module):
        found = greedy(module.model, moved.source, moved.source_lengths, module.max_length, at_least=0)
    samples = []
    for row, index in enumerate(block.indices.tolist()):
        sample: dict[str, Any] = {
            "source": data.corpus.source_text(index),
            "references": data.references(block.indices[row : row + 1])[0],
            "hypothesis": module.to_text(found.words[row].tolist()),
        }
        if found.weights is not None:
            sample |= attention_table(
                found.words[row],
                found.weights[row],
                block.source[row, : block.source_lengths[row]],
                source_vocabulary=data.corpus.source_vocabulary,
                target_vocabulary=data.corpus.target_vocabulary,
            )
        samples.append(sample)
    return samples


def as_markdown(samples: list[dict[str, Any]]) -> str:
    """The samples as a Markdown table, which TensorBoard renders."""
    lines = ["| source | reference | hypothesis |", "| --- | --- | --- |"]
    rows = [(s["source"], " / ".join(s["references"]), s["hypothesis"]) for s in samples]
    lines += [f"| {' | '.join(map(_escaped, row))} |" for row in rows]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """A text that Markdown shows as it is: some tasks have symbols such as `|`."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(text, quote=False))
