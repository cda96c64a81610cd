"""What a run prints at its end: its last values, some of its translations, and whether it has diverged."""

import math
from collections.abc import Mapping

import numpy as np

from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import counted
from seq2seq_lab.evaluation.measures import is_shown, measure
from seq2seq_lab.runs.run import Run
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.callbacks.progress import on_screen
from seq2seq_lab.training.callbacks.samples import translate_block
from seq2seq_lab.training.callbacks.scalars import EpochScalars
from seq2seq_lab.training.module import TranslationModule

SAMPLES = 10  # translations shown at the end


def caution(scalars: EpochScalars, data: TranslationDataModule, module: TranslationModule) -> str | None:
    """What a reader should know of a finished run: a loss far above that of a uniform guess has diverged."""
    loss, uniform = scalars.last.get("train/loss"), math.log(len(data.corpus.target_vocabulary))
    if loss is None or not loss > 2 * uniform or not isinstance(module.target, Gold):
        return None
    return (
        f"train/loss is {loss:.3g} at the end, and that of a uniform guess {uniform:.2f}: training diverged; try a "
        "smaller optimizer.lr, or gradient_clip=1"
    )


def show_result(
    run: Run, data: TranslationDataModule, module: TranslationModule, tested: Mapping[str, float]
) -> None:
    """Print the last values of a run that is complete, and translations of a few sentences."""
    summary = run.summary()
    part = "held-out" if data.evaluated == "val" else "training"
    task = data.corpus.task
    chosen = np.random.default_rng(1).permutation(data.evaluation)[:SAMPLES]
    samples = translate_block(data.block(chosen), data, module)
    loss = summary["last"].get("train/loss", float("nan"))
    print()
    for note in (summary["stopped"], summary["caution"]):
        if note:
            print(f"{run.folder}: {note}")
    if tested:
        shown = {name: value for name, value in tested.items() if is_shown(measure(name), graded=task.graded)}
        print(on_screen("  ".join(f"{name} {value:.4g}" for name, value in shown.items())))
        print("test: the {checkpoint} checkpoint, of epoch {epoch}".format(**summary["tested"]))
    print(
        f"{run.folder}: train/loss {loss:.4f} after {counted(summary['epochs'], 'epoch')}, {summary['seconds']:.1f} s",
        f"some {part} {task.items}: source → reference → hypothesis",
        *(
            on_screen(f"  {each['source']} → {each['references'][0]} → {each['hypothesis']}")
            for each in samples
        ),
        sep="\n",
        flush=True,
    )
