"""Path-star graphs: find the path from the start to the goal (Bachmann & Nagarajan 2024, arXiv 2403.06963).

A star has ``degree`` paths from one start node. Each edge of the source goes away from the start; the edges are in
random order, and start and goal stand at the end. The target is the path from the start to the goal, both included.

Who is fed the gold nodes needs the goal only for the second node: each later node is the one that an edge leads to from
the node fed. Under full teacher forcing this is learnt first, and the second node is then guessed among the ``degree``
neighbours of the start: the share of right paths stays at 1 / ``degree``.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from seq2seq_lab.data.sources.base import PairSource, Provenance, RawPairs, require_positive
from seq2seq_lab.data.task import Task
from seq2seq_lab.errors import UserError


@dataclass(frozen=True, kw_only=True)
class PathStarCorpus(PairSource):
    """Random path-star graphs; those of a part are independent draws, and the parts are given.

    Args:
        degree: number of paths from the start.
        length: number of nodes of each path, the start included.
        nodes: number of names that nodes can have.
        graphs: number of graphs in the training part.
        held_out: number of graphs in the validation part, and in the test part.
        seed: seed of the draws; not the run's seed.

    Raises:
        UserError: a number is out of its range, or there are fewer names than nodes in a graph.
    """

    degree: int = 2
    length: int = 5
    nodes: int = 50
    graphs: int = 200_000
    held_out: int = 1000
    seed: int = 0
    normalise: Literal["seminar", "text", "none"] = "none"

    def __post_init__(self) -> None:
        for name in ("degree", "nodes", "graphs", "held_out"):
            require_positive(name, getattr(self, name))
        if not isinstance(self.length, int) or self.length < 2:
            raise UserError(
                f"data.length={self.length}: it must be a whole number, at least 2: start and goal"
            )
        needed = 1 + self.degree * (self.length - 1)
        if self.nodes < needed:
            raise UserError(
                f"data.nodes={self.nodes}: a graph has {needed} nodes (1 + data.degree * (data.length - 1)), and each "
                "needs a name"
            )
        super().__post_init__()

    def task(self) -> Task:
        """Graphs and paths of nodes."""
        return Task(item="graph", token="node", graded=False)

    def provenance(self) -> Provenance:
        """The size of the stars. The pairs are not cached, as making them takes a few seconds."""
        return Provenance(
            origin=f"path-star graphs of degree {self.degree} and length {self.length}, {self.nodes} names"
        )

    def read(self) -> RawPairs:
        """Draw the graphs of the training, the validation and the test part."""
        sizes = (self.graphs, self.held_out, self.held_out)
        pairs = [
            pair
            for part, size in enumerate(sizes)
            for pair in self._draw(random.Random(f"{self.seed} {part}"), size)
        ]
        return RawPairs(
            sources=[source for source, _ in pairs],
            targets=[target for _, target in pairs],
            parts=[part for part, size in enumerate(sizes) for _ in range(size)],
        )

    def _draw(self, draw: random.Random, size: int) -> Sequence[tuple[str, str]]:
        names = [str(number) for number in range(self.nodes)]
        own = self.length - 1  # nodes of a path beside the start
        pairs = []
        for _ in range(size):
            start, *others = draw.sample(names, 1 + self.degree * own)
            paths = [[start, *others[first : first + own]] for first in range(0, len(others), own)]
            edges = [f"{one} {other}" for path in paths for one, other in pairwise(path)]
            draw.shuffle(edges)
            goal = paths[0][-1]  # all paths are alike, as the names are drawn at random
            pairs.append((f"{' | '.join(edges)} / {start} {goal}", " ".join(paths[0])))
        return pairs
