"""How groups are shown: own labels, order, colours and baseline; two checkpoints of a run; looks of many groups."""

import csv
import io
import itertools
import json
import re
import shutil

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fake_evaluations import evaluation, write_evaluation
from fake_runs import config, curves, write_run, write_sweep
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare import gather
from seq2seq_lab.compare.presentation import Presentation, parse_group, read_presentation
from seq2seq_lab.compare.report.translations import of_groups
from seq2seq_lab.compare.statistics import holm, paired_difference
from seq2seq_lab.compare.views import analyses, figures, plots
from seq2seq_lab.compare.views.appearance import keys_shown, looks, looks_of
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.at_checkpoint import parse_checkpoints
from seq2seq_lab.runs.evaluations import read_evaluations
from seq2seq_lab.runs.evaluations import write_evaluation as written


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two models and three ratios, three seeds each."""
    return write_sweep(tmp_path_factory.mktemp("runs"))


def test_all_groups_are_compared_with_the_baseline_and_corrected_together(sweep):
    found = gather(
        [sweep], metrics=["val/bleu"], presentation=Presentation(baseline="model=seq2seq, ratio=0.5")
    )
    base = next(each for each in found.groups if each.settings == {"model": "seq2seq", "ratio": 0.5})
    pairs = [pair for pair in found.pairs if pair.metric == "val/bleu"]
    assert {pair.first for pair in pairs} == {base}
    assert {pair.second for pair in pairs} == {*found.groups} - {base}
    assert [pair.adjusted for pair in pairs] == holm([pair.difference.p for pair in pairs])
    for pair in pairs:
        same = pair.second.settings["model"] == "seq2seq"
        assert pair.difference.method == ("paired by seed" if same else "Welch")
        if same:
            first, second = (each.by_seed("val/bleu") for each in (pair.first, pair.second))
            assert pair.difference == paired_difference(first, second, bounds=(0, 100))
    assert gather([sweep], presentation=Presentation(baseline=base.label)).pairs[0].first.label == base.label


def test_a_training_loss_is_not_called_better_where_the_baseline_differs_in_forcing(sweep):
    found = gather(
        [sweep], metrics=["train/loss"], presentation=Presentation(baseline="model=seq2seq, ratio=0.5")
    )
    verdicts = {pair.second.label: pair.comparable for pair in found.shown_pairs}
    assert verdicts == {label: "ratio=0.5" in label for label in verdicts}


def test_groups_have_the_labels_the_order_and_the_colours_of_a_file(sweep, tmp_path, capsys):
    (tmp_path / "groups.yaml").write_text(
        "baseline: 여섯\n"
        "groups:\n"
        "- {where: 'model=attention, ratio=0.75', label: 여섯, colour: '#112233'}\n"
        "- {where: model=seq2seq, colour: '#aa0000'}\n",
        encoding="utf-8",
    )
    presentation = read_presentation(tmp_path / "groups.yaml")
    groups = gather([sweep], presentation=presentation).groups
    assert [each.label for each in groups][:2] == ["여섯", "model=seq2seq, ratio=0.25"]
    assert [each.settings["model"] for each in groups] == ["attention", *["seq2seq"] * 3, *["attention"] * 2]
    assert [look.colour for look in looks_of(groups).values()][:4] == ["#112233", *["#aa0000"] * 3]
    given = ["--metric", "val/bleu", "--format", "csv", "--groups", str(tmp_path / "groups.yaml")]
    given += ["--group", "model=attention, ratio=0.5: a: b #00ff00", "--output", str(tmp_path / "out")]
    assert cli.main(["compare", str(sweep), "model=attention", *given]) == 1
    assert "model=seq2seq: no group matches; there are " in capsys.readouterr().err
    assert cli.main(["compare", str(sweep), *given]) == 0
    results, differences = (
        csv.DictReader(io.StringIO(part)) for part in capsys.readouterr().out.strip().split("\n\n")
    )
    assert [row["group"] for row in results][:2] == ["a: b", "여섯"]
    assert {row["from → to"].partition(" → ")[0] for row in differences} == {"여섯"}
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "#112233" in report
    assert "여섯 (n = 3)" in report


@pytest.mark.parametrize(
    ("presentation", "message"),
    [
        (
            Presentation(baseline="model=seq2seq"),
            "--baseline model=seq2seq: it matches .*; it should be one group",
        ),
        (
            Presentation(baseline="modell=seq2seq"),
            "modell=seq2seq: no group matches; there are model=attention",
        ),
        (Presentation(baseline=""), "the name of a group is empty"),
        (Presentation(baseline="nothing"), "nothing: no group has this label; there are model=attention"),
        (
            Presentation([parse_group("model=seq2seq: a")]),
            "a: model=seq2seq matches .*; a label is of one group",
        ),
        (
            Presentation([parse_group(f"model=seq2seq, ratio={ratio}: a") for ratio in (0.25, 0.5)]),
            "a: two groups have this label",
        ),
    ],
)
def test_what_fits_no_group_ends_in_a_line(sweep, presentation, message):
    with pytest.raises(UserError, match=message):
        gather([sweep], presentation=presentation)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "cannot be read"),
        ("groups: 3", "groups: it is not a list"),
        ("groups: [{label: a}]", "where is missing"),
        ("groups: [{where: a, color: red}]", "color: no such key; did you mean colour"),
        ("base: a", "base: no such key; did you mean baseline"),
        ("groups: [{where: model=seq2seq, colour: red}]", "it should be six digits"),
        (
            "groups:\n- where: model=seq2seq\n  colour: #aa0000",
            "colour of model=seq2seq is empty; .* needs quotation",
        ),
        ("baseline: ''", "the name of a group is empty"),
        ("groups: [{where: model=seq2seq, label: ' '}]", "label of model=seq2seq: it is empty"),
    ],
)
def test_a_file_of_groups_that_is_wrong_ends_in_a_line(sweep, tmp_path, text, message):
    (tmp_path / "groups.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        gather([sweep], presentation=read_presentation(tmp_path / "groups.yaml"))
    with pytest.raises(UserError, match="WHERE: LABEL"):
        parse_group("model=seq2seq")


def test_a_baseline_without_a_finished_run_is_said(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.25,), seeds=(0, 1), status="failed")
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.5,), seeds=(0, 1))
    found = gather([tmp_path], presentation=Presentation(baseline="ratio=0.25"))
    assert found.pairs == []
    assert "nothing is compared with the baseline, ratio=0.25: it has no finished run" in found.notes


def test_a_label_of_several_lines_is_one_line_of_a_table(sweep, tmp_path):
    path = tmp_path / "groups.yaml"
    path.write_text('groups:\n- where: "model=seq2seq, ratio=0.5"\n  label: |\n    half\n    forced\n')
    groups = gather([sweep], presentation=read_presentation(path)).groups
    assert [each.label for each in groups if each.own_label] == ["half forced"]


@pytest.fixture
def two_checkpoints(tmp_path):
    """Runs whose best epoch is 3 and whose last is 8, with the test part evaluated at both, as `evaluate` does it."""
    for seed in range(3):
        rows = curves(config(seed=seed), 8)
        for row in rows:
            row["val/bleu"] = 50.0 - abs(row["epoch"] - 3) + seed
        folder = write_run(tmp_path / "a" / f"seed-{seed}", config(seed=seed), rows=rows)
        for checkpoint, epoch, quality in (("best", 3, 0.8), ("last", 8, 0.5)):
            text = {"sources": [f"s{seed}"], "references": [["r"]], "hypotheses": [checkpoint]}
            contents = evaluation(quality, seed) | {"checkpoint": checkpoint, "epoch": epoch}
            written(folder, "test", contents, **text)
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(
            json.dumps(summary | {"tested": {"checkpoint": "best", "epoch": 3}})
        )
    return tmp_path


@pytest.mark.usefixtures("undrawn")
def test_the_checkpoints_of_a_run_are_compared_side_by_side(two_checkpoints, capsys):
    assert cli.main(["compare", str(two_checkpoints), "--checkpoints", "best,last"]) == 0
    assert "checkpoint best → last" in capsys.readouterr().out
    report = (two_checkpoints / "comparison" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"checkpoint=best</th><td[^>]*>\s*best<", report), "the translations of each"
    best, last = gather([two_checkpoints], checkpoints=["best", "last"]).groups
    assert (best.label, last.label) == ("checkpoint=best", "checkpoint=last")
    assert [best.by_seed("val/bleu"), last.by_seed("val/bleu")] == [
        {seed: value + seed for seed in range(3)} for value in (50.0, 45.0)
    ]
    for group, quality in ((best, 0.8), (last, 0.5)):
        wanted = {seed: evaluation(quality, seed)["measures"]["bleu"] for seed in range(3)}
        assert group.by_seed("test/bleu") == wanted
    (pair,) = (
        each
        for each in gather([two_checkpoints], checkpoints=["best", "last"]).pairs
        if each.metric == "test/bleu"
    )
    assert pair.difference.method == "paired by seed"


def test_translations_of_a_checkpoint_are_those_of_the_test_part(two_checkpoints):
    """Whatever other parts it was evaluated on: groups are shown beside each other."""
    for seed in range(3):
        folder = two_checkpoints / "a" / f"seed-{seed}"
        text = {"sources": ["other"], "references": [["r"]], "hypotheses": ["best"]}
        contents = evaluation(0.8, seed) | {"checkpoint": "best", "epoch": 3}
        written(folder, "validation", contents, **text)
    found, _ = of_groups(gather([two_checkpoints], checkpoints=["best", "last"]).groups)
    assert [[*sentences] for _, sentences in found.values()] == [["s0"], ["s0"]]


def test_checkpoints_that_are_none_end_in_a_line():
    for text in ("", "best,first"):
        with pytest.raises(UserError, match="is neither best nor last"):
            parse_checkpoints(text)


def test_a_checkpoint_that_is_not_evaluated_is_said(two_checkpoints):
    shutil.rmtree(two_checkpoints / "a" / "seed-0" / "evaluation" / "best")
    notes = gather([two_checkpoints], checkpoints=["best", "last"]).notes
    assert [
        note
        for note in notes
        if "a/seed-0 (best): this checkpoint is not evaluated; seq2seq-lab evaluate" in note
    ]


def test_an_evaluation_of_another_checkpoint_is_kept_and_one_of_the_same_replaced(two_checkpoints):
    folder = two_checkpoints / "a" / "seed-0" / "evaluation"
    now, before = (read_evaluations(each)[0]["test"] for each in (folder, folder / "best"))
    assert (now.checkpoint, now.epoch, before.checkpoint, before.epoch) == ("last", 8, "best", 3)
    text = {"sources": ["s"], "references": [["r"]], "hypotheses": ["h"]}
    written(folder.parent, "test", evaluation(0.1, 0) | {"checkpoint": "last", "epoch": 8}, **text)
    assert sorted(path.name for path in folder.iterdir()) == ["best", "test.json", "test.jsonl"]


def test_the_colour_shows_what_is_fed_and_learnt_before_the_model_and_the_rest():
    settings = [
        {"model": model, "forcing": forcing, "batch_size": size}
        for model, forcing, size in itertools.product("ab", ("full", "mixed"), (1, 2, 3))
    ]
    assert keys_shown(settings) == (["forcing"], ["model"], ["batch_size"])
    assert len({look.colour for look in looks(settings)}) == 2


def test_groups_that_differ_in_many_keys_have_looks_of_their_own():
    settings = [
        {"model": model, "forcing": forcing, "target": target, "lr": lr, "batch_size": size}
        for model, forcing, target, lr, size in itertools.product("ab", "cd", "ef", (1, 2), (1, 2))
    ]
    assert keys_shown(settings) == (["forcing", "target"], ["model"], ["lr", "batch_size"])
    assert len(set(looks(settings))) == len(settings)


def test_titles_labels_and_legends_fit_their_figure(tmp_path):
    for number in (1, 2):
        settings = config(ratio=number / 4)
        settings["model"]["a_key_with_a_long_name"] = "a value that is long, and with words, " * number
        write_run(tmp_path / f"{number}" / "seed-0", settings)
        write_evaluation(tmp_path / f"{number}" / "seed-0", "test", evaluation(0.5, number))
    groups = gather([tmp_path]).groups
    for plot in (plots.curves(groups, ["val/bleu"]), *analyses.plots(groups)):
        with figures._styled():
            figure = figures._figure(plot)
            FigureCanvasAgg(figure).draw()
            texts = [*figure.legends[0].get_texts(), *(axes.title for axes in figure.axes)]
            texts += [
                part for axes in figure.axes for part in (axes.xaxis.label, axes.yaxis.label) if axes.axison
            ]
            width, height = figure.canvas.get_width_height()
            for text in texts:
                box = text.get_window_extent()
                assert box.x0 >= 0, text.get_text()
                assert box.x1 <= width, text.get_text()
                assert box.y0 >= 0, text.get_text()
                assert box.y1 <= height, text.get_text()


def test_plots_name_what_the_task_is_of(tmp_path):
    corpus = {"fingerprint": "a" * 64, "item": "command", "token": "action", "graded": False}
    write_run(tmp_path / "a" / "seed-0", config(), corpus=corpus)
    write_evaluation(tmp_path / "a" / "seed-0", "test", evaluation(0.5, 0))
    drawn = analyses.plots(gather([tmp_path]).groups)
    titles = [title for plot in drawn for title in plot.panels]
    assert "Accuracy after gold actions" in titles
    assert not [title for title in titles if re.search(r"\b(words?|sentences?)\b|{", title)]
