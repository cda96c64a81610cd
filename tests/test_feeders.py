"""What feeders give: words and mixtures made from the decoder's scores, and what is known in advance."""

import math

import pytest
import torch
from torch import nn

import tiny
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import SPECIAL_WORDS
from seq2seq_lab.decoding.unroll import encode
from seq2seq_lab.forcing.feeders.argmax import ArgMax
from seq2seq_lab.forcing.feeders.base import gumbel
from seq2seq_lab.forcing.feeders.gumbel import GumbelArgMax
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.feeders.soft import Soft
from seq2seq_lab.forcing.feeders.uniform import Uniform
from seq2seq_lab.forcing.feeders.unk import UnknownWord
from seq2seq_lab.forcing.feeders.zero import Zero
from seq2seq_lab.forcing.passes import Feeding, follow
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models import attention_model, seq2seq_model
from seq2seq_lab.models.interface import gold_inputs

SIZES = {"source_vocabulary_size": 9, "target_vocabulary_size": 11, "hidden_size": 6, "embedding_size": 5}
MODELS = {"seq2seq": seq2seq_model, "attention": attention_model}
FEEDERS = {
    "argmax": ArgMax(),
    "sample": Sample(),
    "gumbel": GumbelArgMax(),
    "soft": Soft(alpha=3.0),
    "uniform": Uniform(),
    "unk": UnknownWord(),
    "zero": Zero(),
}
B, T, V = 6, 7, 11
SOURCE = torch.randint(2, 9, (B, 5), generator=torch.Generator().manual_seed(1))
TARGET = torch.randint(2, 11, (B, T), generator=torch.Generator().manual_seed(2))
DRAWS = Draws(0, 0, torch.arange(B))
OWN = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) < 0.5


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    made = MODELS[request.param](**SIZES).double()
    for weight in made.parameters():
        nn.init.uniform_(weight, -1, 1)  # far from zero, so that own words differ from place to place
    return made


def fed(model, feeder, own=OWN, rows=slice(None)):
    """The inputs [B, T, E] that a feeder gives the decoder."""
    source, target = SOURCE[rows], TARGET[rows]
    plan = Plan(~own[rows], feeder)
    feeding = Feeding(model, encode(model, source), gold_inputs(target), plan.own, plan, DRAWS[rows])
    return feeder.inputs(feeding)


def literal(model, next_input, own=OWN):
    """The same, one pair and one position after the other; `next_input` of the scores, the pair and the position."""
    decoder, rows = model.decoder, []
    for b in range(B):
        memory = model.encoder(SOURCE[b : b + 1])
        state, inputs = memory.state, [decoder.embed(torch.zeros(1, 1, dtype=torch.long))]
        for t in range(1, T):
            step, state = decoder(inputs[-1], memory, state)
            gold = decoder.embed(TARGET[b : b + 1, t - 1 : t])
            inputs.append(next_input(step.logits[0, 0], b, t) if own[b, t] else gold)
        rows.append(torch.cat(inputs, dim=1))
    return torch.cat(rows)


class TestEveryFeeder:
    @pytest.mark.parametrize("name", FEEDERS)
    def test_gold_positions_are_fed_the_gold_word(self, name, model):
        gold = model.decoder.embed(gold_inputs(TARGET))
        found, own = fed(model, FEEDERS[name]), Plan(~OWN).own
        assert torch.equal(found[~own], gold[~own])
        assert not torch.allclose(found[own], gold[own])

    @pytest.mark.parametrize("name", FEEDERS)
    def test_a_pairs_inputs_do_not_depend_on_the_pairs_beside_it_nor_on_their_order(self, name, model):
        together = fed(model, FEEDERS[name])
        for rows in (torch.tensor([3]), torch.tensor([5, 0, 2])):
            torch.testing.assert_close(fed(model, FEEDERS[name], rows=rows), together[rows])

    @pytest.mark.parametrize("name", FEEDERS)
    def test_the_loss_is_that_of_the_inputs(self, name, model):
        followed = follow(model, SOURCE, TARGET, Plan(~OWN, FEEDERS[name]), draws=DRAWS)
        wanted = model(SOURCE, TARGET, inputs=fed(model, FEEDERS[name])).logits
        torch.testing.assert_close(followed.decoded.logits, wanted)


def test_argmax_feeds_the_decoders_own_best_word(model):
    wanted = literal(model, lambda scores, b, t: model.decoder.embed(scores.argmax().view(1, 1)))
    torch.testing.assert_close(fed(model, ArgMax()), wanted)


@pytest.mark.parametrize(
    ("feeder", "scale", "tau"), [(Sample(temperature=0.5), 2, 1), (GumbelArgMax(tau=0.5), 1, 0.5)]
)
def test_noise_is_added_to_the_scores_of_a_position(model, feeder, scale, tau):
    def word(scores, b, t):
        uniform = DRAWS[torch.tensor([b])].uniform("forcing/feeder", T, V)[0, t]
        noise = torch.tensor([-math.log(-math.log(u)) for u in uniform.tolist()])
        return model.decoder.embed((scale * scores + tau * noise).argmax().view(1, 1))

    torch.testing.assert_close(fed(model, feeder), literal(model, word))


def test_gumbel_noise_has_the_mean_and_the_variance_of_its_distribution():
    noise = gumbel(Draws(0, 0, torch.arange(100)), 50, 20, 0).double()
    assert noise.isfinite().all()
    assert noise.mean().item() == pytest.approx(0.5772157, abs=0.02)  # Euler's constant; 5 standard errors
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.05)


class TestSample:
    N = 40_000

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
    def test_words_have_the_frequency_of_the_softmax(self, temperature):
        scores = torch.tensor([2.0, -1.0, 0.5, 0.0, 1.5])
        draws = Draws(0, 0, torch.arange(self.N))
        words = Sample(temperature=temperature).choose(scores.expand(self.N, 1, 5), 3, draws)
        found = torch.bincount(words.flatten(), minlength=5) / self.N
        weights = [math.exp(score / temperature) for score in scores.tolist()]
        for share, weight in zip(found.tolist(), weights, strict=True):
            p = weight / sum(weights)
            assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / self.N)

    def test_as_the_temperature_falls_it_is_the_argmax(self):
        scores = torch.randn(200, 4, V, generator=torch.Generator().manual_seed(0))
        draws = Draws(0, 0, torch.arange(200))
        for feeder in (Sample(temperature=1e-6), GumbelArgMax(tau=1e-6)):
            assert torch.equal(feeder.choose(scores, 1, draws), scores.argmax(dim=2))
        assert not torch.equal(Sample().choose(scores, 1, draws), scores.argmax(dim=2))

    def test_other_seeds_epochs_pairs_and_positions_have_other_words(self):
        scores = torch.zeros(50, 3, V)
        one = Sample().choose(scores, 1, Draws(0, 0, torch.arange(50)))
        others = [
            Sample().choose(scores, 1, Draws(1, 0, torch.arange(50))),
            Sample().choose(scores, 1, Draws(0, 1, torch.arange(50))),
            Sample().choose(scores, 1, Draws(0, 0, torch.arange(50, 100))),
            Sample().choose(scores, 4, Draws(0, 0, torch.arange(50))),
        ]
        assert not any(torch.equal(one, other) for other in others)
        assert torch.equal(one, Sample().choose(scores, 1, Draws(0, 0, torch.arange(50))))

    @pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
    def test_a_temperature_out_of_range_is_refused(self, temperature):
        with pytest.raises(ValueError, match=r"^temperature must be positive and finite"):
            Sample(temperature=temperature)


@pytest.mark.parametrize("tau", [0.0, -1.0, math.inf, math.nan])
def test_a_tau_out_of_range_is_refused(tau):
    with pytest.raises(ValueError, match=r"^tau must be positive and finite"):
        GumbelArgMax(tau=tau)


class TestSoft:
    def test_it_feeds_the_weighted_mean_of_the_embeddings(self, model):
        def mixture(scores, b, t):
            weights = [math.exp(2 * score) for score in scores.tolist()]
            mean = sum(w * e for w, e in zip(weights, model.decoder.embedding.weight, strict=True))
            return (mean / sum(weights)).relu().view(1, 1, -1)

        torch.testing.assert_close(fed(model, Soft(alpha=2.0)), literal(model, mixture))

    def test_with_a_large_alpha_it_is_the_argmax(self, model):
        torch.testing.assert_close(fed(model, Soft(alpha=1e9)), fed(model, ArgMax()))
        assert not torch.allclose(fed(model, Soft(alpha=1.0)), fed(model, ArgMax()), atol=0.01)

    @staticmethod
    def loss(model, feeder):
        logits = follow(model, SOURCE, TARGET, Plan(~OWN, feeder), draws=DRAWS).decoded.logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), TARGET.flatten())

    def test_its_gradient_is_that_of_finite_differences(self, model):
        self.loss(model, Soft(alpha=1.5)).backward()
        checked = 0
        for weight in model.parameters():
            place = int(weight.grad.abs().argmax())  # ReLU has no kink where the gradient is large
            flat, step = weight.data.view(-1), 1e-6
            before = flat[place].item()
            values = []
            for shift in (step, -step):
                flat[place] = before + shift
                values.append(self.loss(model, Soft(alpha=1.5)).item())
            flat[place] = before
            wanted = (values[0] - values[1]) / (2 * step)
            assert weight.grad.view(-1)[place].item() == pytest.approx(wanted, rel=1e-4, abs=1e-8)
            checked += abs(wanted) > 1e-3
        assert checked > 5

    def test_the_gradient_flows_through_what_is_fed(self, model):
        """Without the flow through the mixture, the gradient is another one."""
        self.loss(model, Soft()).backward()
        whole = model.decoder.output.weight.grad.clone()
        model.zero_grad()
        inputs = fed(model, Soft()).detach()
        logits = model(SOURCE, TARGET, inputs=inputs).logits
        nn.functional.cross_entropy(logits.flatten(0, 1), TARGET.flatten()).backward()
        assert not torch.allclose(whole, model.decoder.output.weight.grad)

    @pytest.mark.parametrize("alpha", [0.0, -1.0, math.inf, math.nan])
    def test_an_alpha_out_of_range_is_refused(self, alpha):
        with pytest.raises(ValueError, match=r"^alpha must be positive and finite"):
            Soft(alpha=alpha)


class TestUniform:
    def test_words_are_in_range_and_equally_frequent_and_never_special(self):
        count, known = 4000, torch.full((4000, 10), 5)
        own = torch.rand(count, 10, generator=torch.Generator().manual_seed(0)) < 0.5
        words = Uniform().words(Draws(0, 0, torch.arange(count)), known, own, V)
        assert (words[~own] == 5).all()
        chosen = words[own]
        special = len(SPECIAL_WORDS)
        assert set(chosen.tolist()) == set(range(special, V))
        p, n = 1 / (V - special), len(chosen)
        shares = torch.bincount(chosen)[special:] / n
        assert (shares - p).abs().max() < 4.5 * math.sqrt(p * (1 - p) / n)


def test_zeros_are_fed(model):
    assert (fed(model, Zero())[Plan(~OWN).own] == 0).all()


@pytest.mark.parametrize("feeder", ["sample", "gumbel", "uniform"])
def test_what_needs_draws_says_so(feeder, model):
    with pytest.raises(ValueError, match="needs draws"):
        follow(model, SOURCE, TARGET, Plan(~OWN, FEEDERS[feeder]))


def test_the_options_are_the_feeders_that_are_tested():
    from seq2seq_lab.config.options import options

    assert set(options("forcing/feeder")) == set(FEEDERS)
    for name, feeder in FEEDERS.items():
        config = tiny.configuration("data=toy", "forcing=mixed", f"forcing/feeder={name}")
        assert config["forcing"]["feeder"]["_target_"].rpartition(".")[2] == type(feeder).__name__
