"""The command line: its help, its options and its exit status."""

import contextlib
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny
from literal.measures import near_duplicate
from seq2seq_lab import __version__
from seq2seq_lab.commands import main as cli
from seq2seq_lab.commands.main import COMMANDS
from seq2seq_lab.config.build import build
from seq2seq_lab.config.compose import composed
from seq2seq_lab.config.options import description, groups, option_files
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.splits import ByComponent, ByRow
from waiting import wait

HEAVY = {
    "torch",
    "pytorch_lightning",
    "hydra",
    "omegaconf",
    "matplotlib",
    "numpy",
    "sacrebleu",
    "tensorboard",
}
STATISTICS = [
    "archive_pairs",
    "pairs",
    "training_pairs",
    "source_vocabulary",
    "target_vocabulary",
    "distinct_sources",
    "distinct_targets",
    "max_source_length",
    "max_target_length",
    "loss_floor",
]


def test_help_lists_the_commands_and_imports_no_slow_library():
    script = (
        "import sys; from seq2seq_lab.commands.main import main\n"
        "try: main(['--help'])\nfinally: print(*sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *text, modules = answer.stdout.splitlines()
    for command in ("train", "data", "translate", "compare"):
        assert any(line.split()[:1] == [command] for line in text), command
    assert HEAVY.isdisjoint(modules.split())


def help_of(command, capsys):
    with contextlib.suppress(SystemExit):
        assert cli.main([*command, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_train_lists_every_option_with_its_whole_description(flag, capsys):
    assert cli.main(["train", flag]) == 0
    *_, shown = capsys.readouterr().out.partition("Groups and their options:\n")
    listed = {}
    for line in shown.splitlines():
        depth = len(line) - len(line.lstrip())
        if depth == 2:
            its = listed.setdefault(line.strip().removesuffix("="), {})
        elif depth == 4:
            name, *words = line.split()
            its[name] = words
        else:
            its[name] += line.split()
    assert list(listed) == groups()
    for group, its in listed.items():
        files = option_files(group)
        assert {name: " ".join(words) for name, words in its.items()} == {
            name: " ".join(description(files[name]).split()) for name in files
        }
        assert all(words[-1][-1] == "." for words in its.values()), "a whole sentence"
        assert len({tuple(words) for words in its.values()}) == len(its), (
            f"two options of {group} read the same"
        )


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help_that_fits_the_terminal_and_can_be_pasted(
    command, columns, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = help_of([command] if command else [], capsys)
    assert text.startswith(f"usage: seq2seq-lab {command}".rstrip())
    assert [line for line in text.splitlines() if len(line) > columns] == []
    unquoted = re.findall(r"(?<![\w'.+])[\w.+]+=\[", text)
    assert unquoted == [], "zsh reads brackets as a pattern of file names"


def test_version_prints_the_version_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"seq2seq-lab {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["translate"],
        ["data", "--jsno"],
        ["train", "seed=1", "--nope"],
        ["train", "-m", "--cfg", "job"],
        ["train", "--resolve"],
        ["train", "--config-dir"],
        ["train", "--config-dir", ".", "--config", "config.yaml"],
    ],
)
def test_wrong_arguments_end_with_status_2_and_a_line_of_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: seq2seq-lab")


class TestData:
    def test_it_shows_statistics_of_the_training_data(self, capsys):
        assert cli.main(["data", "data=toy", "data.pairs=80", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert list(shown) == [
            *STATISTICS,
            "parts",
            "unknown_rate",
            "shared",
            "near_duplicates",
            "dropped",
            "removed",
            "cautions",
        ]
        corpus = ToyCorpus(pairs=80).load()
        parts = ByComponent().split(corpus)
        numbered = corpus.numbered(parts.train, unknown=True)
        expected = numbered.statistics(parts.train, predict_sos=False)
        assert {name: shown[name] for name in STATISTICS} == expected
        assert shown["parts"] == {name: len(part) for name, part in parts._asdict().items()}
        assert shown["shared"] == {
            part: {"source": 0, "target": 0, "either": 0} for part in ("validation", "test")
        }
        texts = {
            name: [(corpus.source_text(i), corpus.target_text(i)) for i in part]
            for name, part in parts._asdict().items()
        }
        assert shown["near_duplicates"] == {
            name: sum(near_duplicate(pair, texts["train"]) for pair in texts[name]) / len(texts[name])
            for name in ("validation", "test")
        }

    def test_it_shows_how_many_held_out_pairs_of_the_seminar_are_near_duplicates(self, real_archive, capsys):
        assert cli.main(["data", f"data.archive={real_archive}"]) == 0
        assert (
            "pairs of test with a pair of train within one word on both sides: 66.9%"
            in capsys.readouterr().out
        )

    def test_pairs_that_share_a_sentence_with_training_are_counted(self, capsys):
        overrides = ["data=toy", "data.pairs=300", "split=row"]
        assert cli.main(["data", *overrides, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        corpus = ToyCorpus(pairs=300).load()
        parts = ByRow().split(corpus)
        sources, targets = (
            {text(i) for i in parts.train} for text in (corpus.source_text, corpus.target_text)
        )
        of_test = [(corpus.source_text(i) in sources, corpus.target_text(i) in targets) for i in parts.test]
        assert shown["shared"]["test"] == {
            "source": sum(source for source, _ in of_test),
            "target": sum(target for _, target in of_test),
            "either": (either := sum(map(any, of_test))),
        }
        assert 0 < either < len(parts.test)
        assert cli.main(["data", *overrides]) == 0
        assert f", either {either} ({either / len(parts.test):.1%})" in capsys.readouterr().out

    def test_the_share_in_the_documentation_is_that_of_20_random_splits(self, real_archive):
        corpus = build(composed([f"data.archive={real_archive}"])["data"], "data").load()
        shares = []
        for seed in range(20):
            parts = ByRow(seed=seed).split(corpus)
            sides = (corpus.source.groups, corpus.target.groups)
            source, target = (np.isin(side[parts.test], side[parts.train]) for side in sides)
            shares.append(100 * float((source | target).mean()))
        figure = f"{statistics.mean(shares):.1f} ± {statistics.stdev(shares):.1f} %"
        assert figure in (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        "overrides", [["split=source", "split.test=0"], ["split=none", "loader.predict_sos=true"]]
    )
    def test_the_loss_floor_is_that_of_a_run_with_the_same_overrides(self, overrides, run, capsys):
        overrides = ["data.pairs=400", *overrides]
        folder = run("run", *overrides, "trainer.max_epochs=1", "monitor.metric=train/loss")
        capsys.readouterr()
        assert cli.main(["data", "data=toy", *overrides, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["loss_floor"] > 0
        assert (
            shown["loss_floor"] == json.loads((folder / "summary.json").read_text())["corpus"]["loss_floor"]
        )

    def test_without_json_it_prints_the_origin_and_a_list(self, capsys):
        assert cli.main(["data", "data=toy"]) == 0
        origin, *lines = capsys.readouterr().out.splitlines()
        assert "pairs" in origin
        assert [line.split()[0] for line in lines][: len(STATISTICS)] == STATISTICS
        assert "parts              train 1,600, validation 200, test 200" in lines
        assert lines[1].split()[1] == "2,000"

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (["data=toys"], "data=toys: no such option; did you mean toy?"),
            (["data=toy", "data.paris=5"], "data.paris: no such key; did you mean data.pairs?"),
            (
                ["data=toy", "+data.paris=5"],
                "data.paris: seq2seq_lab.data.sources.toy.ToyCorpus takes no paris",
            ),
            (["data=toy", "data.pairs=many"], "data.pairs: 'many' is not of type int"),
            (["data=toy", "split.test=half"], "split.test: 'half' is not of type float"),
            (["data=toy", "split.test=2"], "split.test: 2 is not a share in [0, 1)"),
            (["data=toy", "~loader"], "loader: it is missing"),
            (["data.max_words=0"], "data.max_words=0"),
            (["data.archive=/no/such.zip"], "data.archive=/no/such.zip: No such file"),
            (["data=toy", "--", "nonsense"], "nonsense: not an override of the form KEY=VALUE"),
            (["data=toy", "~data._target_"], "data._target_: it is missing"),
            (["data=null"], "data=null: data takes one of its options: eng_fra"),
        ],
    )
    def test_an_error_message_names_the_key(self, overrides, message, capsys):
        assert cli.main(["data", *overrides]) == 1
        out, err = capsys.readouterr()
        assert not out
        assert message in err
        assert len(err.splitlines()) <= 2

    def test_statistics_of_the_seminars_archive(self, real_archive, capsys):
        overrides = [f"data.archive={real_archive}", "experiment=seminar/seq2seq_full"]
        assert cli.main(["data", *overrides, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown.pop("loss_floor") == pytest.approx(0.019807, abs=5e-7)
        assert shown.pop("parts") == {"train": 5318, "validation": 0, "test": 0}
        dropped = shown.pop("dropped")
        assert sum(dropped.values()) == 135842 - 5318
        assert [shown.pop(each) for each in ("unknown_rate", "shared", "near_duplicates")] == [{}] * 3
        assert {side: each["sentences"] for side, each in shown.pop("removed").items()} == {
            "source": 4,
            "target": 0,
        }
        assert shown.pop("cautions") == []
        assert list(shown.values()) == [135842, 5318, 5318, 2579, 1573, 4840, 3045, 7, 8]


class TestOutputDirectory:
    LITTLE = ("train", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")

    def test_the_environment_variable_sets_the_output_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", str(tmp_path / "here"))
        assert cli.main(self.LITTLE) == 0
        assert len(tiny.folders(tmp_path / "here")) == 1

    def test_the_key_has_priority_over_the_variable_and_outputs_is_the_default(
        self, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.chdir(tmp_path)
        for variable, key, message in (
            ("variable", ["output_dir=key"], "output_dir: key\n"),
            (None, [], "output_dir: outputs\n"),
        ):
            monkeypatch.delenv("SEQ2SEQ_LAB_OUTPUTS", raising=False)
            if variable:
                monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", variable)
            assert cli.main(["train", *key, "--cfg", "job", "--resolve"]) == 0
            assert message in capsys.readouterr().out
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_flags_may_be_in_any_position(flag, outputs):
    command, first, *rest = TestOutputDirectory.LITTLE
    assert cli.main([command, first, flag, *rest, "seed=0,1"]) == 0
    folders = tiny.folders(outputs)
    assert len(folders) == 2
    for folder in folders:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert shlex.split(summary["command"]) == ["seq2seq-lab", command, first, flag, *rest, "seed=0,1"]


def test_a_launch_does_not_change_the_state_of_the_process(outputs):
    assert (
        cli.main([*TestOutputDirectory.LITTLE, "seed=2"]) == 0
    )  # libraries set variables when they are imported
    before = dict(os.environ), list(sys.argv)
    assert cli.main([*TestOutputDirectory.LITTLE, "seed=0,1", "-m"]) == 0
    assert cli.main(["train", "model=atention"]) == 1
    assert (dict(os.environ), sys.argv) == before


@pytest.mark.whole
def test_the_program_exits_with_a_status_and_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "seq2seq_lab", "train", "data=toy", "model=atention"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.splitlines()[0] == "model=atention: no such option; did you mean attention?"
    assert len(answer.stderr.splitlines()) == 2


@pytest.mark.whole
def test_a_closed_output_does_not_end_a_run(tmp_path):
    command = [sys.executable, "-m", "seq2seq_lab", *TestOutputDirectory.LITTLE]
    command += [f"output_dir={tmp_path}", "name=a"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.stdout.close()
        assert wait(lambda: program.poll() is not None)
    assert program.returncode == 0
    (folder,) = tiny.folders(tmp_path)
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["status"] == "finished"


@pytest.mark.slow
def test_ctrl_c_stops_the_program_with_a_checkpoint_and_no_traceback(tmp_path):
    import signal

    command = [sys.executable, "-m", "seq2seq_lab", *TestOutputDirectory.LITTLE]
    command += [f"output_dir={tmp_path}", "trainer.max_epochs=5000", "name=a"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as program:
        assert program.stdout is not None
        assert any(re.search(r" epoch +3/5000 ", line) for line in program.stdout)
        program.send_signal(signal.SIGINT)
        assert wait(lambda: program.poll() is not None)
        _, err = program.communicate()
    assert program.returncode == 130
    assert "Traceback" not in err
    assert "run the same command to resume" in err
    (folder,) = tiny.folders(tmp_path)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "interrupted"
    assert summary["epochs"] >= 3
    assert Path(folder / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_on_a_terminal_no_line_of_a_run_is_cut_within_a_word(tmp_path, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    folder = tiny.train(tmp_path, "split.test=0.2", "trainer.max_epochs=12")
    lines = [line for line in re.split(r"[\r\n]+", capsys.readouterr().out) if str(folder) not in line]
    assert [line for line in lines if len(line) > columns] == []
    bars = [line.partition(", ")[2].strip() for line in lines if line.startswith("epoch ")]
    measures = [bar for bar in bars if bar]
    assert measures
    assert all(re.fullmatch(r"(\S+/\w+ -?[\d.e+-]+(  +|$))+", each) for each in measures), measures
    assert columns < 80 or any("val/bleu" in each for each in measures)


def test_a_run_ends_with_held_out_sentences_where_there_are_some(tmp_path, capsys):
    tiny.train(tmp_path / "a")
    assert "some held-out sentences:" in capsys.readouterr().out
    tiny.train(tmp_path / "b", "split=none", "monitor.metric=train/bleu")
    assert "some training sentences:" in capsys.readouterr().out
