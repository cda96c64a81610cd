"""What every registered target and objective has to do with every policy; what is measured, shown and refused."""

import itertools
import math
import re
from fractions import Fraction

import pytest
import torch

import tiny
from feeding import CORPUS, job_of, policy_of
from seq2seq_lab.accelerate.compiled_sentence import CompiledSentence
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.build import build
from seq2seq_lab.config.options import options
from seq2seq_lab.data.batches import Batch, BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.evaluation.measures import REGISTRY
from seq2seq_lab.forcing.plan import Pairs, Plan
from seq2seq_lab.runs.earlier import as_of_now
from seq2seq_lab.runs.identity import fingerprint, identity
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.run import Run
from seq2seq_lab.targets import own
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.targets.reward_sampled import RewardSampled
from seq2seq_lab.training.update import EagerUpdates, measures_of, scheduled

POLICIES = (
    "forcing=full",
    "forcing=free forcing/feeder=sample",
    "forcing=mixed forcing/feeder=gumbel forcing.unit=position",
    "forcing=uniform",
    "forcing=two_pass",
    "forcing=confidence forcing.golden=0.1 forcing.random=0.2 forcing.first_pass=1",
)
LEARNT = [
    *(f"target={each}" for each in options("target")),
    "target=reward_sampled target.distance=edit target.samples=2 target.source_tau=1",
    "target=teacher target.divergence=jsd",
    *(f"objective={each}" for each in options("objective")),
    "objective=self_critical objective.unit=prefix forcing/schedule@objective.schedule=linear",
    "objective=self_critical objective.mix=0.5 target=optimal_completion",
]
CANDIDATES = ("objective=minimum_risk", "objective.candidates=4")


def parts(learnt):
    """The target and the objective of these overrides, ready to be used."""
    needed = CANDIDATES if "minimum_risk" in learnt else ()
    config = tiny.configuration("data=toy", *learnt.split(), *needed)
    target, objective = build(config["target"], "target"), build(config["objective"], "objective")
    if "teacher" in learnt:
        target.model = job_of("seq2seq", policy_of(("forcing=full",))).model.eval()
    else:
        target.load({"source": CORPUS.source_vocabulary, "target": CORPUS.target_vocabulary}, load_model)
    return target, objective


def job_with(learnt, forcing, batch_size=1):
    target, objective = parts(learnt)
    job = job_of("attention", policy_of(tuple(forcing.split())), batch_size)
    if "r_drop" in learnt:
        job.model.decoder.dropout.p = 0.3
    return job._replace(target=target.of_update, objective=objective), target


def refused(learnt, forcing):
    """Whether a target refuses what a policy plans."""
    target, _ = parts(learnt)
    plan = job_of("attention", policy_of(tuple(forcing.split()))).plan
    return target.refuses(plan, always_gold=forcing == "forcing=full") is not None


def trained(learnt, forcing, batch_size=1, per_block=5, lr=None):
    """Each pair's results in an epoch: its losses, and what is measured of it."""
    job, target = job_with(learnt, forcing, batch_size)
    if lr is not None:
        job.optimizer.param_groups[0]["lr"] = lr
    policy, updates = policy_of(tuple(forcing.split())), EagerUpdates(job)
    found = {}
    rows = torch.arange(len(CORPUS)).numpy()
    for block in BlockLoader(CORPUS, rows, batch_size=batch_size, updates_per_block=per_block):
        block, measured = target.prepare(block, Draws(3, 0, torch.from_numpy(block.indices)))
        draws = Draws(3, 0, torch.from_numpy(block.indices))
        # The number of a pair is that of its update, so that schedules do not depend on the batch.
        pairs = Pairs(block.target_lengths, block.target.shape[1], draws, draws.pairs, 20, epochs=1)
        plan = policy.plan(pairs)._replace(scheduled=scheduled(pairs, target, job.objective))
        made = updates(block, plan, draws)
        results = {"losses": made.losses, "forced": made.forced_share, **made.measured, **measured}
        for n, index in enumerate(block.indices):
            found.setdefault(int(index), []).append(
                {k: each[n].double().item() for k, each in results.items()}
            )
    return found, job.model


# Each with own samples, and with another policy in turn; the slow ones are all others.
PAIRS = list(itertools.product(LEARNT, POLICIES))
FAST = [(each, POLICIES[1]) for each in LEARNT] + list(zip(LEARNT, itertools.cycle(POLICIES), strict=False))


@pytest.mark.parametrize(
    ("learnt", "forcing"),
    [pytest.param(*each, marks=[] if each in FAST else pytest.mark.slow) for each in PAIRS],
)
def test_a_pair_learns_the_same_in_any_batch_and_block(learnt, forcing):
    """As long as weights stay the same; a combination that makes no sense is refused."""
    if refused(learnt, forcing):
        assert "optimal_completion" in learnt
        return
    one, two = (trained(learnt, forcing, *how, lr=0.0)[0] for how in ((1, 5), (5, 2)))
    assert one.keys() == two.keys() == set(range(len(CORPUS)))
    for pair in one:
        for ours, theirs in zip(one[pair], two[pair], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("learnt", LEARNT)
def test_it_trains_and_measures_what_is_registered(learnt):
    forcing = "forcing=free forcing/feeder=sample"
    found, model = trained(learnt, forcing, 4)
    before = job_with(learnt, forcing, 4)[0].model
    assert all(each.isfinite().all() for each in model.parameters())
    assert any(
        not torch.equal(one, other)
        for one, other in zip(model.parameters(), before.parameters(), strict=True)
    )
    results = found[0][0]
    job, target = job_with(learnt, forcing)
    names = {*measures_of(job.target, job.objective)}
    assert names <= set(results)
    assert set(results) - {"losses", "forced"} <= set(REGISTRY)
    assert all(REGISTRY[each].stage == "training" for each in names | set(target.measures))


@pytest.mark.parametrize("learnt", LEARNT)
def test_only_gold_and_likelihood_are_accelerated(learnt):
    """A sampled reference is gold in its update, and is accelerated as gold is."""
    job, _ = job_with(learnt, "forcing=full")
    reason = CompiledSentence().refuses(job)
    plain = learnt in ("target=gold", "objective=nll", "target=reward_sampled") or "samples=2" in learnt
    assert (reason is None) == plain
    assert plain or re.match(r"the (target|objective) is \w+, not (Gold|NegativeLogLikelihood)$", reason)


class MyGold(Gold):
    """A subclass may do anything."""


def test_a_subclass_of_gold_is_not_accelerated():
    job = job_of("seq2seq", policy_of(("forcing=full",)))
    assert CompiledSentence().refuses(job) is None
    assert CompiledSentence().refuses(job._replace(target=MyGold())) == "the target is MyGold, not Gold"


RESUMED = [
    "target=optimal_completion forcing=free forcing/feeder=sample loader.batch_size=4 loader.updates_per_block=1",
    "target=mixed loader.batch_size=3 loader.updates_per_block=2",
    "target=n_step forcing=mixed",
    "target=reward_sampled target.distance=edit target.samples=2 loader.updates_per_block=4",
    "objective=self_critical loader.batch_size=4 loader.updates_per_block=2 objective.reward=negative_per",
    "objective=r_drop model.dropout=0.2",
]


@pytest.mark.parametrize("settings", RESUMED)
def test_a_run_resumed_in_the_middle_is_the_uninterrupted_one(settings, run, tmp_path):
    given = (*settings.split(), "trainer.max_epochs=2")
    tiny.stop(tmp_path / "stopped", *given, block=6)
    resumed, whole = run("stopped", *given), run("whole", *given)
    assert tiny.same_weights(resumed, whole)
    assert tiny.curves(resumed) == tiny.curves(whole)


class TestGold:
    def test_a_run_of_before_there_were_targets_is_the_same_run(self):
        config = tiny.configuration(*tiny.SETTINGS) | {"choices": dict(tiny.DEFAULTS)}
        old = {key: each for key, each in config.items() if key != "target"}
        old["choices"] = {key: each for key, each in config["choices"].items() if key != "target"}
        assert fingerprint(old) == fingerprint(config)
        assert "target" not in identity(config)
        assert as_of_now(old)["target"] == config["target"]
        other = config | {"target": tiny.configuration("data=toy", "target=n_step")["target"]}
        assert fingerprint(other) != fingerprint(config)

    def test_its_name_is_as_before_and_another_target_is_in_the_name(self, run):
        assert "gold" not in run("a", "trainer.max_epochs=1").parent.name
        name = run("b", "target=n_step", "trainer.max_epochs=1").parent.name
        assert name.startswith("seq2seq-full-n_step,")

    def test_nothing_more_is_measured(self, plain_run):
        names = {each for row in tiny.rows(plain_run) for each in row if each.startswith("train/")}
        assert names == {"train/loss", "train/forced_share", "train/forcing_ratio", "train/lr"}


class TestTeacher:
    """Through the command: a run that was trained by another one."""

    SMALL = (*tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")

    def train(self, teacher, *more):
        return cli.main(["train", *self.SMALL, "target=teacher", f'target.run="{teacher}"', *more])

    def test_a_student_of_a_run(self, run, outputs, capsys):
        teacher = run("teacher", "trainer.max_epochs=3", "optimizer.lr=0.2")
        forcing = ("forcing=mixed", "forcing/feeder=sample", "target.divergence=jsd")
        assert self.train(teacher, *forcing) == 0
        (student,) = tiny.folders(outputs)
        values = tiny.rows(student)[-1]
        assert 0 <= float(values["train/loss"]) < 0.7  # at most ln 2
        assert float(values["train/target_entropy"]) > 0
        assert not set(tiny.weights(student)) - set(tiny.weights(teacher))  # without the teacher's
        assert self.train(teacher, *forcing, "trainer.max_epochs=2") == 0  # the last override counts
        assert Run(student).epochs == 2
        load_model(student)

    def test_of_other_words(self, run, outputs, capsys):
        other = run("other", "data.pairs=30", "trainer.max_epochs=1")
        capsys.readouterr()
        assert self.train(other) == 1
        said = capsys.readouterr().err
        assert re.match(
            r"target\.run: .* has another source vocabulary \(\d+ words, this run has \d+\)", said
        )
        assert not tiny.folders(outputs)

    def test_that_predicts_sos(self, run, outputs, capsys):
        other = run("other", "loader.predict_sos=true", "trainer.max_epochs=1")
        capsys.readouterr()
        assert self.train(other) == 1
        assert f"target.run: {other} has another loader.predict_sos" in capsys.readouterr().err

    @pytest.mark.parametrize("folder", ["null", "nowhere"])
    def test_of_no_run(self, folder, outputs, capsys):
        status = cli.main(["train", *self.SMALL, "target=teacher", f"target.run={folder}"])
        said = capsys.readouterr().err
        assert status == 1
        assert said.startswith("target.run: ")
        assert len(said.splitlines()) == 1
        assert not tiny.folders(outputs)

    def test_of_somebody_elses_code(self, run, outputs, capsys):
        """A folder executes nothing that it names."""
        teacher = run("teacher", "trainer.max_epochs=1")
        config = teacher / "config.yaml"
        text = config.read_text(encoding="utf-8").replace("seq2seq_lab.models.seq2seq_model", "evil.model")
        config.write_text(text, encoding="utf-8")
        summary = teacher / "summary.json"
        summary.write_text(
            re.sub(r'"config": "\w{64}",?', "", summary.read_text(encoding="utf-8")), encoding="utf-8"
        )
        capsys.readouterr()
        assert self.train(teacher) == 1
        assert capsys.readouterr().err.startswith("target.run: ")
        assert not tiny.folders(outputs)


# What is given, and what the only line says.
MISTAKES = [
    (
        "target=optimal_completion",
        "target: after gold words an optimal completion is the gold word; use forcing=free",
    ),
    (
        "target=optimal_completion forcing=two_pass",
        "target: an optimal completion is that of what the decoder has said",
    ),
    ("target=optimal_completion forcing=free forcing/feeder=soft", "target: the feeder gives no words"),
    ("target=optimal_completion forcing=free target.max_ratio=0.9", "target.max_ratio must be at least 1"),
    ("target=teacher target.run=null", "target.run: it names no run; target.run=FOLDER"),
    ("target=teacher target.beta=1", "target.beta must lie in (0, 1), got 1"),
    ("target=teacher target.beta=0.1", "target.beta is of divergence=jsd alone, got 0.1 with forward_kl"),
    (
        "target=teacher target.divergence=l2",
        "target.divergence: 'l2' is not 'forward_kl' or 'reverse_kl' or 'jsd'",
    ),
    (
        "target=mixed trainer.max_epochs=-1 +trainer.max_steps=3",
        "target: a schedule needs the end of training",
    ),
    (
        "target=mixed objective=minimum_risk",
        "objective: the risk of candidates has no target; use target=gold",
    ),
    (
        "target=mixed objective=self_critical",
        "objective: a reward of the own outputs has no target; use target=gold",
    ),
    ("target=n_step target.steps=0", "target.steps must be at least 1, got 0"),
    ("target=n_step target.discount=0", "target.discount must lie in (0, 1], got 0"),
    ("target=reward_sampled target.tau=0", "target.tau must be positive and finite, got 0"),
    ("target=reward_sampled target.tau=null", "target.tau must be given, or source_tau"),
    ("target=reward_sampled target.samples=0", "target.samples must be at least 1, got 0"),
    ("target=reward_sampled target.distance=bleu", "target.distance: 'bleu' is not 'hamming' or 'edit'"),
    (
        "objective=r_drop",
        "objective: the model has no dropout in which two passes could differ; use model.dropout",
    ),
    (
        "target=n_step objective.label_smoothing=0.1",
        "objective: label_smoothing would smooth the first pass of target=n_step alone",
    ),
    (
        "objective=minimum_risk objective.candidates=1",
        "objective: the risk of a single candidate has no gradient; use objective.candidates=2",
    ),
    (
        "objective=minimum_risk objective.candidates=2 trainer.max_epochs=1 forcing=scheduled forcing/decay=linear",
        "objective: nothing of the words that forcing feeds is minimised",
    ),
    (
        "target=reward_sampled monitor.metric=train/target_entropy",
        "monitor.metric: train/target_entropy is not measured",
    ),
    ("forcing=by_step forcing.joint=product", "forcing.joint is how a schedule is joined"),
    ("objective=self_critical objective.unit=prefix", "objective.schedule must be given with unit=prefix"),
    ("objective=self_critical objective.reward=rouge", "objective.reward: 'rouge' is not 'bleu' or "),
]


def test_a_schedule_that_feeds_own_words_within_its_only_epoch_does(outputs):
    own = ("forcing=scheduled", "forcing/decay=linear", "forcing/feeder=sample", "target=optimal_completion")
    assert cli.main(["train", *tiny.SETTINGS, *tiny.LEAN, *own, "trainer.max_epochs=1"]) == 0


@pytest.mark.parametrize("ratio", [1.0, 1.1, 1.2, 1.5, 2.0])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_the_limit_of_own_sentences_is_exact(ratio, precision):
    torch.set_default_dtype(precision)
    try:
        found = own.limits(torch.arange(1, 201), ratio)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.tolist() == [math.ceil(Fraction(str(ratio)) * length) for length in range(1, 201)]


@pytest.mark.parametrize(("given", "said"), MISTAKES, ids=[given for given, _ in MISTAKES])
def test_a_mistake_ends_in_one_line(given, said, capsys, outputs):
    assert cli.main(["train", *tiny.SETTINGS, *given.split()]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith(said)
    assert not tiny.folders(outputs)


def test_a_comparison_says_that_training_losses_do_not_compare(outputs, run, tmp_path, capsys):
    for target in ("gold", "reward_sampled"):
        run("runs", f"target={target}", "trainer.max_epochs=1")
    capsys.readouterr()
    assert cli.main(["compare", str(tmp_path / "runs"), "--metric", "train/loss"]) == 0
    said = capsys.readouterr()
    assert "Training losses of a target other than gold compare with no other" in said.out + said.err


def test_every_target_and_objective_is_among_them():
    for group in ("target", "objective"):
        named = {
            each.partition("=")[2] for one in LEARNT for each in one.split() if each.startswith(f"{group}=")
        }
        assert named == set(options(group))


def test_some_pairs_of_an_update_stay_padded_as_all_of_them_are():
    """A process of several has some pairs, whose longest may be shorter than the padding."""
    lengths = torch.tensor([2, 3])
    batch = Batch(
        torch.ones(2, 4, dtype=torch.int64), None, torch.ones(2, 10, dtype=torch.int64), lengths, slice(0, 2)
    )
    plan = Plan(torch.zeros(2, 10, dtype=torch.bool))
    longer, plan = own.extended(batch, plan, 1.2)
    assert longer.target.shape == plan.gold.shape == (2, 10)


@pytest.mark.parametrize(("sampled", "other"), [("tau", "source_tau"), ("source_tau", "tau")])
def test_only_the_side_that_is_sampled_needs_a_second_word(sampled, other):
    one, several = Vocabulary.build(["a"]), Vocabulary.build(["a b"])
    sides = dict(
        zip(("target", "source"), (one, several) if sampled == "tau" else (several, one), strict=True)
    )
    RewardSampled(**{sampled: None, other: 1.0}).load(sides, None)
    with pytest.raises(ValueError, match=f"^{sampled} must be null: the .* no other word"):
        RewardSampled(**{sampled: 1.0, other: None}).load(sides, None)
