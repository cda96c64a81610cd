"""The base class of all sources of sentence pairs: normalisation, filters, and the cache of the result.

To add a source, write a subclass of `PairSource` with its settings and the method `read`, and a YAML file in
``conf/data/`` (or a folder given by ``--config-dir``) that names the class.
"""

import hashlib
import json
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from seq2seq_lab.data.cache import cache_dir, read_corpus, write_corpus
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.errors import UserError

_FORMAT = 2  # of a cached corpus; increase it whenever preparing the same pairs gives another result


@dataclass(frozen=True, kw_only=True)
class RawPairs:
    """Pairs of raw sentences.

    Attributes:
        sources: the source sentences, ``[N]``.
        targets: their translations, ``[N]``.
        prefixed: the sentences that the setting ``prefixes`` is about, ``[N]``; ``None`` = the targets.
        available: number of pairs that these were chosen from; ``None`` = N.

    Raises:
        UserError: the lists differ in length.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    prefixed: Sequence[str] | None = None
    available: int | None = None

    def __post_init__(self) -> None:
        third = self.sources if self.prefixed is None else self.prefixed
        if not len(self.sources) == len(self.targets) == len(third):
            lengths = f"{len(self.sources)} sources and {len(self.targets)} targets"
            also = "" if self.prefixed is None else f" and {len(self.prefixed)} sentences for prefixes"
            raise UserError(f"data: the source returned {lengths}{also}; the numbers must be equal")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The origin of sentence pairs.

    Attributes:
        origin: a path, an address or a name, to show to the user.
        credit: the authors of the sentences, if they must be named.
        fingerprint: a text that changes whenever `PairSource.read` would return other pairs: a hash of the data,
            and the settings that `read` uses. The prepared corpus is cached by it. ``None`` = do not cache.
    """

    origin: str
    credit: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class PairSource(ABC):
    """A source of sentence pairs, with the settings that all sources share.

    A pair is kept if all filters keep it. The filters are applied to normalised sentences.
    A subclass that defines ``__post_init__`` must call that of this class.

    Args:
        prefixes: keep pairs of which one sentence (see `RawPairs.prefixed`) begins with one of these texts;
            ``None`` or empty = any.
        max_words: keep pairs with at most this number of words on each side, without ``<eos>``; ``None`` = any.
        max_pairs: keep only the first pairs, at most this number; ``None`` = any.
        lowercase, strip_accents, space_before, keep: see `Normalisation`.

    Raises:
        UserError: a setting is out of its range.
    """

    prefixes: Sequence[str] | None = None
    max_words: int | None = None
    max_pairs: int | None = None
    lowercase: bool = True
    strip_accents: bool = True
    space_before: str = ".!?"
    keep: str | None = "a-zA-Z.!?"

    def __post_init__(self) -> None:
        for name in ("max_words", "max_pairs"):
            value = getattr(self, name)
            if value is not None:
                require_positive(name, value)
        if isinstance(self.prefixes, str) or not all(isinstance(p, str) for p in self.prefixes or ()):
            raise UserError(
                f"data.prefixes={self.prefixes!r}: it must be a list of texts, such as ['i am ','he is']"
            )
        _ = self.normalise

    @abstractmethod
    def read(self) -> RawPairs:
        """Read or make the pairs. The same settings and the same data must give the same pairs.

        Raises:
            UserError: the pairs cannot be read.
        """

    def provenance(self) -> Provenance:
        """The origin of the pairs, without reading them. By default, the name of the class, and nothing is cached."""
        return Provenance(origin=type(self).__name__)

    @cached_property
    def normalise(self) -> Normalisation:
        """How sentences are normalised."""
        return Normalisation(**{field.name: getattr(self, field.name) for field in fields(Normalisation)})

    def load(self) -> Corpus:
        """Return the corpus: from the cache, or else read, normalised, filtered, numbered and cached.

        Raises:
            UserError: the pairs cannot be read, or the filters keep none of them.
        """
        provenance = self.provenance()
        stored = self._cache_path(provenance.fingerprint) if provenance.fingerprint else None
        corpus = read_corpus(stored) if stored else None
        if corpus is None:
            corpus = self._prepare(self.read(), provenance.origin)
            if stored:
                write_corpus(stored, corpus)
        origin = f"{len(corpus):,} of {corpus.archive_pairs:,} pairs of {provenance.origin}"
        return replace(corpus, origin=f"{origin}; {provenance.credit}" if provenance.credit else origin)

    def _cache_path(self, fingerprint: str) -> Path:
        # A subclass includes its own settings in its fingerprint if they change the pairs.
        shared = {field.name: getattr(self, field.name) for field in fields(PairSource)}
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        # Lower case and decomposition can differ between Unicode versions.
        state = [_FORMAT, kind, fingerprint, shared, unicodedata.unidata_version]
        key = hashlib.sha256(json.dumps(state, default=list).encode()).hexdigest()
        return cache_dir() / "prepared" / f"{key}.npz"

    def _prepare(self, raw: RawPairs, origin: str) -> Corpus:
        total = len(raw.sources) if raw.available is None else raw.available
        if not raw.sources:
            raise UserError(f"{origin}: contains no pair")
        sources, targets = self._kept(raw)
        if not sources:
            relaxed = {"prefixes": replace(self, prefixes=None), "max_words": replace(self, max_words=None)}
            enough = [f"data.{name}" for name, source in relaxed.items() if source._kept(raw)[0]]
            advice = " or ".join(enough) or "data.prefixes and data.max_words"
            raise UserError(f"{origin}: the filters keep none of its {total:,} pairs; relax {advice}")
        return Corpus.build(sources, targets, archive_pairs=total, normalise=self.normalise, origin=origin)

    def _kept(self, raw: RawPairs) -> tuple[list[str], list[str]]:
        """The normalised source and target of each pair that is kept."""
        columns = {"target": raw.targets, "source": raw.sources}
        if self.prefixes and raw.prefixed is not None:
            # This filter is the first one: few pairs pass it, and the other columns are normalised only for these.
            columns = {"prefixed": raw.prefixed, **columns}
        first = next(iter(columns))
        rows: Sequence[int] = range(len(raw.sources))
        done: dict[str, list[str]] = {}
        for name, column in columns.items():
            done[name] = self.normalise.lines([column[row] for row in rows])
            prefixes = tuple(self.prefixes or [""]) if name == first else ("",)
            limit = self.max_words or float("inf")
            if name == "prefixed":
                limit = float("inf")
            passed = [n for n, s in enumerate(done[name]) if s.count(" ") < limit and s.startswith(prefixes)]
            rows = [rows[n] for n in passed]
            done = {each: [sentences[n] for n in passed] for each, sentences in done.items()}
        return done["source"][: self.max_pairs], done["target"][: self.max_pairs]


def require_positive(name: str, value: object) -> None:
    """Check that a setting of a source is a whole number, at least 1.

    Raises:
        UserError: it is not; the message names the key ``data.<name>``.
    """
    if not isinstance(value, int) or value < 1:
        raise UserError(f"data.{name}={value}: it must be a whole number, at least 1")
