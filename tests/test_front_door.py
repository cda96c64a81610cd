"""Every option, as a user runs it: through the command, with the default logger and callbacks.

Each row is a run with one option of each group: trained, interrupted, resumed, trained for one epoch more, translated
with, evaluated, shown and compared. The groups and their options are read from `conf`, so that a new option is in the
rows at once. A few rows have each option; with the slow ones each two options of two groups meet.
"""

import itertools
import re
from functools import cache
from importlib.util import find_spec

import pytest

import tiny
from covering import covering
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.options import ROOT, config_dir, groups, nests, option_files, options, read
from seq2seq_lab.config.schema import EXPERIMENT
from seq2seq_lab.runs.run import Run

SMALL = (
    "model.hidden_size=8",
    "model.embedding_size=8",
    "loader.updates_per_block=4",
    "threads=1",
)
SAMPLES = ("callbacks.translations.sentences=2", "callbacks.translations.maps=1")
LITTLE = ("data.pairs=30", "loader.batch_size=2")  # three blocks an epoch
# Settings that an option has no default for, or whose default is large.
NEEDED = {
    ("data", "toy"): ("data.pairs=30",),
    ("data", "eng_fra"): ("data.archive=pairs.tsv",),
    ("data", "parallel"): ("data.train=pairs.tsv", "data.source_column=2", "data.target_column=1"),
    ("data", "g2p"): ("data.train=pairs.tsv", "data.source_column=2", "data.target_column=1"),
    ("data", "grammar"): ("data.pairs=30", "data.longest=7"),
    ("data", "path_star"): ("data.graphs=20", "data.held_out=5"),
    ("data", "scan"): ("data.max_words=2",),
    ("trainer", "ddp"): ("loader.batch_size=2",),
    ("objective", "r_drop"): ("model.dropout=0.1",),
}
# A source that a run of an option of `data` can translate.
SOURCES = {"scan": "walk left", "path_star": "1 2 | 2 3 / 1 3", "grammar": "kamo sa tiru sa akar"}
# Options that need what not every machine has: alone, they train or are refused in a line.
ELSEWHERE = {("trainer", "gpu"): "trainer.accelerator", ("target", "teacher"): "target.run"}
# Options that make no sense together → the key of the message.
REFUSED = {
    (("forcing", policy), ("forcing/feeder", feeder)): "forcing.feeder"
    for policy, feeders in {
        "free": ("uniform", "unk", "zero"),
        "confidence": ("uniform", "unk", "zero"),
        "two_pass": ("uniform", "unk", "zero"),
    }.items()
    for feeder in feeders
}
OWN = "target"  # the key of targets that need words of the decoder's own
REFUSED |= {
    (("target", "optimal_completion"), ("forcing", policy)): OWN
    for policy in ("full", "two_pass", "confidence", "word_dropout")
}
REFUSED |= {
    (("target", "optimal_completion"), ("forcing/feeder", feeder)): OWN for feeder in ("soft", "unk", "zero")
}
REFUSED |= {
    (("target", target), ("objective", objective)): "objective"
    for target in ("optimal_completion", "mixed", "n_step", "reward_sampled")
    for objective in ("minimum_risk", "self_critical")
}
REFUSED |= {
    (("objective", objective), ("forcing", policy)): "objective"
    for objective in ("minimum_risk", "self_critical")
    for policy in options("forcing")
    if policy != "full"
}
REFUSED |= {(("target", "n_step"), ("objective", "r_drop")): "objective"}
NO_SPLIT = "seq2seq_lab.data.splits.NoSplit"
EXTRAS = {"wandb": "wandb", "mlflow": "mlflow"}  # logger → its module
NOTHING = "-"  # no option of a nested group that is optional


DEFAULTS = read(config_dir() / f"{ROOT}.yaml")["defaults"]


@cache
def nested_in(group, option):
    """The groups that are nested in an option: their names, and whether it can be without an option of them."""
    entries = read(option_files(group)[option]).get("defaults") or ()
    optional = {key for entry in entries if isinstance(entry, dict) for key in entry if entry[key] is None}
    return {name: name in optional for name in nests(option_files(group)[option], group)}


def levels(name):
    """The choices of a group; None: the option of its parent has no such group."""
    group, _, nested = name.partition("/")
    found = [each for each in options(name) if (name, each) not in ELSEWHERE]
    found.sort(key=lambda each: {name: each} not in DEFAULTS)  # rows take the first where any would do
    if nested:
        inner = [nested_in(group, each) for each in options(group)]
        return [*found, *[NOTHING] * any(each.get(nested) for each in inner), None]
    if name == "callbacks":
        found += [f"[default,{each}]" for each in found if each not in ("default", "none")]
    return found


BESIDE = {}  # choice → those that are refused beside it
for one, other in REFUSED:
    BESIDE.setdefault(one, []).append(other)


def allowed(row):
    """Whether each nested group has an option just where its parent has the group, and no two options are refused."""
    if any(other in row.items() for item in row.items() for other in BESIDE.get(item, ())):
        return False
    for name, option in row.items():
        group, _, nested = name.partition("/")
        if nested and group in row:
            inner = nested_in(group, row[group])
            if (option is None) == (nested in inner) or (option == NOTHING and not inner[nested]):
                return False
    return True


FACTORS = {name: levels(name) for name in groups() if name.partition("/")[0] != EXPERIMENT}
FAST = covering(FACTORS, allowed, 1)
ROWS = covering(FACTORS, allowed, 2, FAST)


def overrides(row):
    chosen = [f"{name}={option}" for name, option in row.items() if option not in (None, NOTHING)]
    needed = [each for choice in row.items() for each in NEEDED.get(choice, ())]
    if "default" in re.split(r"\W", row["callbacks"]):
        needed += SAMPLES
    if row["target"] == "optimal_completion" and row["forcing"] in ("scheduled", "by_step"):
        needed.append("forcing.start=0.5")  # with 1 the one epoch of a run may be of gold words alone
    held_out = row["split"] != "none" or row["data"] == "path_star"  # whose parts are given
    part = "val" if held_out else "train"
    if row["measures"] == "none":
        needed += ["monitor.metric=train/loss", "monitor.mode=min"]
    elif row["measures"] == "errors":  # without BLEU
        needed.append(f"monitor.metric={part}/exact_match")
    elif part == "train":
        needed.append("monitor.metric=train/bleu")
    return [*chosen, *needed]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with a file of pairs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    names = {"i am": "je suis", "he is": "il est", "she is": "elle est", "we are": "nous sommes"}
    words = {"tall": "grand", "small": "petit", "glad": "content", "sad": "triste", "old": "vieux"}
    lines = [
        f"{name} {word} .\t{nom} {mot} .\n" for name, nom in names.items() for word, mot in words.items()
    ]
    (tmp_path / "pairs.tsv").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def command(capsys):
    """Runs the command; returns its status and what it says on standard error."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(list(map(str, arguments)))
        return status, capsys.readouterr().err

    return run


def through(train, command, outputs, *, source="je suis triste .", tested=True, kept=True):
    """Take a run through the commands.

    Args:
        train: the command that trains it.
        source: what it translates.
        tested: whether it has a test part.
        kept: whether its callbacks write the checkpoints that the other commands take.
    """
    if "trainer=ddp" not in train:  # it trains in other processes; test_ddp interrupts these
        with tiny.interrupted_in_block(2):
            status, said = command(*train, "trainer.max_epochs=1")
        assert status == 130, said
    status, said = command(*train, "trainer.max_epochs=1")
    assert status == 0, said
    (run,) = tiny.folders(outputs)
    assert Run(run).finished
    assert not list(run.rglob("*.ckpt")) or kept or "keep_" in " ".join(train)
    status, said = command(*train, "trainer.max_epochs=2")
    refused = "a schedule of it is spread over 1 epochs;|.* has no last checkpoint to go on from;"
    assert status == 0 or re.match(f".*: ({refused}) .* output_dir=…", said), said
    part = [] if tested else ["--split", "train"]
    for arguments in (
        ("translate", run, source),
        ("evaluate", run, *part),
        ("page", run, "--output", "page.html"),
    ):
        status, said = command(*arguments)
        refused = re.search(
            r"was trained without \w+\.ckpt: its callbacks keep none; .* callbacks=\[default,…\]$", said
        )
        assert (status == 0) if kept else (status == 1 and refused), said
    status, said = command("compare", outputs)
    assert status == 0, said


def without_extra(row):
    """The tracker of a row that is not installed."""
    extra = EXTRAS.get(row["logger"])
    return extra is not None and find_spec(extra) is None


def name(row):
    return " ".join(option for option in row.values() if option)


@pytest.mark.whole
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=name(row), marks=[] if row in FAST else pytest.mark.slow) for row in ROWS],
)
def test_options_go_through_every_command(row, command, outputs):
    if without_extra(row):
        pytest.skip(f"{row['logger']} is not installed")
    train = ("train", *tiny.sized(*SMALL, *overrides(row)))
    source = SOURCES.get(row["data"], "je suis triste .")
    tested, kept = row["split"] != "none", "default" in row["callbacks"]
    through(train, command, outputs, source=source, tested=tested, kept=kept)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", options(EXPERIMENT))
def test_so_does_an_experiment(experiment, command, outputs):
    init = ["init_from=null"] if experiment.endswith("_continued") else []
    if tiny.configuration(f"experiment={experiment}", "data=toy")["target"].get("run", "") is None:
        pytest.skip("it needs a teacher: test_papers, test_targets")
    init += ["model.dropout=0.1"] if experiment.endswith("r_drop") else []
    little = (*SMALL, "data=toy", *LITTLE, *SAMPLES, *init)
    train = ("train", f"experiment={experiment}", *tiny.sized_for(f"experiment={experiment}", *little))
    held_out = tiny.configuration(*train[1:])["split"]["_target_"] != NO_SPLIT
    through(train, command, outputs, tested=held_out)


@pytest.mark.parametrize(
    ("pair", "key"), REFUSED.items(), ids=[" ".join(dict(each).values()) for each in REFUSED]
)
def test_options_that_make_no_sense_together_are_refused_by_key(pair, key, command, outputs):
    chosen = [f"{group}={option}" for group, option in pair]
    groups = {group for group, _ in pair}
    chosen += ["forcing=mixed"] if groups == {"target", "forcing/feeder"} else []
    # A policy that goes with the target, as the objective does not.
    chosen += ["forcing=free", "forcing/feeder=sample"] if groups == {"target", "objective"} else []
    status, said = command("train", *SMALL, "data=toy", "data.pairs=30", *chosen)
    assert status == 1
    assert re.match(rf"{re.escape(key)}[ :]", said)
    assert len(said.splitlines()) <= 2
    assert not tiny.folders(outputs)


@pytest.mark.parametrize("option", ELSEWHERE, ids=" ".join)
def test_an_option_of_another_machine_is_refused_by_key(option, command, outputs):
    group, name = option
    status, said = command(
        "train", *SMALL, "data=toy", "data.pairs=30", "trainer.max_epochs=1", f"{group}={name}"
    )
    if status == 0:  # this machine has it
        assert len(tiny.folders(outputs)) == 1
        return
    assert re.match(rf"{re.escape(ELSEWHERE[option])}[ :=]", said)
    assert len(said.splitlines()) <= 2
    assert not tiny.folders(outputs)


def test_each_option_is_in_a_fast_row():
    for group, found in FACTORS.items():
        assert {row[group] for row in FAST} | {None} == {*found, None}
    listed = {(group, option) for group in FACTORS for option in options(group)}
    assert listed - set(ELSEWHERE) <= {each for row in FAST for each in row.items()}


def test_each_two_options_that_go_together_meet():
    met = {frozenset(pair) for row in ROWS for pair in itertools.combinations(row.items(), 2)}
    for one, other in itertools.combinations(FACTORS, 2):
        for pair in itertools.product(FACTORS[one], FACTORS[other]):
            both = dict(zip((one, other), pair, strict=True))
            assert frozenset(both.items()) in met or None in pair or not possible(both), both
    assert all(allowed(row) for row in ROWS)


def possible(both):
    """Whether two options can be in one run: they are not refused, and an option of their parents has their groups."""
    inner = {group: option for group, option in both.items() if "/" in group}
    parents = {group.partition("/")[0] for group in inner}
    above = [[(group, option) for option in options(group)] for group in parents - set(both)]
    return any(allowed({**both, **dict(chosen)}) for chosen in itertools.product(*above))
