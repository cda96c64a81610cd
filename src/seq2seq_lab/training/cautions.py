"""What a user should know of a run before its first update: cautions, a line each, none of which stops it."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq_lab.config.trainer import is_endless, most_epochs
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.data.units import Subwords
from seq2seq_lab.errors import counted, printable
from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.forcing.confidence import ConfidenceForcing
from seq2seq_lab.forcing.feeders.soft import Soft
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.objectives.self_critical import SelfCritical
from seq2seq_lab.training.parts.metrics import against
from seq2seq_lab.training.resume import follows_end


@dataclass(frozen=True)
class _Run:
    config: Mapping[str, Any]
    data: TranslationDataModule
    module: TranslationModule


def show_cautions(
    config: Mapping[str, Any],
    data: TranslationDataModule,
    module: TranslationModule,
    trained_again: Sequence[str] = (),
) -> None:
    """Print them.

    Args:
        trained_again: what is said of a run that does not go on where it was.
    """
    found = [*trained_again, *(line for each in _CAUTIONS for line in each(_Run(config, data, module)))]
    for line in found:
        print(f"caution: {line}", file=sys.stderr, flush=True)


def _directions(run: _Run) -> Iterator[str]:
    yield from against(run.config, run.module)


def _sentences(run: _Run) -> Iterator[str]:
    first, *others = [*run.data.corpus.cautions] or [""]
    more = f" ({len(others)} more: seq2seq-lab data)" if others else ""
    if first:
        yield f"{printable(first)}{more}"


def _monitor(run: _Run) -> Iterator[str]:
    task, metric = run.data.corpus.task, run.config["monitor"]["metric"]
    if not task.graded and measure(metric).graded:
        yield f"monitor.metric={metric} says little of {task.token}s; measures=errors selects by val/exact_match"


def _own_outputs(run: _Run) -> Iterator[str]:
    objective = run.module.objective
    if objective.own_sentences and objective.ignores_feeding and run.config["init_from"] is None:
        yield (
            "this objective learns from the model's own outputs alone, and those of random weights are worth "
            "nothing; init_from=RUN starts from a trained one"
        )


def _rewards(run: _Run) -> Iterator[str]:
    objective, units = run.module.objective, run.data.corpus.target_vocabulary.units
    if (
        isinstance(objective, SelfCritical)
        and objective.reward == "exact_match"
        and isinstance(units, Subwords)
    ):
        yield (
            "objective.reward=exact_match compares subwords: a right sentence that is divided into others is worth "
            "nothing; objective.reward=bleu says more"
        )


def _no_end(run: _Run) -> Iterator[str]:
    if is_endless(run.config):
        yield "trainer.max_epochs=-1, and nothing else ends this run: it trains until it is interrupted"


def _no_checkpoint(run: _Run) -> Iterator[str]:
    callbacks = run.config["callbacks"]
    if callbacks and not {"last", "best"} & {each.get("filename") for each in callbacks.values()}:
        yield (
            "these callbacks keep no checkpoint of the best or the last epoch, so that nothing can be translated or "
            "evaluated afterwards; callbacks=[default,…] has them too"
        )


def _no_initial_run(run: _Run) -> Iterator[str]:
    if run.config["init_from"] is None and run.config["init_from_checkpoint"] != "last":
        yield "init_from_checkpoint changes nothing without init_from=RUN"


def _no_gradient(run: _Run) -> Iterator[str]:
    policy = run.module.forcing
    if isinstance(policy, ConfidenceForcing) and isinstance(policy.feeder, Soft) and policy.feeder.gradient:
        yield (
            "forcing.feeder.gradient=true changes nothing with forcing=confidence, as its first pass has ended when "
            "its mixtures are made; forcing.feeder.gradient=false says so"
        )


def _given_parts(run: _Run) -> Iterator[str]:
    given, seed = run.data.corpus.given, run.config["split"].get("seed")
    if seed and given is not None and (given == 1).any():
        yield (
            f"split.seed={seed} changes nothing, as the parts of these pairs are given; runs that differ in it "
            "alone are the same"
        )


def _unfinished_schedules(run: _Run) -> Iterator[str]:
    epochs, steps = most_epochs(run.config["trainer"]), run.config["trainer"].get("max_steps", -1)
    if epochs is None or steps < 1:
        return
    updates = run.data.train_dataloader().updates
    scheduled = follows_end(run.module, run.data) or "epochs" in run.config["lr_schedule"]
    if scheduled and steps < epochs * updates:
        yield (
            f"trainer.max_steps={steps} ends training before its {epochs} epochs of {counted(updates, 'update')}, over "
            "which schedules are spread; trainer.max_epochs sets their end"
        )


def _no_validation(run: _Run) -> Iterator[str]:
    epochs = most_epochs(run.config["trainer"])
    every = run.config["trainer"].get("check_val_every_n_epoch") or 1
    if epochs is not None and every > epochs:
        yield (
            f"trainer.check_val_every_n_epoch={every}, and training ends after {counted(epochs, 'epoch')}: nothing is "
            "validated, so that there is no best checkpoint"
        )


_CAUTIONS = (
    _directions,
    _sentences,
    _monitor,
    _own_outputs,
    _rewards,
    _no_end,
    _no_checkpoint,
    _no_initial_run,
    _no_gradient,
    _given_parts,
    _unfinished_schedules,
    _no_validation,
)
