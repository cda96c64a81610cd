"""Updates of each target beside the update that it costs more than: mini-batches of 64, alternating, one thread."""

import time
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.optim import SGD

import seq2seq_lab.models as models
from benchmarks.batches import BATCH, HIDDEN
from benchmarks.table import seminar_recipe, show, single_thread
from seq2seq_lab.data.batches import Block, BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.free import FreeForcing
from seq2seq_lab.forcing.full import FullForcing
from seq2seq_lab.forcing.plan import ForcingPolicy, Pairs
from seq2seq_lab.forcing.schedules import Linear, Schedule
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.targets.mixed import Mixed
from seq2seq_lab.targets.n_step import NStep
from seq2seq_lab.targets.optimal_completion import OptimalCompletion
from seq2seq_lab.targets.reward_sampled import RewardSampled
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import EagerUpdates, Job, scheduled

BLOCKS, UPDATES = 8, 1
FULL, OWN = FullForcing(), FreeForcing(feeder=Sample())
# Target → its policy, and the bound of the ratio to the gold word under the same policy, if there is one.
TARGETS: dict[str, tuple[Target, ForcingPolicy, str]] = {
    "optimal_completion, own samples": (OptimalCompletion(), OWN, "1.5"),
    "reward_sampled, full": (RewardSampled(), FULL, "1.1"),
    "reward_sampled by edits, full": (RewardSampled(distance="edit"), FULL, "1.1"),
    "mixed, full": (Mixed(schedule=Schedule(decay=Linear(), start=0.0, end=0.5)), FULL, ""),
    "n_step, full": (NStep(), FULL, ""),
}


def taken(updates: EagerUpdates, target: Target, policy: ForcingPolicy, block: Block) -> float:
    """Seconds of the updates of a block, from what the loader gives to the new weights."""
    started = time.perf_counter()
    block, _ = target.prepare(block, Draws(0, 0, torch.from_numpy(block.indices)))
    draws = Draws(0, 0, torch.from_numpy(block.indices))
    lengths, positions = block.target_lengths, block.target.shape[1]
    pairs = Pairs(lengths, positions, draws, block.update_numbers, block.updates, epochs=1)
    plan = policy.plan(pairs)._replace(scheduled=scheduled(pairs, target, updates.job.objective))
    updates(block, plan, draws)
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    single_thread()
    corpus = seminar_recipe().load()
    words = {"source": corpus.source_vocabulary, "target": corpus.target_vocabulary}
    sizes: dict[str, Any] = {f"{side}_vocabulary_size": len(each) for side, each in words.items()}
    loader = BlockLoader(
        corpus, np.arange(len(corpus)), batch_size=BATCH, updates_per_block=UPDATES, shuffle=True
    )
    blocks = [block for _, block in zip(range(BLOCKS + 1), loader, strict=False)]
    rows = []
    for name, (target, policy, bound) in TARGETS.items():
        target.load(words, load_model)
        both = []
        for learnt in (Gold(), target):
            torch.manual_seed(0)
            model = models.attention_model(**sizes, hidden_size=HIDDEN)
            optimizer = SGD(model.parameters(), lr=1e-3)
            one = torch.ones(1, dtype=torch.int64)
            plan = policy.plan(Pairs(2 * one, 2, Draws(0, 0, one), one - 1, 1, epochs=1))
            job = Job(model, optimizer, NegativeLogLikelihood(), None, BATCH, plan, learnt.of_update)
            both.append((EagerUpdates(job), learnt))
        times = [[taken(*each, policy, block) for each in both] for block in blocks][1:]
        gold, ours = (median(each) / UPDATES * 1e3 for each in zip(*times, strict=True))
        ratio = median(mine / theirs for theirs, mine in times)
        rows.append((name, f"{gold:.0f}", f"{ours:.0f}", f"{ratio:.2f}", bound))
    header = ("target, policy", "gold ms per update", "ms per update", "ratio", "at most")
    show(f"Targets: mini-batches of {BATCH}, hidden {HIDDEN}, attention, 1 thread", header, rows)
