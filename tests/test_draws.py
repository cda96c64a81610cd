"""Random numbers that are a function of the pair."""

import hashlib

import pytest
import torch

from seq2seq_lab.data.draws import Draws

PAIRS = torch.tensor([5, 0, 5_000_000_000, 17])


def test_the_numbers_of_a_pair_do_not_depend_on_other_pairs():
    together = Draws(3, 2, PAIRS).uniform("x", 6, 4)
    for row, pair in enumerate(PAIRS):
        assert torch.equal(Draws(3, 2, pair.view(1)).uniform("x", 6, 4)[0], together[row])
    assert torch.equal(Draws(3, 2, PAIRS)[torch.tensor([2, 0])].uniform("x", 6, 4), together[[2, 0]])


def test_the_numbers_of_a_position_do_not_depend_on_the_length_of_the_sequence():
    draws = Draws(3, 2, PAIRS)
    whole = draws.uniform("x", 9, 4)
    assert torch.equal(draws.uniform("x", 3, 4), whole[:, :3])
    assert torch.equal(draws.uniform("x", 1, 4, first=7), whole[:, 7:8])
    assert torch.equal(draws.uniform("x", 9, 2), whole[:, :, :2])


@pytest.mark.parametrize(
    "other",
    [
        Draws(4, 2, PAIRS).uniform("x", 50),
        Draws(3, 3, PAIRS).uniform("x", 50),
        Draws(3, 2, PAIRS).uniform("y", 50),
    ],
)
def test_a_different_seed_epoch_or_purpose_gives_different_numbers(other):
    assert not (Draws(3, 2, PAIRS).uniform("x", 50) == other).any()


def test_the_numbers_are_uniform_and_independent():
    numbers = Draws(0, 0, torch.arange(2000)).uniform("x", 10, 8)
    assert numbers.shape == (2000, 10, 8)
    assert 0 < numbers.min() < 1e-3 < 0.999 < numbers.max() < 1
    assert numbers.mean().item() == pytest.approx(0.5, abs=0.003)
    assert numbers.var().item() == pytest.approx(1 / 12, abs=0.001)
    counts = torch.histc(numbers.flatten(), bins=100, min=0, max=1)
    expected = numbers.numel() / 100
    assert (
        (counts - expected) ** 2 / expected
    ).sum() < 150  # chi-squared with 99 degrees of freedom: p < 0.001
    centred = numbers - 0.5
    for one, other in (
        (centred[1:], centred[:-1]),
        (centred[:, 1:], centred[:, :-1]),
        (centred[..., 1:], centred[..., :-1]),
        (centred, Draws(0, 1, torch.arange(2000)).uniform("x", 10, 8) - 0.5),
        (centred, Draws(1, 0, torch.arange(2000)).uniform("x", 10, 8) - 0.5),
    ):
        assert abs((one * other).mean().item() * 12) < 0.01


def literal(key, *counters):
    """The definition, with Python integers."""

    def mix(x):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = ((x ^ (x >> shift)) * factor) % 2**64
        return x ^ (x >> 31)

    golden = 0x9E3779B97F4A7C15
    (seed, purpose), epoch, pair, *positions = key, *counters
    state = int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big")
    state = mix((pair + mix((state + epoch * golden) % 2**64)) % 2**64)
    for position in positions:
        state = mix((state + (position + 1) * golden) % 2**64)
    return ((state >> 41) + 0.5) / 2**23


def test_the_numbers_are_equal_to_those_of_a_literal_splitmix64():
    numbers = Draws(3, 2, PAIRS).uniform("x", 6, 4)
    for row, pair in enumerate(PAIRS.tolist()):
        for t, v in ((0, 0), (0, 3), (5, 0), (4, 2)):
            assert numbers[row, t, v].item() == literal((3, "x"), 2, pair, t, v)
    assert Draws(3, 2, PAIRS).uniform("x")[0].item() == literal((3, "x"), 2, 5)
