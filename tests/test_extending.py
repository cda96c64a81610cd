"""The examples of docs/extending.md: one's own parts from outside the package, swept and compared."""

import csv
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from seq2seq_lab.commands.main import main
from seq2seq_lab.runs.evaluations import read_translated
from seq2seq_lab.runs.run import Run

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]
SWEEP = next(line for line in COMMANDS if " train -m " in line)
LITTLE = ["data.pairs=40", "trainer.max_epochs=1", "model.hidden_size=8", "model.embedding_size=8"]
MODULES = [Path(name).stem for name in FILES if name.endswith(".py")]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the files of the page, and the runs of its sweep."""
    folder = tmp_path_factory.mktemp("extending")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        in_folder(folder, patch)
        assert run(SWEEP) == 0
        yield folder
    for module in MODULES:
        sys.modules.pop(module, None)


def in_folder(folder, patch):
    patch.chdir(folder)
    patch.delenv("SEQ2SEQ_LAB_OUTPUTS", raising=False)
    patch.setenv("SEQ2SEQ_LAB_CACHE", str(folder / "cache"))


def run(command):
    """The exit status of a command of the page, training scaled down."""
    arguments = shlex.split(command)[1:]
    if arguments[0] == "train" and "--help" not in arguments:
        arguments += [
            each for each in LITTLE if "embedding" not in each or "model=convolutional" not in arguments
        ]
    return main(arguments)


@pytest.fixture
def runs(workplace, monkeypatch):
    """The runs of the sweep, by score and policy."""
    in_folder(workplace, monkeypatch)
    every = [Run(path.parent) for path in Path("outputs").rglob("config.yaml")]
    found = [each for each in every if each.config()["choices"]["accelerate"] == "fused"]
    chosen = [each.config()["choices"] for each in found]
    return {(each["model/score"], each["forcing"]): one for each, one in zip(chosen, found, strict=True)}


def test_a_sweep_takes_every_part(runs):
    assert set(runs) == {
        (score, policy) for score in ("dot", "cosine") for policy in ("full", "linear_decay")
    }
    own = runs["cosine", "linear_decay"].config()
    assert own["data"]["_target_"] == "my_data.ReversedLetters"
    assert own["forcing"] == {"_target_": "my_forcing.LinearDecay", "end": 0.0}
    assert own["model"]["score"]["_target_"] == "my_score.CosineAttention"
    assert own["model"]["cell"]["_target_"] == "my_cell.OrthogonalGRU"
    assert {"bleu", "wrong_length"} <= set(own["measures"]), "both options of the set"


def test_each_part_does_something(runs):
    losses = {key: one.last("train/loss") for key, one in runs.items()}
    assert len(set(losses.values())) == len(losses)
    assert runs["dot", "full"].last("train/forced_share") == 1
    assert 0 < runs["dot", "linear_decay"].last("train/forced_share") < 1
    for one in runs.values():
        assert one.summary()["accelerate"] == {"updates": "fused_sgd", "refused": {}}
        assert one.corpus.origin == "40 of 40 pairs of ReversedLetters"


def test_an_own_split_gives_the_parts(workplace, monkeypatch, capsys):
    in_folder(workplace, monkeypatch)
    assert run("seq2seq-lab data --config-dir conf data=toy split=by_length split.longest=5 --json") == 0
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert parts["train"] > parts["validation"] > 0
    assert parts["test"] > 0


def test_an_own_measure_is_in_every_file_of_a_run(runs):
    for one in runs.values():
        value = one.last("val/wrong_length")
        assert 0 <= value <= 1
        summary = one.summary()
        assert summary["last"]["val/wrong_length"] == value
        assert summary["best"]["val/wrong_length"] == {"value": value, "epoch": 1}
        assert summary["measures"]["wrong_length"]["better"] == "lower"


def test_an_own_measure_is_that_of_the_test_part_too(runs, capsys):
    """From the translations that are written, at each beam; only where its module is trusted."""
    one = runs["dot", "full"]
    others = " ".join(f"--trust {each}" for each in MODULES if each != "my_measure")
    for options in ("", "--trust my_measure --beam 3,1"):
        assert not options or run(f"seq2seq-lab evaluate {one.folder} {others} {options}") == 0
        written = read_translated(Run(one.folder).evaluations["test"].path, "source")
        pairs = zip(written.hypotheses, written.references, strict=True)
        wrong = [len(text.split()) not in {len(each.split()) for each in wanted} for text, wanted in pairs]
        assert Run(one.folder).last("test/wrong_length") == pytest.approx(sum(wrong) / len(wrong))
    capsys.readouterr()
    assert run(f"seq2seq-lab evaluate {one.folder} {others} --json") == 0
    out, err = capsys.readouterr()
    assert "wrong_length" not in str(json.loads(out))
    assert "not measured: measures.wrong_length" in err
    assert "wrong_length" not in Run(one.folder).evaluations["test"].measures


def test_the_comparison_shows_them_by_name(runs, capsys):
    assert run("seq2seq-lab compare outputs --metric val/wrong_length") == 0
    heading, columns, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["val/wrong_length", "↓"]
    assert columns.split() == ["score", "forcing", "n", "last", "=", "best"]
    assert {tuple(row.split()[:2]) for row in rows[: len(runs)]} == set(runs)
    report = Path("outputs/comparison/report.html").read_text(encoding="utf-8")
    for line in (
        "translations of wrong length",
        "(share of segments)",
    ):  # a label has several lines where it is long
        assert line in report


def test_the_comparison_needs_no_class_of_a_run(runs, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(Path.cwd())])
    for module in MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    Path("elsewhere").mkdir(exist_ok=True)
    monkeypatch.chdir("elsewhere")
    assert main(["compare", "../outputs", "--output", "comparison"]) == 0
    assert "val/wrong_length ↓" in capsys.readouterr().out
    with Path("comparison/summary.csv").open(encoding="utf-8", newline="") as file:
        assert any("wrong_length" in " ".join(row) for row in csv.reader(file))


def trained(command):
    """The run that a command of the page trains."""
    before = {*Path("outputs").rglob("config.yaml")}
    assert run(command) == 0
    (config,) = {*Path("outputs").rglob("config.yaml")} - before
    return Run(config.parent)


def command_with(part):
    return next(line for line in COMMANDS if part in line) + " compare=false"


def test_an_own_model_and_an_own_feeder_are_trained_and_loaded(runs, capsys):
    one = trained(command_with("model=convolutional") + " seed=1")
    assert one.config()["forcing"]["feeder"] == {"_target_": "my_feeder.SecondBest"}
    assert one.last("train/forced_share") < 1
    losses = {
        trained(command_with("model=convolutional") + f" seed=1 forcing/feeder={each}").last("train/loss")
        for each in ("argmax", "sample")
    }
    assert len({one.last("train/loss"), *losses}) == 3, "each feeder feeds something else"
    assert main(["translate", str(one.folder), "a b c"]) == 1
    assert "--trust my_model" in capsys.readouterr().err
    assert main(["translate", str(one.folder), "a b c", "--trust", "my_model"]) == 0


def test_an_own_objective_and_an_own_callback_do_something(runs):
    one = trained(command_with("objective=confidence_penalty") + " seed=1")
    other = trained(command_with("objective=confidence_penalty") + " seed=1 objective.beta=0")
    plain = trained("seq2seq-lab train --config-dir conf data=reversed seed=1 compare=false")
    norms = [(each.folder / "weight_norms.csv").read_text() for each in (one, other)]
    assert norms[0].startswith("1,")
    assert norms[0] != norms[1]
    assert other.last("train/loss") == pytest.approx(plain.last("train/loss"), rel=1e-6)
    assert one.last("train/loss") != other.last("train/loss")


@pytest.mark.parametrize("command", [line for line in COMMANDS if line != SWEEP])
def test_the_other_commands_of_the_page_run(command, runs):
    assert command.startswith("seq2seq-lab ")
    assert run(command) == 0


def test_the_best_checkpoint_follows_an_own_measure(runs, capsys):
    assert run("seq2seq-lab train --config-dir conf experiment=mine output_dir=mine compare=false") == 0
    (config,) = Path("mine").rglob("config.yaml")
    assert Run(config.parent).config()["monitor"] == {"metric": "val/wrong_length", "mode": "min"}
    assert Run(config.parent).best_checkpoint.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("forcing=linear_decay forcing.end=2", "forcing.end must lie in [0, 1], got 2"),
        ("forcing=linear_decay forcing.end=x", "forcing.end: 'x' is not of type float"),
        ("measures=[default,lenth]", "measures=lenth: no such option; did you mean length?"),
        ("accelerate=fused optimizer=adam", "accelerate: fused is asked for, but the optimizer is Adam"),
        ("monitor.metric=val/wrong_length", "monitor.metric: val/wrong_length is not measured"),
    ],
)
def test_mistakes_are_named_by_their_keys(given, said, runs, capsys):
    assert run(f"seq2seq-lab train --config-dir conf data=reversed {given}") == 1
    out, err = capsys.readouterr()
    assert said in err
    assert len(err.splitlines()) <= 2
    assert "training" not in out


def test_help_shows_their_comments(runs, capsys):
    assert main(["train", "--help", "--config-dir", "conf"]) == 0
    words = " ".join(capsys.readouterr().out.split())  # wrapped to the terminal
    for name, content in FILES.items():
        if name.endswith(".yaml"):
            comment = next(line for line in content.splitlines() if not line.startswith("# @"))
            assert f"{Path(name).stem} {comment.removeprefix('# ')}" in words


def test_hyper_parameters_name_the_nested_choices(runs):
    from seq2seq_lab.training.parts.trackers import hyper_parameters

    shown = hyper_parameters(runs["cosine", "linear_decay"].config())
    assert shown["model/score"] == "cosine"
    assert shown["forcing.end"] == 0.0


def test_a_run_can_be_loaded(runs):
    from my_score import CosineAttention

    from seq2seq_lab.runs.load import load_model

    _, model, _ = load_model(runs["cosine", "full"].folder, trusted=["my_cell", "my_score"])
    assert type(model.decoder.attention) is CosineAttention
    assert json.loads((runs["cosine", "full"].folder / "vocabularies.json").read_text())["max_length"] > 0
