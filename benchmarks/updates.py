"""Updates on single sentences through Lightning, alternating with the literal reference. One thread."""

import logging
import random
import time
import warnings
from functools import partial
from statistics import median

import pytorch_lightning as pl
import torch
from torch import nn

import seq2seq_lab.models as models
from benchmarks.table import seconds, seminar_recipe, show, single_thread
from seq2seq_lab.accelerate.compiled_sentence import CompiledSentence
from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.data.splits import NoSplit
from seq2seq_lab.forcing.full import FullForcing
from seq2seq_lab.forcing.mixed import MixedForcing
from seq2seq_lab.forcing.plan import ForcingPolicy
from seq2seq_lab.forcing.scheduled import ScheduledForcing
from seq2seq_lab.forcing.schedules import Constant
from seq2seq_lab.training.accelerator import select
from seq2seq_lab.training.lr_schedules import Constant as ConstantRate
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood

BLOCKS, LITERAL = 8, 12  # timed blocks of updates, and updates of the reference after each
EXPERIMENTS: dict[str, tuple[partial[models.Seq2Seq], ForcingPolicy]] = {
    "seq2seq/full": (partial(models.seq2seq_model), FullForcing()),
    "seq2seq/mixed": (partial(models.seq2seq_model), MixedForcing(ratio=0.5)),
    "attention/mixed": (partial(models.attention_model, unmasked_positions=8), MixedForcing(ratio=0.5)),
    # A coin for each position at the mean ratio of a schedule from 1 to 0, so that the share of gold words is the same.
    "attention/scheduled": (
        partial(models.attention_model, unmasked_positions=8),
        ScheduledForcing(decay=Constant(), start=0.5, unit="position"),
    ),
}


class Turns(pl.Callback):
    """Measures the time between two turns of the reference: loader, Lightning and updates."""

    def __init__(self, literal, forced: bool) -> None:
        self.literal, self.forced = literal, forced
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self.coins = random.Random(0)

    def on_train_start(self, *_: object) -> None:
        self.resumed = time.perf_counter()

    def on_train_batch_end(self, trainer, module, outputs, batch: Block, batch_idx: int) -> None:
        ended = time.perf_counter()
        self.ours.append((ended - self.resumed) / len(batch))
        pairs = list(batch)[:: max(1, len(batch) // LITERAL)]
        for pair in pairs:
            coin = self.forced or self.coins.random() < 0.5
            self.literal.update(pair.source[0].tolist(), pair.target[0].tolist(), coin)
        self.resumed = time.perf_counter()
        self.theirs.append((self.resumed - ended) / len(pairs))


def run(experiment: str) -> tuple[list[float], list[float], float]:
    """Seconds per update of the package and of the reference, block by block, and of the memory floor."""
    import reference

    data = TranslationDataModule(recipe=seminar_recipe(), shuffle=False, split=NoSplit(), predict_sos=True)
    data.setup()
    sizes = len(data.corpus.source_vocabulary), len(data.corpus.target_vocabulary)
    build, forcing = EXPERIMENTS[experiment]
    torch.manual_seed(0)
    model = build(source_vocabulary_size=sizes[0], target_vocabulary_size=sizes[1])
    decoder = reference.Decoder if model.decoder.attention is None else reference.AttentionDecoder
    literal = reference.Reference(reference.Encoder(sizes[0], 256), decoder(sizes[1], 256))
    turns = Turns(literal, isinstance(forcing, FullForcing))
    module = TranslationModule(
        model=model,
        forcing=forcing,
        optimizer=partial(torch.optim.SGD, lr=0.01),
        lr_schedule=ConstantRate(),
        objective=NegativeLogLikelihood(),
        select=partial(select, {"compiled_sentence": CompiledSentence()}),
        measures={},
        to_text=str,
        max_length=data.max_length,
        references=[],
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=BLOCKS + 1,
        limit_val_batches=0,
        callbacks=[turns],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, data)
    return turns.ours[1:], turns.theirs[1:], floor(model)


@torch.no_grad()
def floor(model: nn.Module) -> float:
    """Seconds to read all weights twice, as in a forward and a backward pass, and to update them in place.

    Embeddings are not included, as an update reads only a few of their rows.
    """
    weights = [weight.clone() for name, weight in model.named_parameters() if "embedding" not in name]

    def stream() -> None:
        for _ in range(2):
            for weight in weights:
                weight.sum()
        for weight in weights:
            weight.add_(1e-9)

    return seconds(stream, repeats=50)


def main() -> None:
    """Print the table."""
    single_thread()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    rows = []
    for experiment in EXPERIMENTS:
        ours, theirs, least = run(experiment)
        ratio = median(their / our for our, their in zip(ours, theirs, strict=True))
        rows.append(
            (
                experiment,
                f"{1 / median(theirs):.0f}",
                f"{1 / median(ours):.0f}",
                f"{ratio:.1f}",
                f"{median(ours) * 1e3:.2f}",
                f"{least * 1e3:.2f}",
                f"{median(ours) / least:.1f}",
            )
        )
    header = (
        "experiment",
        "reference/s",
        "ours/s",
        "ratio",
        "ms per update",
        "memory floor ms",
        "over floor",
    )
    show("One sentence per update, through Lightning, 1 thread", header, rows)
