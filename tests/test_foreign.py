"""A folder that somebody sent is data, whatever is in it: no code, nothing outside changes, one line or an answer."""

import contextlib
import csv
import json
import logging
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

import mutations
import tiny
from seq2seq_lab import load_run, load_runs
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare.views import figures, paper
from seq2seq_lab.compare.views.csv import plain_text
from seq2seq_lab.config import modules
from seq2seq_lab.config.build import build
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.startup import write_control
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.checkpoint import read_checkpoint
from seq2seq_lab.runs.lock import is_locked
from seq2seq_lab.runs.naming import remember, remembered
from seq2seq_lab.runs.run import Run

SENTENCE = "je suis grand ."
WEIGHTS = f"{layout.CHECKPOINTS}/{layout.LAST}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    # Imported, and compiled, before a test watches what is opened.
    folder = tiny.train(tmp_path_factory.mktemp("trained"), "model=attention", "split.test=0.2", lean=False)
    shutil.copytree(folder, folder.parents[1] / "copy" / "seed-0")
    assert cli.main(["evaluate", str(folder.parents[1] / "copy" / "seed-0"), "--max-pairs", "2"]) == 0
    load_run(folder).translate(SENTENCE)
    return folder


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A folder with two runs, `bad` and `good`, in which the user stands; nothing is drawn."""
    for name in ("bad", "good"):
        shutil.copytree(trained, tmp_path / "place" / name / "seed-0")
    monkeypatch.chdir(tmp_path / "place")
    monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", "outputs")
    monkeypatch.setenv("SEQ2SEQ_LAB_CACHE", str(tmp_path / "place" / "cache"))
    monkeypatch.setattr(figures, "save", lambda plot, folder: {})
    return tmp_path / "place"


@pytest.fixture
def bad(place):
    return place / "bad" / "seed-0"


COMMANDS = {
    "translate": ["translate", "bad/seed-0", SENTENCE],
    "beam": ["translate", "bad/seed-0", SENTENCE, "--beam", "3", "--best"],
    "evaluate": ["evaluate", "bad/seed-0", "--max-pairs", "2", "--analyses", "none"],
    "page": ["page", "bad/seed-0"],
    "export": ["export", "bad/seed-0"],
    "train": ["train", "--config", "bad/seed-0"],
    "init_from": [
        "train",
        *tiny.SETTINGS,
        *tiny.LEAN,
        "model=attention",
        "split.test=0.2",
        "init_from=bad/seed-0",
    ],
    "compare": ["compare", "."],
    "runs": ["runs", "."],
}
OF_ALL = ("compare", "runs")  # leave out a run that cannot be read


def ends_well(name, capfd):
    """Run a command; it ends in one line, or in an answer. Returns its status and what it printed."""
    capfd.readouterr()
    status = cli.main(COMMANDS[name])
    printed = capfd.readouterr()
    assert status in (0, 1, 2)
    if status:
        assert 1 <= len(printed.err.splitlines()) <= 2, printed.err
        assert "Traceback" not in printed.err
    assert "\x1b" not in printed.out + printed.err
    return status, printed.out + printed.err


# Nothing of a run is resolved

CALLS = [
    "${oc.create:{_target_:builtins.open,file:CANARY,mode:w}}",
    "8${oc.create:{_target_:torch.hub.load,repo_or_dir:bad,model:m,source:local}}",
    "${oc.env:HOME}",
    "\\${oc.env:HOME}",
    "???",
]
PLACES = [
    *(
        ("model", "hidden_size"),
        ("data", "prefixes"),
        ("split", "seed"),
        ("trainer", "max_epochs"),
        ("seed",),
    ),
    *(("callbacks", "last_checkpoint", "filename"), ("model", "cell", "_target_"), ("model", "cell", "new")),
    *(("name",), ("choices", "model")),
]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_interpolation_of_a_run_is_resolved(place, bad, capfd, name):
    if name == "export":
        pytest.importorskip("onnx")
    several = list(zip(CALLS * 2, PLACES, strict=True))
    for text, where in several[:2] if name == "init_from" else several:
        shutil.copy(place / "good" / "seed-0" / layout.CONFIG, bad / layout.CONFIG)
        mutations.forge(bad, lambda config, where=where, text=text: mutations.put(config, where, text))
        with mutations.watched(place) as seen:
            status, printed = ends_well(name, capfd)
        assert ".".join(where) in printed
        assert status == (0 if name in OF_ALL else 1)
        assert seen == []
        assert not (place / "CANARY").exists()


@pytest.mark.parametrize("value", [{"${a}": 1}, [["${a}"]], {"x": [{"y": "${a}"}]}, "???"])
def test_what_is_built_is_never_resolved(value):
    with pytest.raises(UserError, match=r"^model\.cell"):
        build({"_target_": "torch.nn.GRU", "cell": value}, "model")


def test_load_run_and_load_runs_resolve_nothing(place, bad):
    mutations.forge(bad, lambda config: config["model"].update(hidden_size=CALLS[0]))
    with (
        mutations.watched(place) as seen,
        pytest.raises(UserError, match=r"model\.hidden_size contains an interpol"),
    ):
        load_run(bad).translate(SENTENCE)
    pytest.importorskip("pandas")
    with mutations.watched(place) as seen_too:
        assert list(load_runs(".").index) == ["good/seed-0"]
    assert seen == seen_too == []


def test_a_user_who_trains_cannot_write_one_either(place, capfd):
    assert cli.main(["train", *tiny.SETTINGS, r"name='a\${b}'"]) == 1
    assert capfd.readouterr().err == "name: it contains ${, which a run's settings may not\n"
    assert tiny.folders(place / "outputs") == []


def test_a_target_belongs_to_its_group(bad):
    """What is harmless in `logger` may not be so where a model is built."""
    for target in ("pytorch_lightning.Trainer", "pytorch_lightning.loggers.CSVLogger", "torch.optim.SGD"):
        mutations.forge(bad, lambda config, target=target: config["model"].update(_target_=target))
        with pytest.raises(UserError, match="is not of this package"):
            load_run(bad).translate(SENTENCE)


# Modules of the working folder


def write_modules(folder):
    (folder / "named_part.py").write_text(
        "import named_helper\nfrom seq2seq_lab.forcing.full import FullForcing as Forcing\n"
    )
    (folder / "named_helper.py").write_text("")
    for name in ("triton", "unnamed"):
        (folder / f"{name}.py").write_text("open('CANARY', 'w').close()\n")


def test_modules_of_the_working_folder_are_found_where_they_are_named(place, monkeypatch, capfd):
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", str(place))])
    write_modules(place)
    (place / "conf" / "forcing").mkdir(parents=True)
    (place / "conf" / "forcing" / "mine.yaml").write_text("# Mine.\n_target_: named_part.Forcing\n")
    for name in (*OF_ALL, "translate"):
        assert cli.main(COMMANDS[name]) == 0
    train = ["train", *tiny.SETTINGS, *tiny.LEAN, "forcing=mine", "--config-dir", "conf"]
    try:
        assert cli.main(train) == 0
        assert {"named_part", "named_helper"} <= set(sys.modules), "what it imports itself is found too"
        for name in ("unnamed", "triton"):
            with pytest.raises(ImportError):
                __import__(name)
        assert not {"", ".", str(place)} & set(sys.path)
        assert os.environ["PYTHONSAFEPATH"], "so it is in the processes that this one starts"
    finally:
        for name in ("named_part", "named_helper"):
            sys.modules.pop(name, None)
    assert not (place / "CANARY").exists()


def test_another_process_finds_the_same_modules(tmp_path):
    write_modules(tmp_path)
    (tmp_path / "named_part.py").write_text("import named_helper\n")
    named = modules.Named(str(tmp_path), frozenset({"named_part"}))
    code = f"from seq2seq_lab.config import modules; modules.use(modules.Named(*{tuple(named)!r})); import named_part"
    for more, status in (("", 0), ("; import unnamed", 1)):
        done = subprocess.run([sys.executable, "-P", "-c", code + more], check=False, capture_output=True)
        assert done.returncode == status
    assert not (tmp_path / "CANARY").exists()


def test_python_m_does_not_import_from_the_working_folder(place):
    for name in ("triton", "google", "numba", "torch", "yaml"):
        (place / f"{name}.py").write_text("open('CANARY', 'w').close()\n")
    command = [sys.executable, "-m", "seq2seq_lab", *COMMANDS["translate"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (place / "CANARY").exists()


# Links


@pytest.fixture
def mine(tmp_path):
    """A folder of the user's, which must stay as it is."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in (
        "last.ckpt",
        "test.json",
        "test.jsonl",
        "results.csv",
        "report.html",
        "events.out.tfevents.1",
    ):
        (folder / name).write_text("mine")
    yield folder
    assert {path.read_text() for path in folder.iterdir()} == {"mine"}
    assert len(list(folder.iterdir())) == 6


@pytest.mark.parametrize(
    "name",
    [
        layout.CHECKPOINTS,
        layout.EVALUATION,
        layout.LOCK,
        layout.METRICS,
        "csv",
        "new",
        "events.out.tfevents.1",
    ],
)
def test_nothing_is_removed_or_written_through_a_link_in_a_run(place, bad, mine, capfd, name):
    link = bad / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(mine if "." not in name[1:] else mine / "events.out.tfevents.1")
    with mutations.watched(place) as seen:
        assert cli.main(["train", "--config", "bad/seed-0", "fresh=true"]) == 1
        assert f"{name}: it is a link out of bad/seed-0" in capfd.readouterr().err
        if name == layout.EVALUATION:
            assert cli.main(COMMANDS["evaluate"]) == 1
            assert "evaluation: it is a link out of bad/seed-0" in capfd.readouterr().err
    assert seen == []


@pytest.mark.parametrize(
    "name", [layout.COMPARISON, f"{layout.COMPARISON}/tb", f"{layout.COMPARISON}/tb/attention-full"]
)
def test_a_comparison_is_not_written_through_a_link(place, mine, capfd, name):
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).symlink_to(mine)
    with mutations.watched(place) as seen:
        assert cli.main(["compare", "."]) == 1
    assert "it is a link out of" in capfd.readouterr().err
    assert seen == []
    assert cli.main(["compare", ".", "--output", str(place / "out")]) == 0


@pytest.mark.parametrize("text", ["/tmp", "../mine", "linked", "a\0b", ""])
def test_a_note_names_only_folders_of_the_outputs(place, bad, mine, text):
    config = Run(bad).config() | {"output_dir": str(place)}
    (place / "linked").symlink_to(mine)
    remember(bad, config)
    assert remembered(config) == bad
    (note,) = (place / layout.NOTES).iterdir()
    note.write_text(text)
    assert remembered(config) is None


def test_a_configuration_file_names_no_other_place(place, bad, mine, capfd):
    shutil.copy(bad / layout.CONFIG, "sent.yaml")
    for key, value in (
        (("output_dir",), str(mine)),
        (("output_dir",), "../mine"),
        (("callbacks", "last_checkpoint", "dirpath"), "mine"),
        (("callbacks", "last_checkpoint", "filename"), "../../mine/last"),
        (("logger", "tensorboard", "name"), str(mine)),
        (("trainer", "default_root_dir"), str(mine)),
    ):
        config = yaml.safe_load((bad / layout.CONFIG).read_text()) | {"fresh": True, "output_dir": "outputs"}
        mutations.put(config, key, value)
        (place / "sent.yaml").write_text(yaml.safe_dump(config))
        with mutations.watched(place) as seen:
            assert cli.main(["train", "--config", "sent.yaml"]) == 1
        assert f"--config: {'.'.join(key)}: {value} " in capfd.readouterr().err
        assert seen == []
    mutations.forge(bad, lambda config: config.update(fresh=True))
    assert cli.main(["train", "--config", "bad/seed-0"]) == 0
    assert "already finished" in capfd.readouterr().out, "only the user trains afresh"


# What reaches the terminal


def test_whatever_is_printed_has_no_control_characters(place, bad, capfd, monkeypatch):
    escape = "\x1b]0;owned\x07\x9b31m\r\u202e"
    mutations.forge(bad, lambda config: config["forcing"].update(why=escape))
    (bad.parent / f"x{escape}").mkdir()
    cli.main(["compare", "."])
    cli.main(["runs", "."])
    cli.main(["translate", "bad/seed-0", f"{escape} foo"])
    cli.main(["translate", escape, "foo"])
    (place / "pairs.tsv").write_text(f"a {escape} b\tc {escape} d\n" * 20, encoding="utf-8")
    given = ["data=parallel", "data.path=pairs.tsv", "data.normalise=none", "split=none"]
    cli.main(["data", *given])
    settings = [each for each in tiny.SETTINGS if not each.startswith(("data", "split"))]
    cli.main(["train", *given, *settings, *tiny.LEAN])
    logging.getLogger("somewhere").warning("a log line %s", escape)
    logging.StreamHandler(sys.stderr).emit(logging.makeLogRecord({"msg": escape}))
    print(escape, file=sys.stderr)
    printed = capfd.readouterr()
    for character in escape:
        if not character.isprintable():
            assert character not in (printed.out + printed.err).replace("\r ", "")
    assert "\\u001b]0;owned\\u0007\\u009b31m\\u000d\\u202e" in printed.err


def test_a_progress_bar_is_still_drawn(place, capfd):
    cli.main(["runs", "."])
    capfd.readouterr()
    print("\r 10 %", end="")
    write_control("\x1b[H")
    assert capfd.readouterr().out == "\r 10 %\x1b[H"


def test_names_with_escape_codes_are_drawn_without_a_warning(trained, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look = figures.Look(colour="#000000")
        plot = figures.Plot("x", "x", {"\x1b[31m $x^$": lambda axes: None}, {"\x07\t$\\frac": look})
        figures.save(plot, tmp_path)


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
    assert printed.out.endswith("1 runs\n")
    assert "good" in (place / "translator.html").read_text(encoding="utf-8")
    assert cli.main(["page", "bad/seed-0", "bad/seed-0"]) == 1
    assert layout.VOCABULARIES in capfd.readouterr().err


# Files that are none


@contextlib.contextmanager
def in_time(seconds=60):
    def stop(*_):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
    table = paper.Table([""], [], "a < b")
    assert paper._markdown(table).endswith("a &lt; b\n")


# All of it at random


@pytest.mark.parametrize("seeds", [range(160), pytest.param(range(160, 2000), marks=pytest.mark.slow)])
def test_a_run_that_was_changed_at_random_gives_one_line_or_an_answer(trained, place, bad, capfd, seeds):
    evaluated = trained.parents[1] / "copy" / "seed-0"
    memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    canary = place.parent / "canary"
    canary.write_text("mine")
    names = [name for name in COMMANDS if name not in ("export", "init_from")]
    answers = 0
    for seed in seeds:
        draw = random.Random(seed)
        shutil.rmtree(bad)
        shutil.copytree(evaluated, bad)
        change, name = mutations.mutate(bad, draw, canary), draw.choice(names)
        about = f"{seed}: {name} after {change}"
        with in_time(), mutations.watched(place) as seen:
            try:
                status, _ = ends_well(name, capfd)
            except Exception as error:
                raise AssertionError(about) from error
        assert seen == [], about
        assert canary.read_text() == "mine", about
        assert status == 0 or name not in OF_ALL, about
        answers += status == 0
    assert len(seeds) / 4 < answers < len(seeds)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 500 * 1024
    assert sum(path.lstat().st_size for path in place.rglob("*")) < 50 * 2**20
    assert time.monotonic() - started < 4 * len(seeds), "seconds, on a machine that does other things"
