"""The looks of groups, and the contents of plots."""

import math
import re
from itertools import pairwise, product

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from fake_evaluations import evaluation, small, write_evaluation
from fake_runs import config, write_run, write_sweep
from seq2seq_lab.compare import gather
from seq2seq_lab.compare.views import analyses, csv, figures, plots
from seq2seq_lab.compare.views.appearance import looks, looks_of


def test_groups_have_different_looks():
    settings = [{"model": m, "forcing": "mixed", "ratio": r} for m in "ab" for r in (0.25, 0.5)]
    settings += [{"model": m, "forcing": "full"} for m in "ab"]
    drawn = looks(settings)
    assert len(set(drawn)) == 6
    assert [look.colour for look in drawn[:2]] == [drawn[0].colour] * 2
    assert [look.dashes for look in drawn[:2]] == [look.dashes for look in drawn[2:4]]


@pytest.mark.parametrize(
    "settings",
    [
        [{"ratio": n / 10} for n in range(11)],
        [{"model": model, "ratio": n / 10} for model in "ab" for n in range(11)],
        [{"data": f"corpus {n}"} for n in range(20)],
        [{"optimizer": o, "model": m, "seed": s} for o in "abcdefgh" for m in "ab" for s in (1, 2)],
    ],
)
def test_looks_of_many_groups_are_all_different(settings):
    assert len(set(looks(settings))) == len(settings)


@pytest.mark.parametrize("bracket", ["(nats per word)", "(sentences per second)", "(n = 3)"])
def test_a_long_label_breaks_before_its_bracket_and_not_in_it(bracket):
    for more in range(40):
        lines = figures._wrapped(f"{'a ' * more}exposure gap {bracket}", 2.5).splitlines()
        assert sum(bracket in line for line in lines) == 1
        assert all(len(line) <= 33 for line in lines)


def test_a_bracket_that_is_longer_than_a_line_breaks_between_words():
    text = "a label (of many words, as many as no line of a panel has room for)"
    assert " ".join(figures._wrapped(text, 2.5).splitlines()) == text


def test_colours_are_in_the_order_of_the_numbers():
    def green(look):
        return int(look.colour[3:5], 16)

    drawn = looks([{"ratio": n / 10} for n in range(11)])
    assert sorted(drawn, key=green) == drawn


@pytest.mark.parametrize("ratios", [(0.25, 0.5), (0.1, 0.2, 0.3, 0.4)])
def test_bands_and_dots_have_the_colours_of_their_lines(tmp_path, ratios):
    groups = gather([write_sweep(tmp_path, ratios=ratios, models=["seq2seq", "attention"])]).groups
    for plot in (plots.curves(groups, ["val/bleu"]), *plots.sweeps(groups, ["val/bleu"])):
        axes = Figure().subplots()
        plot.panels["val/bleu"](axes)
        lines = [to_rgba(line.get_color())[:3] for line in axes.lines]
        bands, *dots = axes.collections
        assert [tuple(colour[:3]) for colour in bands.get_facecolor()] == lines
        for each in dots:
            assert {tuple(colour[:3]) for colour in each.get_facecolor()} == set(lines)
        for line, band in zip(axes.lines, bands.get_paths(), strict=True):
            x, y = line.get_data()
            half = len(x)
            edges = band.vertices[:half], band.vertices[half : 2 * half][::-1]
            assert (edges[0] + edges[1]) / 2 == pytest.approx(np.array([x, y]).T)


def test_a_run_that_diverged_does_not_change_the_axis_of_the_others(tmp_path):
    for seed, losses in enumerate(([9.0, 1.0, 0.1], [9.0, math.nan])):
        rows = [{"epoch": epoch, "val/loss_forced": loss} for epoch, loss in enumerate(losses, start=1)]
        status = "finished" if math.isfinite(losses[-1]) else "failed"
        write_run(tmp_path / f"seed-{seed}", config(seed=seed), rows=rows, status=status)
    axes = Figure().subplots()
    plots.curves(gather([tmp_path]).groups, ["val/loss_forced"]).panels["val/loss_forced"](axes)
    assert axes.get_yscale() == "log"


@pytest.mark.parametrize("rates", [(0.0, 0.5, math.inf), (0.0, math.nan, 1.0), (-1.0, 2.0, 10**400)])
def test_a_value_that_no_axis_has_is_left_out_of_a_sweep(tmp_path, rates):
    for name, rate in zip("abc", rates, strict=True):
        settings = config()
        settings["optimizer"]["lr"] = rate
        write_run(tmp_path / name, settings)
    (plot,) = plots.sweeps(gather([tmp_path]).groups, ["val/bleu"])
    axes = Figure().subplots()
    plot.panels["val/bleu"](axes)
    assert [len(line.get_xdata()) for line in axes.lines] == [2]


def test_an_unfinished_run_with_one_epoch_is_a_point(tmp_path):
    for seed, epochs in enumerate((3, 1)):
        rows = [{"epoch": n, "val/loss_forced": 3 - n} for n in range(1, epochs + 1)]
        write_run(
            tmp_path / f"seed-{seed}",
            config(seed=seed),
            rows=rows,
            status="finished" if epochs > 1 else "failed",
        )
    axes = Figure().subplots()
    plots.curves(gather([tmp_path]).groups, ["val/loss_forced"]).panels["val/loss_forced"](axes)
    (point,) = (line for line in axes.lines if len(line.get_xdata()) == 1)
    assert point.get_marker() == "o"


@pytest.mark.parametrize("epochs", [1, 2])
def test_ticks_are_epochs(tmp_path, epochs):
    rows = [{"epoch": n, "val/loss_forced": 3 - n} for n in range(1, epochs + 1)]
    write_run(tmp_path / "a", config(), rows=rows)
    axes = Figure().subplots()
    plots.curves(gather([tmp_path]).groups, ["val/loss_forced"]).panels["val/loss_forced"](axes)
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [*range(1, epochs + 1)]


def test_the_loss_floor_does_not_extend_the_axis(tmp_path):
    rows = [{"epoch": n, "train/loss": 3 - 0.1 * n} for n in range(1, 5)]
    write_run(tmp_path / "a", config(), rows=rows)
    comparison = gather([tmp_path], metrics=["train/loss"])
    axes = Figure().subplots()
    plots.curves(comparison.groups, ["train/loss"]).panels["train/loss"](axes)
    assert axes.get_yscale() == "linear"


def test_settings_that_differ_only_far_from_their_beginning_are_told_apart(tmp_path):
    """In looks, in lines over a swept setting, in labels and in the CSV files."""
    folder = f"/home/somebody/{'a-long-name/' * 5}"
    for name, model, lr in product("ab", ("seq2seq", "attention"), (0.123456789, 0.2)):
        settings = {**config(model=model), "init_from": f"{folder}{name}/run"}
        settings["optimizer"] = {**settings["optimizer"], "lr": lr}
        write_run(tmp_path / f"{name}-{model}-{lr}" / "seed-0", settings)
    comparison = gather([tmp_path], metrics=["val/bleu"])
    assert len(set(looks_of(comparison.groups).values())) == 8
    (plot,) = plots.sweeps(comparison.groups, ["val/bleu"])
    axes = Figure().subplots()
    plot.panels["val/bleu"](axes)
    assert len(axes.lines) == len(plot.legend) == 4
    assert all(re.search("name/[ab]/run", group.label) for group in comparison.groups)
    for text in (csv.results(comparison.runs, comparison.groups, []), csv.summary(comparison.groups, [])):
        assert text.count(f"{folder}a/run") == 4
        assert text.count(",0.123456789,") == 4


@pytest.mark.parametrize(
    ("seeds", "title"), [((0,), "A run of each group"), ((0, 1), "Mean over seeds ± one standard deviation")]
)
def test_the_title_of_curves_speaks_of_a_mean_where_there_is_one(tmp_path, seeds, title):
    write_sweep(tmp_path, ratios=(0.5,), models=["seq2seq"], seeds=seeds)
    assert plots.curves(gather([tmp_path]).groups, ["val/bleu"]).title == title


@pytest.mark.parametrize(("seeds", "mean"), [((0,), ""), ((0, 1), ": mean over seeds and its 95 % interval")])
def test_the_title_of_a_plot_of_analyses_says_what_is_in_it(tmp_path, seeds, mean):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.5,), seeds=seeds)
    found = evaluation(0.5, 0)["analyses"]
    several = {
        "By source length, by unknown symbols": ("by_source_length", "by_unknown_words"),
        "By unknown symbols": ("by_unknown_words",),
        "After a prefix": ("eb_m",),
    }
    for title, names in several.items():
        contents = small(0.5, 0) | {"analyses": {name: found[name] for name in names}}
        for seed in seeds:
            write_evaluation(tmp_path / "seq2seq-mixed-0.5" / f"seed-{seed}", "test", contents)
        (plot,) = analyses.plots(gather([tmp_path]).groups)
        assert plot.title == f"{title}, on test{mean}"


@pytest.mark.parametrize(
    "ratios", [(0.1, 0.1000001, 0.5), (0.0, 0.01, 0.02, 1.0), (1, 2, 3, 4), (1000, 1001, 1010, 1100)], ids=str
)
def test_no_label_of_a_swept_value_is_drawn_over_another(tmp_path, ratios):
    write_sweep(tmp_path, models=["attention"], ratios=ratios, seeds=[0], epochs=1)
    (plot,) = plots.sweeps(gather([tmp_path], metrics=["val/bleu"]).groups, ["val/bleu"])
    figure = figures._figure(plot)
    figure.canvas.draw()
    (axes,) = figure.axes
    drawn = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in drawn]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert len(drawn) == len(ratios) if ratios == (1, 2, 3, 4) else 1 < len(drawn) < len(ratios)
    assert [*axes.get_xticks()] == [*ratios]
