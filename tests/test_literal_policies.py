"""The policies' feeds against tests/literal/policies.py, on random small cases."""

import random

import pytest
import torch
from torch import nn

import literal.policies as literal
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing import schedules
from seq2seq_lab.forcing.by_step import ByStepForcing
from seq2seq_lab.forcing.confidence import ConfidenceForcing
from seq2seq_lab.forcing.feeders.soft import Soft
from seq2seq_lab.forcing.feeders.uniform import Uniform
from seq2seq_lab.forcing.feeders.unk import UnknownWord
from seq2seq_lab.forcing.mixed import MixedForcing
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Pairs, mean_over_words
from seq2seq_lab.forcing.scheduled import ScheduledForcing
from seq2seq_lab.forcing.two_pass import TwoPassForcing
from seq2seq_lab.models import attention_model

DECAYS = {
    "constant": schedules.Constant(),
    "linear": schedules.Linear(),
    "exponential": schedules.Exponential(),
    "inverse_exponential": schedules.InverseExponential(),
    "inverse_sigmoid": schedules.InverseSigmoid(),
}
V, UNK = 11, 2


class Case:
    """Some pairs of random lengths, and a model that is sure of some words and wrong in many places."""

    def __init__(self, seed):
        chance = random.Random(seed)
        self.lengths = [chance.randint(1, 8) for _ in range(12)]
        self.positions = max(self.lengths)
        self.updates = chance.randint(20, 200)
        self.update = [chance.randrange(self.updates) for _ in self.lengths]
        self.draws = Draws(seed, chance.randrange(5), torch.arange(len(self.lengths)))
        self.targets = [[chance.randrange(3, V) for _ in range(n - 1)] + [literal.EOS] for n in self.lengths]
        self.source = torch.tensor([[chance.randrange(2, 9) for _ in range(4)] for _ in self.lengths])
        self.target = torch.tensor([row + [5] * (self.positions - len(row)) for row in self.targets])
        torch.manual_seed(seed)
        self.model = attention_model(
            source_vocabulary_size=9, target_vocabulary_size=V, hidden_size=6, embedding_size=5
        ).double()
        for weight in self.model.parameters():
            nn.init.uniform_(weight, -1.5, 1.5)

    @property
    def pairs(self):
        lengths, update = torch.tensor(self.lengths), torch.tensor(self.update)
        return Pairs(lengths, self.positions, self.draws, update, self.updates, self.draws.epoch, 5)

    def coins(self, number=0):
        return self.draws.of_pass(number).uniform("forcing/position", self.positions).tolist()

    def scores(self, row, words):
        """Of one pair, fed these words after `<sos>`, one position after the other."""
        memory = self.model.encoder(self.source[row : row + 1])
        state, found = memory.state, []
        for word in [0, *words]:
            decoded, state = self.model.decoder(
                self.model.decoder.embed(torch.tensor([[word]])), memory, state
            )
            found.append(decoded.logits[0, 0].tolist())
        return found

    def follow(self, policy, unk=None):
        plan = policy.plan(self.pairs)._replace(unk=unk)
        lengths = torch.tensor(self.lengths)
        return follow(self.model, self.source, self.target, plan, target_lengths=lengths, draws=self.draws)

    def check_scores(self, followed, fed_of):
        """The scores are those of the literal feed of each pair."""
        for row, length in enumerate(self.lengths):
            wanted = torch.tensor(self.scores(row, fed_of(row)), dtype=torch.float64)
            torch.testing.assert_close(followed.decoded.logits[row, :length], wanted)


@pytest.fixture(params=range(4))
def case(request):
    return Case(request.param)


@pytest.mark.parametrize("joint", ["composite", "product", None])
@pytest.mark.parametrize("name", DECAYS)
def test_by_step(case, name, joint):
    schedule = None if joint is None else schedules.Schedule(decay=DECAYS["inverse_sigmoid"], end=0.1)
    plan = ByStepForcing(decay=DECAYS[name], schedule=schedule, joint=joint or "composite").plan(case.pairs)
    for row, length in enumerate(case.lengths):
        f = joint and literal.schedule("inverse_sigmoid", case.update[row], case.updates, 1.0, 0.1)
        ratio = [literal.by_step(name, t, length, f=f, joint=joint) for t in range(length)]
        assert plan.ratio[row, :length].tolist() == pytest.approx(ratio, abs=1e-9)
        gold = literal.coins(ratio, case.coins()[row][:length])
        assert plan.gold[row, 1:length].tolist() == gold[1:]


@pytest.mark.parametrize("name", DECAYS)
@pytest.mark.parametrize("unit", ["position", "prefix"])
def test_scheduled(case, name, unit):
    plan = ScheduledForcing(decay=DECAYS[name], start=0.1, end=0.9, unit=unit).plan(case.pairs)
    shares = mean_over_words(plan.gold, torch.tensor(case.lengths)).tolist()
    for row, length in enumerate(case.lengths):
        ratio = literal.schedule(name, case.update[row], case.updates, 0.1, 0.9)
        assert plan.ratio[row].item() == pytest.approx(ratio, abs=1e-9)
        coins = literal.coins([ratio] * length, case.coins()[row][:length])
        gold = literal.prefix(ratio, length) if unit == "prefix" else coins
        assert plan.gold[row, 1:length].tolist() == gold[1:]
        assert shares[row] == pytest.approx(literal.share(gold, length))


def test_a_fifth_of_a_sentence_is_not_nothing():
    """⌊0.2 · 7⌋ = 1 word is gold, not 0: `<sos>` is none of them."""
    pairs = Case(0).pairs._replace(lengths=torch.full((12,), 7), positions=7)
    gold = MixedForcing(ratio=0.2, unit="prefix").plan(pairs).gold
    assert gold[0].tolist() == [True, True, False, False, False, False, False]


def test_mixed_and_free(case):
    policy = MixedForcing(ratio=0.4, unit="position")
    gold = [literal.coins([0.4] * case.positions, row) for row in case.coins()]

    def fed(row):
        return literal.free(case.targets[row], gold[row], lambda words: case.scores(row, words))

    case.check_scores(case.follow(policy), fed)


@pytest.mark.parametrize("passes", [1, 2, 4])
@pytest.mark.parametrize("warm", [False, True])
def test_two_pass(case, passes, warm):
    schedule = schedules.Schedule(decay=DECAYS["inverse_exponential"], share=0.5) if warm else None
    policy = TwoPassForcing(ratio=0.3, passes=passes, schedule=schedule)

    def fed(row):
        own = 0.7
        if warm:
            own *= 1 - literal.decay("inverse_exponential", case.update[row], case.updates / 2)
        gold = [
            literal.coins([1 - own] * case.positions, case.coins(number)[row]) for number in range(passes)
        ]
        return literal.two_pass(case.targets[row], gold, lambda words: case.scores(row, words))

    case.check_scores(case.follow(policy), fed)


def test_with_as_many_passes_as_words_it_is_stepping(case):
    """The first n words stay after n passes, so that each is what its final prefix leads to."""
    policy = TwoPassForcing(ratio=0.3, passes=case.positions)
    gold = policy.plan(case.pairs).gold.tolist()

    def fed(row):
        return literal.free(case.targets[row], gold[row], lambda words: case.scores(row, words))

    case.check_scores(case.follow(policy), fed)


@pytest.mark.parametrize(("golden", "random"), [(0.05, 0.15), (0.0, 0.0), (0.3, 1.0)])
@pytest.mark.parametrize("unk", [None, UNK])
def test_confidence(case, golden, random, unk):
    noise = case.draws.uniform("forcing/noise", case.positions).tolist()
    found = case.follow(ConfidenceForcing(golden=golden, random=random), unk)
    branches = set()

    def fed(row):
        chosen = literal.confidence(
            case.targets[row],
            lambda words: case.scores(row, words),
            noise[row],
            golden=golden,
            random=random,
            special=(0, 1) if unk is None else (0, 1, unk),
        )
        gold = [branch == "gold" for branch, _ in chosen]
        assert found.gold[row, 1 : len(gold) + 1].tolist() == gold
        branches.update(branch for branch, _ in chosen)
        return [word for _, word in chosen]

    case.check_scores(found, fed)
    if golden == 0.05:
        assert branches == {"gold", "own", "noise"}


def test_the_soft_words_of_the_first_pass(case):
    """As the code of Liu et al.: the weights of the mixture are a softmax without gradient."""
    policy = ConfidenceForcing(golden=0.05, random=1.0, feeder=Soft(gradient=False), first_pass=1.0)
    found = case.follow(policy)
    decoder = case.model.decoder
    for row, length in enumerate(case.lengths):
        target = case.targets[row]
        first = case.scores(row, target[:-1])
        torch.testing.assert_close(found.first.logits[row, :length], torch.tensor(first).double())
        inputs = [decoder.embed(torch.tensor([[literal.SOS]]))]
        for t in range(1, length):
            c = literal.softmax(first[t])[target[t]]
            weights = torch.tensor(literal.softmax(first[t - 1])).double().view(1, 1, V)
            gold = decoder.embed(torch.tensor([[target[t - 1]]]))
            inputs.append(gold if c <= 0.05 else decoder.embed_mixture(weights))
        wanted = case.model(
            case.source[row : row + 1], case.target[row : row + 1, :length], inputs=torch.cat(inputs, dim=1)
        )
        torch.testing.assert_close(found.decoded.logits[row, :length], wanted.logits[0])


def test_uniform_words_are_never_special(case):
    known = torch.zeros(12, case.positions, dtype=torch.long)
    own = torch.ones_like(known, dtype=torch.bool)
    uniform = case.draws.uniform("forcing/feeder", case.positions).tolist()
    for unk, special in ((None, (0, 1)), (UNK, (0, 1, UNK)), (7, (0, 1, 7))):
        words = Uniform().words(case.draws, known, own, V, unk).tolist()
        wanted = [[literal.uniform_word(u, V, special) for u in row] for row in uniform]
        assert words == wanted


@pytest.mark.parametrize("unk", [None, UNK])
def test_unk_feeds_the_unknown_word_where_there_is_one(case, unk):
    policy = MixedForcing(ratio=0.4, unit="position", feeder=UnknownWord())
    found = case.follow(policy, unk)
    decoder = case.model.decoder
    for row, length in enumerate(case.lengths):
        gold = literal.coins([0.4] * case.positions, case.coins()[row])
        inputs = [decoder.embed(torch.tensor([[literal.SOS]]))]
        for t in range(1, length):
            other = torch.zeros_like(inputs[0]) if unk is None else decoder.embed(torch.tensor([[unk]]))
            inputs.append(decoder.embed(torch.tensor([[case.targets[row][t - 1]]])) if gold[t] else other)
        wanted = case.model(
            case.source[row : row + 1], case.target[row : row + 1, :length], inputs=torch.cat(inputs, dim=1)
        )
        torch.testing.assert_close(found.decoded.logits[row, :length], wanted.logits[0])
