"""Mini-batches of 64: the share of the processor's speed that they reach, and the time per pair in a larger corpus."""

import time
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import SGD, Optimizer

import seq2seq_lab.models as models
from benchmarks.table import ARCHIVE, seminar_recipe, show, single_thread
from seq2seq_lab.data.batches import Batch, BlockLoader
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.sources.archive import ArchiveCorpus
from seq2seq_lab.forcing.full import FullForcing
from seq2seq_lab.forcing.mixed import MixedForcing
from seq2seq_lab.forcing.plan import ForcingPolicy, Pairs, Plan
from seq2seq_lab.models import Seq2Seq
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import update

BATCH, HIDDEN, UPDATES = 64, 256, 16


def lengths(batch: Batch) -> tuple[Tensor, Tensor]:
    """The numbers of words of each source and each target of a batch."""
    sizes = zip((batch.source, batch.target), (batch.source_lengths, batch.target_lengths), strict=True)
    source, target = (torch.full((len(ids),), ids.shape[1]) if n is None else n for ids, n in sizes)
    return source, target


def arithmetic(batch: Batch, model: Seq2Seq) -> float:
    """Operations of an update, without padding: 2·m·n·k for a product, once in the forward pass, twice in the backward
    pass."""
    source, target = lengths(batch)
    gru = 2 * 3 * HIDDEN * HIDDEN  # the input side and the recurrent side of three gates
    products = (int(source.sum()) + int(target.sum())) * gru
    products += int(target.sum()) * HIDDEN * model.decoder.output.out_features
    if model.decoder.attention is not None:
        products += int(target.sum()) * 2 * HIDDEN * HIDDEN
        products += 2 * int((source * target).sum()) * HIDDEN  # scores and values
    return 3 * 2 * products


def peak(size: int = 1024) -> float:
    """Operations per second of a large matrix product."""
    matrix = torch.randn(size, size)
    started = time.perf_counter()
    matrix @ matrix
    return 2 * size**3 / (time.perf_counter() - started)


def timed_update(model: Seq2Seq, optimizer: Optimizer, batch: Batch, plan: Plan, draws: Draws) -> float:
    """Seconds of one update."""
    started = time.perf_counter()
    update(model, optimizer, NegativeLogLikelihood(), batch, plan, draws)
    return time.perf_counter() - started


def planned(policy: ForcingPolicy, batch: Batch, number: int) -> tuple[Plan, Draws]:
    """The plan and the draws of a batch; the indices of its pairs are their positions in all batches."""
    draws = Draws(0, 0, torch.arange(number * BATCH, (number + 1) * BATCH))
    _, target = lengths(batch)
    pairs = Pairs(target, batch.target.shape[1], draws, torch.zeros(BATCH, dtype=torch.int64), 1)
    return policy.plan(pairs), draws


def sample(corpus: Corpus, indices: NDArray[np.int64]) -> list[Batch]:
    """Some batches of all lengths from one epoch of some pairs."""
    loader = BlockLoader(corpus, indices, batch_size=BATCH, predict_sos=True, shuffle=True)
    every = max(1, len(loader) // UPDATES)
    return [
        batch
        for i, block in enumerate(loader)
        if i % every == 0
        for batch in block
        if len(batch.source) == BATCH
    ]


def rate(model: Seq2Seq, policy: ForcingPolicy, batches: list[Batch]) -> tuple[float, float]:
    """Operations per second of updates, and of a large matrix product between them."""
    optimizer = SGD(model.parameters(), lr=1e-3)
    rates, peaks = [], []
    for number, batch in enumerate(batches):
        taken = timed_update(model, optimizer, batch, *planned(policy, batch, number))
        rates.append(arithmetic(batch, model) / taken)
        peaks.append(peak())
    return median(rates), median(peaks)


def show_rates() -> None:
    """Print the speed of an update as a share of the speed of a large matrix product."""
    corpus = seminar_recipe().load()
    sizes = {"source_vocabulary_size": len(corpus.source_vocabulary)}
    sizes |= {"target_vocabulary_size": len(corpus.target_vocabulary), "hidden_size": HIDDEN}
    batches = sample(corpus, np.arange(len(corpus)))
    rows = []
    for name, build, policy in (
        ("seq2seq/full", models.seq2seq_model, FullForcing()),
        ("attention/mixed", models.attention_model, MixedForcing(ratio=0.5)),
    ):
        torch.manual_seed(0)
        ours, limit = rate(build(**sizes), policy, batches)
        rows.append((name, f"{limit / 1e9:.0f}", f"{ours / 1e9:.0f}", f"{ours / limit:.0%}"))
    header = ("experiment", "large product GFLOP/s", "update GFLOP/s", "share")
    show(
        f"Mini-batches of {BATCH}, hidden {HIDDEN}, 1 thread; padding and recomputation are not counted",
        header,
        rows,
    )


def show_growth() -> None:
    """Print the time per pair in a small corpus and in the complete one; batches of both alternate."""
    corpus = ArchiveCorpus().load()
    order = np.random.default_rng(0).permutation(len(corpus))
    model = models.seq2seq_model(
        source_vocabulary_size=len(corpus.source_vocabulary),
        target_vocabulary_size=len(corpus.target_vocabulary),
    )
    optimizer = SGD(model.parameters(), lr=1e-3)
    costs: dict[str, list[float]] = {"5,000": [], f"{len(corpus):,}": []}
    samples = sample(corpus, order[:5000]), sample(corpus, order)
    words = [sum(int(ids.sum()) for batch in some for ids in lengths(batch)) for some in samples]
    for turn in zip(*samples, strict=False):
        for taken, batch in zip(costs.values(), turn, strict=True):
            taken.append(timed_update(model, optimizer, batch, *planned(FullForcing(), batch, 0)))
    rows = []
    for (name, taken), some, count in zip(costs.items(), samples, words, strict=True):
        used = sum(int(ids.sum()) for batch in some[: len(taken)] for ids in lengths(batch))
        places = sum(batch.source.numel() + batch.target.numel() for batch in some)
        rows.append(
            (
                name,
                f"{sum(taken) / len(taken) / BATCH * 1e3:.2f}",
                f"{sum(taken) / used * 1e6:.0f}",
                f"{1 - count / places:.1%}",
            )
        )
    header = ("pairs", "ms per pair", "µs per word", "padding")
    show(f"Unfiltered corpus, {len(corpus.target_vocabulary):,} target words, bucketed", header, rows)


def main() -> None:
    """Print the tables."""
    single_thread()
    show_rates()
    if ARCHIVE:
        show_growth()
