"""What policies plan. The properties hold for every policy that is registered, one's own included."""

import pytest
import torch

import tiny
from seq2seq_lab.config.build import build
from seq2seq_lab.config.options import options
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.full import FullForcing
from seq2seq_lab.forcing.mixed import MixedForcing
from seq2seq_lab.forcing.plan import Pairs, Plan, mean_of_first

N, T = 60, 7
LENGTHS = torch.randint(1, T + 1, (N,), generator=torch.Generator().manual_seed(0))
UPDATE = torch.arange(N) * 99 // N


@pytest.fixture(params=options("forcing"))
def policy(request):
    config = tiny.configuration("data=toy", f"forcing={request.param}")
    return build(config["forcing"], "forcing")


def pairs(rows=slice(None), positions=T, seed=0, epoch=0, first=0):
    """Some rows of N pairs."""
    draws = Draws(seed, epoch, torch.arange(first, first + N))
    return Pairs(LENGTHS[rows], positions, draws[rows], UPDATE[rows], 100, epoch=epoch, epochs=5)


class TestEveryPolicy:
    def test_a_plan_is_a_boolean_mask(self, policy):
        plan = policy.plan(pairs())
        assert plan.gold.dtype == torch.bool
        assert plan.gold.shape == (N, T)
        assert plan.gold.device.type == "cpu"

    def test_a_pairs_plan_does_not_depend_on_the_pairs_beside_it_nor_on_their_order(self, policy):
        together = policy.plan(pairs()).gold
        for row in range(N):
            assert torch.equal(policy.plan(pairs(slice(row, row + 1))).gold[0], together[row])
        order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
        assert torch.equal(policy.plan(pairs(order)).gold, together[order])

    def test_nor_on_the_longest_target(self, policy):
        longer = policy.plan(pairs(positions=T + 4)).gold[:, :T]
        inside = torch.arange(T) < LENGTHS.unsqueeze(1)
        assert torch.equal(longer & inside, policy.plan(pairs()).gold & inside)

    def test_the_same_seed_and_epoch_give_the_same_plan(self, policy):
        assert torch.equal(policy.plan(pairs()).gold, policy.plan(pairs()).gold)


class TestFull:
    def test_gold_everywhere(self):
        assert FullForcing().plan(pairs()).gold.all()


class TestMixed:
    @pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 1.0])
    def test_the_share_of_forced_sentences_is_the_ratio(self, ratio):
        numbers = torch.arange(20_000)
        many = Pairs(torch.full((20_000,), T), T, Draws(0, 0, numbers), numbers, 20_000)
        share = MixedForcing(ratio=ratio).plan(many).gold.float().mean().item()
        assert share == pytest.approx(ratio, abs=0.015)
        assert ratio not in (0.0, 1.0) or share == ratio

    def test_a_sentence_is_forced_throughout_or_not_at_all(self):
        gold = MixedForcing(ratio=0.5).plan(pairs()).gold
        assert torch.equal(gold, gold[:, :1].expand_as(gold))
        assert 0 < gold[:, 0].sum() < N

    @pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"first": N}])
    def test_another_seed_epoch_or_pair_has_other_coins(self, other):
        policy = MixedForcing(ratio=0.5)
        assert not torch.equal(policy.plan(pairs(**other)).gold, policy.plan(pairs()).gold)

    def test_a_higher_ratio_forces_the_same_sentences_and_more(self):
        low, high = (MixedForcing(ratio=ratio).plan(pairs()).gold for ratio in (0.3, 0.6))
        assert (high | ~low).all()
        assert (high & ~low).any()

    @pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
    def test_a_ratio_out_of_range_is_refused(self, ratio):
        with pytest.raises(ValueError, match="ratio must lie in"):
            MixedForcing(ratio=ratio)


def test_the_first_position_is_never_the_decoders_own():
    gold = torch.tensor([[False, False, True], [True, False, False]])
    assert Plan(gold).own.tolist() == [[False, True, False], [False, True, True]]
    assert not gold[0, 0]


def test_the_mean_is_over_positions_within_the_length():
    values = torch.tensor([[True, False, True], [True, True, True], [False, False, False]])
    assert mean_of_first(values, torch.tensor([2, 3, 1])).tolist() == [0.5, 1, 0]
    assert mean_of_first(torch.tensor([0.5, 0.25]), torch.tensor([2, 3])).tolist() == [0.5, 0.25]
