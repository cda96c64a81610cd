"""Policies that need earlier passes: parallel scheduled sampling and confidence, against literal loops."""

import itertools

import pytest
import torch
from torch import nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.confidence import ConfidenceForcing
from seq2seq_lab.forcing.feeders.gumbel import GumbelArgMax
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.feeders.soft import Soft
from seq2seq_lab.forcing.feeders.uniform import Uniform
from seq2seq_lab.forcing.full import FullForcing
from seq2seq_lab.forcing.mixed import MixedForcing
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Pairs
from seq2seq_lab.forcing.two_pass import TwoPassForcing
from seq2seq_lab.models import attention_model, seq2seq_model

SIZES = {"source_vocabulary_size": 9, "target_vocabulary_size": 11, "hidden_size": 6, "embedding_size": 5}
MODELS = {"seq2seq": seq2seq_model, "attention": attention_model}
B, T, EOS = 8, 6, 1
LENGTHS = torch.tensor([6, 4, 5, 1, 6, 2, 3, 6])
SOURCE = torch.randint(2, 9, (B, 5), generator=torch.Generator().manual_seed(1))
TARGET = torch.randint(2, 11, (B, T), generator=torch.Generator().manual_seed(2))
TARGET[torch.arange(B), LENGTHS - 1] = EOS
DRAWS = Draws(0, 0, torch.arange(B))
PAIRS = Pairs(LENGTHS, T, DRAWS, torch.zeros(B, dtype=torch.int64), 10, 0, 1)


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(1)
    made = MODELS[request.param](**SIZES).double()
    for weight in made.parameters():
        nn.init.uniform_(weight, -1.5, 1.5)  # confident, and wrong in many places
    return made


def followed(model, policy, rows=slice(None)):
    plan = policy.plan(PAIRS._replace(lengths=LENGTHS[rows], draws=DRAWS[rows], update=PAIRS.update[rows]))
    lengths = {"target_lengths": LENGTHS[rows]}
    return follow(model, SOURCE[rows], TARGET[rows], plan, draws=DRAWS[rows], **lengths)


def scores(model, row, words):
    """Of one pair, fed these words after `<sos>`: [len(words) + 1, V], one position after the other."""
    memory = model.encoder(SOURCE[row : row + 1])
    state, found = memory.state, []
    for word in [0, *words]:
        decoded, state = model.decoder(model.decoder.embed(torch.tensor([[word]])), memory, state)
        found.append(decoded.logits[0, 0])
    return torch.stack(found)


def within(logits):
    """Where there are target positions."""
    return logits[torch.arange(T) < LENGTHS.unsqueeze(1)]


class TestTwoPass:
    @pytest.mark.parametrize(
        ("passes", "unit"), itertools.product([1, 2, 3], ["position", "sentence", "prefix"])
    )
    def test_each_pass_feeds_what_the_pass_before_predicted(self, model, passes, unit):
        policy = TwoPassForcing(ratio=0.4, passes=passes, unit=unit)
        gold = MixedForcing(ratio=0.4, unit=unit).plan(PAIRS).gold
        found, wanted = followed(model, policy).decoded.logits, []
        for row in range(B):
            words = TARGET[row].tolist()
            known = words[: T - 1]
            fed = known
            for _ in range(passes):
                said = scores(model, row, fed).argmax(dim=1).tolist()  # said[t] follows position t
                fed = [known[t] if gold[row, t + 1] else said[t] for t in range(T - 1)]
            wanted.append(scores(model, row, fed))
        torch.testing.assert_close(found, torch.stack(wanted))

    def test_more_passes_give_another_result(self, model):
        one, two = (followed(model, TwoPassForcing(ratio=0.1, passes=n)).decoded.logits for n in (1, 2))
        assert not torch.allclose(one, two)

    @pytest.mark.parametrize("passes", [1, 3])
    def test_with_ratio_1_it_is_full(self, model, passes):
        policy = TwoPassForcing(ratio=1.0, passes=passes)
        assert torch.equal(
            followed(model, policy).decoded.logits, followed(model, FullForcing()).decoded.logits
        )

    def test_as_many_passes_as_positions_are_free_running(self, model):
        """After pass n the first n + 1 positions are those of a decoder that is fed its own words."""
        passes = followed(model, TwoPassForcing(ratio=0.0, passes=T)).decoded.logits
        torch.testing.assert_close(passes, followed(model, MixedForcing(ratio=0.0)).decoded.logits)

    @pytest.mark.parametrize("feeder", [Sample(temperature=2.0), GumbelArgMax()])
    def test_words_may_be_sampled(self, model, feeder):
        policy = TwoPassForcing(ratio=0.4, feeder=feeder)
        found, again, argmax = (
            followed(model, each).decoded.logits for each in (policy, policy, TwoPassForcing(ratio=0.4))
        )
        assert torch.equal(found, again)
        assert not torch.allclose(found, argmax)

    def test_no_gradient_flows_through_the_first_pass(self, model):
        """The gradient is that of the last pass with its words given."""
        logits = followed(model, TwoPassForcing(ratio=0.4)).decoded.logits
        logits.sum().backward()
        found = model.decoder.embedding.weight.grad.clone()
        model.zero_grad()
        gold = MixedForcing(ratio=0.4, unit="position").plan(PAIRS).gold
        with torch.no_grad():
            said = model(SOURCE, TARGET).logits.argmax(dim=2)
        words = torch.cat(
            (torch.zeros_like(said[:, :1]), torch.where(gold[:, 1:], TARGET[:, :-1], said[:, :-1])), 1
        )
        model(SOURCE, TARGET, inputs=model.decoder.embed(words)).logits.sum().backward()
        torch.testing.assert_close(found, model.decoder.embedding.weight.grad)

    @pytest.mark.parametrize("passes", [0, -1])
    def test_passes_out_of_range_are_refused(self, passes):
        with pytest.raises(ValueError, match=r"^passes must be at least 1"):
            TwoPassForcing(passes=passes)


class TestConfidence:
    @pytest.mark.parametrize(
        ("golden", "random"), [(0.9, 0.95), (0.05, 0.15), (0.1, 0.1), (0.0, 0.5), (0.0, 1.0), (0.5, 1.0)]
    )
    def test_its_three_branches(self, model, golden, random):
        """Gold up to `golden`, the first pass's word up to `random`, above that a word of the same target."""
        found = followed(model, ConfidenceForcing(golden=golden, random=random))
        uniform, wanted = DRAWS.uniform("forcing/noise", T - 1).tolist(), []
        branches = []
        for row in range(B):
            target, length = TARGET[row].tolist(), int(LENGTHS[row])
            first = scores(model, row, target[: T - 1])
            fed = []
            for t in range(T - 1):  # what is fed at position t + 1 of 0 … T − 1
                confidence = first[t].softmax(dim=0)[target[t]].item()
                if confidence <= golden:
                    branch, word = "gold", target[t]
                elif confidence <= random:
                    branch, word = "own", int(first[t].argmax())
                else:
                    branch, word = "noise", target[int(uniform[row][t] * max(1, length - 1))]
                if t + 1 < length:
                    branches.append(branch)
                    assert found.gold[row, t + 1].item() == (branch == "gold")
                fed.append(word)
            wanted.append(scores(model, row, fed))
        torch.testing.assert_close(within(found.decoded.logits), within(torch.stack(wanted)))
        assert found.gold[:, 0].all()
        if (golden, random) == (0.05, 0.15):
            assert set(branches) == {"gold", "own", "noise"}

    def test_with_golden_1_it_is_full(self, model):
        policy = ConfidenceForcing(golden=1.0, random=1.0)
        found, full = followed(model, policy), followed(model, FullForcing())
        torch.testing.assert_close(found.decoded.logits, full.decoded.logits, rtol=0, atol=0)
        assert found.gold.all()

    def test_with_golden_0_nothing_but_the_first_is_gold(self, model):
        gold = followed(model, ConfidenceForcing(golden=0.0, random=0.0)).gold
        assert gold[:, 0].all()
        assert not gold[:, 1:].any()

    def test_noise_is_a_word_of_the_same_target(self):
        """Each is about as frequent as the others, and never `<eos>`."""
        count, length = 3000, 5
        known = torch.tensor([[0, 2, 3, 4, 5]]).expand(count, -1)
        policy = ConfidenceForcing(golden=0.0, random=0.0)
        draws, lengths = Draws(0, 0, torch.arange(count)), torch.full((count,), length)
        plan = policy.plan(Pairs(lengths, length, draws, torch.arange(count), count, 0, 1))
        fed, _ = policy._revise(torch.zeros(count, length, 11), known, lengths, plan, draws)
        shares = torch.bincount(fed[:, 1:].flatten(), minlength=11) / fed[:, 1:].numel()
        assert shares[[0, 1, 6, 7, 8, 9, 10]].sum() == 0
        assert shares[2:6].tolist() == pytest.approx([0.25] * 4, abs=0.018)  # 4.5 standard errors

    def test_a_pair_does_not_depend_on_the_pairs_beside_it(self, model):
        policy = ConfidenceForcing(golden=0.05, random=0.15)
        together = followed(model, policy)
        rows = torch.tensor([7, 2, 0])
        alone = followed(model, policy, rows)
        torch.testing.assert_close(alone.decoded.logits, together.decoded.logits[rows])
        assert torch.equal(alone.gold, together.gold[rows])

    def test_limits_in_the_wrong_order_are_refused(self):
        with pytest.raises(ValueError, match=r"^random must not be less than golden=0\.9, got 0\.5"):
            ConfidenceForcing(golden=0.9, random=0.5)


@pytest.mark.parametrize("feeder", [Soft(), Uniform()])
@pytest.mark.parametrize("policy", [TwoPassForcing, ConfidenceForcing])
def test_an_earlier_pass_gives_words_only(policy, feeder):
    with pytest.raises(ValueError, match=r"^feeder must choose words by the decoder's scores"):
        policy(feeder=feeder)
