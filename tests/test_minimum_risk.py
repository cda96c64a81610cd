"""Minimum risk training: its value by the formula, its gradient, and what it must not depend on."""

import itertools
import math

import pytest
import sacrebleu
import torch

import tiny
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.decoding.unroll import encode
from seq2seq_lab.evaluation.sentence_bleu import sentence_bleu
from seq2seq_lab.models import attention_model
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.training.objectives.base import Outcome
from seq2seq_lab.training.objectives.minimum_risk import MinimumRisk, risks

CORPUS = tiny.lettered(12, seed=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    sizes = {
        "source_vocabulary_size": len(CORPUS.source_vocabulary),
        "target_vocabulary_size": len(CORPUS.target_vocabulary),
    }
    made = attention_model(
        hidden_size=6, embedding_size=5, cell=torch.nn.GRU, score=DotAttention, dropout=0.3, **sizes
    )
    return made.double().train()


def outcome(model, rows, seed=0, epoch=0):
    """What a model makes of these pairs of the corpus, in one batch."""
    (block,) = BlockLoader(CORPUS, torch.tensor(rows).numpy(), batch_size=len(rows))
    (batch,) = block
    draws = Draws(seed, epoch, torch.from_numpy(block.indices))
    decoded = model(batch.source, batch.target, source_lengths=batch.source_lengths, draws=draws)
    losses = sentence_losses(decoded.logits, batch.target, batch.target_lengths)
    return Outcome(model, batch, decoded, losses, draws)


def sampled(objective, made):
    """The candidates of an outcome."""
    batch = made.batch
    lengths = batch.target_lengths
    if lengths is None:
        lengths = torch.full((len(batch.target),), batch.target.shape[1])
    with torch.no_grad():
        encoded = encode(made.model, batch.source, batch.source_lengths, made.draws)
    return objective.sample(made.model, encoded, batch.target, lengths, made.draws)


def sentences(candidates, row):
    """The candidates of a pair, as tuples of ids."""
    pairs = zip(candidates.words[row].tolist(), candidates.lengths[row].tolist(), strict=True)
    return [tuple(words[:length]) for words, length in pairs]


def gradients(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("reference", [True, False])
def test_the_risk_of_one_candidate_has_no_gradient(model, reference):
    objective = MinimumRisk(candidates=1, reference=reference)
    assert all(not each.any() for each in gradients(model, objective.risk(outcome(model, range(5))).sum()))


def test_that_of_several_has_one(model):
    found = gradients(model, MinimumRisk().risk(outcome(model, range(5))).sum())
    assert any(each.abs().max() > 1e-6 for each in found)


def test_the_gradient_is_that_of_finite_differences(model):
    objective = MinimumRisk(candidates=5, alpha=0.5, mix=0.7)
    weights = [model.decoder.output.bias, model.encoder.embedding.weight, model.decoder.embedding.weight]
    rows = [0, 1, 2]
    total = objective(outcome(model, rows)).sum()
    exact = torch.autograd.grad(total, weights)
    before = [sentences(sampled(objective, outcome(model, rows)), row) for row in range(3)]
    step = 1e-6
    for weight, gradient in zip(weights, exact, strict=True):
        place = tuple((gradient.abs() == gradient.abs().max()).nonzero()[0].tolist())
        values = []
        for change in (step, -step):
            with torch.no_grad():
                weight[place] += change
            made = outcome(model, rows)
            values.append(objective(made).sum().item())
            assert [sentences(sampled(objective, made), row) for row in range(3)] == before
            with torch.no_grad():
                weight[place] -= change
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(gradient[place].item(), rel=1e-5)


def test_it_is_the_formula_where_all_candidates_can_be_listed(model):
    """Of one position each word is a candidate; with many samples all of them are found."""
    objective = MinimumRisk(candidates=3000, reference=False, alpha=0.7, max_ratio=1e-9)
    made = outcome(model, [3])
    (candidates,) = (sentences(sampled(objective, made), 0),)
    size = len(CORPUS.target_vocabulary)
    assert set(candidates) == {(word,) for word in range(size)}
    gold = [each for each in made.batch.target[0].tolist() if each != EOS]
    log_p = made.decoded.logits[0, 0].log_softmax(dim=0).tolist()
    weights = [math.exp(0.7 * each) for each in log_p]
    losses = [1 - sentence_bleu([word] if word not in (SOS, EOS) else [], gold) for word in range(size)]
    expected = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    assert objective.risk(made).item() == pytest.approx(expected, rel=1e-9)
    assert 0 < expected < 1


def test_it_is_the_formula_over_what_was_sampled(model):
    objective = MinimumRisk(candidates=7, alpha=0.3, mix=0.25)
    made = outcome(model, [0, 4])
    candidates = sampled(objective, made)
    values = objective(made)
    for row in range(2):
        gold = sentences(candidates, row)[0]
        total, risk = 0.0, 0.0
        for words in set(sentences(candidates, row)):
            target = torch.tensor([words])
            source = made.batch.source[row : row + 1]
            lengths = made.batch.source_lengths
            if lengths is not None:
                source = source[:, : lengths[row]]
            logits = model(source, target, draws=made.draws[row : row + 1]).logits
            weight = math.exp(-0.3 * sentence_losses(logits, target, None).item())
            total += weight
            plain = [word for word in words if word not in (SOS, EOS)]
            risk += weight * (1 - sentence_bleu(plain, gold[:-1]))
        expected = 0.25 * risk / total + 0.75 * made.losses[row].item()
        assert values[row].item() == pytest.approx(expected, rel=1e-9)


def test_a_pairs_loss_and_gradient_do_not_depend_on_the_pairs_beside_it(model):
    objective = MinimumRisk(candidates=4, alpha=0.5)
    together = objective(outcome(model, [5, 0, 7, 2]))
    alone = torch.cat([objective(outcome(model, [row])) for row in (5, 0, 7, 2)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)
    for one, other in zip(gradients(model, together.sum()), gradients(model, alone.sum()), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_candidates_are_the_pairs_own(model):
    objective = MinimumRisk(candidates=4)
    one = sentences(sampled(objective, outcome(model, [0, 1])), 0)
    assert one == sentences(sampled(objective, outcome(model, [1, 0])), 1)
    assert one != sentences(sampled(objective, outcome(model, [0, 1], epoch=1)), 0)
    assert one != sentences(sampled(objective, outcome(model, [0, 1], seed=1)), 0)


def test_the_reference_is_the_first_candidate_if_it_is_one(model):
    made = outcome(model, [0, 1, 2])
    candidates = sampled(MinimumRisk(candidates=3), made)
    assert (risks(candidates, made.batch.target, candidates.lengths[:, 0])[:, 0] < 1e-12).all()
    without = sampled(MinimumRisk(candidates=2, reference=False), made)
    for row in range(3):
        assert sentences(candidates, row)[1:] == sentences(without, row)


def test_a_candidate_ends_with_its_first_eos_or_at_the_limit_of_its_target(model):
    made = outcome(model, [0, 1, 2, 3, 4])
    candidates = sampled(MinimumRisk(candidates=9, reference=False, max_ratio=1.5), made)
    ends = []
    for row in range(5):
        target = made.batch.target[row].tolist()
        limit = math.ceil(1.5 * (target.index(EOS) + 1))
        for words in sentences(candidates, row):
            assert EOS not in words[:-1]
            assert len(words) <= limit
            assert words[-1] == EOS or len(words) == limit
            ends.append(words[-1] == EOS)
        assert candidates.distinct[row].sum() == len(set(sentences(candidates, row)))
    assert any(ends)
    assert not all(ends)


def test_a_low_temperature_samples_the_arg_max(model):
    cold = sampled(MinimumRisk(candidates=6, reference=False, temperature=1e-4), outcome(model, [0, 1]))
    assert cold.distinct.sum(dim=1).tolist() == [1, 1]


def test_without_a_share_of_the_risk_it_is_the_likelihood(model):
    made = outcome(model, [0, 1])
    assert torch.equal(MinimumRisk(mix=0.0)(made), made.losses)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("candidates", 0),
        ("temperature", 0.0),
        ("alpha", -1.0),
        ("alpha", math.inf),
        ("mix", 1.5),
        ("mix", math.nan),
        ("max_ratio", 0.0),
    ],
)
def test_nonsense_is_refused_by_its_name(key, value):
    with pytest.raises(ValueError, match=f"^{key} must "):
        MinimumRisk(**{key: value})


def test_sentence_bleu_is_sacrebleus():
    words = (*itertools.product("ab", repeat=3), tuple("abcde"), tuple("abcdefg"), ("a",), ("a", "b"), ("x",))
    values = set()
    for hypothesis, reference in itertools.product((*words, ()), words):
        expected = sacrebleu.sentence_bleu(" ".join(hypothesis), [" ".join(reference)], tokenize="none").score
        found = sentence_bleu(hypothesis, reference)
        assert 100 * found == pytest.approx(expected, abs=1e-9)
        values.add(round(found, 6))
    assert len(values) > 10
