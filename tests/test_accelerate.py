"""Accelerators: each gives the same numbers as plain PyTorch, and refuses every job that it does not support."""

import random
import re

import pytest
import torch
from torch import nn

import tiny
from seq2seq_lab.accelerate.compiled_sentence import CompiledSentence
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.argmax import ArgMax
from seq2seq_lab.forcing.feeders.base import WordFeeder
from seq2seq_lab.forcing.feeders.gumbel import GumbelArgMax
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.feeders.soft import Soft
from seq2seq_lab.forcing.feeders.uniform import Uniform
from seq2seq_lab.forcing.feeders.unk import UnknownWord
from seq2seq_lab.forcing.feeders.zero import Zero
from seq2seq_lab.forcing.plan import Pairs, Plan
from seq2seq_lab.models import Encoder, Seq2Seq, attention_model, seq2seq_model
from seq2seq_lab.models.attention.additive import AdditiveAttention
from seq2seq_lab.training.accelerator import Fault, select
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import EagerUpdates, Job

CORPUS = tiny.lettered(30)
FEEDERS = [None, ArgMax(), Sample(temperature=0.7), GumbelArgMax(), Uniform(), UnknownWord(), Zero()]
SIZES = {
    "source_vocabulary_size": len(CORPUS.source_vocabulary),
    "target_vocabulary_size": len(CORPUS.target_vocabulary),
}


class ByWord:
    """A policy for tests: one coin per position, with a ratio that decreases during training."""

    def __init__(self, feeder=None):
        self.feeder = feeder

    def plan(self, pairs):
        return Plan(pairs.gold(1 - pairs.progress), self.feeder)


NLL = NegativeLogLikelihood()
GOLD = Plan(torch.ones(1, 2, dtype=torch.bool))


def job(
    model=None,
    *,
    optimizer=torch.optim.SGD,
    objective=NLL,
    clip=None,
    batch_size=1,
    plan=GOLD,
    **settings,
):
    """A job of a small model."""
    torch.manual_seed(0)
    model = model or seq2seq_model(**SIZES, hidden_size=6, embedding_size=5)
    return Job(model, optimizer(model.parameters(), lr=0.1, **settings), objective, clip, batch_size, plan)


def trained(build, updates_of, feeder=None, epochs=2):
    """The losses and weights after some updates, with blocks of several sizes."""
    torch.manual_seed(0)
    model = build()
    updates = updates_of(Job(model, torch.optim.SGD(model.parameters(), lr=0.1), NLL, None, 1, GOLD))
    loader = BlockLoader(
        CORPUS, torch.arange(len(CORPUS)).numpy(), batch_size=1, updates_per_block=7, shuffle=True
    )
    losses, shares = [], []
    for epoch in range(epochs):
        for block in loader:
            draws = Draws(3, epoch, torch.from_numpy(block.indices))
            update = epoch * block.updates + block.update_numbers
            positions, all_updates = block.target.shape[1], epochs * block.updates
            pairs = Pairs(block.target_lengths, positions, draws, update, all_updates, epoch, epochs)
            made = updates(block, ByWord(feeder).plan(pairs), draws)
            losses.append(made.losses)
            shares.append(made.forced_share)
    return torch.cat(losses), torch.cat(shares), model.state_dict()


def eager(job):
    return EagerUpdates(job)


class TestCompiledSentence:
    @pytest.mark.parametrize("number", range(12))
    def test_updates_of_random_models_are_equal_to_eager_updates(self, number):
        draw = random.Random(number)
        settings = {
            "hidden_size": draw.randint(1, 20),
            "embedding_size": draw.randint(1, 20),
            "layers": draw.randint(1, 3),
            "dropout": draw.choice([0.0, 0.3]),
        }
        attention = draw.random() < 0.5
        if attention:
            settings["unmasked_positions"] = draw.choice([None, 9])

        def build():
            return (attention_model if attention else seq2seq_model)(**SIZES, **settings).double()

        feeder = FEEDERS[number % len(FEEDERS)]
        wanted, found = (trained(build, updates, feeder) for updates in (eager, CompiledSentence().updates))
        torch.testing.assert_close(found[0], wanted[0], rtol=1e-8, atol=1e-8)
        assert torch.equal(found[1], wanted[1])
        for name, weight in wanted[2].items():
            torch.testing.assert_close(found[2][name], weight, rtol=1e-8, atol=1e-8)

    @pytest.mark.parametrize("plan", ["mixture", "own feeder", "earlier pass"])
    def test_an_unsupported_plan_is_updated_eagerly(self, plan):
        class Least(WordFeeder):
            def choose(self, logits, first, draws):
                return logits.argmin(dim=2)

        both = []
        for updates_of in (eager, CompiledSentence().updates):
            (block,) = BlockLoader(CORPUS, torch.arange(5).numpy(), batch_size=1, updates_per_block=5)
            gold = torch.zeros(5, block.target.shape[1], dtype=torch.bool)
            plans = {
                "mixture": Plan(gold, Soft()),
                "own feeder": Plan(gold, Least()),
                "earlier pass": Plan(gold, passes=1),
            }
            both.append(updates_of(job())(block, plans[plan], Draws(0, 0, torch.arange(5))).losses)
        assert torch.equal(*both)


def subclass_of_the_model():
    class Silent(Seq2Seq):
        def forward(self, *arguments, **settings):
            decoded = super().forward(*arguments, **settings)
            return decoded._replace(logits=decoded.logits * 0)

    model = seq2seq_model(**SIZES)
    return Silent(encoder=model.encoder, decoder=model.decoder)


def subclass_of_the_encoder():
    class Backwards(Encoder):
        def __init__(self, backwards, **settings):
            super().__init__(**settings)
            self.backwards = backwards

    model = seq2seq_model(**SIZES)
    model.encoder = Backwards(True, embedding=model.encoder.embedding, rnn=model.encoder.rnn)
    return model


def new_flag():
    model = seq2seq_model(**SIZES)
    model.encoder.backwards = True
    return model


def replaced_method():
    model = seq2seq_model(**SIZES)
    model.decoder.forward = model.decoder.forward
    return model


def hook():
    model = seq2seq_model(**SIZES)
    model.decoder.output.register_forward_hook(lambda *_: None)
    return model


def hook_on_a_parameter():
    model = seq2seq_model(**SIZES)
    model.decoder.output.weight.register_hook(lambda gradient: gradient * 0)
    return model


def overlapping():
    model = seq2seq_model(**SIZES, hidden_size=4, embedding_size=4)
    memory = torch.zeros(20)
    model.encoder.rnn.layers[0].bias_ih_l0 = nn.Parameter(memory[:12])
    model.encoder.rnn.layers[0].bias_hh_l0 = nn.Parameter(memory[8:])
    return model


def output_of_another_class():
    model = attention_model(**SIZES)
    model.decoder.attention = nn.Linear(256, 256)
    return model


def step_of_its_own():
    made = job()
    made.optimizer.step = lambda: None
    return made


def frozen():
    model = seq2seq_model(**SIZES)
    model.encoder.embedding.weight.requires_grad_(False)
    return model


def output_for_more_words():
    model = seq2seq_model(**SIZES)
    model.decoder.output = nn.Linear(256, SIZES["target_vocabulary_size"] + 3)
    return model


def tied():
    model = seq2seq_model(**SIZES)
    model.decoder.output.weight = model.decoder.embedding.weight
    return model


REFUSED = {
    "subclass": (lambda: job(subclass_of_the_model()), "Silent.* is of an unsupported class"),
    "encoder": (lambda: job(subclass_of_the_encoder()), "Backwards.* is of an unsupported class"),
    "flag": (lambda: job(new_flag()), "encoder .* has an unsupported attribute: backwards"),
    "method": (lambda: job(replaced_method()), "decoder .* has an unsupported attribute: forward"),
    "hook": (lambda: job(hook()), "decoder.output .* has a hook"),
    "parameter": (lambda: job(hook_on_a_parameter()), "decoder.output.weight has a hook"),
    "overlap": (lambda: job(overlapping()), "share memory"),
    "place": (lambda: job(output_of_another_class()), "decoder.attention .* is of an unsupported class"),
    "step": (step_of_its_own, "step of the optimizer is replaced"),
    "frozen": (lambda: job(frozen()), "frozen"),
    "output": (lambda: job(output_for_more_words()), "not one row for each word"),
    "tied": (lambda: job(tied()), "share memory"),
    "lstm": (lambda: job(seq2seq_model(**SIZES, cell=nn.LSTM)), "LSTM.* is of an unsupported class"),
    "bridge": (lambda: job(seq2seq_model(**SIZES, bridge=True)), "Bridge.* is of an unsupported class"),
    "bidirectional": (lambda: job(seq2seq_model(**SIZES, bidirectional=True)), "bidirectional"),
    "score": (lambda: job(attention_model(**SIZES, score=AdditiveAttention)), "AdditiveAttention"),
    "half": (lambda: job(seq2seq_model(**SIZES).bfloat16()), "all float32, nor all float64"),
    "momentum": (lambda: job(momentum=0.9), "momentum=0.9"),
    "decay": (lambda: job(weight_decay=0.1), "weight_decay=0.1"),
    "adam": (lambda: job(optimizer=torch.optim.Adam), "the optimizer is Adam"),
    "clip": (lambda: job(clip=1.0), "clip"),
    "batch": (lambda: job(batch_size=2), "loader.batch_size=2"),
    "smoothing": (lambda: job(objective=NegativeLogLikelihood(label_smoothing=0.1)), "uses label smoothing"),
    "feeder": (lambda: job(plan=GOLD._replace(feeder=Soft())), "the feeder Soft is not supported"),
    "passes": (lambda: job(plan=GOLD._replace(passes=2)), "earlier pass"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_unsupported_job_is_refused_and_trains_eagerly(case):
    build, reason = REFUSED[case]
    selection = select({"compiled_sentence": CompiledSentence()}, build())
    assert type(selection.updates) is EagerUpdates
    assert selection.name == "eager"
    assert re.search(reason, selection.refused["compiled_sentence"])
    assert "not compiled_sentence" in str(selection)


def test_a_supported_job_is_accepted():
    for model in (
        seq2seq_model(**SIZES, layers=2, dropout=0.1),
        attention_model(**SIZES, unmasked_positions=8),
    ):
        selection = select({"compiled_sentence": CompiledSentence()}, job(model))
        assert selection.name == "compiled_sentence"
        assert str(selection) == "updates: compiled_sentence"


def test_without_numba_updates_are_eager_and_the_reason_is_shown(monkeypatch):
    from seq2seq_lab.accelerate import compiled_sentence

    monkeypatch.setattr(compiled_sentence, "available", lambda dtype: Fault("Numba cannot be imported"))
    selection = select({"compiled_sentence": CompiledSentence()}, job())
    assert str(selection) == "updates: eager (not compiled_sentence: Numba cannot be imported)"
    assert selection.faults == "Numba cannot be imported"
    monkeypatch.undo()
    another = job(seq2seq_model(**SIZES, bridge=True))
    assert not select({"compiled_sentence": CompiledSentence()}, another).faults, (
        "nothing is wrong with this machine"
    )


@pytest.mark.parametrize("fault", [True, False])
def test_a_fault_that_makes_updates_slow_is_said(monkeypatch, run, capsys, fault):
    from seq2seq_lab.accelerate import compiled_sentence, fused_parts

    for module in (compiled_sentence, fused_parts) if fault else ():
        monkeypatch.setattr(module, "available", lambda *_: Fault("pickle data was truncated"))
    run("a", "trainer.max_epochs=1")
    said = [line for line in capsys.readouterr().out.splitlines() if "slower" in line]
    assert said == ["updates are plain PyTorch's, which are slower: pickle data was truncated"] * fault


@pytest.mark.parametrize("register", [nn.modules.module.register_module_forward_hook])
def test_a_hook_on_all_modules_is_refused(register):
    handle = register(lambda *_: None)
    try:
        assert "hook on all modules" in str(CompiledSentence().refuses(job()))
    finally:
        handle.remove()


def test_constructing_an_optimizer_does_not_change_gradients():
    one, other = (seq2seq_model(**SIZES, hidden_size=6, embedding_size=5) for _ in range(2))
    other.load_state_dict(one.state_dict())
    CompiledSentence().updates(job(other))
    for model in (one, other):
        model(torch.tensor([[3, 1]]), torch.tensor([[2, 1]])).logits.sum().backward()
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
