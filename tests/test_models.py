"""Properties of the models and of decoding; comparisons with PyTorch's layers."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from seq2seq_lab import decoding
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.greedy import before_end, greedy
from seq2seq_lab.decoding.unroll import encode, unroll
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models import attention_model, seq2seq_model
from seq2seq_lab.models.attention.additive import AdditiveAttention
from seq2seq_lab.models.attention.general import GeneralAttention
from seq2seq_lab.models.attention.scaled_dot import ScaledDotAttention
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import gold_inputs
from seq2seq_lab.models.likelihood import position_losses, sentence_losses
from seq2seq_lab.models.rnn import RNN
from seq2seq_lab.models.seq2seq import Seq2Seq

B, S, T, SOURCE, TARGET = 4, 5, 6, 13, 17


@dataclass
class Case:
    """A model in float64 and a batch of sentences of several lengths for it."""

    model: torch.nn.Module
    source: torch.Tensor
    source_lengths: torch.Tensor
    target: torch.Tensor
    target_lengths: torch.Tensor
    plan: Plan
    draws: Draws


LSTM = {"cell": nn.LSTM}
MODELS = {
    "seq2seq": (seq2seq_model, {}),
    "seq2seq-2-layers-dropout": (seq2seq_model, {"layers": 2, "dropout": 0.3}),
    "seq2seq-lstm-bidirectional-bridge": (
        seq2seq_model,
        LSTM | {"layers": 2, "bidirectional": True, "bridge": True},
    ),
    "attention": (attention_model, {}),
    "attention-2-layers-bridge": (attention_model, {"layers": 2, "bridge": True}),
    "attention-unmasked": (attention_model, {"unmasked_positions": 7}),
    "attention-scaled-bidirectional": (attention_model, {"score": ScaledDotAttention, "bidirectional": True}),
    "attention-general-lstm": (attention_model, LSTM | {"score": GeneralAttention, "dropout": 0.2}),
    "attention-additive": (attention_model, {"score": AdditiveAttention}),
    "seq2seq-input-feeding-lstm": (seq2seq_model, LSTM | {"input_feeding": True, "dropout": 0.2}),
    "attention-input-feeding-tied": (
        attention_model,
        {
            "input_feeding": True,
            "tie_embeddings": True,
            "embedding_size": 10,
            "embedding_std": 0.1,
            "embedding_relu": False,
            "output_dropout": 0.3,
        },
    ),
}
GOLD = {
    "forced": torch.ones(B, T, dtype=torch.bool),
    "free": torch.zeros(B, T, dtype=torch.bool),
    "by-word": torch.rand(B, T, generator=torch.Generator().manual_seed(1)) < 0.5,
}


@pytest.fixture(params=MODELS)
def model(request):
    build, settings = MODELS[request.param]
    torch.manual_seed(0)
    sizes = {"hidden_size": 10, "embedding_size": 6}
    return build(source_vocabulary_size=SOURCE, target_vocabulary_size=TARGET, **(sizes | settings)).double()


@pytest.fixture(params=GOLD)
def case(request, model):
    draw = torch.Generator().manual_seed(2)
    return Case(
        model,
        torch.randint(1, SOURCE, (B, S), generator=draw),
        torch.tensor([5, 3, 1, 4]),
        torch.randint(1, TARGET, (B, T), generator=draw),
        torch.tensor([4, 6, 2, 5]),
        Plan(GOLD[request.param]),
        Draws(0, 0, torch.tensor([3, 10, 4, 7])),
    )


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def losses_of(case, rows=slice(None), extra=0):
    """Losses of some rows, with `extra` columns of other ids after the longest of them."""
    lengths = case.source_lengths[rows], case.target_lengths[rows]
    s, t = int(lengths[0].max()), int(lengths[1].max())
    source, target, plan = case.source[rows, :s], case.target[rows, :t], case.plan.rows(rows, t)
    if extra:
        source, target = (torch.cat((ids, ids.new_full((len(ids), extra), 3)), 1) for ids in (source, target))
        plan = Plan(torch.cat((plan.gold, torch.zeros(len(target), extra, dtype=torch.bool)), 1))
    followed = follow(case.model, source, target, plan, source_lengths=lengths[0], draws=case.draws[rows])
    return sentence_losses(followed.decoded.logits, target, lengths[1])


@pytest.mark.parametrize("cell", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_stacked_layers_are_equal_to_torch_in_values_and_gradients(cell, bidirectional):
    torch.manual_seed(0)
    theirs = cell(6, 5 if bidirectional else 10, 3, batch_first=True, bidirectional=bidirectional).double()
    ours = RNN(input_size=6, hidden_size=10, layers=3, cell=cell, bidirectional=bidirectional).double()
    for name, weight in ours.state_dict().items():
        _, number, own = name.split(".")
        weight.copy_(theirs.state_dict()[own.replace("_l0", f"_l{number}")])
    inputs = torch.randn(4, 7, 6).double().requires_grad_()
    outputs, state = ours(inputs)
    expected, last = theirs(inputs)
    torch.testing.assert_close(outputs, expected)
    hidden = last[0] if cell is nn.LSTM else last
    directions = 2 if bidirectional else 1
    torch.testing.assert_close(state[0], torch.cat(list(hidden[:directions]), dim=1))
    assert len(state) == (6 if cell is nn.LSTM else 3)
    one, other = (torch.autograd.grad(x.sin().sum(), inputs) for x in (outputs, expected))
    torch.testing.assert_close(one, other)


class TestPadding:
    def test_losses_do_not_depend_on_batch_size_and_padding(self, case):
        together = losses_of(case)
        padded = losses_of(case, extra=2)
        alone = torch.cat([losses_of(case, slice(i, i + 1)) for i in range(B)])
        torch.testing.assert_close(padded, together)
        torch.testing.assert_close(alone, together)

    def test_gradients_do_not_depend_on_batch_size_and_padding(self, case):
        expected = gradients(case.model, losses_of(case).mean())
        padded = gradients(case.model, losses_of(case, extra=2).mean())
        alone = gradients(case.model, sum(losses_of(case, slice(i, i + 1)).sum() for i in range(B)) / B)
        for other in (padded, alone):
            for gradient, wanted in zip(other, expected, strict=True):
                torch.testing.assert_close(gradient, wanted)


class TestFeeding:
    """Stepping and the whole sequence give the same numbers, also with dropout."""

    def unrolled(self, case):
        encoded = encode(case.model, case.source, case.source_lengths, case.draws)
        known = gold_inputs(case.target)
        embedded = case.model.decoder.embed(known)
        return unroll(case.model, encoded, embedded, case.plan.own, words=known, draws=case.draws)

    def test_own_words_are_the_arg_max_of_the_very_logits_that_are_learnt_from(self, case):
        unrolled = self.unrolled(case)
        settings = {"source_lengths": case.source_lengths, "draws": case.draws}
        whole = case.model(case.source, case.target, inputs=unrolled.inputs, **settings).logits
        torch.testing.assert_close(unrolled.logits, whole)
        known = gold_inputs(case.target)
        words = torch.cat((known[:, :1], whole.argmax(dim=2)[:, :-1]), dim=1)
        assert torch.equal(unrolled.words, torch.where(case.plan.own, words, known))
        torch.testing.assert_close(case.model.decoder.embed(unrolled.words), unrolled.inputs)
        followed = follow(case.model, case.source, case.target, case.plan, **settings)
        torch.testing.assert_close(followed.decoded.logits, whole)

    def test_unrolling_carries_the_gradients_of_the_whole_sequence(self, case):
        unrolled = self.unrolled(case)
        stepped = gradients(case.model, unrolled.logits.sin().sum())
        inputs = case.model.decoder.embed(unrolled.words)
        memory = case.model.encoder(case.source, case.source_lengths, case.draws)
        whole = case.model(case.source, case.target, inputs=inputs, memory=memory, draws=case.draws).logits
        for gradient, wanted in zip(stepped, gradients(case.model, whole.sin().sum()), strict=True):
            torch.testing.assert_close(gradient, wanted)

    def test_greedy_decoding_that_ends_early_gives_what_is_wanted_of_the_whole(self, case, monkeypatch):
        case.model.eval()
        with torch.no_grad():
            case.model.decoder.output.bias[1] += 3.0  # <eos> soon
        gold = torch.randint(1, TARGET, (B, 9))
        whole = greedy(case.model, case.source, case.source_lengths, 9, gold=gold)
        every = (0, 4, torch.tensor([1, 3, 7, 2]))
        for leaving, at_least in itertools.product((0.01, 0.5, 2.0), every):
            monkeypatch.setattr(decoding.greedy, "LEAVING", leaving)
            found = greedy(case.model, case.source, case.source_lengths, 9, at_least=at_least, gold=gold)
            length = found.words.shape[1]
            there = torch.arange(length) < torch.as_tensor(at_least).expand(B).unsqueeze(1)
            wanted = before_end(whole.words)[:, :length] | there
            assert length == 9 or length == int(wanted.sum(dim=1).max())
            assert torch.equal(before_end(found.words), before_end(whole.words)[:, :length])
            for one, other in zip(found, whole, strict=True):
                assert (one is None) == (other is None)
                if one is not None:
                    torch.testing.assert_close(one[wanted], other[:, :length][wanted])

    def test_of_a_sentence_that_has_ended_no_step_is_computed(self, case, monkeypatch):
        case.model.eval()
        with torch.no_grad():
            case.model.decoder.output.bias[1] += 1e6  # <eos> at once
        rows = []
        decode = type(case.model).decode
        monkeypatch.setattr(
            type(case.model),
            "decode",
            lambda model, inputs, *rest, **more: (
                rows.append(len(inputs)) or decode(model, inputs, *rest, **more)
            ),
        )
        greedy(case.model, case.source, case.source_lengths, 9, at_least=torch.tensor([1, 4, 3, 1]))
        assert rows == [4, 2, 2, 1]

    def test_stepping_gives_the_logits_of_the_whole_sequence(self, model):
        model.eval()
        fed, memory = torch.randint(1, TARGET, (B, T)), model.encoder(torch.randint(1, SOURCE, (B, S)))
        (whole, _), state = model.decoder(model.decoder.embed(fed), memory), model.decoder.first_state(memory)
        for t in range(T):
            step, state = model.decoder(model.decoder.embed(fed[:, t : t + 1]), memory, state)
            torch.testing.assert_close(step.logits[:, 0], whole.logits[:, t])

    def test_a_forward_of_a_subclass_decides_every_step(self, case):
        class Biased(Seq2Seq):
            def forward(self, *arguments, **settings):
                decoded = super().forward(*arguments, **settings)
                bias = torch.zeros(TARGET, dtype=decoded.logits.dtype)
                bias[3] = 50
                return decoded._replace(logits=decoded.logits + bias)

        model = Biased(encoder=case.model.encoder, decoder=case.model.decoder)
        found = greedy(model.eval(), case.source, case.source_lengths, max_length=4)
        assert (found.words == 3).all()
        settings = {"source_lengths": case.source_lengths, "draws": case.draws}
        followed = follow(model.train(), case.source, case.target, case.plan, **settings)
        words = torch.where(case.plan.own, 3, gold_inputs(case.target))
        whole = model(case.source, case.target, inputs=model.decoder.embed(words), **settings)
        torch.testing.assert_close(followed.decoded.logits, whole.logits)

    def test_greedy_words_are_the_arg_max_of_the_scores_that_follow_them(self, case):
        case.model.eval()
        gold = torch.randint(1, TARGET, (B, 7))
        found = greedy(case.model, case.source, case.source_lengths, max_length=9, gold=gold)
        assert found.words.shape == (B, 9)
        fed = case.model.embed(gold_inputs(found.words))
        logits = case.model(case.source, found.words, source_lengths=case.source_lengths, inputs=fed).logits
        assert torch.equal(found.words, logits.argmax(dim=2))
        torch.testing.assert_close(found.losses, position_losses(logits[:, :7], gold))
        alone = [
            greedy(case.model, case.source[i : i + 1, :n], None, max_length=9).words
            for i, n in enumerate(case.source_lengths.tolist())
        ]
        assert torch.equal(found.words, torch.cat(alone))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_best_word_is_the_first_of_the_largest(dtype):
    scores = torch.randint(0, 3, (4, 5, 9)).to(dtype)
    for each in (scores, scores.transpose(0, 1), scores[:, ::2], scores[0, 0]):
        first = [row.index(max(row)) for row in each.reshape(-1, 9).tolist()]
        assert best_word(each).shape == each.shape[:-1]
        assert best_word(each).flatten().tolist() == first
    assert best_word(torch.tensor([0.0, float("nan"), 1.0], requires_grad=True, dtype=dtype)) == 1


class TestDropout:
    @pytest.fixture
    def dropping(self):
        torch.manual_seed(0)
        sizes = {"source_vocabulary_size": SOURCE, "target_vocabulary_size": TARGET, "hidden_size": 8}
        return seq2seq_model(**sizes, layers=2, dropout=0.5)

    def losses(self, model, draws):
        source, target = torch.ones(2, 3, dtype=torch.long), torch.ones(2, 4, dtype=torch.long)
        return sentence_losses(model(source, target, draws=draws).logits, target, None)

    def test_dropout_is_active_only_in_training_mode(self, dropping):
        assert not torch.equal(self.losses(dropping, None), self.losses(dropping, None))
        dropping.eval()
        assert torch.equal(self.losses(dropping, None), self.losses(dropping, None))

    def test_with_draws_the_mask_is_a_function_of_the_pair_and_the_epoch(self, dropping):
        pairs = torch.tensor([4, 9])
        once, again = (self.losses(dropping, Draws(0, 1, pairs)) for _ in range(2))
        assert torch.equal(once, again)
        assert once[0] != once[1]
        torch.testing.assert_close(self.losses(dropping, Draws(0, 1, pairs.flip(0))), once.flip(0))
        for other in (Draws(1, 1, pairs), Draws(0, 2, pairs)):
            assert not torch.equal(self.losses(dropping, other), once)

    def test_the_share_of_kept_values_and_their_scale(self, dropping):
        mask = dropping.encoder.dropout.mask(Draws(0, 0, torch.arange(100)), 10, 50)
        assert mask.unique().tolist() == [0, 2]
        assert abs(mask.mean() - 1) < 0.02


class TestCausality:
    def test_a_position_does_not_depend_on_later_words(self, model):
        memory = model.eval().encoder(torch.randint(1, SOURCE, (1, S)))
        embedded = model.decoder.embed(torch.randint(1, TARGET, (1, T))).detach().requires_grad_()
        for t in range(T):
            logits = model.decoder(embedded, memory)[0].logits
            (gradient,) = torch.autograd.grad(logits[0, t].sum(), embedded)
            assert gradient[0, : t + 1].abs().sum(dim=1).all()
            assert not gradient[0, t + 1 :].any()


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

    def test_unmasked_positions_are_zeros_that_receive_attention_weight(self, weights):
        block = weights(unmasked_positions=7)
        assert block.shape == (B, T, 7)
        torch.testing.assert_close(block.sum(dim=2), torch.ones(B, T))
        assert (block > 0).all()
        # The score of a zero vector is zero: every empty position has the same weight, for every sentence.
        torch.testing.assert_close(block[2, :, 1:], block[2, :, 1:2].expand(T, 6))

    @pytest.mark.parametrize("batch", [1, 2])
    def test_a_source_longer_than_the_block_is_refused(self, batch):
        model = attention_model(source_vocabulary_size=5, target_vocabulary_size=5, unmasked_positions=2)
        with pytest.raises(ValueError, match="unmasked_positions is 2, but a source has 3 positions"):
            model(torch.ones(batch, 3, dtype=torch.long), torch.ones(batch, 2, dtype=torch.long))


class TestLosses:
    def test_losses_and_gradients_are_those_of_cross_entropy(self):
        logits = torch.randn(B, T, TARGET, dtype=torch.double, requires_grad=True)
        target, lengths = torch.randint(TARGET, (B, T)), torch.tensor([6, 1, 3, 4])
        losses = sentence_losses(logits, target, lengths)
        each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
        expected = (each * (torch.arange(T) < lengths.unsqueeze(1))).sum(dim=1)
        torch.testing.assert_close(losses, expected)
        weight = torch.randn(B).double()
        for gradient in torch.autograd.grad(losses, logits, weight):
            torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits, weight)[0])

    def test_without_lengths_there_is_no_padding(self):
        logits, target = torch.randn(B, T, TARGET), torch.randint(TARGET, (B, T))
        all_count = torch.full((B,), T)
        torch.testing.assert_close(
            sentence_losses(logits, target, None), sentence_losses(logits, target, all_count)
        )


@pytest.mark.whole
class TestExport:
    """`torch.export` with any number of sentences and positions."""

    def exported(self, model, *arguments, **shapes):
        batch, s, t = (torch.export.Dim(name, max=7) for name in ("batch", "source", "target"))
        dynamic = {"source": {0: batch, 1: s}, "target": {0: batch, 1: t}} | {
            name: {0: batch} for name in shapes
        }
        return torch.export.export(model, arguments, shapes, dynamic_shapes=dynamic).module()

    def test_an_exported_model_accepts_other_lengths_than_the_example(self, model):
        if model.decoder.input_feeding:
            pytest.skip("input feeding is a Python loop, which torch.export unrolls for one length")
        example = torch.randint(1, SOURCE, (3, 4)), torch.randint(1, TARGET, (3, 5))
        exported = self.exported(model.eval(), *example)
        source, target = torch.randint(1, SOURCE, (B, S)), torch.randint(1, TARGET, (B, T))
        for found, wanted in zip(exported(source, target), model(source, target), strict=True):
            assert (found is None) == (wanted is None)
            if wanted is not None:
                torch.testing.assert_close(found, wanted)

    @pytest.mark.parametrize(
        "model",
        ["seq2seq-lstm-bidirectional-bridge", "attention-unmasked", "attention-additive"],
        indirect=True,
    )
    def test_an_exported_model_accepts_padded_sources(self, model):
        example = torch.randint(1, SOURCE, (3, 4)), torch.randint(1, TARGET, (3, 5))
        exported = self.exported(model.eval(), *example, source_lengths=torch.tensor([4, 2, 3]))
        source, target = torch.randint(1, SOURCE, (B, S)), torch.randint(1, TARGET, (B, T))
        lengths = torch.tensor([5, 3, 1, 4])
        found = exported(source, target, source_lengths=lengths).logits
        torch.testing.assert_close(found, model(source, target, source_lengths=lengths).logits)
