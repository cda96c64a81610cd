"""Properties of policies that need earlier passes: parallel scheduled sampling and confidence."""

import pytest
import torch
from torch import nn

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.confidence import ConfidenceForcing, _random_words
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
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import backward

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


class TestTwoPass:
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
        count = 3000
        target = torch.tensor([[2, 3, 4, 5, EOS]]).expand(count, -1)
        words, any_word = _random_words(
            target, torch.full((count,), 5), None, Draws(0, 0, torch.arange(count))
        )
        assert any_word.all()
        shares = torch.bincount(words.flatten(), minlength=11) / words.numel()
        assert shares[[0, 1, 6, 7, 8, 9, 10]].sum() == 0
        assert shares[2:6].tolist() == pytest.approx([0.25] * 4, abs=0.018)  # 4.5 standard errors

    def test_noise_is_never_sos_nor_unk(self):
        """With `<sos>` as the first word to predict, with `<unk>`, and where a target has no other word."""
        target = torch.tensor([[0, 2, 5, EOS, 9], [0, 2, EOS, 9, 9]])
        words, any_word = _random_words(target, torch.tensor([4, 3]), 2, Draws(0, 0, torch.arange(2)))
        assert words[0].tolist() == [5] * 5
        assert any_word.tolist() == [[True], [False]]

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

    def test_the_first_passs_loss_is_added(self, model):
        """Its gradient is that of full forcing; and a batch of targets without words has both losses, too."""
        for rows in (slice(None), torch.tensor([3])):
            batch = Batch(
                SOURCE[rows], None, TARGET[rows, : int(LENGTHS[rows].max())], LENGTHS[rows], slice(0, 8)
            )
            found = [
                self.gradient(model, policy, batch, rows)
                for policy in (ConfidenceForcing(golden=0.05, first_pass=0.3), ConfidenceForcing(golden=0.05))
            ]
            full = self.gradient(model, FullForcing(), batch, rows)
            torch.testing.assert_close(found[0], found[1] + 0.3 * full)

    @staticmethod
    def gradient(model, policy, batch, rows):
        model.zero_grad()
        pairs = PAIRS._replace(
            lengths=LENGTHS[rows],
            positions=batch.target.shape[1],
            draws=DRAWS[rows],
            update=PAIRS.update[rows],
        )
        backward(model, NegativeLogLikelihood(), batch, policy.plan(pairs), DRAWS[rows])
        return model.decoder.output.weight.grad.clone()

    @pytest.mark.parametrize("weight", [-0.1, float("inf"), float("nan")])
    def test_a_weight_out_of_range_is_refused(self, weight):
        with pytest.raises(ValueError, match=r"^first_pass must be at least 0"):
            ConfidenceForcing(first_pass=weight)


@pytest.mark.parametrize("policy", [TwoPassForcing, ConfidenceForcing])
def test_an_earlier_pass_needs_a_feeder_that_looks_at_scores(policy):
    with pytest.raises(ValueError, match=r"^feeder must look at the decoder's scores"):
        policy(feeder=Uniform())


class TestMixturesOfAnEarlierPass:
    def test_a_large_alpha_feeds_the_best_word(self, model):
        soft = TwoPassForcing(ratio=0.4, feeder=Soft(alpha=1e9), passes=2)
        words = TwoPassForcing(ratio=0.4, passes=2)
        torch.testing.assert_close(
            followed(model, soft).decoded.logits, followed(model, words).decoded.logits
        )

    def test_the_gradient_flows_through_the_first_pass_or_not(self, model):
        found = []
        for gradient in (True, False):
            model.zero_grad()
            policy = TwoPassForcing(ratio=0.4, feeder=Soft(gradient=gradient))
            followed(model, policy).decoded.logits[:, -1].pow(2).sum().backward()
            found.append(model.decoder.output.weight.grad.clone())
        assert not torch.allclose(*found)
