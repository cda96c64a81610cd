"""The output of a comparison: table, CSV files, plots and report."""

import argparse
import csv
import io
import math
import re
import statistics
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from fake_evaluations import write_evaluation
from fake_runs import ENG_FRA, SENTENCES, config, curves, write_run, write_sweep
from seq2seq_lab.commands.compare import add_arguments, main
from seq2seq_lab.compare import compare, gather
from seq2seq_lab.compare.report.page import environment
from seq2seq_lab.compare.report.translations import Translation, attention_map
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.compare.views import columns, terminal
from seq2seq_lab.errors import UserError

METRICS = ["train/loss", "val/loss_free", "val/bleu"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two models, three ratios, three seeds, compared: the comparison and what it printed."""
    stream = io.StringIO()
    root = write_sweep(tmp_path_factory.mktemp("sweep"))
    return compare([root], metrics=METRICS, stream=stream), stream.getvalue()


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """The external resources of a page, its open tags, its ids and references to them, and its text."""

    VOID = ("meta", "br", "hr", "img", "link")

    def __init__(self, text):
        super().__init__()
        self.links, self.open, self.ids, self.uses, self.text = [], [], [], [], []
        self.marks = []  # what a drawing uses; in HTML an attribute such as `ns1:href` is none
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.links += [
            v for k, v in attributes if k in ("src", "href", "xlink:href") and not v.startswith("#")
        ]
        self.ids += [v for k, v in attributes if k == "id"]
        self.marks += [dict(attributes).get("href")] if tag == "use" else []
        self.uses += [v[1:] for k, v in attributes if k in ("href", "xlink:href") and v.startswith("#")]
        self.uses += [u for _, v in attributes for u in re.findall(r"url\(#([^)]+)\)", v or "")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_all_files_are_written_and_no_temporary_file_remains(sweep):
    comparison, _ = sweep
    written = {path.name for path in comparison.output.iterdir()}
    plots = {f"{name}.{suffix}" for name in ("curves", "sweep-ratio") for suffix in ("png", "svg", "pdf")}
    assert written == plots | {"results.csv", "summary.csv", "pairs.csv", "report.html", "tb"}


def test_no_plot_of_an_earlier_comparison_remains(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=[0.5], seeds=[0], epochs=2)
    folder = tmp_path / "seq2seq-mixed-0.5" / "seed-0"
    write_evaluation(folder, "test", {"measures": {"bleu": 9.0}, "analyses": {}})
    for metric, plots in (("val/bleu", ["curves.png"]), ("test/bleu", [])):
        comparison = compare([tmp_path], metrics=[metric], stream=io.StringIO())
        assert [path.name for path in comparison.output.glob("*.png")] == plots


def test_the_csv_files_contain_the_values_of_the_runs(sweep):
    comparison, _ = sweep
    results = read_csv(comparison.output / "results.csv")
    assert [row["run"] for row in results] == [run.name for run in comparison.runs]
    by_group = {}
    for run, row in zip(comparison.runs, results, strict=True):
        last = read_csv(run.folder / "metrics.csv")[-1]
        assert float(row["val/bleu last"]) == float(last["val/bleu"])
        by_group.setdefault((row["model"], row["ratio"]), []).append(float(last["val/bleu"]))
    for row in read_csv(comparison.output / "summary.csv"):
        values = by_group[row["model"], row["ratio"]]
        assert float(row["val/bleu last mean"]) == pytest.approx(statistics.fmean(values))
        assert float(row["val/bleu last sd"]) == pytest.approx(statistics.stdev(values))
        assert row["val/bleu n"] == "3"


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("form", [None, "latex", "markdown", "csv"])
def test_a_mean_of_fewer_runs_than_the_group_has_says_so(tmp_path, form):
    """Of three runs one has no finite value, and so no best one; another has no exact match."""
    for seed in range(3):
        value = math.nan if seed == 0 else 10.0 + seed
        rows = [{"epoch": 1, "val/bleu": value} | ({"val/exact_match": 0.1 * seed} if seed else {})]
        write_run(tmp_path / f"seed-{seed}", config(seed=seed), rows=rows)
    stream = io.StringIO()
    comparison = compare([tmp_path], metrics=["val/bleu", "val/exact_match"], form=form, stream=stream)
    assert re.search(r"0\.15\d* \S+ 0\.0\d+ \(n=2\)", stream.getvalue())
    assert form or re.search(r"nan +11\.5\d* ± 0\.7\d* \(n=2\)", stream.getvalue())
    (row,) = read_csv(comparison.output / "summary.csv")
    assert (row["val/bleu n"], row["val/bleu best n"]) == ("3", "2")


def test_the_table_fits_the_terminal_and_shows_each_group_once_per_block(sweep):
    comparison, _ = sweep
    for width in (80, 120, 400):
        text = terminal.render(comparison.groups, comparison.metrics, width=width)
        blocks = text.split("\n\n")
        assert all(len(block.splitlines()) == 2 + 6 for block in blocks)
        assert all(len(line) <= width for line in text.splitlines())
        assert [metric for metric in comparison.metrics if metric in text] == list(comparison.metrics)


def test_the_terminal_shows_means_differences_caveats_and_paths(sweep):
    comparison, text = sweep
    estimate = comparison.groups[0].last("val/bleu")
    assert f"{estimate.mean:.2f} ± {estimate.sd:.2f}" in text
    assert "ratio 0.25 → 0.5 (model=attention)" in text
    assert "Training losses under different forcing are not comparable" in text
    assert f"tensorboard --logdir {comparison.output / 'tb'}" in text


def test_the_number_of_decimals_depends_on_the_standard_deviation():
    assert columns.formatted([Estimate(0.0347, 0.0012, 5)]) == ["0.0347 ± 0.0012"]
    assert columns.formatted([Estimate(93.214, 4.3, 5), Estimate(90, float("nan"), 1)]) == [
        "93.2 ± 4.3",
        "90.0",
    ]
    assert columns.formatted([Estimate(float("nan"), float("nan"), 0)]) == ["–"]


def test_a_diverged_run_does_not_change_the_decimals_of_the_others():
    assert columns.formatted([Estimate(3.227, 0.15, 2), Estimate(3.2e8, 1.1e7, 2)]) == [
        "3.23 ± 0.15",
        "3.2e+08 ± 1.1e+07",
    ]
    assert columns.formatted(
        [Estimate(0.031, 0.002, 2), Estimate(120.0, 9.0, 2), Estimate(130.0, 9.0, 2)]
    ) == [
        "0.031 ± 0.002",
        "120.0 ± 9.0",
        "130.0 ± 9.0",
    ]
    assert columns.intervals([Estimate(3.227, 0.15, 2), Estimate(5.9e18, 2.6e18, 2)], None) == [
        "[1.9, 4.6]",
        "[-1.746e+19, 2.926e+19]",
    ]


@pytest.mark.usefixtures("undrawn")
def test_characters_that_the_terminal_cannot_encode_are_replaced(sweep):
    comparison, _ = sweep
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    compare(
        [comparison.runs[0].folder.parent],
        metrics=["val/bleu"],
        stream=stream,
        output=comparison.output / "plain",
    )
    stream.flush()
    assert b"+/-" in raw.getvalue()


def test_the_report_is_complete_and_loads_no_other_file(sweep):
    comparison, _ = sweep
    page = Page((comparison.output / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert page.links == []
    assert len(page.ids) == len(set(page.ids))
    assert page.uses
    assert set(page.uses) <= set(page.ids)
    text = " ".join(page.text)
    for expected in (
        comparison.groups[0].label,
        "0123abc",
        "a computer",
        "not comparable",
        "200 pairs of a toy",
    ):
        assert expected in text
    for sentence in SENTENCES:
        assert all(part in text for part in sentence)


def test_the_report_shows_every_panel_of_the_plots_inside_its_view_box(sweep):
    comparison, _ = sweep
    text = (comparison.output / "report.html").read_text(encoding="utf-8")
    panel = r'<figcaption>([^<]+)</figcaption><div class="wide"><svg [^>]*viewBox="([^"]+)">(.*?)</svg>'
    panels = re.findall(panel, text, flags=re.DOTALL)
    assert [title for title, _, _ in panels] == [*METRICS, *METRICS]
    for title, frame, drawing in panels:
        left, top, width, height = map(float, frame.split())
        background = re.search(r'<path d="([^"]+)"', drawing)[1]
        corners = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", background)]
        assert all(left < x < left + width and top < y < top + height for x, y in corners), title
        assert "stroke: currentColor" in drawing
        assert set(Page(drawing).uses) <= set(Page(drawing).ids), title
        assert Page(drawing).marks, title
        assert all(mark and mark[1:] in Page(drawing).ids for mark in Page(drawing).marks), title


def test_markup_in_a_run_is_text_in_the_report(tmp_path):
    evil = '<script>alert("x")</script> $\\frac$'
    settings = config(model="attention")
    settings["model"]["note"] = evil
    write_run(tmp_path / "a", settings, sentences=[(evil, evil)], corpus={"fingerprint": "f", "origin": evil})
    write_run(
        tmp_path / "b", config(model="attention"), sentences=[(evil, evil)], corpus={"fingerprint": "f"}
    )
    output = compare([tmp_path], metrics=["val/bleu"], stream=io.StringIO()).output
    text = (output / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert evil in " ".join(Page(text).text)


def test_the_same_runs_give_the_same_files(sweep, tmp_path):
    comparison, _ = sweep
    root = comparison.output.parent
    again = compare([root], metrics=METRICS, output=tmp_path / "again", stream=io.StringIO())
    for name in ("results.csv", "summary.csv", "pairs.csv", "curves.svg", "curves.png", "report.html"):
        assert (again.output / name).read_bytes() == (comparison.output / name).read_bytes(), name


@pytest.mark.usefixtures("undrawn")
def test_the_translations_are_of_the_first_seed_that_has_some(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.5,), seeds=(0, 1))
    (tmp_path / "seq2seq-mixed-0.5" / "seed-0" / "translations.json").unlink()
    report = compare([tmp_path], stream=io.StringIO()).output / "report.html"
    said = "that of the lowest seed which has translations: <code>seq2seq-mixed-0.5/seed-1</code>"
    assert said in report.read_text(encoding="utf-8")


def test_attention_maps_with_padding_and_invalid_weights():
    padded = Translation("je suis", ("i am",), "i", ((0.5, 0.25, 0.25, 0.0), (float("nan"), 2.0, -1.0, 0.5)))
    drawn = str(environment().get_template("macros.html.j2").module.attention(attention_map(padded)))
    assert drawn.count('<th scope="col">') == 4
    assert "(padding)" in drawn
    assert re.findall(r"--w:([\d.]+)", drawn)[4:] == ["0.00", "1.00", "0.00", "0.50"]


def test_files_of_the_user_are_not_removed(tmp_path):
    write_run(tmp_path / "runs", config())
    notes = [tmp_path / "out" / name for name in ("sweep-notes.md", "sweep-run.sh", "sweep-mine.png")]
    for path in notes:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    compare([tmp_path / "runs"], output=tmp_path / "out", stream=io.StringIO())
    assert [path.read_text() for path in notes] == ["mine"] * 3


@pytest.mark.whole
def test_a_closed_pipe_does_not_prevent_writing_the_files(tmp_path):
    write_run(tmp_path / "runs", config())
    command = [sys.executable, "-u", "-m", "seq2seq_lab", "compare", str(tmp_path / "runs")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert (tmp_path / "comparison" / "report.html").exists()


def test_metrics_can_be_selected_and_a_wrong_name_gets_a_suggestion(tmp_path):
    write_sweep(tmp_path, seeds=[0])
    asked = gather([tmp_path], metrics=["val/exact_match", "val/loss*"]).metrics
    assert asked == ["val/exact_match", "val/loss_forced", "val/loss_free"]
    with pytest.raises(UserError, match=r"--metric val/blue: .*did you mean val/bleu\?"):
        gather([tmp_path], metrics=["val/blue"])


def test_without_a_held_out_set_the_training_metrics_are_shown(tmp_path):
    rows = [{"epoch": 1, "train/loss": 1.0, "train/loss_free": 2.0, "train/exact_match": 0.5, "perf/x": 1}]
    write_run(tmp_path / "a", config(), rows=rows)
    assert gather([tmp_path]).metrics == ["train/loss", "train/loss_free", "train/exact_match"]


def test_runs_that_have_just_started_are_compared(tmp_path):
    write_run(tmp_path / "a", config(seed=0), rows=[], status="running")
    write_run(tmp_path / "b", config(seed=1), rows=curves(config(seed=1), 1), status="running")
    stream = io.StringIO()
    comparison = compare([tmp_path], metrics=["val/bleu"], stream=stream)
    assert "0 of 2" in stream.getvalue()
    assert (comparison.output / "report.html").exists()


def test_the_command_compares_and_imports_no_slow_library(tmp_path, capsys):
    write_run(tmp_path / "seed-0", config())
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([str(tmp_path), "--metric", "val/bleu", "--output", str(tmp_path / "out")])
    assert main(args) == 0
    assert "val/bleu" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()
    loaded = "import sys, seq2seq_lab.commands.compare; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout
    assert not {"matplotlib", "numpy", "torch", "tensorboard"} & set(modules.split())


@pytest.mark.usefixtures("undrawn")
def test_the_report_names_options_and_keys_and_no_class(tmp_path):
    write_sweep(tmp_path / "a", ratios=[0.25, 0.5], seeds=[0])
    write_run(tmp_path / "b" / "seed-0", config(forcing="full"))
    own = config(ratio=0.75)
    own["model"]["_target_"] = "my_model.Deep"  # and the option's name is the same
    write_run(tmp_path / "c" / "seed-0", own)
    report = (compare([tmp_path], stream=io.StringIO()).output / "report.html").read_text(encoding="utf-8")
    configurations = report.partition("<h2>Configurations</h2>")[2].partition("</section>")[0]
    changes = {re.sub("<[^>]*>", "", item).strip() for item in re.findall("<li>(.*?)</li>", configurations)}
    assert {"forcing: mixed → full", "forcing.ratio: 0.75 → 0.5"} <= changes
    assert "model: Deep → seq2seq_model" in changes, "two classes of the same option"
    assert "model: seq2seq → attention" in changes
    assert not [change for change in changes if "seq2seq_lab." in change or "_partial_" in change]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_row_of_differences_is_wider_than_the_terminal(tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for ratio in (0.25, 0.5):
        for size in (64, 128):
            for seed in (0, 1):
                settings = config(ratio=ratio, seed=seed)
                settings["model"]["hidden_size"] = size
                write_run(tmp_path / f"{ratio}-{size}" / f"seed-{seed}", settings)
    stream = io.StringIO()
    compare([tmp_path], metrics=METRICS, stream=stream)
    text = stream.getvalue()
    differences = text[text.index("Difference of the last") : text.index("Report:")]
    assert [line for line in differences.splitlines() if len(line) > columns] == []
    words = " ".join(differences.split())
    assert "ratio 0.25 → 0.5 (hidden_size=64)" in words
    assert "seeds" in words


@pytest.mark.usefixtures("undrawn")
def test_a_table_of_one_corpus_has_no_column_of_what_only_another_measures(tmp_path):
    for name, metric, corpus in (("a", "val/bleu", None), ("b", "val/exact_match", ENG_FRA)):
        rows = [{key: row[key] for key in ("epoch", "train/loss", metric)} for row in curves(config(), 3)]
        write_run(tmp_path / name / "seed-0", config(), rows=rows, **({"corpus": corpus} if corpus else {}))
    stream = io.StringIO()
    output = compare([tmp_path], metrics=["train/loss", "val/bleu", "val/exact_match"], stream=stream).output
    page = (output / "report.html").read_text(encoding="utf-8")
    for text in (stream.getvalue(), page):
        assert [text.count(name) for name in ("val/bleu ↑", "val/exact_match ↑")] == [1, 1]
