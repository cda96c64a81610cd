"""Measures: losses are equal to those of torch, and a hypothesis may match any of its references."""

import pytest
import sacrebleu
import torch
from torch.nn import functional

from seq2seq_lab.evaluation.evaluate import Evaluation, measured
from seq2seq_lab.evaluation.scores import Bleu, Chrf, ExactMatch
from seq2seq_lab.models.likelihood import sentence_losses

B, T, V = 4, 5, 11


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(B, T, V, generator=generator, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def target():
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


LENGTHS = torch.tensor([5, 1, 3, 4])


def expected(logits, target, lengths):
    """The definition: the cross-entropy, summed over the positions of each sentence."""
    losses = [
        functional.cross_entropy(logits[i, :n], target[i, :n], reduction="sum") for i, n in enumerate(lengths)
    ]
    return torch.stack(losses)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_losses_and_gradients_are_equal_to_those_of_torch(logits, target, lengths):
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    ours = sentence_losses(logits, target, lengths)
    theirs = expected(logits, target, [T] * B if lengths is None else lengths.tolist())
    torch.testing.assert_close(ours, theirs)
    (our_gradient,) = torch.autograd.grad(ours @ weights, logits)
    (their_gradient,) = torch.autograd.grad(theirs @ weights, logits)
    torch.testing.assert_close(our_gradient, their_gradient)


def test_padding_has_no_effect_on_losses(logits, target):
    losses = sentence_losses(logits, target, LENGTHS)
    changed, other = logits.detach().clone(), target.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        changed[row, length:] = 1e4
        other[row, length:] = 0
    assert torch.equal(sentence_losses(changed, other, LENGTHS), losses)


def test_the_loss_is_0_for_certain_scores_and_log_v_per_word_for_equal_scores(target):
    certain = functional.one_hot(target, V) * 1000.0
    torch.testing.assert_close(sentence_losses(certain, target, None), torch.zeros(B))
    equal = torch.zeros(B, T, V)
    expected = torch.full((B,), T * torch.tensor(float(V)).log().item())
    torch.testing.assert_close(sentence_losses(equal, target, None), expected)


def translation_scores(hypotheses, references):
    """The values of all measures of translations."""
    nothing = torch.zeros(len(hypotheses))
    measures = {"bleu": Bleu(), "chrf": Chrf(), "exact_match": ExactMatch()}
    return measured(Evaluation(hypotheses, references, *[nothing] * 4), measures)


HYPOTHESES = ["i m here now .", "you are late again .", "she s a very good friend .", "no"]
OTHERS = [["i am here now ."], ["you re late again ."], [], ["yes", "perhaps"]]


def test_a_hypothesis_may_match_any_of_its_references():
    references = [[*others, hypothesis] for hypothesis, others in zip(HYPOTHESES, OTHERS, strict=True)]
    scores = translation_scores(HYPOTHESES, references)
    assert scores == {"bleu": pytest.approx(100), "chrf": pytest.approx(100), "exact_match": 1}


def test_the_order_of_references_does_not_matter():
    others = ["he s here now .", "you are late again", "she s a friend .", "not so"]
    references = [[*row, other] for row, other in zip(OTHERS, others, strict=True)]
    one = translation_scores(HYPOTHESES, references)
    other = translation_scores(HYPOTHESES, [row[::-1] for row in references])
    assert one == pytest.approx(other)


def test_exact_match_is_the_share_of_hypotheses_equal_to_a_reference():
    references = [[hypothesis] for hypothesis in HYPOTHESES]
    references[1], references[3] = ["you are late again"], ["No"]
    assert translation_scores(HYPOTHESES, references)["exact_match"] == 0.5


def test_with_one_reference_the_scores_are_equal_to_those_of_sacrebleu():
    references = ["i am here now .", "you re late again .", "she is a very good friend .", "no"]
    scores = translation_scores(HYPOTHESES, [[reference] for reference in references])
    bleu = sacrebleu.BLEU(tokenize="none").corpus_score(HYPOTHESES, [references])
    chrf = sacrebleu.CHRF().corpus_score(HYPOTHESES, [references])
    assert scores["bleu"] == pytest.approx(bleu.score)
    assert scores["chrf"] == pytest.approx(chrf.score)
    assert scores["exact_match"] == 0.25


def test_empty_hypotheses_have_score_0():
    scores = translation_scores(["", ""], [["i am here ."], ["no", "never"]])
    assert scores == {"bleu": 0, "chrf": 0, "exact_match": 0}
