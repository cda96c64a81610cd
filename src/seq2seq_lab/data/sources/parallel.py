"""The user's own pairs, in a file of two columns or in two files, with the parts that others have made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq_lab.data.sources import tsv
from seq2seq_lab.data.sources.base import PairSource, Provenance, RawPairs, require_positive
from seq2seq_lab.data.sources.columns import Columns, read_columns
from seq2seq_lab.data.sources.raw import PARTS
from seq2seq_lab.errors import UserError, expanded

Files = str | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ParallelCorpus(PairSource):
    """Pairs of files: one with columns separated by tabs, or two with one sentence per line, for each part.

    If only ``train`` is given, the parts are made by ``split``. Otherwise the given parts are used as they are, and
    ``split`` is not used.

    Args:
        train: the pairs to train on: a file ``train.tsv``, or two files ``[train.fr, train.en]``, source first.
        validation: the pairs that select a checkpoint.
        test: the pairs that the final results are for; it needs ``validation``.
        source_column: column of the source sentences in a file of columns, counted from 1.
        target_column: column of the target sentences.

    Raises:
        UserError: a setting is out of its range.
    """

    train: Files | None = None
    validation: Files | None = None
    test: Files | None = None
    source_column: int = 1
    target_column: int = 2

    def __post_init__(self) -> None:
        if self.train is None:
            raise UserError(
                "data.train: name your file, data.train=pairs.tsv, or two, 'data.train=[a.fr,a.en]'"
            )
        for name in ("source_column", "target_column"):
            require_positive(name, getattr(self, name))
        if self.source_column == self.target_column:
            raise UserError(f"data.source_column={self.source_column}: data.target_column is the same column")
        if self.test is not None and self.validation is None:
            raise UserError("data.test: a test part needs data.validation too, which selects a checkpoint")
        for part, files in self._given():
            if not isinstance(files, str) and len(files) != 2:
                raise UserError(
                    f"data.{part}={list(files)}: give one file of two columns, or two files, [SOURCE,TARGET]"
                )
        super().__post_init__()

    def provenance(self) -> Provenance:
        """The paths and hashes of the files."""
        digests = [
            (part, [tsv.digest(path, f"data.{part}") for path in _paths(files, part)])
            for part, files in self._given()
        ]
        names = ", ".join(str(path) for part, files in self._given() for path in _paths(files, part))
        columns = (self.source_column, self.target_column)
        return Provenance(origin=names, fingerprint=f"{digests} {columns}")

    def read(self) -> RawPairs:
        """The pairs of all parts, one part after the other."""
        sources: list[str] = []
        targets: list[str] = []
        parts: list[int] = []
        lines: list[int] = []
        origins, cautions = [], []
        for part, files in self._given():
            paths = _paths(files, part)
            columns = self._columns(paths[0]) if len(paths) == 1 else _two_files(*paths)
            ours, theirs = columns.fields
            origins.append((str(paths[0]), len(sources)))
            sources += ours
            targets += theirs
            parts += [PARTS.index(part)] * len(ours)
            lines += columns.lines or range(1, len(ours) + 1)
            cautions += columns.cautions
        return RawPairs(
            sources=sources,
            targets=targets,
            parts=None if self.validation is None else parts,
            origins=origins,
            lines=lines,
            cautions=cautions,
        )

    def _given(self) -> list[tuple[str, Files]]:
        return [(part, files) for part in PARTS if (files := getattr(self, part)) is not None]

    def _columns(self, path: Path) -> Columns:
        return read_columns(tsv.read_text(path), path, [self.source_column, self.target_column])


def _paths(files: Files, part: str) -> list[Path]:
    return [expanded(each, f"data.{part}") for each in ([files] if isinstance(files, str) else files)]


def _two_files(source: Path, target: Path) -> Columns:
    texts = [tsv.read_text(path) for path in (source, target)]
    sides = [tsv.read_lines(text, path) for text, path in zip(texts, (source, target), strict=True)]
    most = max(map(len, sides))
    for side, text in zip(sides, texts, strict=True):
        if tsv.line_ends(text).removesuffix("\n").count("\n") + 1 >= most:  # its last lines are empty
            side += [""] * (most - len(side))
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{source} has {len(sides[0]):,} lines, but {target} has {len(sides[1]):,}; line i of one must be a "
            "translation of line i of the other"
        )
    return Columns(sides, [])
