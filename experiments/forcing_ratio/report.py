"""Which policy helps? `python -m experiments.forcing_ratio.report outputs`.

Writes beside this file: results.csv (each policy, on the test part), differences.csv (each policy against full forcing,
with Holm's correction), detectable.csv, exposure.csv (measures of exposure bias), differences.svg and ratios.svg, the
same as PNG, and the tables of README.md.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.tables import by_name, differences, run, shown, with_interval, with_star, write
from seq2seq_lab.compare.comparison import gather
from seq2seq_lab.compare.corpora import by_corpus
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.pairing import difference_of
from seq2seq_lab.compare.statistics import ALPHA, detectable
from seq2seq_lab.errors import UserError

STUDY = Path(__file__).parent
STUDIED = ("forcing_ratio/attention", "forcing_ratio/seq2seq")
CONTINUED = "_continued"
RESULTS = {"test/bleu": 2, "test/chrf": 2, "test/exact_match": 3, "test/loss_forced": 3, "test/loss_free": 3}
COMPARED = ("test/bleu", "test/chrf", "test/exact_match", "test/loss_forced")
EXPOSURE = {
    "test/exposure_gap": 3,
    "test/accuracy_gap": 3,
    "test/eb_m": 3,
    "test/recovery_random": 3,
    "test/recovery_second_best": 3,
    "test/repetition_1": 3,
}
COLOURS = {"attention": "#2166ac", "seq2seq": "#b2182b"}
Policies = Mapping[str, Group]  # the name of a policy → its runs; what it is compared with comes first


def policy(config: Mapping[str, Any]) -> str:
    """The name of a run's policy, as `mixed 0.5 by sentence`."""
    forcing, chosen = config["forcing"], config["choices"]
    name = str(chosen["forcing"])
    if "forcing/decay" in chosen:
        name += f" {chosen['forcing/decay']}"
        if name.startswith("scheduled"):
            name += f" {forcing['start']:g} → {forcing['end']:g}"
    elif "ratio" in forcing:
        name += f" {forcing['ratio']:g}"
    if name.startswith("mixed"):
        name += f" by {forcing['unit']}"
    feeder = chosen.get("forcing/feeder", "argmax")
    if name.startswith("scheduled") and feeder != "argmax":
        name += f", {feeder}"
    if name == "confidence" and forcing.get("first_pass"):
        name += f", {feeder}, both losses"
    if str(config["name"]).endswith(CONTINUED):
        risk = chosen["objective"] == "minimum_risk"
        of_risk = "risk" if risk and config["objective"]["mix"] == 1 else "likelihood and risk"
        name += (
            f", then {of_risk}, α = {config['objective']['alpha']:g}" if risk else ", then full for as long"
        )
    return name


def sorted_policies(groups: Sequence[Group], studied: Collection[str] = STUDIED) -> dict[str, Policies]:
    """Model, and ` continued` → policies. Those that go on for longer have a comparison of their own.

    Args:
        studied: the names of the experiments.
    """
    found: dict[str, dict[str, Group]] = {}
    for group in groups:
        config = (*group.runs, *group.others)[0].config()
        name = str(config["name"])
        if name.removesuffix(CONTINUED) not in studied or not group.runs:
            continue
        model = name.removeprefix("forcing_ratio/").replace("_", " ")
        policies = found.setdefault(model, {})
        if policy(config) in policies:
            raise UserError(f"{policy(config)} of {model} stands for two settings: {group.label}")
        policies[policy(config)] = group
    return {
        model: dict(sorted(each.items(), key=lambda item: (not _is_baseline(item[0]), item[0])))
        for model, each in found.items()
    }


def _is_baseline(name: str) -> bool:
    return name == "full" or name.endswith("full for as long")


def result_rows(found: Mapping[str, Policies], metrics: Mapping[str, int]) -> list[dict[str, str]]:
    """A row a model and policy: mean ± sd over seeds."""
    return [
        {
            "model": model,
            "policy": name,
            **{
                metric.removeprefix("test/"): shown(group.last(metric), digits)
                for metric, digits in metrics.items()
            },
            "seeds": str(len(group.runs)),
        }
        for model, policies in found.items()
        for name, group in sorted(policies.items(), key=lambda item: -item[1].last(next(iter(RESULTS))).mean)
    ]


def difference_rows(found: Mapping[str, Policies]) -> list[dict[str, str]]:
    """A row a model and policy: the difference from full forcing, and what it says."""
    rows = []
    for model, policies in found.items():
        if len(policies) < 2:
            continue
        by_metric = {metric: differences(policies, metric) for metric in COMPARED}
        for name in sorted(by_metric[COMPARED[0]], key=lambda name: -by_metric[COMPARED[0]][name][0].mean):
            row = {"model": model, "policy": name}
            for metric in COMPARED:
                row[metric.removeprefix("test/")] = with_star(*by_metric[metric][name], RESULTS[metric])
            row["test"] = " / ".join(dict.fromkeys(by_metric[metric][name][0].method for metric in COMPARED))
            rows.append(row)
    return rows


def detectable_rows(found: Mapping[str, Policies]) -> list[dict[str, str]]:
    """A row a model: the true difference that a comparison finds with a probability of 0.8, with Holm's correction."""
    rows = []
    for model, policies in found.items():
        if len(policies) < 2:
            continue
        row = {"model": model, "comparisons": str(len(policies) - 1)}
        for metric in COMPARED:
            size = detectable([each for each, _ in differences(policies, metric).values()])
            row[metric.removeprefix("test/")] = "–" if math.isnan(size) else f"{size:.3g}"
        rows.append(row)
    return rows


def full_length(groups: Sequence[Group]) -> list[dict[str, str]]:
    """A row a policy of the preset with attention, and its difference in BLEU from full forcing.

    On the split that most of them have, where full forcing was trained on several.

    Raises:
        UserError: two settings are called as one policy.
    """
    corpora = by_corpus([group for group in groups if group.runs and _is_preset(group)])
    on_corpus = max(corpora.values(), key=len, default=[])
    named = by_name(on_corpus, lambda group: policy(group.runs[0].config()))
    if "full" not in named:
        return []
    rows = []
    for name, group in sorted(named.items(), key=lambda item: -item[1].last("test/bleu").mean):
        measured = {**RESULTS, "test/exposure_gap": 3}
        row = {"policy": name}
        row |= {
            each.removeprefix("test/"): shown(group.last(each), digits) for each, digits in measured.items()
        }
        difference = difference_of(named["full"], group, "test/bleu")
        row["difference in bleu"] = "" if name == "full" else with_interval(difference, 2)
        row["test"] = "" if name == "full" else difference.method
        rows.append(row | {"seeds": str(len(group.runs))})
    return rows


def _is_preset(group: Group) -> bool:
    return bool(group.runs[0].config()["name"] == "baseline/attention")


def draw_differences(found: Mapping[str, Policies]) -> Figure:
    """The differences from full forcing with their 95 % intervals; filled where Holm's correction leaves them."""
    models = [model for model in COLOURS if model in found]
    names = sorted(
        {name for model in models for name in found[model] if not _is_baseline(name)},
        key=lambda name: sum(
            found[model][name].last("test/bleu").mean for model in models if name in found[model]
        ),
    )
    figure = Figure(figsize=(11, 1.4 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    panels = {
        "test/bleu": "BLEU (higher is better)",
        "test/loss_forced": "loss after gold words, nats (lower is better)",
        "test/exposure_gap": "exposure gap, nats",
    }
    for place, (metric, title) in zip(axes, panels.items(), strict=True):
        place.axvline(0, color="#888888", linewidth=1)
        for shift, model in zip((-0.13, 0.13), models, strict=False):
            for name, (difference, p) in differences(found[model], metric).items():
                y = names.index(name) + shift
                place.plot([difference.low, difference.high], [y, y], color=COLOURS[model], linewidth=1.5)
                fill = COLOURS[model] if p < ALPHA else "white"
                place.plot(difference.mean, y, "o", color=COLOURS[model], markerfacecolor=fill, markersize=5)
        place.set_title(title, fontsize=10)
        place.grid(axis="x", color="#dddddd", linewidth=0.6)
        place.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(names)), names)
    handles = [axes[0].plot([], [], "o-", color=COLOURS[model], label=model)[0] for model in models]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(
        "Difference from full forcing, 95 % intervals over seeds; filled: p < 0.05 with Holm's correction"
    )
    return figure


def draw_ratios(found: Mapping[str, Policies]) -> Figure:
    """BLEU, loss and gap over the teacher-forcing ratio, by sentence and by position; every seed as a point."""
    panels = {
        "test/bleu": "BLEU",
        "test/loss_forced": "loss after gold words",
        "test/exposure_gap": "exposure gap",
    }
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for place, (metric, title) in zip(axes, panels.items(), strict=True):
        for model, colour in COLOURS.items():
            for unit, style in (("sentence", "-"), ("position", "--")):
                _draw_ratio(place, found.get(model, {}), unit, metric, colour, style, f"{model}, by {unit}")
        place.set_title(title, fontsize=10)
        place.set_xlabel("teacher-forcing ratio")
        place.grid(color="#dddddd", linewidth=0.6)
        place.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_ratio(
    place: Axes, policies: Policies, unit: str, metric: str, colour: str, style: str, label: str
) -> None:
    points = {"free": 0.0, "full": 1.0} | {f"mixed {r:g} by {unit}": r for r in (0.25, 0.5, 0.75)}
    known = sorted((ratio, policies[name]) for name, ratio in points.items() if name in policies)
    if not known:
        return
    x = [ratio for ratio, _ in known]
    place.plot(x, [group.last(metric).mean for _, group in known], style, color=colour, label=label)
    shift = 0.008 if unit == "position" else -0.008
    for ratio, group in known:
        values = list(group.by_seed(metric).values())
        place.plot([ratio + shift] * len(values), values, ".", color=colour, alpha=0.5, markersize=4)


def save(figure: Figure, name: str) -> None:
    """Write a figure as SVG and PNG; the same runs give the same bytes."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(STUDY / f"{name}.svg", metadata={"Date": None})
    figure.savefig(STUDY / f"{name}.png", dpi=110)


def main(folders: list[str]) -> None:
    """Write the study's tables and plots."""
    groups = gather([Path(folder) for folder in folders]).groups
    found = sorted_policies(groups)
    if not found:
        raise UserError(f"no finished run of {' or '.join(STUDIED)} in {', '.join(folders)}")
    write(result_rows(found, RESULTS), "results", STUDY)
    write(difference_rows(found), "differences", STUDY)
    write(result_rows(found, EXPOSURE), "exposure", STUDY)
    if seen := detectable_rows(found):
        write(seen, "detectable", STUDY)
    if longer := full_length(groups):
        write(longer, "full_length", STUDY)
    save(draw_differences(found), "differences")
    save(draw_ratios(found), "ratios")


if __name__ == "__main__":
    run(main)
