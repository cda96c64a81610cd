"""Tables for a paper."""

import csv
import io

import pytest

from fake_evaluations import small, write_evaluation
from fake_runs import write_sweep
from seq2seq_lab.commands import main as cli


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


def test_markdown_has_the_best_in_bold_the_seeds_and_the_corrected_p_value(sweep, capsys):
    results, caption, pairs, about_pairs = shown(sweep, capsys, "markdown").strip().split("\n\n")
    rows = [line.split(" | ") for line in results.splitlines()]
    assert rows[0][-1].startswith("test/bleu ↑")
    assert "**" not in rows[2][-1]
    assert rows[3][-1].startswith("**4")
    assert "over 3 seeds (0, 1, 2)" in caption
    assert "| ratio 0.25 → 0.75 |" in pairs
    assert "Holm" in about_pairs


def test_csv_can_be_read(sweep, capsys):
    first, second = shown(sweep, capsys, "csv").strip().split("\n\n")
    assert [row["ratio"] for row in csv.DictReader(io.StringIO(first))] == ["0.25", "0.75"]
    (pair,) = csv.DictReader(io.StringIO(second))
    assert (pair["test"], pair["seeds"]) == ("paired by seed", "3")


def test_latex_is_escaped_and_balanced(sweep, capsys):
    text = shown(sweep, capsys, "latex")
    assert text.count(r"\begin{") == text.count(r"\end{") == 4
    assert r"\textbf{4" in text
    assert r"95 \%" in text
    assert "±" not in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {row.count(" & ") for row in rows[:3]} == {1}
    assert {row.count(" & ") for row in rows[3:]} == {6}


def test_figures_are_written_as_pdf_too(sweep, capsys):
    shown(sweep, capsys, "markdown")
    plots = {path.stem for path in (sweep / "comparison").glob("*.svg")}
    written = list((sweep / "comparison").glob("*.pdf"))
    assert {path.stem for path in written} == plots != set()
    assert all(path.read_bytes().startswith(b"%PDF") for path in written)
