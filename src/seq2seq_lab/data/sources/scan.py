"""SCAN: commands and the actions that they mean (Lake & Baroni 2018, arXiv 1711.00350), generated from its grammar.

    C → S and S | S after S | S        u                → I_U
    S → V twice | V thrice | V         u left           → I_TURN_LEFT I_U
    V → D opposite d | D around d | …  u opposite left  → I_TURN_LEFT I_TURN_LEFT I_U
                                       u around left    → I_TURN_LEFT I_U, four times
                                       x and y          → x, then y;  x after y → y, then x

Of `turn` the turns are the whole meaning, and it always has a direction: 20,910 commands in all.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from seq2seq_lab.data.sources.base import PairSource, Provenance, RawPairs
from seq2seq_lab.data.task import Task
from seq2seq_lab.errors import UserError

SplitName = Literal["simple", "length", "jump", "turn_left"]
Pair = tuple[str, str]
_VERBS = ("walk", "look", "run", "jump")
_LONGEST = 22  # actions of a training pair of `length`
_TEST = 0.2  # share of the commands in the test part of `simple`
# The number of copies in training of the only command with the primitive that a split holds out.
_COPIES = {"jump": ("jump", 1467), "turn_left": ("turn left", 2189)}
_TRAIN, _, _PART_OF_TEST = range(3)


@dataclass(frozen=True, kw_only=True)
class ScanCorpus(PairSource):
    """All commands, in the training and the test part of one of the splits of Lake & Baroni.

    ``simple``: a fifth of the commands, drawn at random, is the test part. ``length``: those of more than 22 actions.
    ``jump``: all that contain `jump` and another word; the training part has `jump` alone 1,467 times. ``turn_left``:
    all that contain `turn left` and another word; `turn left` alone is there 2,189 times. The validation part is made
    of the training part by the group ``split``, as nobody gives one; repeated pairs are never in it.

    Args:
        split_name: the split.
        seed: seed of the draw of ``simple``; not the run's seed.

    Raises:
        UserError: there is no such split.
    """

    split_name: SplitName = "simple"
    seed: int = 0
    normalise: Literal["seminar", "text", "none"] = "none"

    def __post_init__(self) -> None:
        names = ("simple", "length", "jump", "turn_left")
        if self.split_name not in names:
            raise UserError(f"data.split_name={self.split_name}: it must be one of {', '.join(names)}")
        super().__post_init__()

    def task(self) -> Task:
        """Commands and actions."""
        return Task(item="command", token="action", graded=False, form=form)

    def provenance(self) -> Provenance:
        """The grammar. Its pairs are not cached, as making them takes little time."""
        return Provenance(origin=f"the grammar of SCAN, split {self.split_name}")

    def read(self) -> RawPairs:
        """Generate the pairs of both parts."""
        every = commands()
        test = self._test(every)
        training = [pair for pair in every if pair not in test]
        if self.split_name in _COPIES:
            command, copies = _COPIES[self.split_name]
            alone = next(pair for pair in training if pair[0] == command)
            training += [alone] * (copies - 1)
        pairs = [*training, *(pair for pair in every if pair in test)]
        return RawPairs(
            sources=[source for source, _ in pairs],
            targets=[target for _, target in pairs],
            parts=[_TRAIN] * len(training) + [_PART_OF_TEST] * len(test),
        )

    def _test(self, every: Sequence[Pair]) -> set[Pair]:
        if self.split_name == "simple":
            return set(random.Random(self.seed).sample(every, round(_TEST * len(every))))
        if self.split_name == "length":
            return {pair for pair in every if pair[1].count(" ") >= _LONGEST}
        held_out, _ = _COPIES[self.split_name]
        return {pair for pair in every if held_out in pair[0] and pair[0] != held_out}


@cache
def commands() -> Sequence[Pair]:
    """All commands with their actions, each once."""
    phrases = [
        (f"{command}{often}", " ".join([actions] * times))
        for command, actions in _verb_phrases()
        for often, times in (("", 1), (" twice", 2), (" thrice", 3))
    ]
    found = list(phrases)
    for one, first in phrases:
        for other, second in phrases:
            found.append((f"{one} and {other}", f"{first} {second}"))
            found.append((f"{one} after {other}", f"{second} {first}"))
    return found


def _verb_phrases() -> Iterator[Pair]:
    yield from ((verb, f"I_{verb.upper()}") for verb in _VERBS)
    for verb in (*_VERBS, "turn"):
        act = [] if verb == "turn" else [f"I_{verb.upper()}"]
        for direction in ("left", "right"):
            turn = f"I_TURN_{direction.upper()}"
            yield f"{verb} {direction}", " ".join([turn, *act])
            yield f"{verb} opposite {direction}", " ".join([turn, turn, *act])
            yield f"{verb} around {direction}", " ".join([turn, *act] * 4)


_FORMS = ("and", "after", "around", "opposite", "thrice", "twice")


def form(command: str) -> str:
    """The words of a command that say how its actions are composed, each once: ``and around twice``."""
    said = command.split()
    return " ".join(word for word in _FORMS if word in said) or "none of these"
