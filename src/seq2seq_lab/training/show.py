"""What a run prints: cautions about its data and its result, its last values, and some of its translations."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seq2seq_lab.config.trainer import is_endless, most_epochs
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import counted, printable
from seq2seq_lab.evaluation.measures import is_shown, measure
from seq2seq_lab.runs.run import Run
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.callbacks.progress import on_screen
from seq2seq_lab.training.callbacks.samples import translate_block
from seq2seq_lab.training.callbacks.scalars import EpochScalars
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.parts.metrics import against
from seq2seq_lab.training.resume import follows_end

SAMPLES = 10  # translations shown at the end


def show_cautions(
    config: Mapping[str, Any],
    data: TranslationDataModule,
    module: TranslationModule,
    trained_again: Sequence[str] = (),
) -> None:
    """What a user should know before the first update, a line each; of the sentences only the first and a number."""
    first, *others = [*data.corpus.cautions] or [""]
    more = f" ({len(others)} more: seq2seq-lab data)" if others else ""
    found = [*trained_again, *against(config, module), *([f"{printable(first)}{more}"] if first else [])]
    task, metric, objective = data.corpus.task, config["monitor"]["metric"], module.objective
    if not task.graded and measure(metric).graded:
        found.append(
            f"monitor.metric={metric} says little of {task.token}s; measures=errors selects by val/exact_match"
        )
    if objective.own_sentences and objective.ignores_feeding and config["init_from"] is None:
        found.append(
            "this objective learns from the model's own outputs alone, and those of random weights are worth "
            "nothing; init_from=RUN starts from a trained one"
        )
    if is_endless(config):
        found.append(
            "trainer.max_epochs=-1, and nothing else ends this run: it trains until it is interrupted"
        )
    if config["callbacks"] and not {"last", "best"} & {
        each.get("filename") for each in config["callbacks"].values()
    }:
        found.append(
            "these callbacks keep no checkpoint of the best or the last epoch, so that nothing can be translated or "
            "evaluated afterwards; callbacks=[default,…] has them too"
        )
    if config["init_from"] is None and config["init_from_checkpoint"] != "last":
        found.append("init_from_checkpoint changes nothing without init_from=RUN")
    given, split_seed = data.corpus.given, config["split"].get("seed")
    if split_seed and given is not None and (given == 1).any():
        found.append(
            f"split.seed={split_seed} changes nothing, as the parts of these pairs are given; runs that differ in it "
            "alone are the same"
        )
    spread = follows_end(module, data) or "epochs" in config["lr_schedule"]
    found += _ends_before(config["trainer"], data.train_dataloader().updates if spread else 0)
    for each in found:
        print(f"caution: {each}", file=sys.stderr, flush=True)


def _ends_before(trainer: Mapping[str, Any], updates: int) -> list[str]:
    """A line for each thing that training ends before: the end of its schedules, and its first validation.

    Args:
        updates: of an epoch, where schedules are spread over the epochs; else 0.
    """
    epochs, steps = most_epochs(trainer), trainer.get("max_steps", -1)
    lines = []
    if epochs is not None and 0 < steps < epochs * updates:
        lines.append(
            f"trainer.max_steps={steps} ends training before its {epochs} epochs of {counted(updates, 'update')}, over "
            "which schedules are spread; trainer.max_epochs sets their end"
        )
    every = trainer.get("check_val_every_n_epoch") or 1
    if epochs is not None and every > epochs:
        lines.append(
            f"trainer.check_val_every_n_epoch={every}, and training ends after {counted(epochs, 'epoch')}: nothing is "
            "validated, so that there is no best checkpoint"
        )
    return lines


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
