"""Jobs of a sweep, by Hydra's plug-in, and tests, by `composing`, get what Hydra composes; each set of choices once."""

import pickle
from contextlib import nullcontext
from functools import cache

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

import composing
from hydra_plugins.seq2seq_lab_sweeper import Sweeper, _ComposedOnce
from seq2seq_lab.config.options import ROOT, config_dir
from seq2seq_lab.launch.forecast import _expected
from seq2seq_lab.launch.job import TaskFunction
from seq2seq_lab.training import machine

SWEPT = ["data=toy,eng_fra", "seed=0,1"]
JOBS = (
    ["data=toy", "seed=0"],
    ["data=toy", "seed=1"],
    ["data=eng_fra", "forcing.ratio=0.5", "forcing=mixed", "model=attention"],
    ["data=toy", "trainer.max_epochs=3", "~callbacks.translations", "+trainer.detect_anomaly=true"],
    ["data=toy", "callbacks.translations.maps=2", "~callbacks.translations"],
    ["callbacks=[default,early_stopping]", "+data.more={a:1}", "++seed=4"],
    ["data={pairs:20}", "data=toy"],
    ["experiment=demo/attention_mixed", "seed=3", "name='a,b'"],
    ["data=toy", "hydra.job.name=other"],
    ["data=toy", "~lr_schedule", "optimizer.lr=${forcing.ratio}"],
)


@pytest.fixture(scope="module")
def hydra():
    """Hydra's loader, and the configuration of a sweep."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration(ROOT, SWEPT, run_mode=RunMode.MULTIRUN)


def outcome(loader, master, overrides, how=composing.anew):
    """Everything that is composed, flags and unresolved interpolations included; or what is said instead."""
    try:
        with how():
            config = loader.load_sweep_config(master, overrides)
    except HydraException as error:
        return str(error)
    return OmegaConf.to_yaml(config), pickle.dumps(OmegaConf.to_container(config)), config._metadata.flags


@pytest.fixture(scope="module")
def by_hydra(hydra):
    """What Hydra gives for overrides, each once."""
    loader, master = hydra
    return cache(lambda *overrides: outcome(loader, master, list(overrides)))


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_a_job_gets_what_hydra_composes(hydra, by_hydra, overrides):
    loader, master = hydra
    once = _ComposedOnce(loader, "a sweep")
    expected = by_hydra(*overrides)
    assert outcome(once, master, overrides) == expected
    assert outcome(once, master, overrides) == expected, "of choices that were composed before"


REFUSED = (["data=toi"], ["data=toy", "sed=1"], ["seed=1", "+seed=2"], ["~data.nothing"], ["data@x=toy"])


@pytest.mark.parametrize("overrides", [*JOBS, *REFUSED], ids=" ".join)
def test_so_does_a_test(hydra, by_hydra, overrides):
    loader, master = hydra
    expected = by_hydra(*overrides)
    loader.load_sweep_config(master, ["data=toy"]).loader.batch_size = 7
    assert outcome(loader, master, overrides, nullcontext) == expected
    assert outcome(loader, master, overrides, nullcontext) == expected, "of choices that were composed before"


@pytest.mark.parametrize("overrides", REFUSED, ids=" ".join)
def test_what_hydra_refuses_is_refused_with_its_words(hydra, by_hydra, overrides):
    loader, master = hydra
    expected = by_hydra(*overrides)
    assert isinstance(expected, str)
    assert outcome(_ComposedOnce(loader, "refused"), master, overrides) == expected


def test_each_set_of_choices_is_composed_once_in_a_process(hydra, monkeypatch):
    loader, master = hydra
    composed = []
    compose = type(loader).load_sweep_config
    monkeypatch.setattr(
        type(loader),
        "load_sweep_config",
        lambda self, master, given: composed.append(given) or compose(self, master, given),
    )
    once = _ComposedOnce(loader, "counted")
    for seed in range(3):
        for model in ("seq2seq", "attention"):
            once.load_sweep_config(master, [f"seed={seed}", f"model={model}"])
    pickle.loads(pickle.dumps(once)).load_sweep_config(master, ["model=seq2seq", "seed=9"])
    assert composed == [["model=seq2seq"], ["model=attention"]]


def test_a_job_may_change_its_configuration(hydra):
    loader, master = hydra
    once = _ComposedOnce(loader, "changed")
    once.load_sweep_config(master, ["seed=1"]).loader.batch_size = 7
    assert outcome(once, master, ["seed=1"]) == outcome(loader, master, ["seed=1"])


def test_the_sweeper_of_this_package_is_the_default(hydra):
    _, master = hydra
    assert master.hydra.sweeper._target_ == f"{Sweeper.__module__}.{Sweeper.__name__}"


@pytest.mark.parametrize(("given", "jobs"), [(None, 1), (0, 1), (3, 3), (-1, 4), (-2, 3), (-4, 1), (-9, 1)])
def test_the_jobs_at_once_are_those_of_joblib(given, jobs, monkeypatch):
    monkeypatch.setattr(machine, "processors", lambda: 4)
    launcher = {} if given is None else {"n_jobs": given}
    assert TaskFunction.jobs_at_once(OmegaConf.create({"launcher": launcher})) == jobs


@pytest.mark.parametrize(
    ("seconds", "jobs", "said"),
    [([3600.0], 8, "60 min"), ([3600.0, 60.0], 4, "60 min"), ([60.0] * 8, 2, "4 min")],
)
def test_a_sweep_takes_no_less_than_its_longest_run(seconds, jobs, said):
    assert _expected(seconds, jobs).startswith(f"about {said} ")
