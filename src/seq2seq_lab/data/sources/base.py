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
from typing import Literal

import numpy as np

from seq2seq_lab.data.cache import cache_dir, read_corpus, write_corpus
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.sources.filters import keep_pairs, why_none
from seq2seq_lab.data.sources.inspection import inspect
from seq2seq_lab.data.sources.raw import PARTS
from seq2seq_lab.data.sources.raw import RawPairs as RawPairs
from seq2seq_lab.data.task import TRANSLATION, Distribution, Task
from seq2seq_lab.data.text import PRESETS, Normalisation
from seq2seq_lab.data.units import KINDS, Subwords, Units
from seq2seq_lab.errors import UserError

_SHOWN = 5  # pairs that are kept as they were
_FORMAT = 7  # of a cached corpus; increase it whenever preparing the same pairs gives another result

_NOT_CACHED = ("units", "subword_size", "subword_kind")  # a cached corpus is of words, whatever the units


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
        normalise: how sentences are normalised: ``seminar``; ``text``, which is sound for any script; or ``none``,
            which only splits at white space. See `PRESETS`.
        lowercase, strip_accents, space_before, keep: the steps of ``seminar``, see `Normalisation`; the others do not
            use them.
        drop_duplicates: keep only the first of equal pairs; of the training part alone where parts are given.
        units: what the vocabularies contain: ``words``, ``characters`` or ``subwords``.
        subword_size: number of subwords of each language.
        subword_kind: how subwords are found, ``bpe`` or ``unigram``.

    Raises:
        UserError: a setting is out of its range.
    """

    prefixes: Sequence[str] | None = None
    max_words: int | None = None
    max_pairs: int | None = None
    normalise: Literal["seminar", "text", "none"] = "seminar"
    lowercase: bool = True
    strip_accents: bool = True
    space_before: str = ".!?"
    keep: str | None = "a-zA-Z.!?"
    drop_duplicates: bool = False
    units: Literal["words", "characters", "subwords"] = "words"
    subword_size: int = 1000
    subword_kind: Literal["bpe", "unigram"] = "bpe"

    def __post_init__(self) -> None:
        for name in ("max_words", "max_pairs"):
            value = getattr(self, name)
            if value is not None:
                require_positive(name, value)
        if isinstance(self.prefixes, str) or not all(isinstance(p, str) for p in self.prefixes or ()):
            raise UserError(
                f"data.prefixes={self.prefixes!r}: it must be a list of texts, such as ['i am ','he is']"
            )
        require_positive("subword_size", self.subword_size)
        seed = getattr(self, "seed", 0)  # of a source that draws its pairs
        if isinstance(seed, int) and seed < 0:  # Python draws by −1 as by 1
            raise UserError(f"data.seed={seed}: it is less than 0")
        for name, value, allowed in (
            ("normalise", self.normalise, tuple(PRESETS)),
            ("units", self.units, tuple(KINDS)),
            ("subword_kind", self.subword_kind, ("bpe", "unigram")),
        ):
            if value not in allowed:
                raise UserError(f"data.{name}={value}: it must be one of {', '.join(allowed)}")
        if self.normalise != "seminar":
            defaults = {each.name: each.default for each in fields(self)}
            for name in ("lowercase", "strip_accents", "space_before", "keep"):
                if getattr(self, name) != defaults[name]:
                    raise UserError(f"data.{name}: only data.normalise=seminar uses it, not {self.normalise}")
        _ = self.normalisation

    @abstractmethod
    def read(self) -> RawPairs:
        """Read or make the pairs. The same settings and the same data must give the same pairs.

        Raises:
            UserError: the pairs cannot be read.
        """

    def distribution(self) -> Distribution | None:
        """The distribution that the pairs are drawn from, of normalised sentences, where it is known."""
        return None

    def task(self) -> Task:
        """What the pairs are, where they are not sentences and their translations."""
        return TRANSLATION

    def source_units(self) -> Units | None:
        """What the vocabulary of the source contains where it differs from ``units``."""
        return None

    def provenance(self) -> Provenance:
        """The origin of the pairs, without reading them. By default, the name of the class, and nothing is cached."""
        return Provenance(origin=type(self).__name__)

    @cached_property
    def normalisation(self) -> Normalisation:
        """How sentences are normalised."""
        if self.normalise != "seminar":
            return PRESETS[self.normalise]
        return Normalisation(
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
            space_before=self.space_before,
            keep=self.keep,
        )

    def load(self) -> Corpus:
        """Return the corpus: from the cache, or else read, normalised, filtered, numbered and cached.

        Raises:
            UserError: the pairs cannot be read, or the filters keep none of them.
        """
        provenance = self.provenance()
        stored = self._cache_path(provenance.fingerprint) if provenance.fingerprint else None
        corpus = read_corpus(stored) if stored else None
        if corpus is None or (_names_places(corpus) and corpus.origin != provenance.origin):
            raw = self.read()
            if not isinstance(raw, RawPairs):
                raise UserError(f"data: read() must give RawPairs, not {type(raw).__name__}")
            corpus = self._prepare(raw, provenance.origin)
            if stored:
                write_corpus(stored, corpus)
        origin = f"{len(corpus):,} of {corpus.archive_pairs:,} pairs of {provenance.origin}"
        if provenance.credit:
            origin = f"{origin}; {provenance.credit}"
        return replace(
            corpus,
            origin=origin,
            units=self._units(),
            source_units=self.source_units(),
            task=self.task(),
            distribution=self.distribution(),
        )

    def _units(self) -> Units:
        if self.units == Subwords.name:
            return Subwords(self.subword_size, self.subword_kind)
        return KINDS[self.units]()

    def _cache_path(self, fingerprint: str) -> Path:
        # A subclass includes its own settings in its fingerprint if they change the pairs.
        shared = {
            field.name: getattr(self, field.name)
            for field in fields(PairSource)
            if field.name not in _NOT_CACHED
        }
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        # Lower case and decomposition can differ between Unicode versions.
        state = [_FORMAT, kind, fingerprint, shared, unicodedata.unidata_version]
        key = hashlib.sha256(json.dumps(state, default=list).encode()).hexdigest()
        return cache_dir() / "prepared" / f"{key}.npz"

    def _prepare(self, raw: RawPairs, origin: str) -> Corpus:
        total = len(raw.sources) if raw.available is None else raw.available
        if not raw.sources:
            raise UserError(f"{origin}: contains no pair")
        kept = keep_pairs(self, raw)
        if not kept.rows:
            why = "\n  ".join([*raw.cautions, *why_none(kept.dropped)])
            raise UserError(f"{origin}: none of its {total:,} pairs is kept:\n  {why}")
        parts = raw.parts or ()
        for part in sorted({*parts} - {parts[row] for row in kept.rows if parts}):
            why = "\n  ".join(why_none(kept.dropped))
            raise UserError(f"{origin}: no pair of the part {PARTS[part]} is kept:\n  {why}")
        found = inspect(self.normalisation, raw, kept)
        return Corpus.build(
            kept.sources,
            kept.targets,
            archive_pairs=total,
            normalise=self.normalisation,
            origin=origin,
            given=None if raw.parts is None else np.array(raw.parts, dtype=np.int8)[kept.rows],
            dropped=kept.dropped,
            raw=[(raw.sources[row], raw.targets[row]) for row in kept.rows[:_SHOWN]],
            removed=found.removed,
            cautions=[*raw.cautions, *found.cautions],
        )


def _names_places(corpus: Corpus) -> bool:
    """Whether what is said of a corpus names places of its source, as `pairs.tsv line 3`."""
    return bool(corpus.cautions or corpus.dropped or any(each.sentences for each in corpus.removed.values()))


def require_positive(name: str, value: object) -> None:
    """Check that a setting of a source is a whole number, at least 1.

    Raises:
        UserError: it is not; the message names the key ``data.<name>``.
    """
    if not isinstance(value, int) or value < 1:
        raise UserError(f"data.{name}={value}: it must be a whole number, at least 1")
