"""Measures of exposure bias: numbers computed by hand on small tables, and by literal loops on models."""

import math

import pytest
import torch
from torch import nn

from markov import Markov, batch
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.sources.grammar import Translations
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.units import Characters, Words
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.evaluation import grammar
from seq2seq_lab.evaluation.evaluate import Evaluator
from seq2seq_lab.evaluation.groups import by_group, length_group
from seq2seq_lab.evaluation.losses import ExposureGap, LossForced, LossFree
from seq2seq_lab.evaluation.positions import by_position, joined, right_words
from seq2seq_lab.evaluation.prefixes import continued, eb_m, ends_of_words
from seq2seq_lab.evaluation.recovery import recovered, recovery, replaceable
from seq2seq_lab.evaluation.repetition import repeated, repetition
from seq2seq_lab.models import attention_model, seq2seq_model, transformer_model

SOS, EOS, A, B, C, D = range(6)
# A then B then C then the end; after D the model stays at D.
CHAIN = Markov(6, {SOS: {A: 0.6, B: 0.4}, A: {B: 0.7, C: 0.3}, B: {C: 0.6, A: 0.4}, C: {EOS: 1}, D: {D: 1}})
MODELS = {"seq2seq": seq2seq_model, "attention": attention_model}


@pytest.fixture(params=MODELS)
def model(request):
    """A model that is confident, and wrong in many places."""
    torch.manual_seed(1)
    sizes = {"source_vocabulary_size": 9, "target_vocabulary_size": 6, "hidden_size": 6, "embedding_size": 5}
    made = MODELS[request.param](**sizes).double().eval()
    for weight in made.parameters():
        nn.init.uniform_(weight, -1.5, 1.5)
    return made


def next_scores(model, source, words):
    """The scores after some words, one step after the other."""
    memory = model.encoder(source)
    state = memory.state
    for word in [SOS, *words]:
        decoded, state = model.decoder(model.decoder.embed(torch.tensor([[word]])), memory, state)
    return decoded.logits[0, 0]


# Positions


def test_accuracy_by_position_by_hand():
    # The model says A B C <eos>. Under gold words: A B C <eos> is all right; of C C <eos>, A is wrong, then after
    # C it says <eos>, wrong, and after C <eos> again, right.
    found = by_position(right_words(CHAIN, batch([A, B, C, EOS], [C, C, EOS])))
    assert found["position"] == [1, 2, 3, 4]
    assert found["sentences"] == [2, 2, 2, 1]
    assert found["gold"] == [0.5, 0.5, 1, 1]
    assert found["own"] == [0.5, 0.5, 0.5, 1]  # A B C against C C <eos>
    assert found["gap"] == [0, 0, 0.5, 0]
    assert found["measures"] == pytest.approx(
        {
            "accuracy_gold": 5 / 7,
            "accuracy_own": 4 / 7,
            "accuracy_gap": 1 / 7,
            "accuracy_gap_to_own_end": 1 / 7,  # A B C <eos> ends after the targets
        }
    )


def test_after_its_end_a_hypothesis_has_no_right_words():
    # After its <eos> the table continues with A: it must not count, although the target has an A there.
    model = Markov(6, {SOS: {EOS: 1}, EOS: {A: 1}, A: {EOS: 1}})
    words = right_words(model, batch([B, A, EOS]))
    assert words.gold.tolist() == [[False, False, True]]
    assert words.own.tolist() == [[False, False, False]]


def test_an_unknown_word_is_never_right():
    words = right_words(CHAIN, batch([A, B, C, EOS]), unk=B)
    assert words.gold.tolist() == words.own.tolist() == [[True, False, True, True]]
    assert words.inside.all()


def test_the_first_position_has_the_same_accuracy_with_gold_and_own_words(model):
    target = torch.randint(2, 6, (5, 4), generator=torch.Generator().manual_seed(0)).tolist()
    words = right_words(model, batch(*([*each, EOS] for each in target)))
    assert torch.equal(words.gold[:, 0], words.own[:, 0])
    # As long as all words are right, gold and own words are the same.
    right_before = words.own.long().cumprod(dim=1).bool()
    assert torch.equal(right_before, words.gold.long().cumprod(dim=1).bool())


def test_batches_give_the_same_words_as_one():
    targets = [A, B, C, EOS], [C, C, EOS], [A, EOS]
    together = right_words(CHAIN, batch(*targets))
    apart = joined([right_words(CHAIN, batch(each)) for each in targets])
    assert all(torch.equal(one, other) for one, other in zip(together, apart, strict=True))


def test_first_errors_by_hand():
    found = by_position(right_words(CHAIN, batch([A, B, C, EOS], [C, C, EOS], [A, EOS], [A, B, A, EOS])))
    assert found["first_error"] == [0.25, 0.25, 0.25, 0]
    assert found["without_error"] == 0.25
    assert found["hazard"] == pytest.approx([1 / 4, 1 / 3, 1 / 2, 0])
    assert found["right_before"] == [4, 3, 2, 1]
    assert sum(found["first_error"]) + found["without_error"] == 1


# Recovery


def test_recovery_by_hand():
    # A B C <eos>, all right under gold. Second best at 1 is B: then C, wrong. At 2 it is C: then <eos>, wrong.
    # At 3 after B it is A: then B, wrong. A model of one word of memory is right again one word later.
    one = recovered(CHAIN, batch([A, B, C, EOS]), Draws(0, 0, torch.tensor([0])), replaceable(6))
    found = recovery([one])
    assert found["k"] == [1, 2, 3]
    assert found["positions"] == 3
    assert found["gold"] == [1, 1, 1]
    assert found["second_best"] == [0, 0, 0]
    # Of A C <eos>: at 1 B instead of A, then C is right, and <eos>; at 2 the model's best is B: then C, wrong.
    found = recovery([recovered(CHAIN, batch([A, C, EOS]), Draws(0, 0, torch.tensor([0])), replaceable(6))])
    assert found["gold"] == [0.5, 0.5, 0.5]
    assert found["second_best"] == [0.5, 0.5, 0.5]
    assert found["measures"]["recovery_second_best"] == 0.5


def test_after_a_wrong_word_an_unknown_one_is_never_right():
    unk = D
    model = Markov(6, {word: {unk: 1} for word in (SOS, A, B, C, D, EOS)})
    one = recovered(model, batch([A, unk, unk, EOS]), Draws(0, 0, torch.tensor([0])), replaceable(6, unk))
    assert recovery([one])["random"][0] == recovery([one])["second_best"][0] == 0


def test_recovery_is_that_of_a_literal_loop_and_free_running_gives_the_same(model):
    targets = [[A, B, C, EOS], [D, A, EOS], [C, EOS]]
    data, draws, words = batch(*targets), Draws(3, 0, torch.tensor([7, 2, 9])), replaceable(6)
    found = recovered(model, data, draws, words)
    uniform = draws.uniform("recovery", data.target.shape[1])
    expected = {"random": [], "second_best": []}
    for row, target in enumerate(targets):
        source = data.source[row : row + 1]
        for t in range(len(target) - 1):
            others = [word for word in (A, B, C, D) if word != target[t]]
            before = next_scores(model, source, target[:t])
            chosen = {
                "random": others[int(uniform[row, t] * 3)],
                "second_best": max(others, key=lambda word: before[word]),
            }
            for kind, word in chosen.items():
                fed, right = [*target[:t], word], []
                for k in range(1, 4):
                    fed.append(int(next_scores(model, source, fed).argmax()))  # its own words
                    right.append(fed[t + 1 : len(target)] == target[t + 1 : t + 1 + k])
                expected[kind].append(right)
    assert found.random.tolist() == expected["random"]
    assert found.second_best.tolist() == expected["second_best"]


@pytest.mark.parametrize(
    ("words", "unk", "target"), [(3, None, [A, A, EOS]), (4, B, [A, B, EOS]), (4, B, [B, EOS])]
)
def test_where_no_word_can_be_replaced_there_is_no_recovery(words, unk, target):
    sizes = {"source_vocabulary_size": 9, "target_vocabulary_size": words, "hidden_size": 8, "heads": 2}
    draws = Draws(0, 0, torch.tensor([0]))
    found = recovered(transformer_model(**sizes).eval(), batch(target), draws, replaceable(words, unk))
    assert recovery([found]) == {"positions": 0, "measures": {}}


def test_random_words_belong_to_a_pair_and_are_all_other_words(model):
    target = [A, B, C, D, A, B, EOS]
    together = recovered(model, batch(target, target), Draws(0, 0, torch.tensor([4, 5])), replaceable(6))
    alone = recovered(model, batch(target), Draws(0, 0, torch.tensor([5])), replaceable(6))
    assert torch.equal(together.random[6:], alone.random)


# EB-M


def exact_words(hypotheses, references):
    """In place of BLEU: the percentage of hypotheses that equal a reference."""
    right = sum(hypothesis in row for hypothesis, row in zip(hypotheses, references, strict=True))
    return 100 * right / len(hypotheses)


def test_eb_m_by_hand():
    references = [["a b c d"], ["a b", "a c d"], ["e"]]
    own = ["a x c d", "a b", "e"]
    gold = [["a b c d", "a b", "e"], ["a b c d", "a b x", "e"], ["a b c d", "a b", "e"], ["?"] * 3]
    found = eb_m(gold, own, references, exact_words)
    assert found["prefix"] == [1, 2, 3]
    assert found["sentences"] == [2, 1, 1]  # "e" has no continuation, "a b" none after two words
    assert found["gold"] == [100, 100, 100]
    assert found["own"] == [50, 100, 100]
    assert found["eb_m"] == [2, 1, 1]
    assert found["measures"] == {"eb_m": pytest.approx((2 * 100 + 100 + 100) / (2 * 50 + 100 + 100))}


def test_a_model_without_errors_has_no_bias_and_one_without_right_words_has_no_ratio():
    references = [["a b c"], ["b c d"]]
    right = [row[0] for row in references]
    assert eb_m([right, right], right, references, exact_words)["eb_m"] == [1, 1]
    assert eb_m([right], ["x"] * 2, references, exact_words)["eb_m"] == [None]


def test_a_continued_prefix_is_that_of_a_literal_loop(model):
    targets = [[A, B, C, EOS], [D, A, EOS]]
    data = batch(*targets)
    for given in ((1, 1), (2, 1), (3, 0)):
        for row, found in enumerate(continued(model, data, torch.tensor(given), 6)):
            fed = targets[row][: given[row]]
            while len(fed) < 6:
                fed.append(int(next_scores(model, data.source[row : row + 1], fed).argmax()))
            assert found == fed


def test_a_prefix_of_words_ends_where_its_last_word_does():
    symbols = ["", "", "a", "b ", "c", " d", "e"]  # symbols of words: "ab" "c" "de"

    def to_text(ids):
        return "".join(symbols[i] for i in ids if i != EOS)

    assert ends_of_words([2, 3, 4, 5, 6, EOS], to_text) == [2, 3, 5]
    assert ends_of_words([EOS], to_text) == []


@pytest.mark.parametrize("units", [Words(), Characters()])
def test_a_gold_prefix_has_no_start_of_the_next_word(units):
    """In characters it is a symbol of its own, and would say that the sentence goes on."""
    symbols = [symbol for word in ("i", "am", "tired", ".") for symbol in units.divide(word)]
    vocabulary = Vocabulary(["<sos>", "<eos>", *dict.fromkeys(symbols)], units)
    ends = ends_of_words([*vocabulary.encode(symbols), EOS], vocabulary.text)
    assert [units.join(symbols[:end]) for end in ends] == ["i", "i am", "i am tired", "i am tired ."]
    assert not any(symbols[end - 1] == "▁" for end in ends)


# Repetition, groups


def test_repetition_by_hand():
    assert repeated(["a", "b", "a", "b"], 1) == 0.5
    assert repeated(["a", "b", "a", "b"], 2) == pytest.approx(1 / 3)
    assert repeated(["a", "b"], 3) is None
    found = repetition(["a b a b", "a"], ["a b c d", "a a"])
    assert found["hypotheses"] == [0.25, pytest.approx(1 / 3), 0, 0]
    assert found["references"] == [0.25, 0, 0, 0]
    assert found["measures"]["repetition_1"] == 0.25


def test_groups_have_the_results_of_their_sentences_alone():
    names = [length_group(words) for words in (12, 1, 2, 60, 11)]
    found = by_group(names, lambda rows: {"sum": sum(rows)}, order=["1–2", "3–4", "11–15"])
    assert found == {"group": ["1–2", "11–15", "51 or more"], "sentences": [2, 2, 1], "sum": [3, 4, 3]}


# Against the distribution of a grammar

PAIRS = [("x", "a b"), ("x", "a c"), ("x", "c"), ("y", "b"), ("y", "b"), ("y", "b a")]
TRUTH = Translations(PAIRS)
WORDS = Vocabulary(["<sos>", "<eos>", "a", "b", "c", "d"])
SOURCES = {"x": torch.tensor([[2, 1]]), "y": torch.tensor([[3, 1]])}


def test_next_words_are_those_of_the_derivations():
    assert TRUTH.next_words("x", []) == pytest.approx({"a": 2 / 3, "c": 1 / 3})
    assert TRUTH.next_words("x", ["a"]) == {"b": 0.5, "c": 0.5}
    assert TRUTH.next_words("y", ["b"]) == pytest.approx({"<eos>": 2 / 3, "a": 1 / 3})
    assert (
        TRUTH.next_words("x", ["b"])
        == TRUTH.next_words("z", [])
        == TRUTH.next_words("x", ["c", "<eos>"])
        == {}
    )


def test_the_translations_of_the_toy_corpus_are_those_that_it_can_draw():
    corpus, truth = ToyCorpus().load(), ToyCorpus().distribution()
    for index in range(0, len(corpus), 50):
        words, probability = [*corpus.target_text(index).split(), "<eos>"], 1.0
        for t, word in enumerate(words):
            following = truth.next_words(corpus.source_text(index), words[:t])
            assert sum(following.values()) == pytest.approx(1)
            probability *= following[word]
        assert 0 < probability <= 1


def brute_force(probability, longest):
    """EB-C, excess error and outside from the definitions, by all sequences of words, of a conditional distribution
    probability(source, prefix) → {word: p}."""
    words = WORDS.words[2:]
    live = {"data": {}, "model": {}}  # which → length → [(probability, source, prefix)]
    outside = {}
    for source in SOURCES:
        frontier = {"data": [(1.0, ())], "model": [(1.0, ())]}
        lost = 0.0
        for length in range(longest + 1):
            outside[length] = outside.get(length, 0.0) + lost / len(SOURCES)
            for which, prefixes in frontier.items():
                live[which].setdefault(length, []).extend((p, source, prefix) for p, prefix in prefixes)
            following = {"data": [], "model": []}
            for which, prefixes in frontier.items():
                for p, prefix in prefixes:
                    data, model = TRUTH.next_words(source, prefix), probability(source, prefix)
                    for word in words:
                        share = (data if which == "data" else model).get(word, 0.0)
                        if word in data:
                            following[which].append((p * share, (*prefix, word)))
                    if which == "model":
                        lost += sum(p * q for word, q in model.items() if word not in data)
            frontier = following

    def mean(which, length, distance):
        rows = live[which][length]
        return sum(p * distance(s, w) for p, s, w in rows) / sum(p for p, *_ in rows)

    def total_variation(source, prefix):
        data, model = TRUTH.next_words(source, prefix), probability(source, prefix)
        return sum(abs(data.get(word, 0) - model.get(word, 0)) for word in WORDS.words) / 2

    def jensen_shannon(source, prefix):
        o, p = TRUTH.next_words(source, prefix), probability(source, prefix)
        total = 0.0
        for word in WORDS.words:
            middle = (o.get(word, 0) + p.get(word, 0)) / 2
            total += sum(q[word] * math.log(q[word] / middle) / 2 for q in (o, p) if q.get(word))
        return total

    def divergence(source, prefix):
        o, p = TRUTH.next_words(source, prefix), probability(source, prefix)
        return sum(q * math.log(q / p[word]) for word, q in o.items())

    lengths = range(longest + 1)
    ratios = {
        name: [mean("model", length, d) / mean("data", length, d) for length in lengths]
        for name, d in (("total_variation", total_variation), ("jensen_shannon", jensen_shannon))
    }
    excess = []
    for length in lengths:
        own, gold = (sum(mean(w, t, divergence) for t in range(length + 1)) for w in ("model", "data"))
        excess.append(100 * (own - gold) / gold)
    return ratios, excess, [outside[length] for length in lengths]


def exact(model, *sources):
    each = [grammar.compared(model, SOURCES[x], grammar.prefixes(TRUTH, x, WORDS)) for x in sources]
    return grammar.exact(each, len(WORDS))


def test_exact_measures_are_those_of_brute_force(model):
    def probability(source, prefix):
        scores = next_scores(model, SOURCES[source], WORDS.encode(prefix)).detach()
        return dict(zip(WORDS.words, scores.softmax(dim=0).tolist(), strict=True))

    found = exact(model, *SOURCES)
    ratios, excess, outside = brute_force(probability, longest=2)
    assert found["prefix"] == [0, 1, 2]
    assert found["total_variation"]["eb_c_inside"] == pytest.approx(ratios["total_variation"])
    assert found["jensen_shannon"]["eb_c_inside"] == pytest.approx(ratios["jensen_shannon"])
    assert found["excess_inside"] == pytest.approx(excess)
    assert found["outside"] == pytest.approx(outside)
    assert found["total_variation"]["eb_c"][0] == 1  # without words, all prefixes are equal
    assert found["excess"][0] == 0


def test_a_perfect_model_has_no_distance_and_so_no_bias():
    _, _, a, b, c, _ = range(6)
    perfect = Markov(
        6, {SOS: {a: 2 / 3, c: 1 / 3}, a: {b: 0.5, c: 0.5}, b: {EOS: 1}, c: {EOS: 1}, EOS: {EOS: 1}}
    )
    found = exact(perfect, "x")
    assert found["total_variation"]["model"] == pytest.approx([0, 0, 0], abs=1e-12)
    assert found["total_variation"]["eb_c"] == [1] * 3
    assert found["outside"] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("sources", ["x", "y", "xy"])
def test_a_model_that_does_not_end_its_longest_translations_leaves_them(sources):
    model = Markov(6, {SOS: {A: 0.5, B: 0.5}, A: {B: 1}, B: {B: 1}})
    assert exact(model, *sources)["measures"]["outside"] == pytest.approx(1)


def test_the_largest_distance_of_prefixes_outside_by_hand():
    # Of y only "b" is possible first. The model says b with ½ and c with ½; after b it is as the data.
    model = Markov(
        6, {SOS: {B: 0.5, C: 0.5}, B: {EOS: 2 / 3, A: 1 / 3}, A: {EOS: 1}, C: {C: 1}, EOS: {EOS: 1}}
    )
    found = exact(model, "y")
    assert found["outside"] == pytest.approx([0, 0.5, 0.5])
    assert found["total_variation"]["model_inside"] == pytest.approx([0.5, 0, 0], abs=1e-12)
    assert found["total_variation"]["model"] == pytest.approx([0.5, 0.5, 0.75])
    # Under the data's prefixes: ln 2 at the first word, then nothing. Under the model's beyond it: half of those
    # of one word and three quarters of those of two count ln 6 each.
    beyond = [0, 0.5 * math.log(6), 1.25 * math.log(6)]
    assert found["excess"] == pytest.approx([100 * each / math.log(2) for each in beyond])
    assert found["excess_inside"] == pytest.approx([0, 0, 0], abs=1e-9)


def test_a_source_with_a_word_that_the_model_does_not_have_is_left_out():
    assert grammar.prefixes(Translations([("x", "a ?")]), "x", WORDS) == []
    assert grammar.prefixes(TRUTH, "z", WORDS) == []
    assert grammar.exact([], 6) == {"sources": 0, "measures": {}}


# The free-running loss


@pytest.mark.parametrize("padding", [0, 5])
def test_the_losses_are_those_of_a_literal_loop(model, padding):
    targets = [[A, B, C, EOS], [D, EOS], [C, A, EOS]]
    data = batch(*targets)
    data = data._replace(target=torch.nn.functional.pad(data.target, (0, padding)))
    evaluator = Evaluator(to_text=str, max_length=3)
    evaluator.add(model, data)
    found = evaluator.evaluation([[""]] * 3)
    for row, target in enumerate(targets):
        source = data.source[row : row + 1]
        forced = free = 0.0
        own = []
        for t, word in enumerate(target):
            gold_scores = next_scores(model, source, target[:t]).log_softmax(dim=0)
            own_scores = next_scores(model, source, own).log_softmax(dim=0)
            forced -= gold_scores[word].item() / len(target)
            free -= own_scores[word].item() / len(target)
            own.append(int(own_scores.argmax()))
        assert float(found.losses_forced[row]) == pytest.approx(forced)
        assert float(found.losses_free[row]) == pytest.approx(free)
    assert ExposureGap()(found) == pytest.approx(LossFree()(found) - LossForced()(found))
