"""Wrong command lines: each ends in a line or two that names what is wrong, and says what would be right."""

import re

import pytest

import tiny
from seq2seq_lab.commands import main as cli

NUMBER = "is a text, not a number; write it without quotes"
# The command line → what its message begins with, and what it contains.
WRONG = {
    "callbacks=[default,keep_last,keep_best]": (
        "callbacks=[default,keep_last,keep_best]: keep_last and keep_best both set callbacks.kept_checkpoints",
        "which would be one; choose one of them",
    ),
    # Interpolations
    "optimizer.lr=${oc.env:LR}": ("optimizer.lr: '0.1'", NUMBER),
    "seed=${oc.env:LR}": ("seed: '0.1'", "${oc.decode:${oc.env:NAME}}"),
    "optimizer.lr=${oc.env:NOPE}": (
        "optimizer.lr: the environment variable NOPE is not set",
        "${oc.env:NOPE,",
    ),
    "name=${oc.env:NOPE}": ("name: the environment variable NOPE", ""),
    "output_dir=${oc.env:NOPE}": ("", "the environment variable NOPE"),
    "optimizer.lr=${nope}": ("optimizer.lr: ", "'nope' not found"),
    "optimizer.lr=${nope:1}": ("optimizer.lr: ", "Unsupported interpolation type nope"),
    "seed=${seed}": ("seed: ", "Recursive interpolation"),
    "-m seed=0,1 hydra.sweep.dir=${nope}": ("hydra.sweep.dir: ", "'nope' not found"),
    # Groups
    "~callbacks": ("~callbacks: ", "callbacks=none"),
    "~logger": ("~logger: ", "logger=none takes none of them; its options are csv"),
    "~accelerate": ("~accelerate: ", "accelerate=off"),
    "~model": ("~model: ", "attention, seq2seq"),
    "~model=attention": ("~model=attention: ", "attention, seq2seq"),
    "~model/cell": ("~model/cell: ", "gru, lstm"),
    "+model=attention": ("+model=attention: ", "without +: model=attention"),
    "++model=attention": ("++model=attention: ", "without ++: model=attention"),
    "+model/cell=lstm": ("model/cell: it has an option already; write model/cell=lstm", ""),
    "model={}": ("model={}: model takes one of its options: attention", ""),
    "trainer=null": ("trainer=null: trainer takes one of its options: cpu", ""),
    "model=[attention,seq2seq]": ("model=[attention,seq2seq]: model takes one of", ""),
    "callbacks=null": ("callbacks=null: callbacks=none takes none", ""),
    "callbacks=[]": ("callbacks=[]: callbacks=none takes none", ""),
    "model=nope": ("model=nope: no such option", "attention, seq2seq"),
    "model/score=dot": ("model/score: ", "it goes with model=attention"),
    # Groups of an earlier version
    "schedule=cosine": ("schedule=cosine: the group is named lr_schedule now", "lr_schedule=cosine"),
    "schedule.min_lr=0.1": ("schedule.min_lr=0.1: the group is named", "lr_schedule.min_lr=0.1"),
    "+schedule.x=1": ("+schedule.x=1: the group is named", "+lr_schedule.x=1"),
    "~schedule": ("~schedule: the group is named", "~lr_schedule"),
    # Keys
    "~nothing": ("~nothing: no such key", ""),
    "~callbacks.nothing": ("~callbacks.nothing: no such key", ""),
    "~loader.batch_size": ("loader.batch_size: it is missing", ""),
    "~loader": ("loader: it is missing", ""),
    "+seed=1": ("+seed: the key is there already", "seed=…"),
    "+optimizer.nope=1": ("optimizer.nope: torch.optim.SGD takes no nope", ""),
    "seed=true": ("seed: True is not of type int", ""),
    "threads=100000": ("threads: 100000 is more than 1,024", ""),
    "name=\udcff": ("name: '\\udcff' is not UTF-8", ""),
    "=3": ("=3: not an override of the form KEY=VALUE", ""),
    "model": ("model: not an override of the form KEY=VALUE", ""),
    "+code.x=1": ("+code.x=1: a run notes code itself", ""),
    "choices.model=x": ("choices.model=x: a run notes choices itself", ""),
    "+callbacks.x._target_=os.getcwd": ("callbacks.x: str is not a callback", ""),
    # Grammar
    "forcing.ratio=[0.1": ("forcing.ratio=[0.1: Hydra cannot read this value", ""),
    "+optimizer.x=a=b": ("+optimizer.x=a=b: Hydra cannot read this value", "'+optimizer.x=\"a=b\"'"),
    "seed=0,1": ("seed=0,1: several values; -m sweeps over them", ""),
    # Sweeps, launchers, and what is Hydra's own
    "-m seed=range(0,0)": ("seed=range(0,0): no value", ""),
    "-m seed=glob(*)": ("seed=glob(*): no value", ""),
    "-m seed=interval(0,1)": ("the sweeper takes no interval(…)", "hydra/sweeper=optuna"),
    "hydra/launcher=nope": ("hydra/launcher=nope: no such option", "seq2seq-lab[ray]"),
    "hydra/sweeper=nope": ("hydra/sweeper=nope: no such option", "basic"),
    "hydra/job_logging=nope": ("hydra/job_logging=nope: no such option", ""),
    "hydra.nope=1": ("hydra.nope: Hydra has no such key", "--cfg hydra"),
    "hydra.launcher.nope=2": ("hydra.launcher.nope: ", "hydra/launcher=joblib"),
    "hydra.launcher.n_jobs=0": ("hydra.launcher.n_jobs=0: it must be at least 1", ""),
    "hydra.sweeper.params.seed=1": ("hydra.sweeper.params.seed=1: ", "+hydra.sweeper.params.seed=1"),
    "-m hydra.sweeper.params.seed=0,1": (
        "hydra.sweeper.params.seed=0,1: ",
        "written \"+hydra.sweeper.params.seed='0,1'\"",
    ),
    "-m +hydra.sweeper.params.seed=0,1": (
        "+hydra.sweeper.params.seed=0,1: ",
        "written \"+hydra.sweeper.params.seed='0,1'\"",
    ),
    "hydra.job.chdir=maybe": ("hydra.job.chdir=maybe: ", "not a valid bool"),
    "hydra.job.chdir=true": ("hydra.job.chdir=true: ", "relative paths"),
    "hydra.mode=NOPE": ("hydra.mode=NOPE: ", "MULTIRUN"),
    "+hydra.callbacks.x._target_=nope": ("hydra.callbacks.x: ", "'nope'"),
    "hydra.searchpath=[file:///nope]": ("hydra.searchpath: file:///nope is not a folder", ""),
    "hydra.searchpath=[/nope]": ("hydra.searchpath: /nope is not a folder", ""),
    "experiment=null": ("experiment=null: a run is of no experiment where none is chosen", "leave it out"),
    "~experiment": ("~experiment: a run is of no experiment where none is chosen", "leave it out"),
    "-m experiment=null,demo/seq2seq_full": ("experiment=null,demo/seq2seq_full: a run is of", ""),
    "output_dir=~/runs": ("output_dir: ~/runs: ~ is not replaced here", "$HOME"),
    "-m output_dir=~/runs seed=0,1": ("output_dir: ~/runs: ~ is not replaced here", "$HOME"),
    "--config-dir /nope": ("--config-dir: /nope is not a folder", ""),
}


@pytest.mark.parametrize(("line", "said"), WRONG.items(), ids=list(WRONG))
def test_a_wrong_command_line_ends_in_a_line_or_two(line, said, capsys, monkeypatch, outputs):
    monkeypatch.setenv("LR", "0.1")
    monkeypatch.delenv("NOPE", raising=False)
    assert cli.main(["train", *tiny.SETTINGS[:2], *line.split(), "compare=false"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(said[0])
    assert said[1] in error
    assert len(error.splitlines()) <= 2
    assert not re.search("Traceback|HYDRA_FULL_ERROR|Error executing|None is not", error)
    assert not tiny.folders(outputs)


@pytest.mark.parametrize("option", ["submitit_slurm", "ray"])
def test_a_launcher_that_is_not_installed_is_named_with_its_extra(capsys, option):
    from seq2seq_lab.config import misuse

    if option in misuse._of_hydra("hydra/launcher"):
        pytest.skip("it is installed")
    assert cli.main(["train", "-m", f"hydra/launcher={option}", "seed=0,1"]) == 1
    assert "not installed; pip install 'seq2seq-lab[" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given", ["optimizer.lr=${oc.env:LR}", 'optimizer.lr="${oc.decode:${oc.env:LR}}"', "name=${oc.env:LR}"]
)
def test_what_the_messages_advise_works(capsys, monkeypatch, given):
    monkeypatch.setenv("LR", "0.25")
    status = cli.main(["train", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1", given])
    assert status == (0 if "decode" in given or "name" in given else 1)


def test_the_parameter_of_a_sweep_is_swept_over_as_it_is_advised(capsys):
    assert cli.main(["train", "-m", *tiny.SETTINGS, "+hydra.sweeper.params.seed='0,1'", "--dry-run"]) == 0
    assert "2 runs: 2 new" in capsys.readouterr().out


def test_a_finished_run_without_checkpoint_cannot_translate(run, capsys):
    folder = run("a", "~callbacks.last_checkpoint", "trainer.max_epochs=1")
    for command in (["translate", str(folder), "a"], ["evaluate", str(folder)]):
        assert cli.main(command) == 1
        error = capsys.readouterr().err
        assert "its callbacks keep none; train it with callbacks=[default,…]" in error
        assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ("[default,first,second]", True),
        ("[default,first],[default,second]", False),  # a sweep over two lists
        ("[default,first,equal]", False),
        ("[default,whole,global]", False),  # their keys are of the whole configuration
        ("[default,anew]", False),  # what the default sets may be set anew
    ],
)
def test_options_of_a_set_that_set_one_key_differently_are_refused(tmp_path, capsys, given, refused):
    folder = tmp_path / "conf" / "callbacks"
    folder.mkdir(parents=True)
    target = "_target_: pytorch_lightning.callbacks.RichProgressBar"
    for name, key, rate in (
        ("first", "bar", 1),
        ("second", "bar", 2),
        ("equal", "bar", 1),
        ("anew", "translations", 1),
    ):
        (folder / f"{name}.yaml").write_text(f"{key}:\n  {target}\n  refresh_rate: {rate}\n")
    for name in ("whole", "global"):
        text = f"# @package _global_\ncallbacks:\n  {name}:\n    {target}\n"
        (folder / f"{name}.yaml").write_text(text)
    where = ["--config-dir", str(tmp_path / "conf"), "--dry-run"]
    several = ["-m"] if "],[" in given else []
    status = cli.main(["train", *several, *tiny.SETTINGS[:2], *where, f"callbacks={given}"])
    error = capsys.readouterr().err
    assert ("first and second both set callbacks.bar, which would be one" in error) == refused
    if given != "[default,anew]":  # whose keys are not those of its class
        assert status == refused
