"""Every preset of a paper composes, trains, names its source, and sets no key that its method does not define."""

import re

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.check import check
from seq2seq_lab.config.options import config_dir, options, read

FOLDER = config_dir() / "experiment" / "paper"
PRESETS = [each for each in options("experiment") if each.startswith("paper/")]
METHODS = {
    "bengio2015_exponential": "1506.03099",
    "bengio2015_inverse_sigmoid": "1506.03099",
    "bengio2015_linear": "1506.03099",
    "duckworth2019_parallel": "1906.04331",
    "goyal2017_soft": "1704.06970",
    "liu2021_by_step": "2108.12963",
    "liu2021_by_step_joint": "2108.12963",
    "liu2021_confidence": "2107.10427",
    "mihaylova2019_two_pass": "1906.07651",
    "robertson2017_mixed": "docs.pytorch.org",
    "shen2016_minimum_risk": "1512.02433",
    "takase2021_uniform": "2104.01853",
    "takase2021_word_dropout": "2104.01853",
    **{
        f"teutsch2022_{decay}_{variant}": "2210.08959"
        for decay in ("exponential", "inverse_sigmoid", "linear")
        for variant in "dp"
    },
    "williams1989_free": "10.1162/neco.1989.1.2.270",
    "williams1989_full": "10.1162/neco.1989.1.2.270",
    "zhang2019_oracle_words": "1906.02448",
}
# What may differ from the base: how the decoder is fed, or what is minimised.
OWN_GROUPS = ("forcing", "objective")
NOT_ITS_OWN = {"name", "output_dir", "choices", *OWN_GROUPS}


def text(preset):
    return (config_dir() / "experiment" / f"{preset}.yaml").read_text(encoding="utf-8")


def test_the_presets_are_those_of_the_list():
    assert {f"paper/{name}" for name in METHODS} == set(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_its_header_has_the_command_the_source_and_what_differs(preset):
    name = preset.removeprefix("paper/")
    header = re.match(r"(?:#.*\n)+", text(preset)).group()
    assert re.search(rf"^#   seq2seq-lab train .*experiment={preset}$", header, flags=re.MULTILINE)
    (source,) = re.findall(r"^# Source: (.*)", header, flags=re.MULTILINE)
    assert METHODS[name] in source
    assert "https://" in source
    author, year = re.match(r"([a-z]+)(\d{4})_", name).groups()
    assert source.lower().startswith(author)
    assert year in source
    for part in ("There", "Here"):
        assert re.search(rf"^# {part}: \w", header, flags=re.MULTILINE)


@pytest.mark.parametrize("preset", PRESETS)
def test_it_sets_no_key_that_its_method_does_not_define(preset):
    """Beside its name: keys of the chosen policy, feeder, decay or objective, and nothing else."""
    content = read(FOLDER.parent / f"{preset}.yaml")
    assert set(content) <= {"defaults", "name", *OWN_GROUPS}
    assert content["name"] == preset
    chosen = {}
    for entry in content["defaults"]:
        if isinstance(entry, dict):
            ((key, option),) = entry.items()
            chosen[key.removeprefix("override /")] = option
    assert all(group.partition("/")[0] in OWN_GROUPS for group in chosen)
    plain = tiny.configuration(*(f"{group}={option}" for group, option in chosen.items()))
    for group in OWN_GROUPS:
        assert_keys(content.get(group, {}), plain[group])


def assert_keys(given, known):
    for key, value in given.items():
        assert key in known
        if isinstance(value, dict):
            assert_keys(value, known[key])


@pytest.mark.parametrize("preset", PRESETS)
def test_everything_else_is_the_base(preset):
    one, base = (tiny.configuration(f"experiment={each}") for each in (preset, "paper/williams1989_full"))
    check(one)
    assert {k: v for k, v in one.items() if k not in NOT_ITS_OWN} == {
        k: v for k, v in base.items() if k not in NOT_ITS_OWN
    }
    assert (one["forcing"], one["objective"]) != (base["forcing"], base["objective"]) or preset == base[
        "name"
    ]


def test_no_two_are_the_same():
    nodes = [(c["forcing"], c["objective"]) for c in (tiny.configuration(f"experiment={p}") for p in PRESETS)]
    assert not any(one == other for i, one in enumerate(nodes) for other in nodes[:i])


@pytest.mark.parametrize("preset", [each for each in PRESETS if "init_from=" in text(each)])
def test_one_that_continues_a_run_does(preset, run, outputs):
    """From a run of paper/williams1989_full, by the command of its header."""
    little = ["data=toy", "data.pairs=30", "model.hidden_size=8", "model.embedding_size=8", "threads=1"]
    little += ["trainer.max_epochs=1", *tiny.LEAN, "compare=false"]
    assert cli.main(["train", "experiment=paper/williams1989_full", *little]) == 0
    (first,) = tiny.folders(outputs)
    assert cli.main(["train", f"experiment={preset}", f'init_from="{first}"', *little]) == 0
    assert len(tiny.folders(outputs)) == 2
