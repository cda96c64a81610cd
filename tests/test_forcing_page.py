"""The page on forcing: its commands compose, and its pictures are those that its command draws."""

import importlib.util
import re
import shlex
import struct
from pathlib import Path

import numpy as np
import pytest

import tiny
from seq2seq_lab.config.check import check
from seq2seq_lab.config.options import options

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "forcing.md").read_text(encoding="utf-8")
COMMANDS = re.findall(
    r"^seq2seq-lab train ((?:forcing|target|objective|init_from)=.*)$", PAGE, flags=re.MULTILINE
)
FED, LEARNT = PAGE.split("\n# What is learnt\n")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", FED, flags=re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def drawing():
    spec = importlib.util.spec_from_file_location("draw_forcing", DOCS / "draw_forcing.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_policy_has_a_section_with_a_command_a_picture_and_a_source():
    assert set(SECTIONS) == set(options("forcing"))
    for name, section in SECTIONS.items():
        assert f"seq2seq-lab train forcing={name}" in section
        assert "](forcing/" in section
        assert "https://" in section or "the same source" in section


@pytest.mark.parametrize("group", ["target", "objective"])
def test_everything_that_is_learnt_or_minimised_is_in_a_table_with_a_command(group):
    default = {"target": "gold", "objective": "nll"}[group]
    for option in options(group):
        assert f"\n| `{option}` | " in LEARNT
        used = any(f"{group}={option}" in each for each in COMMANDS)
        assert used or option in (default, "minimum_risk")


def test_the_pictures_of_targets_are_those_of_their_rules(drawing):
    """After `<sos>` the first word, after "i was so so tired ." three words; a few words of samples are others."""
    members = drawing.optimal_words()
    assert [drawing.REFERENCE[row] for row in np.flatnonzero(members[:, 0])] == ["i"]
    assert [drawing.REFERENCE[row] for row in np.flatnonzero(members[:, -1])] == ["today", ".", "<eos>"]
    sampled = drawing.sampled_positions()
    share = np.mean(sampled[sampled > 0] == drawing.OWN)
    assert 0.02 < share < 0.3


@pytest.mark.parametrize("group", ["feeder", "decay"])
def test_every_option_is_in_a_table(group):
    for option in options(f"forcing/{group}"):
        assert f"\n| `{option}` | " in PAGE


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_composes(command):
    check(tiny.configuration("data=toy", *shlex.split(command)))


def test_the_command_draws_the_pictures_of_the_page(drawing, tmp_path):
    drawn = drawing.draw(tmp_path)
    committed = sorted((DOCS / "forcing").glob("*.png"))
    assert sorted(path.name for path in drawn) == [path.name for path in committed]
    assert set(re.findall(r"\]\(forcing/([\w.]+)\)", PAGE)) == {path.name for path in committed}
    for path in committed:
        assert path.stat().st_size < 100_000
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        assert (width, height) == struct.unpack(">II", (tmp_path / path.name).read_bytes()[16:24])


def test_every_policy_is_drawn(drawing):
    chosen = {overrides[0].removeprefix("forcing=") for overrides in drawing.PICTURES.values()}
    assert chosen == set(options("forcing"))


def test_a_picture_shows_what_the_policy_feeds(drawing):
    """The first column is `<sos>`; full is gold, free is not; a decreasing schedule ends in own words."""
    gold, own = drawing.GOLD, drawing.OWN
    shown = {name: drawing.fed(overrides) for name, overrides in drawing.PICTURES.items()}
    for name, picture in shown.items():
        assert picture.shape == (drawing.EPOCHS * drawing.UPDATES, drawing.LONGEST), name
        assert (picture[:, 0] == gold).all(), name
    assert not (shown["full"] == own).any()
    assert not (shown["free"][:, 1:] == gold).any()
    half = len(shown["full"]) // 2
    for name in ("scheduled", "scheduled_linear", "confidence", "by_step_joint"):
        first, last = (np.mean(part[part > 0] == gold) for part in np.split(shown[name], [half]))
        assert first > last, name
    first, last = (
        np.mean(part[part > 0] == gold) for part in np.split(shown["scheduled_increasing"], [half])
    )
    assert first < last
    for row in shown["scheduled_prefix"]:
        assert sorted(row[row > 0], reverse=True) == list(row[row > 0])
