"""A folder that somebody sent is data, whatever is in it: no code, nothing outside changes, one line or an answer."""

import logging
import random
import resource
import shutil
import subprocess
import sys
import time
import warnings

import pytest
import yaml

import mutations
import tiny
from foreign_runs import COMMANDS, OF_ALL, SENTENCE, ends_well, in_time
from seq2seq_lab import load_run, load_runs
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare.views import figures
from seq2seq_lab.config import modules
from seq2seq_lab.config.build import build
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.startup import safe_path
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.place import remember, remembered
from seq2seq_lab.runs.run import Run
from seq2seq_lab.terminal import write_control

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
    finally:
        for name in ("named_part", "named_helper"):
            sys.modules.pop(name, None)
    assert not (place / "CANARY").exists()


@pytest.mark.whole
def test_another_process_finds_the_same_modules(tmp_path):
    write_modules(tmp_path)
    (tmp_path / "named_part.py").write_text("import named_helper\n")
    named = modules.Named(str(tmp_path), frozenset({"named_part"}))
    code = f"from seq2seq_lab.config import modules; modules.use(modules.Named(*{tuple(named)!r})); import named_part"
    for more, status in (("", 0), ("; import unnamed", 1)):
        done = subprocess.run([sys.executable, "-P", "-c", code + more], check=False, capture_output=True)
        assert done.returncode == status
    assert not (tmp_path / "CANARY").exists()


def test_a_process_that_a_command_starts_does_not_find_them(place):
    (place / "unnamed.py").write_text("")
    command = [sys.executable, "-c", "import unnamed"]
    with safe_path():
        assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.whole
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


def test_whatever_is_printed_has_no_control_characters(place, bad, capfd):
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


def test_names_with_escape_codes_are_drawn_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look = figures.Look(colour="#000000")
        plot = figures.Plot("x", "x", {"\x1b[31m $x^$": lambda axes: None}, {"\x07\t$\\frac": look})
        figures.save(plot, tmp_path)


# All of it at random


@pytest.mark.parametrize("seeds", [range(160), pytest.param(range(160, 2000), marks=pytest.mark.slow)])
def test_a_run_that_was_changed_at_random_gives_one_line_or_an_answer(
    evaluated_run, place, bad, capfd, seeds
):
    memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    canary = place.parent / "canary"
    canary.write_text("mine")
    names = [name for name in COMMANDS if name not in ("export", "init_from")]
    answers = 0
    for seed in seeds:
        draw = random.Random(seed)
        shutil.rmtree(bad)
        shutil.copytree(evaluated_run, bad)
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
    assert time.process_time() - started < 4 * len(seeds), "seconds of the processor"
