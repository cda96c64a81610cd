"""The metrics of a run, and whether those that its configuration names are among them."""

import re
from collections.abc import Mapping
from typing import Any

from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.evaluate import EvaluationMeasure
from seq2seq_lab.evaluation.measures import REGISTRY, Measure, measure
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.update import ALWAYS, measures_of


def described(module: TranslationModule) -> dict[str, Measure]:
    """What the run measures that is not registered, and the rest: the facts of each, by name."""
    return {each.facts.name: each.facts for each in module.measures.values()} | dict(REGISTRY)


def check_metrics(config: Mapping[str, Any], module: TranslationModule) -> None:
    """Refuse metrics that this run does not measure, such as one of the other part of the data, and names of two."""
    _check_measures(module.measures)
    _check_metric(config["monitor"]["metric"], "monitor.metric", module)
    callbacks = config["callbacks"].items()
    followed = {"lr_schedule.metric": module.lr_schedule.metric}
    followed |= {f"callbacks.{name}.metric": node.get("metric") for name, node in callbacks}
    saved = {f"callbacks.{name}.monitor": node.get("monitor") for name, node in callbacks}
    never = config["trainer"].get("limit_val_batches") == 0
    for key, metric in (followed | saved).items():
        # Lightning's ModelCheckpoint can also monitor the number of the epoch or step.
        if not isinstance(metric, str) or metric in ("epoch", "step"):
            continue
        _check_metric(metric, key, module)
        if key in followed and never and metric.rpartition("/")[2] in _evaluated(module):
            raise UserError(f"{key}: {metric} is never measured with trainer.limit_val_batches=0")


def _check_measures(measures: Mapping[str, EvaluationMeasure]) -> None:
    """Refuse measures without facts, and those whose values would be taken for those of others."""
    seen: dict[str, str] = {}
    for key, each in measures.items():
        if not isinstance(each.facts, Measure):
            raise UserError(f"measures.{key}: its facts must be a Measure, not {each.facts!r}")
        name = each.facts.name
        if not re.fullmatch(r"[\w-]+", name):
            raise UserError(f"measures.{key}: its name {name!r} may have letters, digits, - and _ only")
        if REGISTRY.get(name, each.facts) != each.facts:
            raise UserError(
                f"measures.{key}: its name {name} is that of a measure of the package; give another one"
            )
        if name in seen:
            raise UserError(
                f"measures.{key}: its name {name} is that of measures.{seen[name]}; give another one"
            )
        seen[name] = key


def against(config: Mapping[str, Any], module: TranslationModule) -> list[str]:
    """A line for each metric of which the worse values are taken for the better ones, as where its mode was left."""
    nodes = {"monitor": config["monitor"], "lr_schedule": config["lr_schedule"]}
    nodes |= {f"callbacks.{name}": node for name, node in config["callbacks"].items()}
    asked: dict[tuple[Any, Any], str] = {}  # most nodes follow the monitor, which is named first
    for path, node in nodes.items():
        if "mode" in node:
            asked.setdefault((node.get("metric") or node.get("monitor"), node["mode"]), path)
    right = {"higher": "max", "lower": "min"}
    lines = []
    for (metric, mode), path in asked.items():
        better = measure(str(metric), described(module)).better
        if better is not None and mode != right[better]:
            advice = f"write {path}.mode={right[better]}"
            lines.append(f"{path}.mode={mode}, but {better} values of {metric} are better; {advice}")
    return lines


def _evaluated(module: TranslationModule) -> list[str]:
    return [each.facts.name for each in module.measures.values()]


def _check_metric(metric: str, key: str, module: TranslationModule) -> None:
    facts, evaluated = described(module).values(), module.evaluated
    names = _evaluated(module)
    target, objective = module.target, module.objective
    learnt = {*ALWAYS, *target.prepared, *measures_of(target.of_update, objective)}
    measured = [f"perf/{each.name}" for each in facts if each.stage == "speed"]
    measured += [f"train/{each}" for each in sorted(learnt)]
    measured += [f"{evaluated}/{name}" for name in names]
    if metric in measured:
        return
    part, _, name = metric.rpartition("/")
    if name not in names or part not in ("train", "val"):
        known = name in {each.name for each in REGISTRY.values()} and "exact_match" in names
        instead = f"; use {evaluated}/exact_match, or another choice of measures" if known else ""
        raise UserError(f"{key}: {metric} is not measured; measured are {', '.join(measured)}{instead}")
    nothing = "nothing is held out (split=none)"
    why = nothing if evaluated == "train" else "held-out pairs are evaluated"
    raise UserError(f"{key}: {metric} is not measured, as {why}; use {evaluated}/{name}")
