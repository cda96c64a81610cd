"""Every preset of a paper composes, trains, names its source, and sets no key that its method does not define."""

import math
import re

import pytest
import torch

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.build import build
from seq2seq_lab.config.check import check
from seq2seq_lab.config.options import config_dir, options, read
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.argmax import ArgMax
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.feeders.soft import Soft
from seq2seq_lab.forcing.feeders.uniform import Uniform
from seq2seq_lab.forcing.feeders.zero import Zero
from seq2seq_lab.forcing.plan import Pairs

FOLDER = config_dir() / "experiment" / "paper"
PRESETS = [each for each in options("experiment") if each.startswith("paper/")]
METHODS = {
    "sabour2019_optimal_completion": "1810.01398",
    "norouzi2016_raml": "1609.00150",
    "wang2018_switchout": "1808.07512",
    "agarwal2024_gkd": "2306.13649",
    "lin2020_imitkd": "2009.07253",
    "li2021_mixed": "2106.15880",
    "rennie2017_self_critical": "1612.00563",
    "ranzato2016_mixer": "1511.06732",
    "wu2021_r_drop": "2106.14448",
    "bengio2015_exponential": "1506.03099",
    "bengio2015_inverse_sigmoid": "1506.03099",
    "bengio2015_linear": "1506.03099",
    "duckworth2019_parallel": "1906.04331",
    "duckworth2019_transformer": "1906.04331",
    "goyal2017_soft": "1704.06970",
    "liu2021_by_step": "2108.12963",
    "liu2021_by_step_joint": "2108.12963",
    "liu2021_confidence": "2107.10427",
    "mihaylova2019_transformer": "1906.07651",
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
# What may differ from the base: how the decoder is fed, what it learns, or what is minimised.
OWN_GROUPS = ("forcing", "target", "objective")
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
    for part in ("Read", "There", "Here"):
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
    if preset.endswith(
        "_transformer"
    ):  # the same method with another model, which both presets of a Transformer have
        others = [each for each in PRESETS if each.endswith("_transformer")]
        base = base | {k: tiny.configuration(f"experiment={others[0]}")[k] for k in ("model", "lr_schedule")}
        assert base["model"]["_target_"].endswith("transformer_model")
    assert {k: v for k, v in one.items() if k not in NOT_ITS_OWN} == {
        k: v for k, v in base.items() if k not in NOT_ITS_OWN
    }
    assert any(one[group] != base[group] for group in OWN_GROUPS) or preset == base["name"]


def test_no_two_are_the_same():
    configs = [tiny.configuration(f"experiment={each}") for each in PRESETS]
    nodes = [[each[group] for group in ("model", *OWN_GROUPS)] for each in configs]
    assert not any(one == other for i, one in enumerate(nodes) for other in nodes[:i])


@pytest.mark.parametrize(
    ("preset", "key"),
    [(each, key) for each in PRESETS for key in ("init_from", "target.run") if f"{key}=" in text(each)],
)
def test_one_that_needs_a_run_takes_it(preset, key, run, outputs):
    """A run of paper/williams1989_full, by the command of its header."""
    little = ["data=toy", "data.pairs=30", "model.hidden_size=8", "model.embedding_size=8", "threads=1"]
    little += ["trainer.max_epochs=1", *tiny.LEAN, "compare=false"]
    assert cli.main(["train", "experiment=paper/williams1989_full", *little]) == 0
    (first,) = tiny.folders(outputs)
    assert cli.main(["train", f"experiment={preset}", f'{key}="{first}"', *little]) == 0
    assert len(tiny.folders(outputs)) == 2


class GivenDraws(Draws):
    """The numbers that a case was worked out with: of positions 0 to 4, and one of the sentence."""

    def of_pass(self, number):
        return self

    def uniform(self, purpose, *sizes, first=0):
        if purpose == "forcing/sentence":
            return torch.tensor([0.3])
        assert purpose == "forcing/position"
        return torch.tensor([[0.999, 0.985, 0.55, 0.45, 0.02]])


def given(update=50, epoch=10):
    """A target of four words and `<eos>`, in update 50 of 100, in epoch 10 of 40."""
    draws = GivenDraws(0, epoch, torch.zeros(1, dtype=torch.int64))
    return Pairs(torch.tensor([5]), 5, draws, torch.tensor([update]), 100, epoch=epoch, epochs=40)


# Where the words at 1, 2, 3, 4 are gold, worked out by hand from each source: the ε of each word beside its number.
BY_HAND = {
    "williams1989_full": "GGGG",
    "williams1989_free": "....",
    "robertson2017_mixed": "GGGG",  # 0.3 < 0.5, one coin
    "bengio2015_linear": "..GG",  # 1 − 50/75 = 1/3; 0.25 + 0.75/3 = 0.5
    "bengio2015_exponential": "...G",  # (0.5^(10/100))^50 = 0.5⁵ = 0.031
    "bengio2015_inverse_sigmoid": "..GG",  # ½ after half of the updates
    "goyal2017_soft": "..GG",  # the same
    "zhang2019_oracle_words": ".GGG",  # 15/(15 + e^(10/15)) = 0.885
    "teutsch2022_linear_d": "GG..",  # e/m = 10/20 = ½; ⌊½ · 5⌋ = 2
    "teutsch2022_linear_p": "..GG",  # ½
    "teutsch2022_exponential_d": "GGGG",  # 1 − (0.5^(10/20))^10 = 0.969; ⌊4.84⌋ = 4
    "teutsch2022_exponential_p": ".GGG",  # 0.969
    "teutsch2022_inverse_sigmoid_d": "GG..",  # ½ after half of the epochs
    "teutsch2022_inverse_sigmoid_p": "..GG",
    "takase2021_word_dropout": ".GGG",  # 0.9
    "takase2021_uniform": ".GGG",
    "liu2021_by_step": "GGGG",  # 0.99¹ = 0.99, 0.98, 0.97, 0.96; with t from 1 at <sos> the first were 0.980
    "liu2021_by_step_joint": "GGGG",  # 0.99^(t/2) = 0.995, …; the product were 0.495, 0.490, 0.485, 0.480: ..GG
    "mihaylova2019_two_pass": "..GG",  # ½
    "mihaylova2019_transformer": "..GG",
    "duckworth2019_parallel": "..GG",  # the warm-up of 50 updates is over: 1 − 0.5
    "duckworth2019_transformer": "..GG",
    "shen2016_minimum_risk": "GGGG",
    "sabour2019_optimal_completion": "....",
    "norouzi2016_raml": "GGGG",
    "wang2018_switchout": "GGGG",
    "agarwal2024_gkd": "GGGG",  # 0.3 < 0.5, one coin
    "lin2020_imitkd": "....",  # 0.5^(10 · 50/100) = 0.031 < 0.3, one coin
    "li2021_mixed": "GGGG",
    "rennie2017_self_critical": "GGGG",
    "ranzato2016_mixer": "GGGG",
    "wu2021_r_drop": "GGGG",
}
OWN = {  # what is fed elsewhere, and in how many passes before
    "sabour2019_optimal_completion": (Sample, 0),
    "agarwal2024_gkd": (Sample, 0),
    "lin2020_imitkd": (Sample, 0),
    "williams1989_free": (ArgMax, 0),
    "robertson2017_mixed": (ArgMax, 0),
    "bengio2015_linear": (ArgMax, 0),
    "goyal2017_soft": (Soft, 0),
    "zhang2019_oracle_words": (Sample, 0),
    "takase2021_word_dropout": (Zero, 0),
    "takase2021_uniform": (Uniform, 0),
    "liu2021_by_step": (Soft, 1),
    "liu2021_by_step_joint": (Soft, 1),
    "liu2021_confidence": (Soft, 1),
    "mihaylova2019_two_pass": (ArgMax, 1),
    "mihaylova2019_transformer": (ArgMax, 1),
    "duckworth2019_parallel": (Sample, 1),
    "duckworth2019_transformer": (Sample, 1),
}


def policy_of(name):
    return build(tiny.configuration(f"experiment=paper/{name}")["forcing"], "forcing")


def test_every_preset_is_worked_out_by_hand():
    assert {*BY_HAND, "liu2021_confidence"} == set(METHODS)


@pytest.mark.parametrize("name", BY_HAND)
def test_the_feed_of_a_small_case_is_that_of_the_source(name):
    gold = policy_of(name).plan(given()).gold[0, 1:].tolist()
    assert "".join("G" if each else "." for each in gold) == BY_HAND[name]


@pytest.mark.parametrize("name", OWN)
def test_what_is_fed_elsewhere_is_that_of_the_source(name):
    plan = policy_of(name).plan(given())
    assert (type(plan.feeder), plan.passes) == OWN[name]
    if name.startswith("liu2021"):
        assert not plan.feeder.gradient
        assert plan.feeder.alpha == 1


def test_the_share_of_own_words_is_warmed_up():
    """Of Duckworth et al.: in the middle of the warm-up 0.5 · 0.001^½ = 0.016 are own, so that 0.985 < ε is no longer
    so; at its beginning 0.5 · 0.001."""
    policy = policy_of("duckworth2019_parallel")
    assert policy.plan(given(update=25)).ratio.item() == pytest.approx(1 - 0.5 * math.sqrt(0.001))
    assert policy.plan(given(update=25)).gold[0, 1:].tolist() == [False, True, True, True]
    assert policy.plan(given(update=0)).ratio.item() == pytest.approx(1 - 0.5 * 0.001)


def test_confidence_by_hand():
    """Of Liu et al. 2021: p of the gold word to predict at t decides what is fed at t, and both passes' losses count.

    Predicted are the words 3 4 5 6 and `<eos>` with p = 0.5, 0.97, 0.92, 0.3, 0.96: at 1 is fed noise (0.97), at 2 the
    mixture (0.92), at 3 the gold word (0.3), at 4 noise (0.96). One position off it were gold, noise, mixture, gold.
    """
    policy = policy_of("liu2021_confidence")
    target = torch.tensor([[3, 4, 5, 6, 1]])
    logits = torch.zeros(1, 5, 8, dtype=torch.float64)
    for t, (word, p) in enumerate(zip(target[0].tolist(), (0.5, 0.97, 0.92, 0.3, 0.96), strict=True)):
        logits[0, t, word] = math.log(7 * p / (1 - p))
    plan = policy.plan(given())

    class Noise(Draws):
        def uniform(self, purpose, *sizes, first=0):
            assert purpose == "forcing/noise"
            return torch.tensor([[0.0, 0.6, 0.0, 0.0, 0.9]])

    draws = Noise(0, 0, torch.zeros(1, dtype=torch.int64))
    revised = plan.revise(logits, target, torch.tensor([5]), plan, draws)
    assert revised.words.tolist() == [[0, 5, 4, 5, 6]]  # of 3 4 5 6: the third (0.6), and the fourth (0.9)
    assert revised.own.tolist() == [[False, False, True, False, False]]
    assert revised.gold.tolist() == [[True, False, False, True, False]]
    assert plan.first_pass == 1


def test_minimum_risk_is_the_risk_alone():
    """Shen et al. 2016: 100 candidates, α = 0.005."""
    objective = build(tiny.configuration("experiment=paper/shen2016_minimum_risk")["objective"], "objective")
    assert (objective.mix, objective.candidates, objective.alpha) == (1, 100, 0.005)


# What is learnt, by target and objective, where it is not the gold word's likelihood; m of `mixed` in update 50 of 100.
LEARNT = {
    "sabour2019_optimal_completion": {"max_ratio": 1.2},
    "norouzi2016_raml": {"tau": 0.85, "source_tau": None, "weight": "rescaled", "samples": 1},
    "wang2018_switchout": {"tau": 1.0, "source_tau": 1.0, "weight": "flat"},
    "agarwal2024_gkd": {"divergence": "jsd", "beta": 0.5},
    "lin2020_imitkd": {"divergence": "forward_kl"},
    "rennie2017_self_critical": {"reward": "bleu", "unit": "sentence", "mix": 1.0, "schedule": None},
    "ranzato2016_mixer": {"reward": "bleu", "unit": "prefix"},
    "wu2021_r_drop": {"alpha": 5.0},
}


@pytest.mark.parametrize("name", LEARNT)
def test_what_is_learnt_is_that_of_the_source(name):
    config = tiny.configuration(f"experiment=paper/{name}")
    objective = config["objective"]["_target_"] != "seq2seq_lab.training.objectives.nll.NegativeLogLikelihood"
    group = "objective" if objective else "target"
    made = build(config[group], group)
    assert {key: getattr(made, key) for key in LEARNT[name]} == LEARNT[name]


@pytest.mark.parametrize(
    ("name", "group", "value"),
    [
        ("li2021_mixed", "target", 0.25),  # updates / (2 · updates of training)
        ("ranzato2016_mixer", "objective", 0.75),  # epoch 10 of 40
    ],
)
def test_a_schedule_of_what_is_learnt_by_hand(name, group, value):
    made = build(tiny.configuration(f"experiment=paper/{name}")[group], group)
    assert made.schedule.ratio(given()).item() == pytest.approx(value)
