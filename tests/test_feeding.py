"""Every policy with every feeder, unit and model: it trains, accelerated as plain, or is refused in one line."""

import pytest
import torch

import tiny
from feeding import ACCEPTED, COMBINATIONS, MODELS, REFUSED, job_of, policy_of, trained
from seq2seq_lab.accelerate.compiled_sentence import CompiledSentence
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.check import check
from seq2seq_lab.config.options import options
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.training.update import EagerUpdates

EAGER_ONLY = ("forcing=two_pass", "forcing=confidence", "forcing/feeder=soft")


def test_every_policy_is_among_the_combinations():
    assert {policy for policy, _, _ in COMBINATIONS} == set(options("forcing"))
    assert len(COMBINATIONS) > len(ACCEPTED) > 80


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("overrides", ACCEPTED, ids=" ".join)
def test_a_combination_trains_and_accelerated_is_eager(overrides, model):
    """The compiled updates apply to all but a list, and give the numbers of plain PyTorch in double precision."""
    check(tiny.configuration("data=toy", *overrides))
    policy = policy_of(overrides)
    plain, other = job_of(model, policy), job_of(model, policy)
    before = [weight.clone() for weight in plain.model.parameters()]
    losses, shares = trained(EagerUpdates(plain), policy)
    assert losses.isfinite().all()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert all(not torch.equal(w, b) for w, b in zip(plain.model.parameters(), before, strict=True))
    reason = CompiledSentence().refuses(other)
    assert (reason is not None) == any(each in EAGER_ONLY for each in overrides)
    found = trained(CompiledSentence().updates(other), policy)
    torch.testing.assert_close(found[0], losses, rtol=1e-9, atol=1e-9)
    assert torch.equal(found[1], shares)
    for one, wanted in zip(other.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-9, atol=1e-9)


class ByPair:
    """A policy to which the number of a pair is the number of its update, so that ε does not depend on the batch."""

    def __init__(self, policy):
        self.policy = policy

    def plan(self, pairs):
        return self.policy.plan(pairs._replace(update=pairs.draws.pairs, updates=20))


@pytest.mark.parametrize("overrides", ACCEPTED, ids=" ".join)
def test_a_pairs_loss_in_a_batch_is_that_of_the_pair_alone(overrides):
    """As long as weights stay the same."""
    policy, both = ByPair(policy_of(overrides)), []
    for batch_size in (1, 5):
        job = job_of("attention", policy, batch_size)
        job.optimizer.param_groups[0]["lr"] = 0.0
        both.append([each.sort().values for each in trained(EagerUpdates(job), policy, batch_size)])
    torch.testing.assert_close(*both)


@pytest.mark.parametrize(
    "overrides",
    [overrides for policy, feeder, overrides in COMBINATIONS if feeder in REFUSED.get(policy, ())],
    ids=" ".join,
)
def test_what_cannot_be_combined_is_refused_by_the_key(overrides):
    with pytest.raises(UserError, match=r"^forcing\.feeder must [^\n]* which \w+ does not$"):
        policy_of(overrides)


# What is given, and what the only line says. A constructor's message names its parameter.
MISTAKES = [
    (
        "forcing=two_pass forcing/feeder=zero",
        "forcing.feeder must look at the decoder's scores for an earlier",
    ),
    (
        "forcing=confidence forcing/feeder=unk",
        "forcing.feeder must look at the decoder's scores for an earlier",
    ),
    (
        "forcing=by_step forcing.passes=1 forcing/feeder=zero",
        "forcing.feeder must look at the decoder's scores",
    ),
    ("forcing=by_step forcing.passes=-1", "forcing.passes must be at least 0, got -1"),
    ("forcing=by_step forcing.joint=sum", "forcing.joint must be one of composite, product, got sum"),
    ("forcing=confidence forcing.first_pass=-1", "forcing.first_pass must be at least 0 and finite, got -1"),
    ("forcing=scheduled forcing/decay=inverse_exponential forcing.decay.c=1", "c must lie in (0, 1)"),
    ("forcing=free forcing/feeder=uniform", "forcing.feeder must look at the decoder's scores"),
    (
        "forcing=full forcing/feeder=argmax",
        "forcing/feeder: the option of forcing that was chosen has no such group",
    ),
    ("forcing=full forcing.unit=position", "forcing.unit: forcing=mixed has this key"),
    ("forcing=by_step forcing.unit=position", "forcing.unit: forcing=mixed has this key"),
    ("forcing=by_step forcing.schedule.start=0.5", "forcing/schedule=exponential has this key"),
    ("forcing=by_step forcing/schedule=linear forcing.schedule.share=0", "share must lie in (0, 1], got 0"),
    ("forcing=mixed forcing.ratio=1.5", "forcing.ratio must lie in [0, 1], got 1.5"),
    ("forcing=word_dropout forcing.ratio=nan", "forcing.ratio must lie in [0, 1], got nan"),
    ("forcing=mixed forcing.unit=word", "forcing.unit must be one of sentence, position, prefix, got word"),
    ("forcing=scheduled forcing.start=2", "forcing.start must lie in [0, 1], got 2"),
    ("forcing=scheduled forcing.end=null", "forcing.end: None is not of type float"),
    ("forcing=scheduled forcing.over=days", "forcing.over must be updates or epochs, got days"),
    ("forcing=scheduled forcing.share=0", "forcing.share must lie in (0, 1], got 0"),
    ("forcing=scheduled forcing.decay=linear", "an option is chosen by forcing/decay=linear"),
    ("forcing=scheduled forcing.decay.k=0.5", "k must be at least 1 for an inverse sigmoid, got 0.5"),
    ("forcing=scheduled forcing/decay=exponential forcing.decay.k=1", "k must lie in (0, 1)"),
    ("forcing=two_pass forcing.passes=0", "forcing.passes must be at least 1, got 0"),
    ("forcing=two_pass forcing.passes=1.5", "forcing.passes: 1.5 is not of type int"),
    ("forcing=confidence forcing.golden=0.97", "forcing.random must not be less than golden=0.97, got 0.95"),
    (
        "forcing=mixed forcing/feeder=sample forcing.feeder.temperature=0",
        "temperature must be positive and finite",
    ),
    ("forcing=mixed forcing/feeder=gumbel forcing.feeder.tau=0", "tau must be positive and finite, got 0"),
    ("forcing=mixed forcing/feeder=soft forcing.feeder.alpha=0", "alpha must be positive and finite, got 0"),
    (
        "forcing=mixed forcing/feeder=argmax forcing.feeder.alpha=1",
        "forcing.feeder.alpha: forcing/feeder=soft has",
    ),
]


@pytest.mark.parametrize(("given", "said"), MISTAKES, ids=[given for given, _ in MISTAKES])
def test_a_mistake_ends_in_one_line(given, said, capsys, outputs):
    assert cli.main(["train", *tiny.SETTINGS, *given.split()]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith("forcing")
    assert said in err
    assert not tiny.folders(outputs)


def test_a_schedule_needs_the_end_of_training(capsys):
    endless = ["forcing=scheduled", "trainer.max_epochs=-1", "+trainer.max_steps=3"]
    assert cli.main(["train", *tiny.SETTINGS, *tiny.LEAN, *endless]) == 1
    assert (
        capsys.readouterr().err == "forcing: a schedule needs the end of training; set trainer.max_epochs\n"
    )


def test_start_alone_ends_at_0():
    config = tiny.configuration("data=toy", "forcing=scheduled", "forcing.start=0.6")
    assert (config["forcing"]["start"], config["forcing"]["end"]) == (0.6, 0.0)


RESUMED = [
    ("forcing=scheduled", "forcing/decay=linear"),
    ("forcing=scheduled", "forcing.over=epochs", "forcing.unit=prefix", "forcing.start=0", "forcing.end=1"),
    ("forcing=scheduled", "forcing/feeder=sample", "loader.batch_size=4", "loader.updates_per_block=1"),
    ("forcing=by_step", "forcing/schedule=inverse_sigmoid", "forcing/feeder=soft"),
    ("forcing=two_pass", "forcing/feeder=gumbel", "forcing.passes=2"),
    ("forcing=confidence", "forcing.golden=0.02", "forcing.random=0.03"),
]


@pytest.mark.parametrize("settings", RESUMED, ids=" ".join)
def test_a_run_resumed_in_the_middle_of_a_schedule_is_the_uninterrupted_one(settings, run, tmp_path):
    settings = ("trainer.max_epochs=3", *settings)
    tiny.stop(tmp_path / "stopped", *settings, block=8)  # in the second epoch of three
    resumed, whole = run("stopped", *settings), run("whole", *settings)
    assert tiny.same_weights(resumed, whole)
    assert tiny.curves(resumed) == tiny.curves(whole)


@pytest.mark.parametrize("over", ["updates", "epochs"])
def test_epsilon_and_what_happened_are_logged_each_epoch(over, run):
    """`train/forcing_ratio` is the mean of ε of the epoch's pairs, `train/forced_share` the share of gold inputs."""
    settings = ("forcing=scheduled", "forcing/decay=linear", f"forcing.over={over}", "data.pairs=200")
    rows = tiny.rows(run(over, *settings, "trainer.max_epochs=4"))
    within = 0.125 if over == "updates" else 0  # the mean over an epoch is that of its middle
    for epoch, row in enumerate(rows):
        wanted = 1 - epoch / 4 - within
        assert float(row["train/forcing_ratio"]) == pytest.approx(wanted, abs=0.001)
        assert float(row["train/forced_share"]) == pytest.approx(wanted, abs=0.05)


def test_a_policy_without_epsilon_logs_none(run):
    rows = tiny.rows(run("a", "forcing=confidence"))
    assert not any(row.get("train/forcing_ratio") for row in rows)
    assert all(0 < float(row["train/forced_share"]) <= 1 for row in rows)


def test_a_plan_of_ones_own_needs_no_more_than_a_mask():
    class Odd:
        """Gold at odd positions."""

        def plan(self, pairs):
            return Plan((torch.arange(pairs.positions) % 2 == 0).expand(len(pairs.lengths), -1))

    plain, other = job_of("attention", Odd()), job_of("attention", Odd())
    one, two = trained(EagerUpdates(plain), Odd()), trained(CompiledSentence().updates(other), Odd())
    torch.testing.assert_close(one, two)
