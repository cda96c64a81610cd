"""Two groups compared over the sentences of the test part, beside the comparison over seeds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.pairing import Pair, difference_of
from seq2seq_lab.evaluation.significance import SAMPLES, Bootstrapped, paired_bleu
from seq2seq_lab.runs.evaluations import Translated, read_translated

PART, METRIC = "test", "test/bleu"
_MOST = 30  # pairs of groups; each takes half a second per seed
_FEW = 6  # seeds that are named
_WHAT = (
    f"Over {{items}}: the chance of which {{items}} are in the test part (paired bootstrap, {SAMPLES:,} samples), each"
    " seed on its own, with its 95 % interval, its standard deviation and sacreBLEU's p, which is half of a two-sided"
    " one or less. Over seeds: the chance of initial weights, order and draws, on the same {items}. Only what"
    " holds over both is likely to hold elsewhere."
)


@dataclass(frozen=True)
class OverSentences:
    """The translations of two groups, seed by seed, of the same sentences.

    Attributes:
        pair: the groups, and the difference of their BLEU over seeds.
        by_seed: seed → difference of BLEU, and its interval and p-value over sentences.
    """

    pair: Pair
    by_seed: Mapping[int, Bootstrapped]

    @property
    def items(self) -> str:
        """What its sources are, in the plural."""
        return f"{self.pair.first.corpus.item}s"

    @property
    def over_sentences(self) -> str:
        """The result over sentences, in words."""
        excluding = sum(each.excludes_zero for each in self.by_seed.values())
        several = list(self.by_seed.items())[:_FEW]
        named = ", ".join(f"seed {seed} {_in_words(each)}" for seed, each in several)
        rest = len(self.by_seed) - len(several)
        more = f" and {rest} more" if rest else ""
        seeds = f"{excluding} of {len(self.by_seed)} seeds"
        return f"{self.resampled}; the interval excludes zero for {seeds}: {named}{more}"

    @property
    def resampled(self) -> str:
        """What the bootstrap draws, in words."""
        ways = dict.fromkeys(
            f"{each.units:,} components of {each.sentences:,} {self.items} drawn"
            if each.by_component
            else f"{each.sentences:,} {self.items} drawn one by one, as their files name no components"
            for each in self.by_seed.values()
        )
        return " or ".join(ways)

    @property
    def over_seeds(self) -> str:
        """The result over seeds, in words."""
        return f"{self.pair.interval}: {self.pair.verdict}"


def _in_words(found: Bootstrapped) -> str:
    if math.isnan(found.p):
        return f"{found.difference:+.2f} (no interval: there is only one to draw)"
    return f"{found.difference:+.2f} [{found.low:+.2f}, {found.high:+.2f}] (sd {found.sd:.2f}, p = {found.p:.3f})"


def two_kinds(items: str) -> str:
    """What the two comparisons say, for sources that are called so."""
    return _WHAT.format(items=items)


def over_sentences(
    groups: Sequence[Group], pairs: Sequence[Pair], *, every: bool
) -> tuple[list[OverSentences], list[str]]:
    """Compare groups over the sentences of the test part; also returns notes.

    Args:
        pairs: those of all metrics, see `pairing.pair`.
        every: compare all pairs that differ in one setting. If false, only two groups are compared, and only if there
            are no others.
    """
    chosen = [each for each in pairs if each.metric == METRIC]
    if len(groups) == 2:
        chosen = chosen or list(_both(*groups))
    elif not every:
        return [], []
    notes = _left_out(groups) if every else []
    if every and not chosen:
        none = "no two groups have hypotheses of the test part to compare; see `seq2seq-lab evaluate`"
        return [], notes or [none]
    read: dict[tuple[Group, int], Translated | None] = {}
    found = []
    for pair in chosen[:_MOST]:
        by_seed = dict(_by_seed(pair, read))
        if by_seed:
            found.append(OverSentences(pair, by_seed))
    more = len(chosen) - _MOST
    return found, [*notes, *([f"{more} more pairs are not compared over sentences"] if more > 0 else [])]


def _left_out(groups: Sequence[Group]) -> list[str]:
    """A note that names what has no BLEU, which is what is compared over sentences."""
    items = dict.fromkeys(f"{each.corpus.item}s" for each in groups if not each.corpus.graded)
    if not items:
        return []
    return [
        f"no test over {' or '.join(items)}: it is one of BLEU, which says nothing where a target is right or wrong; "
        "see the differences over seeds"
    ]


def _both(first: Group, second: Group) -> Iterator[Pair]:
    """Two groups that differ in more than one setting."""
    difference = difference_of(first, second, METRIC)
    if difference.n and first.corpus.fingerprint == second.corpus.fingerprint:
        yield Pair(first, second, METRIC, difference, adjusted=difference.p)


def _by_seed(
    pair: Pair, read: dict[tuple[Group, int], Translated | None]
) -> Iterator[tuple[int, Bootstrapped]]:
    """Seed → the comparison of the two runs of this seed, where both translated the same sentences."""
    for group in (pair.first, pair.second):
        for run in group.runs:
            if run.seed is not None and (group, run.seed) not in read:
                evaluated = run.evaluations.get(PART)
                read[group, run.seed] = (
                    read_translated(evaluated.path, evaluated.segments) if evaluated else None
                )
    for run in pair.first.runs:
        if run.seed is None:
            continue
        first, second = read.get((pair.first, run.seed)), read.get((pair.second, run.seed))
        if first and second and first.references == second.references:
            components = first.components or second.components  # one of them may be of an earlier version
            yield run.seed, paired_bleu(first.hypotheses, second.hypotheses, first.references, components)
