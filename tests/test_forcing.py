"""What policies plan. The properties hold for every policy that is registered, one's own included."""

import functools
import math
from fractions import Fraction

import pytest
import torch

import tiny
from seq2seq_lab.config.build import build
from seq2seq_lab.config.options import options
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.by_step import ByStepForcing
from seq2seq_lab.forcing.free import FreeForcing
from seq2seq_lab.forcing.full import FullForcing
from seq2seq_lab.forcing.mixed import MixedForcing
from seq2seq_lab.forcing.plan import Pairs, Plan, mean_over_words
from seq2seq_lab.forcing.scheduled import ScheduledForcing
from seq2seq_lab.forcing.schedules import Constant, Exponential, InverseSigmoid, Linear, Schedule
from seq2seq_lab.forcing.two_pass import TwoPassForcing

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


def many(count=20_000, update=None, lengths=T):
    """Pairs of equal length, one an update."""
    numbers = torch.arange(count)
    update = numbers if update is None else torch.full((count,), update)
    return Pairs(
        torch.full((count,), lengths), lengths, Draws(0, 0, numbers), update, count, epoch=2, epochs=5
    )


def bound(p, n):
    """4.5 standard errors of a share of n; a false alarm in 150,000 of them."""
    return 4.5 * math.sqrt(p * (1 - p) / n) + 1e-7


class TestUnits:
    @pytest.mark.parametrize("ratio", [0.0, 0.03, 0.25, 0.5, 0.9, 1.0])
    def test_a_coin_a_sentence(self, ratio):
        gold = MixedForcing(ratio=ratio).plan(many()).gold
        assert torch.equal(gold, gold[:, :1].expand_as(gold))
        assert abs(gold[:, 0].double().mean().item() - ratio) <= bound(ratio, len(gold))

    @pytest.mark.parametrize("ratio", [0.0, 0.03, 0.25, 0.5, 0.9, 1.0])
    def test_a_coin_a_position(self, ratio):
        """At each position by itself, and independent of the position before."""
        gold = MixedForcing(ratio=ratio, unit="position").plan(many()).gold.double()
        count = len(gold)
        assert (gold.mean(dim=0) - ratio).abs().max() <= bound(ratio, count)
        both = gold[:, 1:] * gold[:, :-1]
        assert (both.mean(dim=0) - ratio**2).abs().max() <= bound(ratio**2, count)

    @pytest.mark.parametrize("ratio", [0.0, 0.1, 0.34, 0.5, 0.999, 1.0])
    def test_the_first_positions_of_each_pair(self, ratio):
        """The first ⌊εT⌋ words after `<sos>`, of a pair's own T."""
        gold = MixedForcing(ratio=ratio, unit="prefix").plan(pairs()).gold
        for row, length in enumerate(LENGTHS.tolist()):
            forced = math.floor(ratio * length)
            wanted = [t <= forced for t in range(1, length)]
            assert gold[row, 1:length].tolist() == wanted

    @pytest.mark.parametrize("ratio", [0.1, 0.2, 0.29, 0.57, 0.7, 0.9])
    def test_a_share_that_is_a_whole_number_of_words_is_not_rounded_down(self, ratio):
        for length in range(1, 101):
            gold = MixedForcing(ratio=ratio, unit="prefix").plan(many(2, lengths=length)).gold
            first = math.floor(Fraction(str(ratio)) * length)
            assert gold[0, 1:].sum() == min(first, length - 1), length

    def test_a_prefix_grows_with_the_schedule(self):
        policy = ScheduledForcing(decay=Linear(), start=0.0, end=1.0, unit="prefix")
        gold = policy.plan(pairs()).gold
        for row, (length, update) in enumerate(zip(LENGTHS.tolist(), UPDATE.tolist(), strict=True)):
            forced = math.floor(length * (1 - (1 - update / 100)))
            assert gold[row, 1:length].sum() == min(forced, length - 1)

    @pytest.mark.parametrize("unit", ["sentence", "position"])
    @pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"first": N}])
    def test_another_seed_epoch_or_pair_has_other_coins(self, other, unit):
        policy = MixedForcing(ratio=0.5, unit=unit)
        assert not torch.equal(policy.plan(pairs(**other)).gold, policy.plan(pairs()).gold)

    @pytest.mark.parametrize("unit", ["sentence", "position", "prefix"])
    def test_a_higher_ratio_forces_the_same_and_more(self, unit):
        low, high = (MixedForcing(ratio=ratio, unit=unit).plan(pairs()).gold for ratio in (0.3, 0.6))
        assert (high | ~low).all()
        assert (high & ~low).any()

    @pytest.mark.parametrize("policy", [MixedForcing, TwoPassForcing])
    @pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
    def test_a_ratio_out_of_range_is_refused(self, ratio, policy):
        with pytest.raises(ValueError, match="ratio must lie in"):
            policy(ratio=ratio)

    @pytest.mark.parametrize(
        "make", [MixedForcing, TwoPassForcing, lambda unit, **_: ScheduledForcing(decay=Linear(), unit=unit)]
    )
    def test_a_unit_that_there_is_not_is_refused(self, make):
        with pytest.raises(ValueError, match=r"^unit must be one of sentence, position, prefix, got word"):
            make(ratio=0.5, unit="word")


class TestShares:
    @pytest.mark.parametrize("unit", ["sentence", "position"])
    @pytest.mark.parametrize("decay", [Linear(), Exponential(), InverseSigmoid()])
    @pytest.mark.parametrize(("start", "end"), [(1.0, 0.0), (0.2, 0.9)])
    def test_the_share_of_gold_follows_the_schedule(self, decay, start, end, unit):
        """In each tenth of training the mean of the coins is the mean of ε."""
        plan = ScheduledForcing(decay=decay, start=start, end=end, unit=unit).plan(many())
        for gold, ratio in zip(plan.gold[:, 3].double().chunk(10), plan.ratio.chunk(10), strict=True):
            wanted = ratio.mean().item()
            assert abs(gold.mean().item() - wanted) <= bound(min(max(wanted, 0.0), 1.0), len(gold))

    @pytest.mark.parametrize("schedule", [None, Schedule(decay=Linear())])
    def test_the_share_at_a_position_follows_the_step(self, schedule):
        joined = {} if schedule is None else {"schedule": schedule, "joint": "product"}
        policy = ByStepForcing(decay=Exponential(k=0.8), **joined)
        plan = policy.plan(many(update=5000))
        factor = 1 if schedule is None else 0.75
        for t, share in enumerate(plan.gold.double().mean(dim=0).tolist()):
            wanted = factor * 0.8**t
            assert abs(share - wanted) <= bound(wanted, len(plan.gold))

    @pytest.mark.parametrize("name", ["word_dropout", "uniform"])
    def test_a_tenth_of_the_words_is_replaced(self, name):
        config = tiny.configuration("data=toy", f"forcing={name}")
        own = build(config["forcing"], "forcing").plan(many()).own
        shares = own.double().mean(dim=0)
        assert shares[0] == 0
        assert (shares[1:] - 0.1).abs().max() <= bound(0.1, len(own))


class TestEnds:
    """Where ε is 1 or 0 a policy is `full` or `free`: the same masks, and the same weights of a run."""

    def made(self, epsilon):
        return [
            MixedForcing(ratio=epsilon),
            MixedForcing(ratio=epsilon, unit="position"),
            MixedForcing(ratio=epsilon, unit="prefix"),
            *(
                ScheduledForcing(decay=decay, start=epsilon, end=epsilon, unit=unit)
                for decay in (Constant(), Linear(), Exponential(), InverseSigmoid())
                for unit in ("sentence", "position", "prefix")
            ),
            ByStepForcing(decay=Linear(), start=epsilon, end=epsilon),
            TwoPassForcing(ratio=epsilon),
        ]

    @pytest.mark.parametrize(("epsilon", "end"), [(1.0, FullForcing()), (0.0, FreeForcing())])
    def test_masks(self, epsilon, end):
        inside = torch.arange(T) < LENGTHS.unsqueeze(1)
        for policy in self.made(epsilon):
            assert torch.equal(policy.plan(pairs()).own & inside, end.plan(pairs()).own & inside)

    @pytest.mark.parametrize(
        "settings",
        [
            "forcing=mixed forcing.ratio=E",
            "forcing=mixed forcing.ratio=E forcing.unit=position",
            "forcing=scheduled forcing.start=E forcing.end=E",
            "forcing=scheduled forcing.start=E forcing.end=E forcing.unit=prefix forcing/decay=linear",
            "forcing=by_step forcing.start=E forcing.end=E",
        ],
    )
    @pytest.mark.parametrize("batch", [(), ("loader.batch_size=5",)])
    def test_weights(self, settings, batch, ends, run):
        for epsilon, end in (("1", "full"), ("0", "free")):
            folder = run(end, *settings.replace("=E", f"={epsilon}").split(), *batch)
            assert tiny.same_weights(folder, ends(end, *batch))
        assert not tiny.same_weights(ends("full", *batch), ends("free", *batch))

    @pytest.mark.parametrize(
        "settings",
        [
            ("forcing=two_pass", "forcing.ratio=1"),
            ("forcing=confidence", "forcing.golden=1", "forcing.random=1"),
        ],
    )
    def test_weights_under_earlier_passes(self, settings, ends, run):
        assert tiny.same_weights(run("a", *settings, "accelerate=off"), ends("full", "accelerate=off"))

    @pytest.fixture(scope="class")
    def ends(self, tmp_path_factory):
        """The runs under `full` and `free` that others are held against, each made once."""
        return functools.cache(
            lambda end, *settings: tiny.train(tmp_path_factory.mktemp(end), f"forcing={end}", *settings)
        )


def test_the_first_position_is_never_the_decoders_own():
    gold = torch.tensor([[False, False, True], [True, False, False]])
    assert Plan(gold).own.tolist() == [[False, True, False], [False, True, True]]
    assert not gold[0, 0]


def test_the_mean_is_over_the_words_that_are_fed():
    """Not over `<sos>`, and not beyond the length."""
    values = torch.tensor(
        [[True, False, True, True], [False, True, True, False], [True, False, False, False]]
    )
    assert mean_over_words(values, torch.tensor([2, 4, 1])).tolist() == [0, pytest.approx(2 / 3), 1]
    assert mean_over_words(torch.tensor([0.5, 0.25]), torch.tensor([2, 3])).tolist() == [0.5, 0.25]
