"""Errors in a configuration: one or two lines name the key and a correct value; nothing is written."""

import shlex
import zipfile
from pathlib import Path

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.build import build, call
from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import composed
from seq2seq_lab.config.options import config_dir
from seq2seq_lab.config.schema import GROUPS
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.job import TaskFunction

# Overrides, and what the message must contain.
ERRORS = [
    ("model=atention", "model=atention: no such option; did you mean attention?"),
    ("logger=paris", "options of logger: csv, many, mlflow, none, tensorboard, wandb"),
    ("experiment=seminar/nope", "experiment=seminar/nope: no such option"),
    (
        "experiment=seminar/nope",
        "scan/…, seminar/attention_mixed, seminar/seq2seq_full, seminar/seq2seq_mixed",
    ),
    ("experiment=nope", "options of experiment: baseline/…, demo/…, exposure_bias/…, "),
    ("forcing=null", "forcing=null: forcing takes one of its options: by_step"),
    ("model=[attention]", "model=[attention]: model takes one of its options: attention, seq2seq"),
    ("~forcing", "forcing: "),
    # Keys that do not exist
    ("forcing=mixed forcing.ratoi=0.5", "forcing.ratoi: no such key; did you mean forcing.ratio?"),
    ("forcing=full forcing.ratio=0.5", "forcing.ratio: forcing=mixed has this key"),
    ("optimizer.lrr=1", "optimizer.lrr: no such key; did you mean optimizer.lr?"),
    ("+optimizer.lrr=1", "optimizer.lrr: torch.optim.SGD takes no lrr; did you mean optimizer.lr?"),
    ("+model.hiden_size=1", "model.hiden_size: seq2seq_lab.models.seq2seq_model takes no hiden_size"),
    ("+loader.batchsize=2", "did you mean loader.batch_size?"),
    ("+callbacks.last_checkpoint.nope=5", "callbacks.last_checkpoint.nope: "),
    ("+monitor.mod=max", "monitor.mod: no such key; did you mean monitor.mode?"),
    ("trainer.max_epoch=3", "trainer.max_epoch: no such key; did you mean trainer.max_epochs?"),
    ("model.scoer=dot", "model.scoer: no such key; did you mean model/score, of model=attention?"),
    ("model/scoer=dot", "model/scoer: no such group; did you mean model/score?"),
    ("model/score=dot", "model/score: the option of model that was chosen has no such group"),
    ("model/cell=ltsm", "model/cell=ltsm: no such option; did you mean lstm?"),
    ("model.cell=lstm", "model.cell: 'lstm' is not a set of keys; an option is chosen by model/cell=lstm"),
    ("sede=3", "sede: no such key; did you mean seed?"),
    ("optimiser.lr=1", "optimiser.lr: no such key; did you mean optimizer.lr?"),
    ("~seed", "seed: it is missing"),
    # Wrong types
    ("model.hidden_size=8.5", "model.hidden_size: 8.5 is not of type int"),
    ("optimizer.lr=fast", "optimizer.lr: 'fast' is not of type float"),
    ("seed=x", "seed: 'x' is not of type int"),
    ("seed=null", "seed: None is not of type int"),
    ("accelerate=fast", "accelerate=fast: no such option"),
    ("reference=5", "reference: 5 is not a set of keys; it has file, curve, metric"),
    ("reference={file:a.csv,curve:a}", "reference.metric: it is missing"),
    ("+measures.mine=5", "measures.mine: it has no _target_"),
    ("monitor.mode=up", "monitor.mode: 'up' is not 'min' or 'max'"),
    ("loader=5", "loader: 5 is not a set of keys"),
    ("callbacks.best_checkpoint=null", "callbacks.best_checkpoint: it has no _target_"),
    (
        "data._target_=seq2seq_lab.data.sources.toy.Toy",
        "data._target_: seq2seq_lab.data.sources.toy.Toy cannot be imported",
    ),
    # Out of range
    ("forcing=mixed forcing.ratio=1.5", "forcing.ratio must lie in [0, 1], got 1.5"),
    ("optimizer.lr=0", "optimizer.lr must be positive and finite, got 0"),
    ("optimizer.lr=nan", "optimizer.lr must be positive and finite"),
    ("optimizer=adam optimizer.lr=-1", "optimizer.lr must be positive and finite, got -1"),
    ("model.dropout=1.5", "model.dropout must lie in [0, 1)"),
    ("model.hidden_size=0", "model.hidden_size must be at least 1"),
    ("model=attention model.unmasked_positions=3", "model.unmasked_positions is 3, but"),
    ("loader.batch_size=0", "loader.batch_size: 0 is less than 1"),
    ("split.validation=1.5", "split.validation: 1.5 is not a share"),
    ("seed=-1", "seed: -1 is less than 0"),
    ("threads=0", "threads: 0 is less than 1"),
    ("gradient_clip=0", "gradient_clip: 0 is not positive"),
    ("+loader.seed=3", "loader.seed: the run gives it itself; leave it out"),
    ("gradient_clip=nan", "gradient_clip: nan is not positive"),
    ("trainer.max_epochs=0", "trainer.max_epochs: it must be at least 1"),
    ("trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch: it must be at least 1"),
    ("callbacks.translations.sentences=0", "callbacks.translations.sentences must be at least 1"),
    ("data.pairs=999999", "data.pairs=999999: the grammar has only"),
    ("name=../elsewhere", "name: '../elsewhere' is not the path of a folder below output_dir"),
    # Combinations that are invalid
    ("lr_schedule=plateau lr_schedule.metric=val/belu", "lr_schedule.metric: val/belu is not measured"),
    (
        "callbacks=[default,early_stopping] callbacks.early_stopping.metric=val/belu",
        "callbacks.early_stopping.metric: val/belu is not measured",
    ),
    (
        "callbacks=[default,early_stopping] callbacks.early_stopping.patience=0",
        "callbacks.early_stopping.patience must be at least 1, got 0",
    ),
    ("lr_schedule=plateau lr_schedule.factor=1", "lr_schedule.factor must lie in (0, 1), got 1"),
    ("lr_schedule=cosine lr_schedule.epochs=0", "lr_schedule.epochs must be at least 1, got 0"),
    ("lr_schedule=cosine trainer.max_epochs=-1", "it is trainer.max_epochs by default"),
    ("lr_schedule=inverse_sqrt lr_schedule.warm_up=0", "lr_schedule.warm_up must be at least 1, got 0"),
    ("lr_schedule=plateau lr_schedule.min_lr=-1", "lr_schedule.min_lr must be at least 0"),
    (
        "lr_schedule=cosine lr_schedule.min_lr=1",
        "lr_schedule.min_lr must be at most optimizer.lr, which is 0.01, got 1",
    ),
    (
        "lr_schedule=plateau lr_schedule.min_lr=1",
        "lr_schedule.min_lr must be at most optimizer.lr, which is 0.01",
    ),
    ("objective=minimum_risk objective.candidates=0", "objective.candidates must be at least 1, got 0"),
    ("objective=minimum_risk objective.mix=2", "objective.mix must lie in [0, 1], got 2"),
    ("objective=minimum_risk objective.temperature=0", "objective.temperature must be positive and finite"),
    ("init_from=nowhere", "init_from: nowhere does not exist"),
    ("monitor.metric=val/belu", "monitor.metric: val/belu is not measured; measured are"),
    # Invalid overrides
    ("seed", "seed: not an override of the form KEY=VALUE"),
    ("name=[1", "name=[1: Hydra cannot read this value: "),
    ("+loader.x=é", "+loader.x=é: Hydra cannot read this value; a text is put in quotes: '+loader.x=\"é\"'"),
    ("experiment=glob(nope/*)", "experiment=glob(nope/*): several values; -m sweeps over them"),
    ("seed=1,2", "seed=1,2: several values; -m sweeps over them"),
]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], outputs: Path) -> str:
    """The one or two lines of an error; nothing is on standard output and there is no run folder."""
    assert cli.main(["train", *arguments]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert 1 <= len(err.splitlines()) <= 2, err
    assert [path for path in outputs.rglob("*") if path != outputs / ".hydra"] == []
    return err


@pytest.mark.parametrize(("given", "expected"), ERRORS, ids=[given for given, _ in ERRORS])
def test_an_error_names_the_key_before_anything_is_written(given, expected, capsys, outputs):
    assert expected in refused([*tiny.SETTINGS, *given.split(" ")], capsys, outputs)


def test_a_metric_of_held_out_pairs_is_refused_where_none_are(capsys, outputs):
    error = refused(["data=toy", "data.pairs=40", "split=none"], capsys, outputs)
    assert (
        "monitor.metric: val/bleu is not measured, as nothing is held out (split=none); use train/bleu"
        in error
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("data.keep", "a-zA-Z.!?"), ("data.archive", "~/fra.txt"), ("data.url", "é"), ("data.url", "a'b")],
)
def test_the_quotes_that_a_message_suggests_work(key, value):
    with pytest.raises(UserError) as caught:
        composed([f"{key}={value}"])
    (suggested,) = shlex.split(str(caught.value).rpartition("quotes: ")[2])
    config = composed([suggested])
    for part in key.split("."):
        config = config[part]
    assert config == value


def test_a_gpu_that_is_not_available_is_an_error(capsys, outputs):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    message = refused([*tiny.SETTINGS, "trainer=gpu"], capsys, outputs)
    assert "trainer.accelerator" in message
    assert "use trainer=cpu" in message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("gone.zip", None, "No such file"),
        ("cut.zip", b"PK\x03\x04 and so on", "truncated or damaged zip"),
        ("other.zip", {"readme.txt": "no pairs"}, "zip without a pair file"),
        ("line.txt", b"one\tun\ntwo deux\n", "line 2: no tab"),
        ("rubbish", bytes(range(128, 256)), "not UTF-8 text"),
        ("empty.txt", b"", "empty"),
        ("filtered.txt", b"Go.\tVa.\n", "1 that begin with none of data.prefixes"),
    ],
)
def test_the_message_about_an_invalid_archive_contains_its_path(
    name, content, expected, tmp_path, capsys, outputs
):
    path = tmp_path / name
    if isinstance(content, dict):
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in content.items():
                archive.writestr(member, text)
    elif content is not None:
        path.write_bytes(content)
    message = refused([f"data.archive={path}"], capsys, outputs)
    assert str(path) in message
    assert expected in message


def test_the_message_about_an_invalid_output_folder_contains_its_path(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    assert cli.main(["train", *tiny.SETTINGS, f"output_dir={path}"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert str(path) in err
    assert "output_dir=" in err


LITTLE = ("train", "-m", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")


def test_a_sweep_continues_after_an_error_and_shows_every_error_once(capsys, outputs):
    assert cli.main([*LITTLE, "optimizer.lr=1e30,0.5,1e35"]) == 1
    out, err = capsys.readouterr()
    assert "training " in out
    lines, last = err.splitlines()[:4], err.splitlines()[4:]
    assert last[:2] == ["", "2 failed, 1 finished:"]
    assert [f"lr={lr}," in line for line, lr in zip(last[2:], ("1e+30", "1e+35"), strict=True)] == [
        True,
        True,
    ]
    for line, job, lr in zip(lines[::2], lines[1::2], ("1e+30", "1e+35"), strict=True):
        assert "training diverged" in line
        assert f" optimizer.lr={lr}" in job
    assert len(tiny.folders(outputs)) == 3
    assert not list(outputs.rglob("sweep-*"))


def test_errors_of_jobs_in_other_processes_are_shown_once(capfd, outputs):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    lr = "optimizer.lr=1e30,1e35"
    assert cli.main([*LITTLE, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", lr]) == 1
    _, err = capfd.readouterr()
    for each in ("1e+30", "1e+35"):
        assert (
            len([line for line in err.splitlines() if line.startswith("  in the job") and each in line]) == 1
        )
    assert err.splitlines()[5] == "2 failed:"
    assert len(err.splitlines()) == 8
    assert not list(outputs.rglob("sweep-*"))


def test_errors_of_jobs_on_other_machines_are_shown_at_the_end(capsys, outputs, monkeypatch):
    here = TaskFunction.__call__

    def elsewhere(job, cfg):
        job._launcher = -1  # as if the launching process were not a parent of this one
        return here(job, cfg)

    monkeypatch.setattr(TaskFunction, "__call__", elsewhere)
    assert cli.main([*LITTLE, "optimizer.lr=1e30,1e35"]) == 1
    _, err = capsys.readouterr()
    lines = [line for line in err.partition("\n\n")[0].splitlines() if not line.startswith(" ")]
    assert [lr in line for line, lr in zip(lines, ("1e+30", "1e+35"), strict=True)] == [True, True]


def test_an_interrupted_sweep_removes_its_register(outputs):
    with tiny.interrupted_in_block(1):
        assert cli.main([*LITTLE, "seed=0,1"]) == 130
    assert len(tiny.folders(outputs)) == 1
    assert not list(outputs.rglob("sweep-*"))


def test_a_sweep_without_a_job_is_an_error(capsys, outputs):
    assert cli.main(["train", "-m", *tiny.SETTINGS, "experiment=glob(nope/*)"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err == "experiment=glob(nope/*): no value, so there is nothing to train\n"


def test_off_without_quotes_in_a_defaults_list_is_explained(capsys, tmp_path):
    path = tmp_path / "conf" / "experiment" / "plain.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\ndefaults: [{override /accelerate: off}]\n", encoding="utf-8")
    assert cli.main(["train", "experiment=plain", "--config-dir", str(tmp_path / "conf")]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.endswith('put it in quotes: "off"\n')
    assert len(err.splitlines()) == 1


def test_an_error_has_no_effect_on_the_next_command(run, capsys):
    assert cli.main(["train", "model=atention"]) == 1
    assert cli.main(["train", *tiny.SETTINGS, "optimizer.lr=-1"]) == 1
    capsys.readouterr()
    assert run("a", "trainer.max_epochs=1").exists()


def test_the_default_configuration_is_valid():
    config = tiny.configuration()
    check(config)
    assert set(GROUPS) < set(config)


def test_the_first_line_of_each_configuration_file_describes_it():
    for path in config_dir().rglob("*.yaml"):
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines() if line != "# @package _global_"
        ]
        assert lines[0].startswith("# "), path
        assert lines[0].endswith((".", ":")) or lines[1].startswith("#"), path


def test_the_message_of_a_constructor_begins_with_the_key_of_its_node():
    node = {"_target_": "seq2seq_lab.forcing.mixed.MixedForcing", "ratio": 2}
    with pytest.raises(UserError, match=r"^forcing\.ratio must lie"):
        build(node, "forcing")
    with pytest.raises(UserError, match=r"^node: math domain error"):
        call(lambda: __import__("math").sqrt(-1), "node")


def test_a_bug_is_not_reported_as_a_user_error():
    def broken() -> None:
        raise AttributeError("ours")

    with pytest.raises(AttributeError, match="ours"):
        call(broken, "node")


POLICIES = """
import torch
from seq2seq_lab.forcing.plan import Plan
class NoPlan: ...
class Flat:
    def plan(self, pairs): return Plan(torch.ones(len(pairs.lengths), dtype=torch.bool))
class Floats:
    def plan(self, pairs): return Plan(torch.ones(len(pairs.lengths), pairs.positions))
class Unit:
    def plan(self, pairs): return Plan(pairs.coins("word") < 0.5)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NoPlan", "forcing: NoPlan is not a policy: it has no method plan(pairs)"),
        ("Flat", "forcing: plan(pairs) must give a Plan whose gold is a bool tensor of shape"),
        ("Floats", "forcing: plan(pairs) must give a Plan whose gold is a bool tensor of shape"),
        ("Unit", "forcing.unit must be one of sentence, position, prefix, got word"),
    ],
)
def test_a_policy_that_makes_no_plan_is_refused(name, said, tmp_path, monkeypatch, outputs, capsys):
    (tmp_path / "own_policies.py").write_text(POLICIES, encoding="utf-8")
    (tmp_path / "conf" / "forcing").mkdir(parents=True)
    (tmp_path / "conf" / "forcing" / "own.yaml").write_text(
        f"_target_: own_policies.{name}\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *tiny.SETTINGS, "forcing=own", "--config-dir", "conf"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(said)
    assert len(err.splitlines()) == 1
    assert not tiny.folders(outputs)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+model.cell.num_layers=2", "model.cell must have num_layers=1, got 2"),
        ("+callbacks.mine._target_=builtins.dict", "callbacks.mine._target_: builtins.dict has no signature"),
    ],
)
def test_settings_that_would_have_no_effect_or_no_meaning_are_refused(override, said, outputs, capsys):
    assert cli.main(["train", *tiny.SETTINGS, override]) == 1
    assert said in capsys.readouterr().err
    assert not tiny.folders(outputs)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "forcing=mixed forcing/feeder=sample forcing.feeder.temperature=0",
            "forcing.feeder.temperature must be",
        ),
        (
            "forcing=scheduled forcing/decay=exponential forcing.decay.k=1",
            "forcing.decay.k must lie in (0, 1)",
        ),
        (
            "forcing=by_step forcing/schedule=linear forcing.schedule.share=0",
            "forcing.schedule.share must lie in (0, 1]",
        ),
        ("forcing=scheduled trainer.max_epochs=-1", "forcing: a schedule needs the end of training"),
    ],
)
def test_the_key_of_a_nested_node_is_named(overrides, message, outputs, capsys):
    assert cli.main(["train", *tiny.SETTINGS, *overrides.split()]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(message)
    assert not tiny.folders(outputs)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("key", "value"), [("_partial_", "x"), ("_recursive_", None), ("_args_", 3)])
def test_a_key_of_hydra_with_a_value_of_another_type_is_an_error_of_the_user(key, value, nested):
    """As a run's file that was changed can have one; Hydra raises errors of its own there."""
    node = {"_target_": "builtins.dict", key: value}
    with pytest.raises(UserError, match=f"^split.*{key}"):
        build({"_target_": "builtins.dict", "inner": node} if nested else node, "split")


@pytest.mark.parametrize("choices", [{"target": {"a": 1}}, {"model": 3}, ["gold"]])
def test_choices_that_are_no_options_are_an_error_of_the_user(choices):
    config = composed([]) | {"choices": choices}
    with pytest.raises(UserError, match=r"^choices[.:]"):
        check(config)


@pytest.mark.parametrize(
    "given",
    [
        ("optimizer._target_=torch.optim.LBFGS",),
        ("optimizer._target_=torch.optim.SparseAdam",),
        ("optimizer=adam", "+optimizer.capturable=true"),
    ],
    ids=lambda given: given[-1].rpartition(".")[2],
)
def test_an_optimizer_whose_step_cannot_be_made_is_named_before_anything_is_written(run, tmp_path, given):
    with pytest.raises(UserError, match=r"^optimizer[.:]") as error:
        run("a", *given)
    assert len(str(error.value).splitlines()) == 1
    assert not tiny.folders(tmp_path)
