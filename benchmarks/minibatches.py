"""Mini-batches of the baselines: plain PyTorch and the fused updates in turns, and the arithmetic of an update."""

import time
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.table import ARCHIVE, module_of, show, single_thread
from seq2seq_lab.accelerate.fused_parts import FusedParts
from seq2seq_lab.data.batches import Block
from seq2seq_lab.training.accelerator import Updates, select
from seq2seq_lab.training.module import TranslationModule

# Experiment → updates of a turn.
EXPERIMENTS = {"baseline/attention": 8, "baseline/full_corpus": 2}
TURNS = 10


def updates_of(
    experiment: str, accelerated: bool, each: int
) -> tuple[TranslationModule, Updates, list[Block]]:
    """The updates of a run at its start, and the blocks of its turns; the first one is to get ready."""
    module, data = module_of(experiment, f"loader.updates_per_block={each}")
    optimizer = module.optimizer(module.model.parameters())
    chosen = select({"fused_parts": FusedParts()} if accelerated else {}, module.job(optimizer))
    print(chosen)
    return (
        module,
        chosen.updates,
        [block for _, block in zip(range(TURNS + 1), data.train_dataloader(), strict=False)],
    )


def taken(module: TranslationModule, updates: Updates, block: Block) -> tuple[float, torch.Tensor]:
    """Processor seconds of the updates of a block, and its losses."""
    pairs = module.pairs(block, 0, 1)
    plan = module.plan(pairs)
    started = time.process_time()
    losses = updates(block, plan, pairs.draws).losses
    return time.process_time() - started, losses


def arithmetic(module: TranslationModule, updates: Updates, block: Block) -> float:
    """Operations of the products of a block's updates, those of padding included."""
    with FlopCounterMode(display=False) as counter:
        taken(module, updates, block)
    return float(counter.get_total_flops())


def peak(size: int = 1024) -> float:
    """Operations per processor second of a large product."""
    matrix = torch.randn(size, size)
    started = time.process_time()
    for _ in range(4):
        matrix @ matrix
    return 4 * 2 * size**3 / (time.process_time() - started)


def row(experiment: str, each: int) -> tuple[str, ...]:
    """A row of the table."""
    both = [updates_of(experiment, accelerated, each) for accelerated in (False, True)]
    times, needed, apart = [], [], 0.0
    for turn, blocks in enumerate(zip(*(blocks for *_, blocks in both), strict=True)):
        made = [taken(*of[:2], block) for of, block in zip(both, blocks, strict=True)]
        apart = max(apart, float((made[0][1] / made[1][1] - 1).abs().max()))
        if turn:
            times.append([seconds / each for seconds, _ in made])
            rate = peak()
            module, updates, _ = both[0]
            needed.append(arithmetic(module, updates, blocks[0]) / each / rate)
            taken(*both[1][:2], blocks[1])  # as many updates as the other
    theirs, ours = (median(column) for column in zip(*times, strict=True))
    ratio = median(eager / fused for eager, fused in times)
    over = [median(one[k] / least for one, least in zip(times, needed, strict=True)) for k in (0, 1)]
    return (
        experiment,
        f"{theirs * 1e3:.1f}",
        f"{ours * 1e3:.1f}",
        f"{ratio:.2f}",
        f"{median(needed) * 1e3:.1f}",
        f"{over[0]:.2f}",
        f"{over[1]:.2f}",
        f"{apart:.0e}",
    )


def main() -> None:
    """Print the table."""
    if not ARCHIVE:
        print("\nMini-batches: skipped, as there is no archive")
        return
    single_thread()
    rows = [row(experiment, each) for experiment, each in EXPERIMENTS.items()]
    header = (
        "experiment",
        "eager ms",
        "fused ms",
        "ratio",
        "arithmetic ms",
        "eager over it",
        "fused over it",
        "apart",
    )
    show(
        "Updates of mini-batches, processor time in turns, 1 thread; apart: largest difference of losses",
        header,
        rows,
    )
