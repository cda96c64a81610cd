"""Pairs of sentences as numbers: what a model is trained on, and the recipe that makes them of an archive."""

import hashlib
import json
import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.sources import archive as archives
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.vocabulary import Ragged, Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import replacing

_FORMAT = 1  # of a prepared file; raise it with any change to what preparing gives
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Corpus:
    """N pairs of sentences, numbered.

    Attributes:
        source: words and ``<eos>`` of every source sentence.
        target: ``<sos>``, words and ``<eos>`` of every target sentence.
        source_vocabulary: numbers of the source's words.
        target_vocabulary: numbers of the target's words.
        archive_pairs: pairs there were before any filter.
        normalise: how the sentences were normalised, for raw sentences to be treated alike.
        origin: where the pairs come from, a line for people.
    """

    source: Ragged
    target: Ragged
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    archive_pairs: int
    normalise: Normalisation
    origin: str

    @classmethod
    def build(
        cls,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        archive_pairs: int,
        normalise: Normalisation,
        origin: str,
    ) -> "Corpus":
        """Number normalised sentences; row i of ``targets`` translates row i of ``sources``.

        Raises:
            UserError: a sentence holds ``<sos>`` or ``<eos>`` as a word.
        """
        source_vocabulary, target_vocabulary = Vocabulary.build(sources), Vocabulary.build(targets)
        return cls(
            source=source_vocabulary.number(sources),
            target=target_vocabulary.number(targets, begin=True),
            source_vocabulary=source_vocabulary,
            target_vocabulary=target_vocabulary,
            archive_pairs=archive_pairs,
            normalise=normalise,
            origin=origin,
        )

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the numbers and the words: the identity of what a model is trained on."""
        state = hashlib.sha256()
        for array in (self.source.values, self.source.offsets, self.target.values, self.target.offsets):
            # One byte order, so that the identity does not depend on the machine.
            state.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        state.update(json.dumps([self.source_vocabulary.words, self.target_vocabulary.words]).encode())
        return state.hexdigest()

    def source_text(self, index: int) -> str:
        """The normalised source sentence of a pair."""
        return " ".join(self.source_vocabulary.decode(self.source[index]))

    def target_text(self, index: int) -> str:
        """The normalised target sentence of a pair."""
        return " ".join(self.target_vocabulary.decode(self.target[index]))

    def source_groups(self) -> NDArray[np.int64]:
        """For every pair the index of its distinct source, in order of first appearance, ``[N]``.

        Pairs of one group are each other's alternative translations: a held-out split keeps them together.
        """
        return self.source.groups

    def loss_floor(self, rows: NDArray[np.int64] | None = None, *, predict_sos: bool = True) -> float:
        """Training loss of a model that has remembered every pair, in nats per target position.

        It gives each translation of a source its share of that source's rows, so only what has several
        translations costs anything: the mean over pairs of ``-log(count(source, target) / count(source))``
        per target position, ``<eos>`` being one and, where it is predicted, ``<sos>`` too. No training loss
        goes below it.

        Args:
            rows: the pairs trained on; all if none are given.
            predict_sos: whether ``<sos>`` is a position, as it is in the seminar's measure.
        """
        chosen = slice(None) if rows is None else rows
        sources, targets = self.source.groups[chosen], self.target.groups[chosen]
        _, pairs = np.unique(sources * (targets.max() + 1) + targets, return_inverse=True)
        shares = np.bincount(pairs)[pairs] / np.bincount(sources)[sources]
        positions = self.target.lengths[chosen] - (not predict_sos)
        # A share of one gives -0.0, which prints as such.
        return abs(float(np.mean(-np.log(shares) / positions)))

    def statistics(self) -> dict[str, int | float]:
        """Counts to check a corpus by. Sizes and lengths include the special words."""
        return {
            "archive_pairs": self.archive_pairs,
            "pairs": len(self),
            "source_vocabulary": len(self.source_vocabulary),
            "target_vocabulary": len(self.target_vocabulary),
            "distinct_sources": int(self.source.groups.max()) + 1,
            "distinct_targets": int(self.target.groups.max()) + 1,
            "max_source_length": int(self.source.lengths.max()),
            "max_target_length": int(self.target.lengths.max()),
            "loss_floor": self.loss_floor(),
        }


@dataclass(frozen=True, kw_only=True)
class ArchiveCorpus:
    """The recipe for a corpus: which archive, which of its columns, and which pairs to keep.

    A pair is kept if every one of the filters given keeps it; all filters look at normalised sentences.
    What was prepared is cached under the archive's content and every setting that matters to it.

    Args:
        archive: the user's own zip or text file; else the file that the variable ``environment`` names,
            else what ``url`` serves, fetched once.
        archive_sha256: hash to hold the user's own file to; ``None`` takes any.
        url: where to fetch the archive if the user names none.
        sha256: hash of the file that ``url`` serves.
        member_sha256: hash of the pair file inside what ``url`` serves.
        environment: variable that may name the user's own file.
        credit: whose sentences these are, shown with where they come from.
        source_column: column of the source sentences, counted from 1.
        target_column: column of the target sentences. Exchange the two to translate the other way.
        prefix_column: column that ``prefixes`` is about.
        prefixes: keep pairs whose sentence in ``prefix_column`` begins with one of these; none = keep all.
        max_words: keep pairs of at most so many words on each side, before ``<eos>``; ``None`` = any.
        max_pairs: keep only the first so many of them.
        lowercase, strip_accents, space_before, keep: see `Normalisation`.

    Raises:
        UserError: a setting has no meaning.
    """

    archive: str | None = None
    archive_sha256: str | None = None
    url: str | None = None
    sha256: str | None = None
    member_sha256: str | None = None
    environment: str | None = "ENG_FRA_ARCHIVE"
    credit: str | None = "sentences of the Tatoeba Project by way of manythings.org/anki, CC BY 2.0 FR"
    source_column: int = 2
    target_column: int = 1
    prefix_column: int = 1
    prefixes: Sequence[str] | None = None
    max_words: int | None = 6
    max_pairs: int | None = None
    lowercase: bool = True
    strip_accents: bool = True
    space_before: str = ".!?"
    keep: str | None = "a-zA-Z.!?"

    def __post_init__(self) -> None:
        for name in ("source_column", "target_column", "prefix_column", "max_words", "max_pairs"):
            value = getattr(self, name)
            if not (value >= 1 if isinstance(value, int) else value is None and name.startswith("max_")):
                raise UserError(f"data.{name}={value}: it should be a whole number, at least 1")
        if self.source_column == self.target_column:
            raise UserError(f"data.source_column={self.source_column}: data.target_column is the same column")
        if isinstance(self.prefixes, str) or not all(isinstance(p, str) for p in self.prefixes or ()):
            raise UserError(
                f"data.prefixes={self.prefixes!r}: it should be a list of texts, as ['i am ','he is']"
            )
        _ = self.normalise

    @cached_property
    def normalise(self) -> Normalisation:
        """How sentences are normalised."""
        return Normalisation(**{field.name: getattr(self, field.name) for field in fields(Normalisation)})

    def load(self) -> Corpus:
        """Read the prepared corpus, or prepare it and keep it.

        Raises:
            UserError: the archive cannot be found, fetched or read, or no pair of it is kept.
        """
        path = archives.locate(self.archive, url=self.url, sha256=self.sha256, environment=self.environment)
        digest = archives.digest(path)
        downloaded = self.url is not None and path == archives.download_path(self.url)
        member_sha256 = self.member_sha256 if downloaded else None
        if not downloaded:
            archives.check_digest(path, digest, self.archive_sha256)
        stored = archives.cache_dir() / "prepared" / f"{self._key(digest, member_sha256)}.npz"
        corpus = _read(stored)
        if corpus is None:
            corpus = self._prepare(archives.read_text(path, member_sha256=member_sha256), path)
            _write(stored, corpus)
        origin = f"{len(corpus):,} of {corpus.archive_pairs:,} pairs of {self.url if downloaded else path}"
        return replace(corpus, origin=f"{origin}; {self.credit}" if self.credit else origin)

    def _key(self, digest: str, member_sha256: str | None) -> str:
        elsewhere = {"archive", "archive_sha256", "url", "sha256", "environment", "credit"}
        state = {name: value for name, value in asdict(self).items() if name not in elsewhere}
        # Another Unicode version may lower-case and decompose differently.
        state |= {"content": digest, "member_sha256": member_sha256, "unicode": unicodedata.unidata_version}
        return hashlib.sha256(json.dumps([_FORMAT, state], default=list).encode()).hexdigest()

    def _prepare(self, text: str, path: Path) -> Corpus:
        total, sources, targets = self._kept(text, path)
        if not sources:
            relaxed = {"prefixes": replace(self, prefixes=None), "max_words": replace(self, max_words=None)}
            enough = [f"data.{name}" for name, recipe in relaxed.items() if recipe._kept(text, path)[1]]
            advice = " or ".join(enough) or "data.prefixes and data.max_words"
            raise UserError(f"{path}: no pair of the {total:,} in it is kept; relax {advice}")
        return Corpus.build(sources, targets, archive_pairs=total, normalise=self.normalise, origin=str(path))

    def _kept(self, text: str, path: Path) -> tuple[int, list[str], list[str]]:
        """How many pairs there are, and the normalised source and target of those that are kept."""
        prefixes = tuple(self.prefixes or [""])
        limits = dict.fromkeys((self.target_column, self.source_column), self.max_words or float("inf"))
        # The column with prefixes goes first: few pairs survive it, and only theirs are normalised further.
        order = list(dict.fromkeys([self.prefix_column, *limits] if self.prefixes else limits))
        columns = archives.read_columns(text, path, order)
        rows: Sequence[int] = range(len(columns[0]))
        done: dict[int, list[str]] = {}
        for column, raw in zip(order, columns, strict=True):
            done[column] = self.normalise.lines([raw[row] for row in rows])
            begin = prefixes if column == self.prefix_column else ("",)
            limit = limits.get(column, float("inf"))
            passed = [n for n, s in enumerate(done[column]) if s.count(" ") < limit and s.startswith(begin)]
            rows = [rows[n] for n in passed]
            done = {column: [sentences[n] for n in passed] for column, sentences in done.items()}
        sources, targets = done[self.source_column], done[self.target_column]
        return len(columns[0]), sources[: self.max_pairs], targets[: self.max_pairs]


def _write(path: Path, corpus: Corpus) -> None:
    """Keep a prepared corpus for the next run, if the cache can be written."""
    state = {
        "words": [corpus.source_vocabulary.words, corpus.target_vocabulary.words],
        "normalise": asdict(corpus.normalise),
        "archive_pairs": corpus.archive_pairs,
        "fingerprint": corpus.fingerprint,
    }
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                source=corpus.source.values,
                source_offsets=corpus.source.offsets,
                target=corpus.target.values,
                target_offsets=corpus.target.offsets,
                state=np.frombuffer(json.dumps(state).encode(), dtype=np.uint8),
            )
    except OSError as error:
        _log.warning("the prepared corpus is not kept: %s", error)


def _read(path: Path) -> Corpus | None:
    """A prepared corpus, or none if there is none that is whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            source_words, target_words = state["words"]
            corpus = Corpus(
                source=Ragged(file["source"], file["source_offsets"]),
                target=Ragged(file["target"], file["target_offsets"]),
                source_vocabulary=Vocabulary.from_list(source_words),
                target_vocabulary=Vocabulary.from_list(target_words),
                archive_pairs=state["archive_pairs"],
                normalise=Normalisation(**state["normalise"]),
                origin=str(path),
            )
            if corpus.fingerprint == state["fingerprint"]:
                return corpus
            raise ValueError("wrong fingerprint")
    except FileNotFoundError:
        return None
    except Exception as error:  # damage can surface as nearly any, and all have one cure
        _log.info("preparing anew, for %s is damaged: %s", path, error)
        return None
