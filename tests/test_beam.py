"""Beam search: a beam of 1 is greedy, a wide beam finds what enumeration finds, and batches change nothing."""

from itertools import product

import pytest
import torch

from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.decoding.beam import beam_search, best_hypotheses, length_penalty
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.models import attention_model, seq2seq_model

SOURCES = torch.tensor([[3, 4, 5, 1], [6, 2, 1, 0], [7, 1, 0, 0], [4, 4, 3, 1]])
LENGTHS = torch.tensor([4, 3, 2, 4])
SETTINGS = [
    (seq2seq_model, {}),
    (attention_model, {"layers": 2}),
    (attention_model, {"cell": torch.nn.LSTM, "input_feeding": True}),
]


@pytest.fixture(params=SETTINGS, ids=["seq2seq", "attention", "input-feeding"])
def build(request):
    make, settings = request.param

    def built(words=9, seed=0):
        torch.manual_seed(seed)
        sizes = {"source_vocabulary_size": 9, "target_vocabulary_size": words}
        model = make(hidden_size=8, embedding_size=8, **sizes, **settings).double().eval()
        with torch.no_grad():
            model.decoder.output.weight.mul_(4)  # so that the model is not indifferent
        return model

    return built


def upto_end(words):
    return words[: words.index(EOS) + 1] if EOS in words else words


@torch.no_grad()
def log_probability(model, source, words):
    target = torch.tensor([words])
    logits = model(source, target).logits.log_softmax(dim=2)
    return float(logits[0, torch.arange(len(words)), target[0]].sum())


def test_a_beam_of_one_is_greedy(build):
    for seed in range(3):
        model = build(seed=seed)
        wanted = greedy(model, SOURCES, LENGTHS, 6).words.tolist()
        found = beam_search(model, SOURCES, LENGTHS, 6, beam=1, alpha=0.7)
        assert [each[0].words for each in found] == [upto_end(words) for words in wanted]


@pytest.mark.parametrize("beam", [1, 4])
def test_a_model_that_has_diverged_has_an_empty_hypothesis(build, beam):
    model = build()
    with torch.no_grad():
        model.decoder.output.weight.fill_(torch.nan)
    found = beam_search(model, SOURCES, LENGTHS, 6, beam=beam)
    assert [[each.words for each in several] for several in found] == [[[]]] * 4


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
def test_a_beam_of_all_sequences_finds_the_best_of_them(build, alpha):
    model, longest, words = build(words=4), 4, 4
    every = {
        tuple(upto_end(list(each)))
        for size in range(1, longest + 1)
        for each in product(range(words), repeat=size)
        if EOS in each or size == longest
    }
    for row in range(2):
        source = SOURCES[row : row + 1, : LENGTHS[row]]
        scored = {
            each: log_probability(model, source, list(each)) / length_penalty(len(each), alpha)
            for each in every
        }
        (found,) = beam_search(model, source, None, longest, beam=words**longest, alpha=alpha, n_best=10)
        best = sorted(scored.values(), reverse=True)[:10]
        assert [one.score for one in found] == pytest.approx(best)
        assert [scored[tuple(one.words)] for one in found] == pytest.approx(best)


def test_batches_and_padding_change_nothing(build):
    model = build()
    together = beam_search(model, SOURCES, LENGTHS, 6, beam=3, n_best=3)
    for row, wanted in enumerate(together):
        (alone,) = beam_search(model, SOURCES[row : row + 1, : LENGTHS[row]], None, 6, beam=3, n_best=3)
        assert [one.words for one in alone] == [one.words for one in wanted]
        assert [one.score for one in alone] == pytest.approx([one.score for one in wanted])


def test_hypotheses_are_sorted_and_distinct_and_have_the_models_probability(build):
    model = build()
    for row, hypotheses in enumerate(beam_search(model, SOURCES, LENGTHS, 5, beam=4, n_best=4)):
        assert len({tuple(one.words) for one in hypotheses}) == len(hypotheses) > 1
        assert [one.score for one in hypotheses] == sorted((one.score for one in hypotheses), reverse=True)
        for one in hypotheses:
            assert EOS not in one.words[:-1]
            probability = log_probability(model, SOURCES[row : row + 1, : LENGTHS[row]], one.words)
            assert one.log_probability == pytest.approx(probability)
            assert one.score == pytest.approx(probability / length_penalty(len(one.words), 1.0))


def test_a_model_with_a_forward_of_its_own_is_searched_by_it():
    class Restless(type(attention_model(source_vocabulary_size=9, target_vocabulary_size=9))):
        def forward(self, *args, **kwargs):
            decoded = super().forward(*args, **kwargs)
            return decoded._replace(logits=-decoded.logits)

    plain = attention_model(source_vocabulary_size=9, target_vocabulary_size=9, hidden_size=8).double().eval()
    model = Restless(encoder=plain.encoder, decoder=plain.decoder).eval()
    (found, *_) = beam_search(model, SOURCES, LENGTHS, 4, beam=3)
    assert found[0].log_probability == pytest.approx(log_probability(model, SOURCES[:1], found[0].words))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "beam must"),
        ({"n_best": 6}, "n_best must"),
        ({"beam": 1, "alpha": float("nan")}, "length penalty must be between"),
        ({"alpha": -11.0}, "length penalty must be between"),
        ({"beam": 1.5}, "beam must be a whole number"),
    ],
)
def test_arguments_out_of_range_are_refused(build, settings, message):
    with pytest.raises(ValueError, match=message):
        beam_search(build(), SOURCES, LENGTHS, 4, **settings)
    with pytest.raises(ValueError, match=message):
        best_hypotheses(build(), [[]], 4, **{"beam": 5, **settings})


def test_sos_is_never_the_reason_to_stop(build):
    model = build()
    with torch.no_grad():
        model.decoder.output.bias[SOS] = 50.0
    (found, *_) = beam_search(model, SOURCES, LENGTHS, 4, beam=2)
    assert found[0].words == [SOS] * 4


def test_a_sentence_whose_search_has_ended_is_computed_no_further(build, monkeypatch):
    model = build(seed=1)
    fed = []
    decode = type(model).decode

    def counted(self, inputs, *arguments, **settings):
        fed.append(len(inputs))
        return decode(self, inputs, *arguments, **settings)

    monkeypatch.setattr(type(model), "decode", counted)
    found = beam_search(model, SOURCES, LENGTHS, 12, beam=3, n_best=3)
    last = [max(len(each.words) for each in several) for several in found]
    for step, rows in enumerate(fed):
        assert rows <= 3 * sum(length > step for length in last)
    assert len(fed) == max(last)
