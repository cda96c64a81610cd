"""Decays and schedules: each value is computed anew with Python's `math`, from the formula in the paper."""

import itertools
import math

import pytest
import torch

import tiny
from seq2seq_lab.config.build import build
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.by_step import ByStepForcing
from seq2seq_lab.forcing.plan import Pairs
from seq2seq_lab.forcing.schedules import Constant, Exponential, InverseSigmoid, Linear, Schedule


def half_way(m):
    """The k with k / (k + e^(m/2k)) = ½, found by bisection."""
    low, high = 1.0, float(m) + 2
    for _ in range(200):
        k = (low + high) / 2
        low, high = (k, high) if k * math.log(k) < m / 2 else (low, k)
    return k


def inverse_sigmoid(k, i):
    return k / (k + math.exp(i / k)) if i / k < 700 else 0.0  # Python's exp overflows


# A decay, and the same as a function of i and m.
DECAYS = {
    "constant": (Constant(), lambda i, m: 1.0),
    "linear": (Linear(), lambda i, m: max(0.0, 1 - i / m)),
    "exponential": (Exponential(), lambda i, m: (0.5 ** (10 / m)) ** i),
    "exponential, k": (Exponential(k=0.93), lambda i, m: 0.93**i),
    "inverse sigmoid": (InverseSigmoid(), lambda i, m: inverse_sigmoid(half_way(m), i)),
    "inverse sigmoid, k": (InverseSigmoid(k=7.0), lambda i, m: inverse_sigmoid(7.0, i)),
}


@pytest.fixture(params=DECAYS)
def decay(request):
    return DECAYS[request.param]


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def pairs(updates, *, total=100, epoch=0, epochs=5, lengths=None):
    """Pairs of updates of these numbers."""
    lengths = torch.full((len(updates),), 4) if lengths is None else torch.tensor(lengths)
    draws = Draws(0, epoch, torch.arange(len(updates)))
    return Pairs(lengths, int(lengths.max()), draws, torch.tensor(updates), total, epoch, epochs)


class TestDecay:
    @pytest.mark.parametrize("m", [1, 2, 10, 777, 40_000])
    def test_its_values_are_those_of_its_formula(self, decay, m):
        made, formula = decay
        steps = sorted({0, 1, m // 3, m // 2, m - 1, m})
        wanted = [formula(i, m) for i in steps]
        assert made(numbers(*steps), numbers(m)).tolist() == pytest.approx(wanted, abs=1e-12)

    def test_it_never_rises_and_stays_in_the_unit_interval(self, decay):
        values = decay[0](torch.arange(200, dtype=torch.float64), numbers(150))
        assert (values.diff() <= 0).all()
        assert values.min() >= 0
        assert values.max() <= 1

    def test_far_beyond_its_end_it_is_a_number(self, decay):
        assert decay[0](numbers(1e9), numbers(10)).isfinite().all()

    @pytest.mark.parametrize("m", [1, 6, 1000])
    def test_without_k_the_inverse_sigmoid_is_half_at_the_half(self, m):
        assert InverseSigmoid()(numbers(m / 2), numbers(m)).item() == pytest.approx(0.5, abs=1e-12)

    def test_without_k_the_exponential_halves_ten_times(self):
        values = Exponential()(numbers(*range(0, 101, 10)), numbers(100))
        assert values.tolist() == pytest.approx([0.5**n for n in range(11)])

    @pytest.mark.parametrize("k", [0.0, 1.0, -0.5, 2.0, math.nan])
    def test_a_base_out_of_range_is_refused(self, k):
        with pytest.raises(ValueError, match=r"^k must lie in \(0, 1\)"):
            Exponential(k=k)

    @pytest.mark.parametrize("k", [0.99, 0.0, -3.0, math.inf, math.nan])
    def test_a_speed_out_of_range_is_refused(self, k):
        with pytest.raises(ValueError, match=r"^k must be at least 1"):
            InverseSigmoid(k=k)


class TestSchedule:
    @pytest.mark.parametrize(("start", "end"), [(1.0, 0.0), (0.0, 1.0), (0.9, 0.25), (0.1, 0.6), (0.4, 0.4)])
    @pytest.mark.parametrize("share", [1.0, 0.5, 0.13])
    def test_over_updates(self, decay, start, end, share):
        made, formula = decay
        total, updates = 200, [0, 1, 50, 99, 100, 199]
        schedule = Schedule(decay=made, start=start, end=end, share=share)
        wanted = [end + (start - end) * formula(i, share * total) for i in updates]
        found = schedule.ratio(pairs(updates, total=total))
        assert found.tolist() == pytest.approx(wanted, abs=1e-12)
        assert found.dtype == torch.float64

    @pytest.mark.parametrize("epoch", [0, 1, 7, 11])
    @pytest.mark.parametrize("share", [1.0, 0.5])
    def test_over_epochs_it_is_the_same_within_one(self, decay, epoch, share):
        made, formula = decay
        schedule = Schedule(decay=made, start=0.0, end=1.0, over="epochs", share=share)
        wanted = 1 - formula(epoch, share * 12)
        found = schedule.ratio(pairs([3, 40, 80], epoch=epoch, epochs=12))
        assert found.tolist() == pytest.approx([wanted] * 3, abs=1e-12)

    def test_decreasing_and_increasing_are_one_rule(self, decay):
        down, up = (Schedule(decay=decay[0], start=s, end=1 - s) for s in (1.0, 0.0))
        updates = pairs([0, 10, 60, 99])
        assert torch.allclose(down.ratio(updates) + up.ratio(updates), torch.ones(4).double())

    @pytest.mark.parametrize(
        ("slope", "least", "most"), [(0.01, 0.25, 1.0), (0.004, 0.0, 0.9), (0.02, 0.1, 0.8)]
    )
    def test_a_linear_one_is_that_of_scheduled_sampling(self, slope, least, most):
        """max(ε₀, k − c·i): from k to ε₀ in (k − ε₀)/c updates."""
        total, updates = 1000, list(range(0, 1000, 37))
        share = (most - least) / slope / total
        schedule = Schedule(decay=Linear(), start=most, end=least, share=share)
        wanted = [max(least, most - slope * i) for i in updates]
        assert schedule.ratio(pairs(updates, total=total)).tolist() == pytest.approx(wanted)

    def test_beyond_its_share_a_linear_one_stays_at_its_end(self):
        schedule = Schedule(decay=Linear(), start=0.8, end=0.3, share=0.25)
        assert schedule.ratio(pairs([25, 26, 99])).tolist() == pytest.approx([0.3] * 3)
        assert schedule.ratio(pairs([24])).item() > 0.3

    @pytest.mark.parametrize("over", ["updates", "epochs"])
    def test_without_an_end_of_training_it_says_what_to_set(self, over):
        endless = pairs([3], total=0, epochs=0)
        with pytest.raises(UserError, match=r"trainer\.max_epochs"):
            Schedule(decay=Linear(), over=over).ratio(endless)

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"start": 1.1}, "^start must lie in"),
            ({"end": -0.1}, "^end must lie in"),
            ({"over": "days"}, "^over must be updates or epochs, got days"),
            ({"share": 0.0}, "^share must lie in"),
            ({"share": 1.01}, "^share must lie in"),
            ({"share": math.nan}, "^share must lie in"),
        ],
    )
    def test_a_value_out_of_range_is_refused(self, settings, said):
        with pytest.raises(ValueError, match=said):
            Schedule(decay=Linear(), **settings)


class TestByStep:
    LENGTHS = (3, 7, 5)

    def ratio(self, *, updates=(0, 50, 99), **settings):
        plan = ByStepForcing(**settings).plan(pairs(list(updates), lengths=self.LENGTHS))
        assert plan.ratio.shape == (3, 7)
        return plan.ratio

    @pytest.mark.parametrize(("start", "end"), [(1.0, 0.0), (0.9, 0.2), (0.0, 1.0)])
    def test_it_is_the_decay_over_positions(self, decay, start, end):
        made, formula = decay
        ratio = self.ratio(decay=made, start=start, end=end)
        for row, length in enumerate(self.LENGTHS):
            wanted = [end + (start - end) * formula(t, length) for t in range(length)]
            assert ratio[row, :length].tolist() == pytest.approx(wanted, abs=1e-12)

    def test_the_papers_exponential(self):
        """ε(t) = 0.99ᵗ whatever the length (Liu et al. 2021)."""
        policy = build(tiny.configuration("data=toy", "forcing=by_step")["forcing"], "forcing")
        ratio = policy.plan(pairs([0, 0, 0], lengths=self.LENGTHS)).ratio
        assert ratio[1].tolist() == pytest.approx([0.99**t for t in range(7)])
        assert torch.equal(ratio[0, :3], ratio[1, :3])

    def test_composite_goes_from_full_forcing_to_the_curve_over_positions(self):
        """Their joint form, at its ends: f = 1 is full forcing, and f = 0 the decay over positions alone."""
        alone = self.ratio(decay=Linear())
        schedule = Schedule(decay=Linear())
        assert (self.ratio(decay=Linear(), schedule=schedule, updates=(0, 0, 0)) == 1).all()
        at_the_end = self.ratio(decay=Linear(), schedule=Schedule(decay=Constant(), start=0.0))
        assert torch.equal(at_the_end, alone)
        middle = self.ratio(decay=Linear(), schedule=schedule, updates=(50, 50, 50))
        assert middle[1].tolist() == pytest.approx([1 - t / 7 / 2 for t in range(7)])

    def test_a_product_is_multiplied(self, decay):
        """One factor of the position, one of the update."""
        made, formula = decay
        schedule = Schedule(decay=made, share=0.5)
        ratio = self.ratio(decay=Linear(), schedule=schedule, joint="product")
        for (row, length), update in zip(enumerate(self.LENGTHS), (0, 50, 99), strict=True):
            wanted = [max(0, 1 - t / length) * formula(update, 50) for t in range(length)]
            assert ratio[row, :length].tolist() == pytest.approx(wanted, abs=1e-12)

    @pytest.mark.parametrize("settings", [{"start": 2.0}, {"end": -1.0}])
    def test_a_value_out_of_range_is_refused(self, settings):
        with pytest.raises(ValueError, match="must lie in"):
            ByStepForcing(decay=Linear(), **settings)


@pytest.mark.parametrize(
    ("name", "over"), itertools.product(["linear", "exponential", "inverse_sigmoid"], ["updates", "epochs"])
)
def test_an_option_is_the_schedule_of_its_name(name, over):
    """`forcing/schedule=` and `forcing/decay=` of the same name give the same ε."""
    nested = tiny.configuration(
        "data=toy", "forcing=by_step", f"forcing/schedule={name}", f"forcing.schedule.over={over}"
    )
    flat = tiny.configuration(
        "data=toy", "forcing=scheduled", f"forcing/decay={name}", f"forcing.over={over}"
    )
    one, other = (build(config["forcing"], "forcing").schedule for config in (nested, flat))
    some = pairs([0, 10, 60], epoch=2)
    assert torch.equal(one.ratio(some), other.ratio(some))
    assert 0 < one.ratio(some)[1] < 1
