"""Parts of updates that are compiled or fused: each gives what plain PyTorch gives, and the others stay eager."""

import random
import re
from functools import partial

import pytest
import torch
from torch import nn

import tiny
from seq2seq_lab.accelerate import compiler
from seq2seq_lab.accelerate.compiled_draws import CompiledDraws
from seq2seq_lab.accelerate.fused_loss import FusedGold, FusedLikelihood
from seq2seq_lab.accelerate.fused_parts import FusedParts, FusedUpdates
from seq2seq_lab.accelerate.fused_rnn import FusedRNN
from seq2seq_lab.data.batches import Batch, BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.feeders.soft import Soft
from seq2seq_lab.forcing.plan import Pairs, Plan
from seq2seq_lab.models import attention_model, seq2seq_model, transformer_model
from seq2seq_lab.models.attention.additive import AdditiveAttention
from seq2seq_lab.models.attention.general import GeneralAttention
from seq2seq_lab.models.interface import Decoded
from seq2seq_lab.models.rnn import RNN
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.targets.base import Fed
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.targets.optimal_completion import OptimalCompletion
from seq2seq_lab.training.accelerator import select
from seq2seq_lab.training.objectives.base import Outcome
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.objectives.r_drop import RDrop
from seq2seq_lab.training.update import GOLD, EagerUpdates, Job

if reason := compiler.available(module="batch_kernels"):
    pytest.skip(reason, allow_module_level=True)

CORPUS = tiny.lettered(40)
SIZES = {
    "source_vocabulary_size": len(CORPUS.source_vocabulary),
    "target_vocabulary_size": len(CORPUS.target_vocabulary),
    "hidden_size": 6,
    "embedding_size": 6,
}
ALL = ("draws", "loss", "optimizer", "recurrent")


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def default(request):
    """PyTorch's default type is this one, as in a run of single or double precision."""
    torch.set_default_dtype(request.param)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("p", [0.0, 2.0**-23, 0.1, 0.4, 0.999])
@pytest.mark.parametrize(("epoch", "number"), [(0, 0), (3, 2)])
def test_draws_and_masks_are_equal_bit_for_bit(default, p, epoch, number):
    plain = Draws(7, epoch, torch.tensor([5, 0, 123456]), number)
    compiled = CompiledDraws.of(plain)
    assert isinstance(compiled[1:], CompiledDraws)
    for one, other in ((plain, compiled), (plain[1:], compiled[1:]), (plain.of_pass(1), compiled.of_pass(1))):
        for drawn in (
            lambda draws: draws.uniform("a", 5, 301, first=2),
            lambda draws: draws.uniform("a", 5),
            lambda draws: draws.kept("a", p, 4, 37, 3),
        ):
            torch.testing.assert_close(drawn(other), drawn(one), rtol=0, atol=0)


def test_draws_of_a_class_of_ones_own_stay():
    class Own(Draws):
        pass

    own = Own(0, 0, torch.arange(2))
    assert CompiledDraws.of(own) is own


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("lengths", [None, (3, 9, 1, 9)])
@pytest.mark.parametrize("begins", [False, True])
def test_a_gru_and_its_gradients_are_those_of_pytorch(bidirectional, layers, lengths, begins):
    torch.manual_seed(0)
    plain = RNN(input_size=5, hidden_size=8, layers=layers, bidirectional=bidirectional).double()
    inputs = torch.randn(4, 9, 5).double()
    begins = (
        begins and not bidirectional
    )  # PyTorch's state of two directions has another shape; no model begins so
    state = tuple(torch.randn(4, 8).double() for _ in range(layers)) if begins else None
    found = []
    for rnn in (plain, FusedRNN(plain)):
        given = [inputs.clone().requires_grad_(), *(each.clone().requires_grad_() for each in state or ())]
        outputs, last = rnn(
            given[0], tuple(given[1:]) or None, lengths=None if lengths is None else torch.tensor(lengths)
        )
        weight = torch.arange(outputs.numel()).view_as(outputs).sin()
        total = (outputs * weight).sum() + sum((k + 1) * each.square().sum() for k, each in enumerate(last))
        found.append((outputs, *last, *torch.autograd.grad(total, [*given, *rnn.parameters()])))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_and_their_gradient_are_those_of_pytorch(smoothing, dtype):
    torch.manual_seed(0)
    words, lengths = torch.randint(37, (3, 5)), torch.tensor([5, 1, 3])
    scores = 20 * torch.randn(3, 5, 37, dtype=dtype)
    scores[1, 0, 2:9] = -torch.inf
    if smoothing:
        scores.clamp_(min=-1e3)
    words[1, 0] = 0
    batch = Batch(words, None, words, lengths, slice(0, 3))
    found = []
    for target, objective in ((Gold(), NegativeLogLikelihood), (FusedGold(), FusedLikelihood)):
        logits = scores.clone().requires_grad_()
        model, draws = seq2seq_model(**SIZES), Draws(0, 0, torch.arange(3))
        wanted = target(Fed(model, batch, None, None, words > 0, logits, draws))
        losses = (wanted.losses(logits) * (torch.arange(5) < lengths.unsqueeze(1))).sum(dim=1)
        made = objective(label_smoothing=smoothing)(
            Outcome(model, batch, Decoded(logits, None), losses, draws, wanted)
        )
        found.append((losses.detach(), made.detach(), *torch.autograd.grad(made.mean(), logits)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=3e-6 if dtype == torch.float32 else 1e-13, atol=1e-7)


@pytest.mark.parametrize("word", [-1, 4])
def test_a_word_without_a_score_is_refused_as_by_pytorch(word):
    scores, words = torch.zeros(1, 2, 4), torch.tensor([[0, word]])
    for target in (Gold(), FusedGold()):
        wanted = target(
            Fed(None, Batch(words, None, words, None, slice(0, 1)), None, None, None, scores, None)
        )
        with pytest.raises(IndexError, match=f"Target {word} is out of bounds"):
            wanted.losses(scores)


class ByCoin:
    """A policy for tests: gold or own words, by a coin."""

    def __init__(self, feeder=None):
        self.feeder = feeder

    def plan(self, pairs):
        return Plan(pairs.gold(torch.full((len(pairs.lengths),), 0.7)), self.feeder)


def trained(build, updates_of, *, optimizer=torch.optim.Adam, batch_size=5, feeder=None, clip=0.5, **parts):
    """Losses, weights and the optimizer's state after an epoch in blocks of three updates."""
    torch.manual_seed(0)
    model = build().double().train()
    given = optimizer(model.parameters(), lr=0.01)
    objective = parts.get("objective", NegativeLogLikelihood(label_smoothing=0.1))
    plan = Plan(torch.ones(1, 2, dtype=torch.bool))
    updates = updates_of(Job(model, given, objective, clip, batch_size, plan, parts.get("target", GOLD)))
    loader = BlockLoader(
        CORPUS, torch.arange(len(CORPUS)).numpy(), batch_size=batch_size, updates_per_block=3, shuffle=True
    )
    losses = []
    for block in loader:
        draws = Draws(3, 0, torch.from_numpy(block.indices))
        pairs = Pairs(block.target_lengths, block.target.shape[1], draws, block.update_numbers, block.updates)
        losses.append(updates(block, ByCoin(feeder).plan(pairs), draws).losses)
    return torch.cat(losses), model.state_dict(), given.state_dict()


def same(build, **settings):
    """Compare eager and fused updates; returns the fused ones."""
    made = []

    def fused(job):
        made.append(FusedUpdates(job))
        return made[0]

    (eager, weights, state), (found, our_weights, our_state) = (
        trained(build, each, **settings) for each in (EagerUpdates, fused)
    )
    torch.testing.assert_close(found, eager, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(our_weights, weights, rtol=1e-6, atol=1e-8)
    assert our_state["param_groups"] == state["param_groups"]
    return made[0]


@pytest.mark.parametrize("number", range(12))
def test_updates_of_random_models_are_equal_to_eager_updates(number):
    draw = random.Random(number)
    settings = {
        "layers": draw.randint(1, 2),
        "dropout": draw.choice([0.0, 0.3]),
        "output_dropout": draw.choice([0.0, 0.3]),
        "bidirectional": draw.random() < 0.5,
        "bridge": draw.random() < 0.5,
        "input_feeding": draw.random() < 0.3,
        "tie_embeddings": draw.random() < 0.5,
        "score": draw.choice([None, GeneralAttention, AdditiveAttention]),
        "cell": draw.choice([nn.GRU, nn.GRU, nn.LSTM]),
    }
    how = {
        "optimizer": draw.choice([torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD]),
        "feeder": draw.choice([None, Sample(), Soft()]),
        "batch_size": draw.choice([1, 5]),
        "clip": draw.choice([None, 0.5, 1e9]),
    }
    assert same(lambda: seq2seq_model(**SIZES, **settings), **how).parts == ALL


@pytest.mark.parametrize("selected", [False, True])
@pytest.mark.parametrize("name", ["mode", "probability"])
def test_what_is_changed_of_a_dropout_takes_effect(name, selected):
    def changing(updates_of):
        def updates(job):
            made = updates_of(job) if selected else None
            if name == "mode":
                job.model.encoder.dropout.eval()
            else:
                job.model.encoder.dropout.p = 0.6
            return made or updates_of(job)

        return updates

    eager, found = (
        trained(lambda: seq2seq_model(**SIZES, dropout=0.3), changing(each))[0]
        for each in (EagerUpdates, FusedUpdates)
    )
    torch.testing.assert_close(found, eager, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cell", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("one", ["_l0_reverse", "_l0"])
def test_tied_weights_of_a_layer_are_updated_together(cell, one):
    def tied():
        model = seq2seq_model(**SIZES, cell=cell, bidirectional=True)
        layer = model.encoder.rnn.layers[0]
        for name in ("bias_hh", "bias_ih"):
            setattr(layer, name + one, layer.bias_ih_l0)
        return model

    assert same(tied).parts == ALL


class Late(Seq2Seq):
    """Has a parameter that only every third pass of the decoder uses, from the third one on."""

    def __init__(self, model):
        super().__init__(encoder=model.encoder, decoder=model.decoder)
        self.scale = nn.Parameter(torch.ones(()))
        self.passes = 0

    def decode(self, inputs, memory, state, *, draws=None, first=0):
        self.passes += first == 0
        decoded, state = super().decode(inputs, memory, state, draws=draws, first=first)
        scale = self.scale if self.passes % 3 == 0 else 1
        return decoded._replace(logits=decoded.logits * scale), state


@pytest.mark.parametrize("optimizer", [partial(torch.optim.SGD, momentum=0.9), torch.optim.AdamW])
def test_a_parameter_may_get_its_first_gradient_later(optimizer):
    same(lambda: Late(seq2seq_model(**SIZES)), optimizer=optimizer)


def test_gradients_may_be_sparse():
    def sparse():
        model = seq2seq_model(**SIZES)
        model.encoder.embedding.sparse = True
        return model

    same(sparse, optimizer=torch.optim.SGD, clip=None)


class Own(nn.GRU):
    pass


def hooked():
    model = attention_model(**SIZES)
    model.encoder.register_forward_hook(lambda *_: None)
    return model


def without_bias():
    model = seq2seq_model(**SIZES)
    model.encoder.rnn.layers[0] = nn.GRU(6, 6, bias=False, batch_first=True)
    return model


def transformer():
    sizes = {name: size for name, size in SIZES.items() if "vocabulary" in name}
    return transformer_model(**sizes, hidden_size=8, layers=1, heads=2, feedforward_size=8)


REFUSED = {
    "no bias": ("recurrent", "no bias", without_bias, {}),
    "cell": ("recurrent", "Own", lambda: seq2seq_model(**SIZES, cell=Own), {}),
    "hook": ("recurrent", "hook", hooked, {}),
    "transformer": ("recurrent", "Transformer", transformer, {}),
    "target": ("loss", "OptimalCompletion", lambda: seq2seq_model(**SIZES), {"target": OptimalCompletion()}),
    "objective": ("loss", "RDrop", lambda: seq2seq_model(**SIZES, dropout=0.1), {"objective": RDrop()}),
    "optimizer": ("optimizer", "Adagrad", lambda: seq2seq_model(**SIZES), {"optimizer": torch.optim.Adagrad}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_part_that_does_not_apply_is_named_and_stays_eager(case):
    part, reason, build, settings = REFUSED[case]
    updates = same(build, **settings)
    assert set(updates.parts) == set(ALL) - {part}
    assert re.search(reason, updates.refused[part])


def test_the_selection_names_the_parts_and_what_is_refused():
    model = seq2seq_model(**SIZES, cell=Own)
    job = Job(
        model,
        torch.optim.Adam(model.parameters()),
        NegativeLogLikelihood(),
        None,
        5,
        Plan(torch.ones(1, 2) > 0),
    )
    found = select({"fused_parts": FusedParts()}, job)
    assert found.parts == ("draws", "loss", "optimizer")
    assert set(found.refused) == {"fused_parts.recurrent"}
    assert str(found).startswith(
        "updates: fused_parts, parts draws, loss, optimizer (not fused_parts.recurrent: "
    )


def test_half_precision_and_other_devices_are_refused():
    model = seq2seq_model(**SIZES)
    job = Job(
        model,
        torch.optim.SGD(model.parameters(), lr=1),
        NegativeLogLikelihood(),
        None,
        5,
        Plan(torch.ones(1, 2) > 0),
    )
    assert "float32" in str(FusedParts().refuses(job._replace(model=model.to(torch.bfloat16))))
    assert "only the CPU" in str(FusedParts().refuses(job._replace(model=model.to("meta"))))


def test_a_run_has_the_weights_and_the_optimizer_of_plain_pytorch(run):
    settings = ("model=attention", "forcing=mixed", "model.dropout=0.2", "+trainer.precision=64-true")
    settings += ("loader.batch_size=5", "optimizer=adam", "gradient_clip=1")
    one, other = (tiny.checkpoint(run(name, *settings, f"accelerate={name}")) for name in ("auto", "off"))
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=1e-7, atol=1e-9)
    (ours,), (theirs,) = (each["optimizer_states"] for each in (one, other))
    assert ours["param_groups"] == theirs["param_groups"]
