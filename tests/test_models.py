"""Properties of the models, against PyTorch's own layers and against themselves."""

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from seq2seq_lab.training.loss import losses_and_error, sentence_losses

from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.models import attention_model, seq2seq_model
from seq2seq_lab.models.rnn import GRU

B, S, T, SOURCE, TARGET = 4, 5, 6, 13, 17


@dataclass
class Case:
    """A model in float64 and a batch of sentences of several lengths for it."""

    model: torch.nn.Module
    source: torch.Tensor
    source_lengths: torch.Tensor
    target: torch.Tensor
    target_lengths: torch.Tensor
    forced: torch.Tensor | None


MODELS = {
    "seq2seq": (seq2seq_model, {}),
    "seq2seq-2-layers": (seq2seq_model, {"layers": 2}),
    "attention": (attention_model, {}),
    "attention-2-layers": (attention_model, {"layers": 2}),
    "attention-unmasked": (attention_model, {"unmasked_positions": 7}),
}
MASKS = {
    "forced": None,
    "free": torch.zeros(B, T, dtype=torch.bool),
    "by-word": torch.rand(B, T, generator=torch.Generator().manual_seed(1)) < 0.5,
}


@pytest.fixture(params=MODELS)
def model(request):
    build, settings = MODELS[request.param]
    torch.manual_seed(0)
    sizes = {"hidden_size": 10, "embedding_size": 6}
    return build(source_vocabulary_size=SOURCE, target_vocabulary_size=TARGET, **sizes, **settings).double()


@pytest.fixture(params=MASKS)
def case(request, model):
    draw = torch.Generator().manual_seed(2)
    return Case(
        model,
        torch.randint(1, SOURCE, (B, S), generator=draw),
        torch.tensor([5, 3, 1, 4]),
        torch.randint(1, TARGET, (B, T), generator=draw),
        torch.tensor([4, 6, 2, 5]),
        MASKS[request.param],
    )


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def learned(model, source, target, **settings):
    """Losses and gradients by `backpropagate`."""
    model.zero_grad()
    loss = partial(losses_and_error, target=target, target_lengths=settings.pop("target_lengths", None))
    losses = model.backpropagate(source, target, loss=loss, **settings)
    return losses, [parameter.grad.clone() for parameter in model.parameters()]


def losses_of(case, rows=slice(None), extra=0):
    """Losses of some rows, with so many columns of rubbish beyond the longest of them."""
    lengths = case.source_lengths[rows], case.target_lengths[rows]
    s, t = int(lengths[0].max()), int(lengths[1].max())
    source, target = case.source[rows, :s], case.target[rows, :t]
    forced = None if case.forced is None else case.forced[rows, :t]
    if extra:
        source, target = (torch.cat((ids, ids.new_full((len(ids), extra), 3)), 1) for ids in (source, target))
        if forced is not None:
            forced = torch.cat((forced, torch.zeros(len(forced), extra, dtype=torch.bool)), 1)
    decoded = case.model(source, target, source_lengths=lengths[0], forced=forced)
    return sentence_losses(decoded.logits, target, lengths[1])


class TestGRU:
    @pytest.mark.parametrize("layers", [1, 3])
    @pytest.mark.parametrize("batch", [1, 4])
    def test_it_is_torchs_in_values_and_gradients(self, batch, layers):
        torch.manual_seed(0)
        ours = GRU(input_size=6, hidden_size=10, layers=layers).double()
        theirs = torch.nn.GRU(6, 10, layers, batch_first=True).double()
        theirs.load_state_dict(ours.state_dict())
        inputs = torch.randn(batch, 7, 6).double().requires_grad_()
        first = torch.randn(layers, batch, 10).double().requires_grad_()
        states = ours(inputs, tuple(first))
        outputs, last = theirs(inputs, first)
        torch.testing.assert_close(states[-1], outputs)
        torch.testing.assert_close(torch.stack([layer[:, -1] for layer in states]), last)
        wanted = [inputs, first, *ours.parameters()], [inputs, first, *theirs.parameters()]
        loss = states[-1].sin().sum() + sum((i + 2) * layer[:, -1].sum() for i, layer in enumerate(states))
        same = outputs.sin().sum() + sum((i + 2) * layer.sum() for i, layer in enumerate(last))
        pairs = zip(torch.autograd.grad(loss, wanted[0]), torch.autograd.grad(same, wanted[1]), strict=True)
        for gradient, expected in pairs:
            torch.testing.assert_close(gradient, expected)

    def test_numerical_gradients(self):
        torch.manual_seed(0)
        gru = GRU(input_size=2, hidden_size=3, layers=2).double()
        names, weights = zip(*gru.named_parameters(), strict=True)

        def states(inputs, first, *weights):
            return torch.func.functional_call(
                gru, dict(zip(names, weights, strict=True)), (inputs, tuple(first))
            )[-1]

        inputs, first = torch.randn(2, 3, 2).double(), torch.randn(2, 2, 3).double()
        assert torch.autograd.gradcheck(states, [x.requires_grad_() for x in (inputs, first, *weights)])

    def test_initial_values_are_drawn_as_torchs(self):
        gru, theirs = GRU(input_size=40, hidden_size=50), torch.nn.GRU(40, 50)
        for name, weight in theirs.named_parameters():
            ours = gru.get_parameter(name)
            assert ours.shape == weight.shape
            assert abs(ours.abs().max() - weight.abs().max()) < 0.02

    def test_large_sums_do_not_overflow(self):
        gru = GRU(input_size=2, hidden_size=3)
        for sign in (1, -1):
            states = gru(torch.full((1, 4, 2), sign * 1e4), (torch.zeros(1, 3),))[-1]
            assert states.isfinite().all()


class TestPadding:
    def test_batch_size_and_padding_change_nothing(self, case):
        together = losses_of(case)
        padded = losses_of(case, extra=2)
        alone = torch.cat([losses_of(case, slice(i, i + 1)) for i in range(B)])
        torch.testing.assert_close(padded, together)
        torch.testing.assert_close(alone, together)

    def test_nor_gradients(self, case):
        expected = gradients(case.model, losses_of(case).mean())
        padded = gradients(case.model, losses_of(case, extra=2).mean())
        alone = gradients(case.model, sum(losses_of(case, slice(i, i + 1)).sum() for i in range(B)) / B)
        for other in (padded, alone):
            for gradient, wanted in zip(other, expected, strict=True):
                torch.testing.assert_close(gradient, wanted)

    def test_backpropagation_is_autograds(self, case):
        lengths = {"source_lengths": case.source_lengths, "target_lengths": case.target_lengths}
        losses, found = learned(case.model, case.source, case.target, forced=case.forced, **lengths)
        torch.testing.assert_close(losses, losses_of(case))
        for gradient, wanted in zip(found, gradients(case.model, losses_of(case).mean()), strict=True):
            torch.testing.assert_close(gradient, wanted)


class TestSentence:
    """One unpadded sentence on a CPU learns another way, with the same result."""

    @pytest.fixture(params=range(B))
    def sentence(self, request, case):
        """Source, target, mask."""
        row = slice(request.param, request.param + 1)
        source = case.source[row, : int(case.source_lengths[row])]
        return source, case.target[row], None if case.forced is None else case.forced[row]

    def test_losses_and_gradients_are_those_of_any_batch(self, case, sentence):
        source, target, forced = sentence
        losses, found = learned(case.model, source, target, forced=forced)
        logits = case.model(source, target, forced=forced).logits
        expected = sentence_losses(logits, target, None)
        torch.testing.assert_close(losses, expected)
        for gradient, wanted in zip(found, gradients(case.model, expected.mean()), strict=True):
            torch.testing.assert_close(gradient, wanted)

    def test_gradients_are_added_to_those_that_are_there(self, model):
        pair = torch.tensor([[3, 1]]), torch.tensor([[2, 1]])
        _, once = learned(model, *pair)
        model.backpropagate(*pair, loss=partial(losses_and_error, target=pair[1], target_lengths=None))
        for parameter, gradient in zip(model.parameters(), once, strict=True):
            torch.testing.assert_close(parameter.grad, 2 * gradient)

    def test_a_frozen_weight_gets_no_gradient(self, model):
        model.decoder.embedding.weight.requires_grad_(False)
        target = torch.tensor([[2, 1]])
        loss = partial(losses_and_error, target=target, target_lengths=None)
        model.backpropagate(torch.tensor([[3, 1]]), target, loss=loss)
        assert model.decoder.embedding.weight.grad is None
        assert model.encoder.embedding.weight.grad is not None

    def test_another_kind_of_decoder_goes_the_ordinary_way(self, model):
        class Silent(type(model.decoder)):
            def forward(self, fed, memory):
                decoded = super().forward(fed, memory)
                return decoded._replace(logits=decoded.logits * 0)

        model.decoder.__class__ = Silent
        losses, _ = learned(model, torch.tensor([[3, 1]]), torch.tensor([[2, 1]]))
        torch.testing.assert_close(losses, torch.tensor([2 * math.log(TARGET)]).double())

    def test_an_id_outside_the_vocabulary_is_refused(self, model):
        with pytest.raises(IndexError):
            learned(model, torch.tensor([[SOURCE, 1]]), torch.tensor([[2, 1]]))

    def test_dropout_is_active_in_training_and_not_in_evaluation(self):
        sizes = {
            "source_vocabulary_size": 5,
            "target_vocabulary_size": 5,
            "hidden_size": 8,
            "embedding_size": 8,
        }
        model = seq2seq_model(**sizes, dropout=0.5)
        pair = torch.tensor([[3, 1]]), torch.tensor([[2, 1]])
        assert not torch.equal(learned(model, *pair)[0], learned(model, *pair)[0])
        model.eval()
        assert torch.equal(learned(model, *pair)[0], learned(model, *pair)[0])


class TestFeeding:
    def test_own_words_are_those_of_stepping_by_hand(self, case):
        memory = case.model.encoder(case.source, case.source_lengths)
        free = torch.zeros(B, T, dtype=torch.bool)
        fed = case.model.feed(torch.zeros_like(case.target), free, memory)
        logits = case.model.decoder(fed, memory).logits
        assert torch.equal(fed[:, 0], torch.zeros(B, dtype=torch.long))
        assert torch.equal(fed[:, 1:], logits.argmax(dim=2)[:, :-1])

    def test_gold_where_forced_and_own_elsewhere(self, model):
        gold, forced = torch.randint(1, TARGET, (B, T)), torch.rand(B, T) < 0.5
        memory = model.encoder(torch.randint(1, SOURCE, (B, S)), None)
        fed = model.feed(gold, forced, memory)
        own = torch.cat((gold[:, :1], model.decoder(fed, memory).logits.argmax(dim=2)[:, :-1]), 1)
        later = slice(1, None)
        assert torch.equal(fed[:, later], torch.where(forced, gold, own)[:, later])

    def test_stepping_gives_the_logits_of_the_whole_sequence(self, model):
        fed, memory = torch.randint(1, TARGET, (B, T)), model.encoder(torch.randint(1, SOURCE, (B, S)), None)
        whole, state = model.decoder(fed, memory), memory.state
        with torch.no_grad():
            for t in range(T):
                step, state = model.decoder.step(fed[:, t], memory, state)
                torch.testing.assert_close(step.logits[:, 0], whole.logits[:, t])

    def test_all_forced_is_no_mask(self, case):
        everywhere = torch.ones(B, T, dtype=torch.bool)
        pair = case.source, case.target
        forced = case.model(*pair, source_lengths=case.source_lengths, forced=everywhere)
        torch.testing.assert_close(
            forced.logits, case.model(*pair, source_lengths=case.source_lengths).logits
        )

    def test_greedy_words_are_the_arg_max_of_their_logits(self, case):
        found = greedy(case.model, case.source, case.source_lengths, max_length=9)
        assert found.words.shape == (B, 9)
        assert torch.equal(found.words, found.logits.argmax(dim=2))
        alone = [
            greedy(case.model, case.source[i : i + 1, :n], None, max_length=9).words
            for i, n in enumerate(case.source_lengths.tolist())
        ]
        assert torch.equal(found.words, torch.cat(alone))


class TestCausality:
    def test_a_position_depends_on_no_later_word(self, model):
        fed = torch.randint(1, TARGET, (1, T))
        memory = model.encoder(torch.randint(1, SOURCE, (1, S)), None)
        embedded = model.decoder.embedding(fed).detach().abs().requires_grad_()
        model.decoder.embedding.forward = lambda _: embedded
        for t in range(T):
            logits = model.decoder(fed, memory).logits
            (gradient,) = torch.autograd.grad(logits[0, t].sum(), embedded)
            assert gradient[0, : t + 1].abs().sum(dim=1).all()
            assert not gradient[0, t + 1 :].any()

    def test_no_gradient_flows_through_own_words(self, model):
        pair = torch.randint(1, SOURCE, (2, S)), torch.randint(1, TARGET, (2, T))
        free = torch.zeros(2, T, dtype=torch.bool)
        memory = model.encoder(pair[0], None)
        fed = model.feed(torch.zeros_like(pair[1]), free, memory)
        expected = gradients(model, model.decoder(fed, memory).logits.sin().sum())
        found = gradients(model, model(*pair, forced=free).logits.sin().sum())
        for gradient, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(gradient, wanted)


class TestAttention:
    @pytest.fixture
    def weights(self):
        def of(**settings):
            torch.manual_seed(0)
            sizes = {"source_vocabulary_size": SOURCE, "target_vocabulary_size": TARGET, "hidden_size": 8}
            model = attention_model(**sizes, **settings)
            pair = torch.randint(1, SOURCE, (B, S)), torch.randint(1, TARGET, (B, T))
            return model(*pair, source_lengths=torch.tensor([5, 3, 1, 4])).weights

        return of

    def test_weights_sum_to_one_and_are_zero_on_padding(self, weights):
        masked = weights()
        torch.testing.assert_close(masked.sum(dim=2), torch.ones(B, T))
        assert not masked[1, :, 3:].any()
        assert not masked[2, :, 1:].any()
        assert (masked[0] > 0).all()

    def test_unmasked_positions_are_a_block_of_zeros_that_takes_weight(self, weights):
        block = weights(unmasked_positions=7)
        assert block.shape == (B, T, 7)
        torch.testing.assert_close(block.sum(dim=2), torch.ones(B, T))
        assert (block > 0).all()
        # Zero vectors score zero: every empty position has the same weight, whatever the sentence.
        torch.testing.assert_close(block[2, :, 1:], block[2, :, 1:2].expand(T, 6))

    @pytest.mark.parametrize("batch", [1, 2])
    def test_a_source_longer_than_the_block_is_refused(self, batch):
        model = attention_model(source_vocabulary_size=5, target_vocabulary_size=5, unmasked_positions=2)
        with pytest.raises(ValueError, match="unmasked_positions is 2, but a source has 3 positions"):
            model(torch.ones(batch, 3, dtype=torch.long), torch.ones(batch, 2, dtype=torch.long))


class TestLosses:
    def test_they_are_cross_entropy_in_value_and_gradient(self):
        logits = torch.randn(B, T, TARGET, dtype=torch.double, requires_grad=True)
        target, lengths = torch.randint(TARGET, (B, T)), torch.tensor([6, 1, 3, 4])
        losses = sentence_losses(logits, target, lengths)
        each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
        expected = (each * (torch.arange(T) < lengths.unsqueeze(1))).sum(dim=1)
        torch.testing.assert_close(losses, expected)
        weight = torch.randn(B).double()
        for gradient in torch.autograd.grad(losses, logits, weight):
            torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits, weight)[0])

    def test_no_lengths_is_no_padding(self):
        logits, target = torch.randn(B, T, TARGET), torch.randint(TARGET, (B, T))
        all_count = torch.full((B,), T)
        torch.testing.assert_close(
            sentence_losses(logits, target, None), sentence_losses(logits, target, all_count)
        )


@pytest.mark.parametrize("build", [seq2seq_model, attention_model])
def test_a_batch_is_traced_without_a_look_at_any_value(build):
    """So that it can be captured on a GPU: a fake tensor has no values to branch on."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        model = build(source_vocabulary_size=SOURCE, target_vocabulary_size=TARGET, hidden_size=8)
        source, target = torch.ones(B, S, dtype=torch.long), torch.ones(B, T, dtype=torch.long)
        lengths, forced = torch.full((B,), 2), torch.zeros(B, T, dtype=torch.bool)
        decoded = model(source, target, source_lengths=lengths, forced=forced)
        _, error = losses_and_error(decoded.logits.detach(), target, torch.full((B,), 3))
        decoded.logits.backward(error)
        assert model.encoder.gru.weight_hh_l0.grad.shape == (24, 8)
