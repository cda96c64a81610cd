"""Damaged and hostile files of a run: each is named in a line, and stops no other run; tables for other programs."""

import csv
import json
import os
import shutil
import socket
import struct
import zipfile
from pathlib import Path

import pytest
import torch

import mutations
import tiny
from foreign_runs import COMMANDS, OF_ALL, ends_well, in_time
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare.views import paper
from seq2seq_lab.compare.views.csv import plain_text
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.checkpoint import read_checkpoint
from seq2seq_lab.runs.events import EVENTS
from seq2seq_lab.runs.lock import is_locked
from seq2seq_lab.runs.run import Run

# Damage


def rewrite(path, change):
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


def first(state):
    return next(iter(state["state_dict"]))


WRONG = {
    "NaN": lambda state: state["state_dict"][first(state)].fill_(float("nan")),
    "integers": lambda state: state["state_dict"].update(
        {first(state): state["state_dict"][first(state)].int()}
    ),
    "all integers": lambda state: state.update(
        state_dict={k: v.int() for k, v in state["state_dict"].items()}
    ),
    "a list": lambda state: state.update(state_dict=[1, 2]),
    "none": lambda state: state.update(state_dict={}),
    "one number": lambda state: state["state_dict"].update(
        {first(state): torch.zeros(1).expand(10**5, 10**5)}
    ),
    "a name": lambda state: state["state_dict"].update({3: torch.zeros(1)}),
    "complex": lambda state: state["state_dict"].update({first(state): torch.zeros(3).cfloat()}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_weights_are_named(bad, capfd, wrong):
    for name in (layout.LAST, layout.BEST):
        rewrite(bad / layout.CHECKPOINTS / name, WRONG[wrong])
    for name in ("translate", "beam", "evaluate", "page", "init_from"):
        status, printed = ends_well(name, capfd)
        assert status == 1
        assert "ckpt" in printed or "checkpoint" in printed or "encoder.embedding.weight" in printed


@pytest.mark.parametrize("kind", ["compressed", "shared"])
def test_a_checkpoint_takes_no_more_memory_than_its_file(tmp_path, kind):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {"w": torch.zeros(2**22)}}, tmp_path / "whole")
    with (
        zipfile.ZipFile(tmp_path / "whole") as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for part in whole.infolist():
            small.writestr(part.filename, whole.read(part))
        if kind == "shared":  # all parts are one, which is stored once
            one = small.infolist()[-1]
            small.filelist += [one] * 1000
    assert path.stat().st_size < 2**20
    with pytest.raises(UserError, match="damaged"):
        read_checkpoint(path)


TEXTS = {
    (layout.CONFIG, "model: 2001-01-01\n"),
    (layout.CONFIG, 'model: "\\0"\n'),
    (layout.CONFIG, "model: &a [*a]\n"),
    (layout.SUMMARY, '{"status": "finished", "machine": "\\ud800", "stopped": "\\ud800"}'),
    (layout.SUMMARY, "[" * 100_000),
    (layout.TRANSLATIONS, '[{"source": "\\ud800", "references": ["\\ud800"], "hypothesis": "a"}]'),
    (layout.TRANSLATIONS, "[" * 100_000),
    (layout.TRANSLATIONS, f"[{'[],' * 6_000_000}[]]"),
    (layout.VOCABULARIES, "[" * 100_000),
    ("evaluation/test.jsonl", "[" * 100_000),
    ("evaluation/test.json", '{"measures": ' + "[" * 100_000),
    (layout.METRICS, "epoch,train/loss\n1," + "9" * 10_000 + "\n"),
}


@pytest.mark.parametrize(("name", "text"), sorted(TEXTS), ids=lambda each: each[:20])
def test_a_damaged_text_stops_no_other_run(place, bad, capfd, name, text):
    (bad / name).write_text(text)
    if name == layout.CONFIG:
        (bad / layout.SUMMARY).unlink()
    for command in COMMANDS:
        if command != "export":
            status, printed = ends_well(command, capfd)
            if command in OF_ALL:
                assert status == 0
                assert "Traceback" not in printed


def change_vocabularies(folder, **changes):
    path = folder / layout.VOCABULARIES
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [{"max_length": each} for each in (-1, 0, True, 10**12, "5", None, 2.5)]
    + [{"source": ["<sos>", "<eos>", "<unk>", "\ud800"]}, {"units": [{"name": "subwords"}] * 2}, {"units": 3}]
    + [
        {"units": [{"name": "subwords", "size": 9, "kind": "bpe", "model": "AAAA"}] * 2},
        {"normalise": {"keep": 5}},
    ],
)
def test_wrong_vocabularies_are_named(bad, capfd, changes):
    change_vocabularies(bad, **changes)
    for name in ("translate", "beam", "evaluate", "page"):
        status, printed = ends_well(name, capfd)
        assert status == 1
        assert layout.VOCABULARIES in printed


def test_a_page_leaves_out_a_run_that_cannot_be_loaded(place, bad, capfd):
    change_vocabularies(bad, max_length=-1)
    assert cli.main(["page", "bad/seed-0", "good/seed-0"]) == 1
    printed = capfd.readouterr()
    assert printed.err.endswith("; left out\n")
    assert len(printed.err.splitlines()) == 1
    assert printed.out.endswith("1 run\n")
    assert "good" in (place / "translator.html").read_text(encoding="utf-8")
    bad.rename(place / "good" / "seed-01")  # its path begins with that of the other
    assert cli.main(["page", "good/seed-0", "good/seed-01"]) == 1
    assert capfd.readouterr().out.startswith("good/seed-0: ")
    (place / "good" / "seed-01").rename(bad)
    assert cli.main(["page", "bad/seed-0", "bad/seed-0"]) == 1
    assert layout.VOCABULARIES in capfd.readouterr().err


def test_a_run_goes_on_where_its_event_file_is_damaged(tmp_path):
    folder = tiny.stop(tmp_path / "stopped", "logger=tensorboard", block=7)
    (events,) = folder.glob(EVENTS)
    record = b"\xff" * 20  # no event
    events.write_bytes(events.read_bytes() + struct.pack("<QI", len(record), 0) + record + b"0000")
    assert tiny.train(tmp_path / "stopped", "logger=tensorboard") == folder
    assert Run(folder).finished
    assert record not in events.read_bytes()


# Files that are none


def make(kind, path):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        here = Path.cwd()
        os.chdir(path.parent)  # the names of sockets are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
        os.chdir(here)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket"])
def test_nothing_is_waited_for(place, bad, capfd, kind):
    names = [path.relative_to(bad).as_posix() for path in bad.rglob("*") if path.is_file()]
    with in_time():
        for name in names:
            shutil.rmtree(bad)
            shutil.copytree(place / "good" / "seed-0", bad)
            make(kind, bad / name)
            for command in (
                ("translate", "compare", "page", "train") if kind == "pipe" else ("compare", "page")
            ):
                ends_well(command, capfd)
        make(kind, bad / layout.LOCK)
        assert not is_locked(bad / layout.LOCK)


# Tables for other programs


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3+cmd|x", "'-2+3+cmd|x"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("=1", "'=1"),
        *(
            (same, same)
            for same in ("-1", "+1.5", "-1e-05", "-inf", "-0.5 ± 0.1", "-0.5 [-0.7, -0.3]", "a=1", -1.5, None)
        ),
    ],
)
def test_no_text_is_a_formula(text, cell):
    assert plain_text(text) == cell


def test_no_table_of_a_comparison_has_formulas_or_html(place, bad, capsys):
    hostile = "=cmd|' /C calc'!A0"
    mutations.forge(
        bad, lambda config: config["forcing"].update({"=key": hostile, "<b>": "<script>alert(1)</script>|"})
    )
    assert cli.main(["compare", "."]) == 0
    tables = [path.read_text(encoding="utf-8") for path in (place / layout.COMPARISON).glob("*.csv")]
    capsys.readouterr()
    assert cli.main(["compare", ".", "--format", "csv"]) == 0
    tables.append(capsys.readouterr().out.partition("\n\n")[0])
    found = [cell for text in tables for row in csv.reader(text.splitlines()) for cell in row]
    assert any(hostile in cell for cell in found)
    assert [cell for cell in found if cell.startswith(("=", "@"))] == []
    assert cli.main(["compare", ".", "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    table = paper.Table([], [], [], title="", caption="a < b", label="")
    assert paper._markdown(table).endswith("a &lt; b\n")
