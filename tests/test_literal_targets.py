"""Targets and objectives against tests/literal/targets.py, on random small cases."""

import math
import random

import pytest
import torch
from torch import nn

import literal.targets as literal
import tiny
from seq2seq_lab.config.build import build
from seq2seq_lab.data.batches import Batch, Block, Shape
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.evaluation.sentence_bleu import sentence_bleu
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.free import FreeForcing
from seq2seq_lab.forcing.full import FullForcing
from seq2seq_lab.forcing.mixed import MixedForcing
from seq2seq_lab.forcing.plan import Pairs
from seq2seq_lab.models import attention_model
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.targets import sampling
from seq2seq_lab.targets.edits import distances, prefix_distances
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.targets.optimal_completion import OptimalCompletion, optimal
from seq2seq_lab.targets.reward_sampled import RewardSampled
from seq2seq_lab.targets.teacher import Teacher
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.objectives.r_drop import RDrop
from seq2seq_lab.training.objectives.self_critical import SelfCritical
from seq2seq_lab.training.update import backward, scheduled

V = 7  # with <sos> and <eos>
SEEDS = range(4)


def model_of(seed, dropout=0.0):
    torch.manual_seed(seed)
    made = attention_model(
        source_vocabulary_size=9, target_vocabulary_size=V, hidden_size=6, embedding_size=5, dropout=dropout
    ).double()
    for weight in made.parameters():
        nn.init.uniform_(weight, -1.2, 1.2)
    return made.train()


class Case:
    """Some pairs of random lengths, and a model whose own words are often wrong."""

    def __init__(self, seed, dropout=0.0):
        chance = random.Random(seed)
        self.references = [
            tuple(chance.randrange(2, V) for _ in range(chance.randint(0, 6))) for _ in range(10)
        ]
        self.lengths = torch.tensor([len(each) + 1 for each in self.references])
        longest = int(self.lengths.max())
        rows = [[*each, literal.EOS] + [3] * (longest - 1 - len(each)) for each in self.references]
        self.source = torch.tensor([[chance.randrange(2, 9) for _ in range(4)] for _ in rows])
        self.batch = Batch(self.source, None, torch.tensor(rows), self.lengths, slice(0, 10))
        self.draws = Draws(seed, 1, torch.arange(10))
        self.model = model_of(seed, dropout)

    def made(self, policy, target=None, objective=None, update=5):
        """The results of one update of all pairs; the gradient is in the parameters."""
        pairs = Pairs(
            self.lengths,
            self.batch.target.shape[1],
            self.draws,
            torch.full((10,), update),
            updates=10,
            epochs=1,
        )
        target, objective = target or Gold(), objective or NegativeLogLikelihood()
        plan = policy.plan(pairs)._replace(scheduled=scheduled(pairs, target, objective))
        self.model.zero_grad()
        return backward(self.model, objective, self.batch, plan, self.draws, target=target)

    def states(self, row, words, model=None):
        """The scores of one pair after `<sos>` and each of these words, one position after the other."""
        model = model or self.model
        memory = model.encoder(self.source[row : row + 1])
        state, found = memory.state, []
        for word in (literal.SOS, *words):
            decoded, state = model.decoder(model.decoder.embed(torch.tensor([[word]])), memory, state)
            found.append(decoded.logits[0, 0])
        return found

    def scores(self, row, words, model=None):
        return [each.tolist() for each in self.states(row, words, model)]

    def sampled(self, row, limit, purpose="forcing/feeder", kept=(), shift=0, temperature=1.0):
        """The words that are sampled with the numbers of a pair: fed words for a feeder, said ones for an objective."""

        def word(said, position):
            uniform = self.draws[row : row + 1].uniform(purpose, 1, V, first=position + 1 + shift)[0, 0]
            noise = -torch.log(-torch.log(uniform))
            return int((self.states(row, said)[-1] / temperature + noise).argmax())

        return literal.own_sentence(word, tuple(kept), limit)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_table_is_that_of_the_recursion(seed):
    chance = random.Random(seed)
    said = [tuple(chance.choices(range(2, 5), k=7)) for _ in range(6)]
    references = [tuple(chance.choices(range(2, 5), k=5)) for _ in range(6)]
    table = prefix_distances(
        torch.tensor([(0, *each) for each in said]), torch.tensor([(*each, 1) for each in references])
    )
    for row, (one, other) in enumerate(zip(said, references, strict=True)):
        for t in range(8):
            wanted = [literal.edit_distance(one[:t], other[:j]) for j in range(6)]
            assert table[row, t].tolist() == wanted
    ends, lengths = torch.tensor([7, 0, 3, 4, 5, 6]), torch.tensor([5, 5, 0, 1, 2, 3])
    found = distances(torch.tensor(said), ends, torch.tensor(references), lengths)
    assert found.tolist() == [
        literal.edit_distance(a[:n], b[:m])
        for a, b, n, m in zip(said, references, ends.tolist(), lengths.tolist(), strict=True)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_optimal_completions_are_those_of_all_completions(seed):
    """Enumerated over a vocabulary of three words."""
    chance = random.Random(seed)
    reference = tuple(chance.choices((2, 3, 4), k=chance.randint(0, 4)))
    said = tuple(chance.choices((2, 3, 4), k=5))
    target = torch.tensor([[*reference, literal.EOS, 2, 2]])
    lengths = torch.tensor([len(reference) + 1])
    members = optimal(prefix_distances(torch.tensor([[0, *said]]), target), target, lengths)
    for t in range(6):
        found = target[0][members[0, t]].tolist()
        assert len(found) == len(set(found))
        assert set(found) == literal.optimal_words(said[:t], reference, (2, 3, 4))
        assert set(found) == literal.nearest_words(said[:t], reference)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_of_optimal_completion_is_that_of_the_literal_procedure(seed):
    """Sample until the own `<eos>` or the limit; at each position KL(uniform over the optimal words ‖ p)."""
    case, ratio = Case(seed), 1.5
    made = case.made(FreeForcing(feeder=Sample()), OptimalCompletion(max_ratio=ratio))
    for row, reference in enumerate(case.references):
        limit = math.ceil(ratio * (len(reference) + 1))
        said, _ = case.sampled(row, limit - 1)
        scores, loss, entropy, off = case.scores(row, said), 0.0, 0.0, 0
        for t in range(len(said) + 1):
            best = literal.nearest_words(said[:t], reference)
            uniform = [(v in best) / len(best) for v in range(V)]
            loss += literal.kl(uniform, literal.softmax(scores[t]))
            entropy += math.log(len(best))
            off += t > len(reference) or (*reference, literal.EOS)[t] not in best
        count = len(said) + 1
        assert made.losses[row].item() == pytest.approx(loss)
        assert made.measured["loss"][row].item() == pytest.approx(loss / count)
        assert made.measured["target_entropy"][row].item() == pytest.approx(entropy / count, abs=1e-6)
        assert made.measured["target_off_gold"][row].item() == pytest.approx(off / count)
        distance = literal.edit_distance(said, reference)
        assert made.measured["own_edit_distance"][row].item() == distance
    assert made.forced_share[case.lengths > 1].max() == 0


def test_after_gold_words_an_optimal_completion_is_the_gold_word():
    """So a sentence that a coin feeds gold words has the loss of gold."""
    case = Case(1)
    policy = MixedForcing(ratio=0.5, feeder=Sample())
    one, two = case.made(policy, OptimalCompletion()), case.made(FullForcing())
    gold = one.forced_share == 1
    assert 1 < gold.sum() < 9
    torch.testing.assert_close(one.losses[gold], two.losses[gold])
    assert one.measured["target_off_gold"][gold].max() == 0
    assert not torch.isclose(one.losses[~gold], two.losses[~gold]).all()


@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "jsd"])
@pytest.mark.parametrize("policy", [FullForcing(), FreeForcing(feeder=Sample())])
def test_a_teacher_reads_what_the_student_was_fed(divergence, policy):
    beta = 0.3 if divergence == "jsd" else 0.5
    case, target = Case(3), Teacher(divergence=divergence, beta=beta, max_ratio=1.4)
    target.model = model_of(9).eval()
    made = case.made(policy, target)
    for row, reference in enumerate(case.references):
        said = reference
        if isinstance(policy, FreeForcing):
            said, _ = case.sampled(row, math.ceil(1.4 * (len(reference) + 1)) - 1)
        loss = sum(
            literal.divergence(divergence, literal.softmax(theirs), literal.softmax(ours), 0.3)
            for ours, theirs in zip(case.scores(row, said), case.scores(row, said, target.model), strict=True)
        )
        assert made.losses[row].item() == pytest.approx(loss)
    assert all(each.grad is None for each in target.model.parameters())


@pytest.mark.parametrize("update", [0, 5, 9])
def test_mixed_cross_entropy_is_its_formula(update):
    """m goes from 0 to ½ over training."""
    case = Case(1)
    target = build(tiny.configuration("data=toy", "target=mixed")["target"], "target")
    made = case.made(FullForcing(), target, update=update)
    for row, reference in enumerate(case.references):
        gold = (*reference, literal.EOS)
        scores = case.scores(row, reference)
        loss = sum(literal.mixed(w, s, update / 20) for w, s in zip(gold, scores, strict=True))
        assert made.losses[row].item() == pytest.approx(loss)


def test_n_step_predicts_gold_after_its_own_soft_outputs():
    """Pass n at position t is fed the mixture of pass n − 1 at t − 1; it counts from position n − 1 on."""
    case = Case(2)
    target = build(
        tiny.configuration("data=toy", "target=n_step", "target.steps=3", "target.discount=0.5")["target"],
        "target",
    )
    made = case.made(FullForcing(), target)
    decoder = case.model.decoder
    for row, reference in enumerate(case.references):
        gold = (*reference, literal.EOS)
        memory = case.model.encoder(case.source[row : row + 1])
        fed = [decoder.embed(torch.tensor([[word]])) for word in (literal.SOS, *reference)]
        loss = 0.0
        for number in range(3):
            state, found = memory.state, []
            for each in fed:
                decoded, state = decoder(each, memory, state)
                found.append(decoded.logits)
            loss += 0.5**number * sum(
                -math.log(literal.softmax(found[t][0, 0].tolist())[gold[t]]) for t in range(number, len(gold))
            )
            fed = [fed[0], *(decoder.embed_mixture(each.softmax(dim=2)) for each in found[:-1])]
        assert made.losses[row].item() == pytest.approx(loss)


class TestRewardSampled:
    """The distribution of what is sampled, of 20,000 pairs: within 4.5 standard errors of its formula."""

    N = 20_000
    WORDS = (2, 3, 4, 6)  # of a vocabulary whose 5 is <unk>

    def sample(self, reference, **settings):
        target = RewardSampled(**settings)
        names = ["<sos>", "<eos>", "a", "b", "c", "<unk>", "d"]
        target.load({"source": Vocabulary(names), "target": Vocabulary(names)}, load_model)
        rows = torch.tensor([[*reference, literal.EOS]]).repeat(self.N, 1)
        lengths = torch.full((self.N,), len(reference) + 1)
        shape = Shape(slice(0, self.N), (len(reference) + 1,) * 2, (len(reference) + 1,) * 2)
        indices = torch.arange(self.N).numpy()
        block = Block(indices, rows, lengths, rows, lengths, [shape])
        return target.prepare(block, Draws(0, 0, torch.arange(self.N)))

    def check(self, found, wanted):
        counts = {}
        for each in found:
            counts[each] = counts.get(each, 0) + 1
        assert set(counts) <= {each for each, p in wanted.items() if p}
        for each, p in wanted.items():
            error = math.sqrt(p * (1 - p) / len(found))
            assert counts.get(each, 0) / len(found) == pytest.approx(p, abs=4.5 * error + 1e-12)

    @staticmethod
    def sentences(ids, lengths):
        assert all(row[n - 1] == literal.EOS for row, n in zip(ids.tolist(), lengths.tolist(), strict=True))
        return [tuple(row[: n - 1]) for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)]

    @pytest.mark.parametrize("tau", [0.6, 1.5])
    def test_by_hamming_distance(self, tau):
        block, measured = self.sample((2, 3, 2), tau=tau, weight="counted")
        wanted = literal.near((2, 3, 2), self.WORDS, tau)
        found = self.sentences(block.target, block.target_lengths)
        self.check(found, wanted)
        assert measured["target_edits"].tolist() == [literal.hamming(each, (2, 3, 2)) for each in found]
        assert torch.equal(block.source[0], torch.tensor([2, 3, 2, 1]))

    def test_rescaled_is_tau_in_another_unit(self):
        """exp(−e (1 + ln v) / τ) is exp(−e / τ′) with τ′ = τ / (1 + ln v)."""
        block, _ = self.sample((2, 3, 2), tau=0.85)
        wanted = literal.near((2, 3, 2), self.WORDS, 0.85 / (1 + math.log(3)))
        self.check(self.sentences(block.target, block.target_lengths), wanted)

    def test_flat_has_the_weight_of_the_number_alone(self):
        block, measured = self.sample((2, 3, 2), tau=None, source_tau=2.0, weight="flat")
        edits = [
            literal.hamming(each, (2, 3, 2)) for each in self.sentences(block.source, block.source_lengths)
        ]
        weights = [math.exp(-e / 2) for e in range(4)]
        self.check(edits, {e: w / sum(weights) for e, w in enumerate(weights)})
        assert measured["target_off_gold"].max() == 0

    def test_by_edits(self):
        """The number of edits, and each sentence, by the number of scripts that give it."""
        block, measured = self.sample((2, 3), tau=1.1, distance="edit", weight="counted")
        numbers, wanted = literal.edited((2, 3), self.WORDS, 1.1)
        found = self.sentences(block.target, block.target_lengths)
        self.check(found, wanted)
        edits = measured["target_edits"].long().tolist()
        self.check(edits, dict(enumerate(numbers)))
        assert all(literal.edit_distance(each, (2, 3)) <= e for each, e in zip(found, edits, strict=True))

    def test_the_number_of_scripts_is_its_formula(self):
        """Vᵉ Σ_k C(n, k) C(n + e − k, e − k)."""
        weights = sampling.log_weights(4, 3, 1.0, distance="edit", weight="counted")
        for n in range(4):
            for e in range(n + 1):
                count = len(list(literal.scripts((2, 3, 4, 2)[:n], (2, 3, 4), e)))
                assert math.exp(weights[n, e].item() + e) == pytest.approx(count)

    def test_several_samples_of_a_pair_follow_one_another(self):
        block, measured = self.sample((2, 3, 4), tau=1.0, samples=3, weight="counted")
        assert len(block) == 3 * self.N == len(measured["target_edits"])
        assert block.indices[:7].tolist() == [0, 0, 0, 1, 1, 1, 2]
        assert block.shapes[0].rows == slice(0, 3 * self.N)
        wanted = literal.near((2, 3, 4), self.WORDS, 1.0)
        found = self.sentences(block.target, block.target_lengths)
        for number in range(3):
            self.check(found[number::3], wanted)
        assert found[0::3] != found[1::3]


def worth(kind, said, reference):
    said = tuple(each for each in said if each != literal.SOS)  # which is no word
    if kind == "constant":
        return 1.0
    if kind == "exact_match":
        return float(said == reference)
    if kind == "negative_per":
        return -literal.edit_distance(said, reference) / max(1, len(reference))
    return sentence_bleu(said, reference)


@pytest.mark.parametrize("reward", ["bleu", "exact_match", "negative_per", "constant"])
def test_self_critical_is_its_formula(reward):
    """−(r(sample) − r(greedy)) · log p(sample), the gradient of whose mean is made."""
    case = Case(5)
    made = case.made(FullForcing(), objective=SelfCritical(reward=reward, max_ratio=1.5, temperature=0.7))
    found = case.model.decoder.output.weight.grad.clone()
    case.model.zero_grad()
    total = 0
    for row, reference in enumerate(case.references):
        total = total + self_critical(case, row, reference, reward, 0, made)
    (total / 10).backward()
    torch.testing.assert_close(found, case.model.decoder.output.weight.grad)


def self_critical(case, row, reference, reward, kept, made):
    limit = max(math.ceil(1.5 * (len(reference) + 1)), kept)
    gold = reference[:kept]
    if kept > len(reference):
        said, ended, ours = reference, True, reference
    else:
        said, ended = case.sampled(row, limit, "objective/sample", gold, temperature=0.7)
        ours, _ = literal.own_sentence(
            lambda so_far, _: int(case.states(row, so_far)[-1].argmax()), gold, limit
        )
    value = worth(reward, said, reference)
    assert made.measured["reward"][row].item() == pytest.approx(value)
    advantage = value if reward == "constant" else value - worth(reward, ours, reference)
    words = (*said, literal.EOS) if ended else said
    states = case.states(row, words[:-1]) if words else []
    logs = [each.log_softmax(0)[word] for each, word in zip(states, words, strict=True)]
    return -advantage * sum(logs[kept:], torch.zeros(()).double())


@pytest.mark.parametrize("update", [0, 4, 9])
def test_mixer_is_likelihood_up_to_a_position_and_reward_after_it(update):
    case = Case(6)
    node = tiny.configuration(
        "data=toy",
        "objective=self_critical",
        "objective.unit=prefix",
        "objective.temperature=0.7",
        "forcing/schedule@objective.schedule=linear",
    )["objective"]
    made = case.made(FullForcing(), objective=build(node, "objective"), update=update)
    found = case.model.decoder.output.weight.grad.clone()
    case.model.zero_grad()
    total = 0
    for row, reference in enumerate(case.references):
        kept = math.floor((1 - update / 10) * (len(reference) + 1) + 1e-12)
        total = total + self_critical(case, row, reference, "bleu", kept, made)
        for each, word in zip(
            case.states(row, reference)[:kept], (*reference, literal.EOS)[:kept], strict=True
        ):
            total = total - each.log_softmax(0)[word]
    (total / 10).backward()
    torch.testing.assert_close(found, case.model.decoder.output.weight.grad)


@pytest.mark.parametrize(("dropout", "said"), [(0.0, "no dropout"), (0.4, None)])
def test_r_drop_takes_the_dropout_of_other_models(dropout, said):
    model = Case(7).model
    assert "no dropout" in RDrop().refuses(model, Gold())
    model.own = torch.nn.Dropout(dropout)
    refused = RDrop().refuses(model, Gold())
    assert refused is None if said is None else said in refused


def test_r_drop_is_its_formula():
    """Two likelihoods, and α · ½ (KL + KL) of two passes whose dropout has other numbers."""
    case = Case(7, dropout=0.4)
    case.made(FullForcing(), objective=RDrop(alpha=2.0))
    found = case.model.decoder.output.weight.grad.clone()
    case.model.zero_grad()
    passes = []
    for number in range(2):
        logits = case.model(case.source, case.batch.target, draws=case.draws.of_pass(number)).logits
        passes.append(logits.log_softmax(dim=2))
    assert not torch.allclose(*passes)
    total = 0
    for row, length in enumerate(case.lengths.tolist()):
        for t in range(length):
            one, two = (each[row, t] for each in passes)
            word = case.batch.target[row, t]
            apart = (one.exp() * (one - two)).sum() + (two.exp() * (two - one)).sum()
            total = total - one[word] - two[word] + 2.0 * apart / 2
    (total / 10).backward()
    torch.testing.assert_close(found, case.model.decoder.output.weight.grad)
