"""What every registered option has to do: whoever adds one gets these tests for it. (Policies: also test_forcing.)"""

import itertools
import math
from pathlib import Path

import pytest
import torch

import tiny
from seq2seq_lab.config.build import build, call
from seq2seq_lab.config.check import check
from seq2seq_lab.config.options import description, groups, nests, option_files, options
from seq2seq_lab.config.schema import SETS
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.evaluation.measures import REGISTRY, Measure
from seq2seq_lab.evaluation.measures_page import page
from seq2seq_lab.forcing.plan import Pairs, Plan
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import EagerUpdates, Job

ALL = [(group, option) for group in groups() for option in options(group)]
PAIRS = Path(__file__).parent / "data" / "pairs.tsv"
# Settings without a default, or whose default is large.
NEEDED = {
    ("data", "parallel"): (f"data.train={PAIRS}",),
    ("data", "g2p"): (f"data.train={PAIRS}",),
    ("data", "grammar"): ("data.pairs=100",),
    ("data", "path_star"): ("data.graphs=100", "data.held_out=10"),
}
CORPUS = tiny.lettered(30)
SIZES = {
    "source_vocabulary_size": len(CORPUS.source_vocabulary),
    "target_vocabulary_size": len(CORPUS.target_vocabulary),
}


def nested_in(option, group):
    """The groups that are nested in an option."""
    return [f"{group}/{name}" for name in sorted(nests(option_files(group)[option], group))]


def combinations(option, group):
    """Every combination of the options of the groups that are nested in an option, as overrides."""
    inner = nested_in(option, group)
    for chosen in itertools.product(*map(options, inner)):
        yield (f"{group}={option}", *(f"{name}={each}" for name, each in zip(inner, chosen, strict=True)))


def variants(option, group):
    """An option, and with each option of one of the groups that are nested in it, as overrides."""
    yield (f"{group}={option}",)
    for name in nested_in(option, group):
        yield from ((f"{group}={option}", f"{name}={each}") for each in options(name))


MODELS = [each for option in options("model") for each in combinations(option, "model")]
POLICIES = [each for option in options("forcing") for each in variants(option, "forcing")]


def made(*overrides, group):
    """What the node of a group builds under these overrides."""
    return build(tiny.configuration(*tiny.sized(*tiny.SMALL, *overrides))[group], group)


def model_of(*overrides):
    torch.manual_seed(0)
    return call(made(*overrides, group="model"), "model", **SIZES).double()


class ByWord:
    """A coin for each position."""

    def plan(self, pairs):
        return Plan(pairs.coins() < 0.5)


def job_of(model, policy, *, optimizer=None, batch_size=1, objective=None):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    one = torch.ones(1, dtype=torch.long)
    plan = policy.plan(Pairs(2 * one, 2, Draws(3, 0, one), one - 1, 1, epochs=1))
    return Job(model, optimizer, objective or NegativeLogLikelihood(), None, batch_size, plan)


def trained(updates, policy, batch_size=1, pairs=12):
    """The losses of an epoch in two blocks."""
    per_block = max(1, pairs // batch_size // 2)
    rows = torch.arange(pairs).numpy()
    losses = []
    for block in BlockLoader(CORPUS, rows, batch_size=batch_size, updates_per_block=per_block):
        draws = Draws(3, 0, torch.from_numpy(block.indices))
        update = block.update_numbers
        plan = policy.plan(
            Pairs(block.target_lengths, block.target.shape[1], draws, update, block.updates, epochs=1)
        )
        losses.append(updates(block, plan, draws).losses)
    return torch.cat(losses)


def changed(model, train):
    """The losses that a training gives; it must change some weight and leave all of them finite."""
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    losses = train(model.train())
    assert torch.isfinite(losses).all()
    after = model.state_dict()
    assert all(weight.isfinite().all() for weight in after.values())
    assert any(not torch.equal(before[name], weight) for name, weight in after.items())
    return losses


def eagerly(model, policy, batch_size=1, **how):
    updates = EagerUpdates(job_of(model, policy, batch_size=batch_size, **how))
    return trained(updates, policy, batch_size, pairs=6)


@pytest.mark.parametrize(("group", "option"), ALL)
def test_it_has_a_line_for_help_and_composes(group, option):
    assert description(option_files(group)[option]), "its first line should be a comment"
    if group == "experiment":
        return  # each is trained in test_experiments
    parent = group.partition("/")[0]
    data = () if group in ("data", "experiment") else ("data=toy",)
    above = [(f"{parent}={each}",) for each in options(parent) if group in nested_in(each, parent)]
    for outer in above or [()]:
        config = tiny.configuration(*data, *outer, f"{group}={option}", *NEEDED.get((group, option), ()))
        check(config)
        if not outer:  # what it is nested in need not take it
            members = config[group] if group in SETS else {"": config[group]}
            assert all(build(node, group) is not None for node in members.values())


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("overrides", MODELS, ids="-".join)
def test_a_model_trains(overrides, batch_size):
    changed(model_of(*overrides), lambda model: eagerly(model, ByWord(), batch_size))


@pytest.mark.parametrize("overrides", POLICIES, ids="-".join)
def test_a_policy_trains(overrides):
    refused = ""
    try:
        policy = made(*overrides, group="forcing")
    except UserError as error:
        refused = str(error)
    if refused:  # a policy need not take every part
        assert refused.startswith("forcing")
        assert len(overrides) > 1
        return
    for option, batch_size in itertools.product(options("model"), (1, 5)):
        changed(model_of(f"model={option}"), lambda model, size=batch_size: eagerly(model, policy, size))


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("option", options("optimizer"))
def test_an_optimizer_trains(option, batch_size):
    factory = made(f"optimizer={option}", group="optimizer")
    changed(
        model_of(),
        lambda model: eagerly(model, ByWord(), batch_size, optimizer=factory(model.parameters())),
    )


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("option", options("objective"))
def test_an_objective_trains(option, batch_size):
    objective = made(f"objective={option}", group="objective")
    changed(model_of(), lambda model: eagerly(model, ByWord(), batch_size, objective=objective))


class TestAccelerators:
    """Every member of every option of the group, on every model and policy."""

    MEMBERS = tuple(
        (option, name)
        for option in options("accelerate")
        for name in tiny.configuration("data=toy", f"accelerate={option}")["accelerate"]
    )

    @staticmethod
    def pair(option, name, model, policy, batch_size=1):
        """The accelerated and the eager losses and weights; None where the accelerator refuses."""
        both = []
        for accelerated in (False, True):
            built = model_of(f"model={model}").train()
            made_policy = made(f"forcing={policy}", group="forcing")
            job = job_of(built, made_policy, batch_size=batch_size)
            updates = EagerUpdates(job)
            if accelerated:
                node = tiny.configuration("data=toy", f"accelerate={option}")["accelerate"][name]
                accelerator = build(node, name)
                reason = accelerator.refuses(job)
                if reason is not None:
                    assert reason.strip()
                    return None
                updates = accelerator.updates(job)
            losses = trained(updates, made_policy, batch_size)
            both.append((losses, *built.state_dict().values()))
        return both

    @pytest.mark.parametrize("policy", options("forcing"))
    @pytest.mark.parametrize("model", options("model"))
    @pytest.mark.parametrize(("option", "name"), MEMBERS)
    def test_accelerated_is_eager(self, option, name, model, policy):
        for batch_size in (1, 5):
            both = self.pair(option, name, model, policy, batch_size)
            for one, other in zip(*both, strict=True) if both else ():
                torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)

    def test_some_accelerator_applies_to_the_default_run(self):
        assert self.pair("auto", "compiled_sentence", "seq2seq", "full") is not None
        assert self.pair("auto", "fused_parts", "seq2seq", "full", batch_size=5) is not None


class TestMeasures:
    """Every measure of every option of the group."""

    MEMBERS = tuple(
        (option, name)
        for option in options("measures")
        for name in tiny.configuration("data=toy", f"measures={option}")["measures"]
    )
    REFERENCES = (("i am here now .",), ("no", "never"))
    NOTHING = torch.zeros(2, dtype=torch.float64)
    PERFECT = Evaluation(["i am here now .", "never"], REFERENCES, *[NOTHING] * 3, NOTHING + 4)
    POOR = Evaluation(["so it is", ""], REFERENCES, NOTHING + 2, NOTHING + 3, NOTHING, NOTHING + 4)

    @pytest.fixture(params=MEMBERS, ids="-".join)
    def measure(self, request):
        option, name = request.param
        return build(tiny.configuration("data=toy", f"measures={option}")["measures"][name], name), name

    def test_its_facts_do_not_contradict_the_registry(self, measure):
        made, name = measure
        assert isinstance(made.facts, Measure)
        assert made.facts.name == name
        assert made.facts == REGISTRY.get(name, made.facts)
        assert made.facts.stage == "evaluation"

    def test_a_perfect_model_is_better_than_a_poor_one(self, measure):
        facts, values = measure[0].facts, [measure[0](each) for each in (self.PERFECT, self.POOR)]
        assert all(isinstance(value, float) and math.isfinite(value) for value in values)
        if facts.better is not None:
            best, worst = values if facts.better == "higher" else (-value for value in values)
            assert best > worst

    def test_every_measure_of_an_evaluation_is_in_an_option(self):
        measured = {name for _, name in self.MEMBERS}
        assert {each.name for each in REGISTRY.values() if each.stage == "evaluation"} <= measured


@pytest.mark.parametrize("option", [each for each in options("data") if each != "eng_fra"])
def test_a_source_gives_the_same_pairs_again(option):
    node = tiny.configuration(f"data={option}", *NEEDED.get(("data", option), ()))["data"]
    one, other = (build(node, "data").load() for _ in range(2))
    assert len(one) > 0
    assert one.fingerprint == other.fingerprint
    assert one.source.lengths.min() > 0


def test_so_does_the_seminars_source(real_archive):
    test_a_source_gives_the_same_pairs_again("eng_fra")


def test_the_page_of_measures_is_the_registrys():
    path = Path(__file__).parents[1] / "docs" / "measures.md"
    assert path.read_text(encoding="utf-8") == page(), "make docs writes it anew"
    for name in REGISTRY:
        assert f"| `{name}` |" in page()
