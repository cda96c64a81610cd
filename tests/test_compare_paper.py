"""Tables for a paper."""

import csv
import io
import re
import shutil
import subprocess

import pytest

from fake_evaluations import evaluation, small, write_evaluation
from fake_runs import ENG_FRA, TOY, config, write_run, write_sweep
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare import gather
from seq2seq_lab.compare.presentation import Presentation, parse_group
from seq2seq_lab.compare.views import latex, paper


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    root = write_sweep(tmp_path_factory.mktemp("sweep"), models=["seq2seq"], ratios=[0.25, 0.75])
    for ratio, quality in ((0.25, 0.5), (0.75, 0.8)):
        for seed in range(3):
            write_evaluation(root / f"seq2seq-mixed-{ratio}" / f"seed-{seed}", "test", small(quality, seed))
    return root


def shown(sweep, capsys, form):
    assert cli.main(["compare", str(sweep), "--metric", "test/bleu", "--format", form]) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("undrawn")
def test_markdown_has_the_best_in_bold_the_seeds_and_the_corrected_p_value(sweep, capsys):
    results, caption, pairs, about_pairs = shown(sweep, capsys, "markdown").strip().split("\n\n")
    rows = [line.split(" | ") for line in results.splitlines()]
    assert rows[0][-1].startswith("test/bleu ↑")
    assert "**" not in rows[2][-1]
    assert rows[3][-1].startswith("**4")
    assert "over 3 seeds (0, 1, 2)" in caption
    assert "| ratio 0.25 → 0.75 |" in pairs
    assert "Holm" in about_pairs


@pytest.mark.usefixtures("undrawn")
def test_what_is_to_be_said_beside_a_table_goes_to_standard_error(sweep, capsys):
    """So that the table alone is in a file, and neither a caveat nor what was asked for is lost."""
    command = ["compare", str(sweep), "--metric", "test/bleu"]
    assert cli.main(command) == 0
    plain = capsys.readouterr().out
    assert cli.main([*command, "--format", "csv"]) == 0
    beside = capsys.readouterr().err
    assert "Note:" in beside
    for line in filter(None, map(str.strip, beside.splitlines())):
        assert line in plain


@pytest.mark.usefixtures("undrawn")
def test_csv_can_be_read(sweep, capsys):
    first, second = shown(sweep, capsys, "csv").strip().split("\n\n")
    assert [row["ratio"] for row in csv.DictReader(io.StringIO(first))] == ["0.25", "0.75"]
    (pair,) = csv.DictReader(io.StringIO(second))
    assert (pair["test"], pair["seeds"]) == ("paired by seed", "3")


@pytest.mark.usefixtures("undrawn")
def test_latex_is_escaped_and_balanced(sweep, capsys):
    text = shown(sweep, capsys, "latex")
    assert text.count(r"\begin{") == text.count(r"\end{") == 4
    assert r"\textbf{4" in text
    assert r"95 \%" in text
    assert "±" not in text
    assert re.findall(r"\\label{(.*)}", text) == ["tab:results", "tab:differences"]
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {row.count(" & ") for row in rows[:3]} == {1}
    assert len({row.count(" & ") for row in rows[3:] if "multicolumn" not in row}) == 1


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Two corpora, many settings with signs that LaTeX obeys, one group of one seed, negative losses."""
    root = tmp_path_factory.mktemp("wide")
    signs = r"50%_of $x$ & #1 {a} \b ~c ^d <e> |f| … · √ é"
    for corpus, sizes in ((TOY, (8, 16, 32)), (ENG_FRA, (8, 16))):
        for ratio in (0.25, 1.0):
            for size in sizes:
                for seed in range(1 if (ratio, size) == (1.0, 16) else 3):
                    settings = config(ratio=ratio, seed=seed)
                    settings["model"] |= {
                        "hidden_size": size,
                        "a_setting_with_a_long_name": f"{signs} {size}",
                    }
                    rows = [
                        {"epoch": 1, "train/loss": -size - seed, "val/loss_forced": -size * ratio - seed / 9}
                    ]
                    folder = root / f"{corpus['pairs']}-{ratio}-{size}" / f"seed-{seed}"
                    write_run(folder, settings, rows=rows, corpus=corpus)
                    write_evaluation(folder, "test", evaluation(ratio / 2 + size / 99, seed))
    return root


def test_a_measure_is_bold_only_where_it_compares_and_has_several_seeds(wide):
    text = made(wide, "markdown", metrics=["train/loss", "test/bleu"])
    tables = [part for part in text.split("\n\n") if "train/loss" in part.partition("\n")[0]]
    assert len(tables) == 2, "one a corpus"
    for table in tables:
        head, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
        loss, bleu = (
            [row[number] for row in rows] for number in map(head.index, ("train/loss ↓", "test/bleu ↑"))
        )
        assert not [cell for cell in loss if "**" in cell], "losses of different forcing"
        assert sum("**" in cell for cell in bleu) == 1
        assert not [cell for cell in bleu if "**" in cell and "±" not in cell], "one seed"
    over_tasks = text.partition("| method |")[2].partition("\n\n")[0]
    assert [line.count("**") for line in over_tasks.splitlines() if "| 1 |" in line] == [0], "one seed"


def test_equal_means_are_not_bold(tmp_path):
    for ratio in (0.25, 0.75):
        for seed in (0, 1):
            settings = config(ratio=ratio, seed=seed)
            rows = [{"epoch": 1, "val/bleu": 0.0, "val/exact_match": ratio + seed}]
            write_run(tmp_path / f"{ratio}" / f"seed-{seed}", settings, rows=rows)
    text = made(tmp_path, "markdown", metrics=["val/bleu", "val/exact_match"])
    bold = [cell for line in text.splitlines() for cell in line.split(" | ") if "**" in cell]
    assert len(bold) == 1
    assert "1.25" in bold[0]


def made(root, form, *, metrics=None, **how):
    """The tables alone, without plots."""
    found = gather([root], metrics=metrics, **how)
    shown = found.metrics if metrics else paper.chosen(found.metrics)
    return paper.tables(found.groups, shown, found.shown_pairs, form, found.over_tasks)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"metrics": ["*/*"]},
        {
            "metrics": ["test/bleu", "val/loss_forced"],
            "presentation": Presentation(baseline="hidden_size=8, ratio=0.25"),
        },
        {
            "metrics": ["test/*"],
            "presentation": Presentation([parse_group("hidden_size=16, ratio=1: Groß & klein")]),
        },
    ],
)
def test_latex_compiles_and_fits_a_page(wide, tmp_path, given):
    if shutil.which("pdflatex") is None:
        pytest.skip("no LaTeX (pdflatex) is installed")
    text = made(wide, "latex", **given)
    labels = re.findall(r"\\label{(.*)}", text)
    assert len(labels) == len(set(labels)) == text.count(r"\begin{table}")
    packages = r"\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}\usepackage{array,booktabs}"
    page = rf"\documentclass{{article}}{packages}\begin{{document}}{chr(10)}{text}\end{{document}}"
    (tmp_path / "paper.tex").write_text(page, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert not re.findall(r"Overfull \\hbox.*|Float too large.*|undefined.*|multiply.*", log)


def test_numbers_have_minus_signs_and_names_keep_their_hyphens(wide):
    text = made(wide, "latex", metrics=["val/loss_forced"])
    assert re.search(r"\$-\$8", text)
    assert not re.search(r"[& \[]-\d", text)
    assert "two-sided" in text


def test_a_sign_in_a_table_is_that_sign():
    assert latex._tex("-0.5 [-1, +2] seq2seq-2 a_b 1e-05 50%") == (
        r"$-$0.5 [$-$1, +2] seq2seq-2 a\_b 1e-05 50\%"
    )
    assert latex.label("results", "Corpus 50%_é") == "tab:results-corpus-50"


@pytest.mark.parametrize("first", ["[0.9, 0.98]", "*starred"])
def test_a_row_begins_with_no_argument_of_the_line_before(first):
    """A bracket after a line break is its height, and a star is taken away."""
    assert latex._line([first, "[1, 2]"]) == rf"  {{}}{first} & [1, 2] \\"


def test_figures_are_written_as_pdf_too(sweep, capsys):
    shown(sweep, capsys, "markdown")
    plots = {path.stem for path in (sweep / "comparison").glob("*.svg")}
    written = list((sweep / "comparison").glob("*.pdf"))
    assert {path.stem for path in written} == plots != set()
    assert all(path.read_bytes().startswith(b"%PDF") for path in written)
