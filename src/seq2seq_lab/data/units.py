"""Units: what a vocabulary numbers. Words of normalised sentences, their characters, or pieces of words.

A normalised sentence is words with a space between them. Units divide each word into symbols, and join symbols to a
sentence again.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from seq2seq_lab.errors import UserError

_MOST = 2**31 - 1  # pieces that SentencePiece takes
START = "▁"  # U+2581, as in SentencePiece: the first symbol of a word begins with it


class Units(ABC):
    """Divides words into symbols."""

    name: str

    def fit(self, sentences: Iterable[str]) -> "Units":
        """The units of a language; ``sentences`` are normalised ones of the training part."""
        return self

    @abstractmethod
    def divide(self, word: str) -> list[str]:
        """The symbols of a word."""

    @abstractmethod
    def join(self, symbols: Sequence[str]) -> str:
        """The sentence that symbols make."""

    def text(self, words: Sequence[str]) -> str:
        """The sentence of words, as `join` makes it of their symbols: an empty word has none."""
        return " ".join(filter(None, words))

    def to_dict(self) -> dict[str, Any]:
        """The units as plain data, for JSON; `units_from_dict` is the inverse."""
        return {"name": self.name}


class Words(Units):
    """Each word is one symbol."""

    name = "words"

    def divide(self, word: str) -> list[str]:
        """The word."""
        return [word]

    def join(self, symbols: Sequence[str]) -> str:
        """The words, with spaces between them."""
        return " ".join(symbols)

    def text(self, words: Sequence[str]) -> str:
        """The same."""
        return self.join(words)


class Characters(Units):
    """Each character is one symbol, and so is ``▁`` before each word."""

    name = "characters"

    def divide(self, word: str) -> list[str]:
        """``▁``, then the characters; nothing of an empty word."""
        return [START, *word] if word else []

    def join(self, symbols: Sequence[str]) -> str:
        """The characters, with a space for each ``▁`` between words."""
        return self.text("".join(symbols).split(START))


@dataclass(frozen=True)
class Subwords(Units):
    """Pieces of words, from byte-pair encoding or a unigram language model.

    (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; Kudo 2018, https://arxiv.org/abs/1804.10959.) SentencePiece
    finds the pieces in the training part of each language.

    Args:
        size: number of pieces of each language. A small text may have fewer.
        kind: ``bpe`` or ``unigram``.
        model: the pieces that SentencePiece found; ``None`` before `fit`.
    """

    size: int = 1000
    kind: str = "bpe"
    model: bytes | None = field(default=None, repr=False)

    name = "subwords"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_processor", None)

    def fit(self, sentences: Iterable[str]) -> "Subwords":
        """Find the pieces.

        Raises:
            UserError: the sentences have more characters than ``size``, or none.
        """
        import io

        import sentencepiece

        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(sentence for sentence in sentences if sentence.strip()),
                model_writer=model,
                model_type=self.kind,
                vocab_size=self.size,
                hard_vocab_limit=False,
                character_coverage=1.0,
                max_sentence_length=2**30,  # bytes; longer ones would have no part in the pieces
                normalization_rule_name="identity",  # the sentences are normalised already
                bos_id=-1,
                eos_id=-1,
                minloglevel=2,
            )
        except (RuntimeError, ValueError) as error:
            if self.size > _MOST:
                raise UserError(f"data.subword_size={self.size}: it is more than {_MOST:,}") from error
            raise UserError(
                f"data.subword_size={self.size}: too small for the different characters of the text, or the text is "
                "empty; use a larger number"
            ) from error
        return Subwords(self.size, self.kind, model.getvalue())

    def divide(self, word: str) -> list[str]:
        """The pieces of a word; the first one begins with ``▁``."""
        return self._pieces.encode(word, out_type=str)  # type: ignore[no-any-return]

    def join(self, symbols: Sequence[str]) -> str:
        """The pieces, with a space for each ``▁`` between words."""
        return self.text("".join(symbols).split(START))

    def to_dict(self) -> dict[str, Any]:
        """Size, kind and the pieces."""
        model = None if self.model is None else base64.b64encode(self.model).decode()
        return {"name": self.name, "size": self.size, "kind": self.kind, "model": model}

    @property
    def _pieces(self) -> Any:
        if self._processor is None:  # type: ignore[attr-defined]
            import sentencepiece

            if self.model is None:
                raise ValueError("subwords must be fitted before they divide a word")
            loaded = sentencepiece.SentencePieceProcessor(model_proto=self.model)
            object.__setattr__(self, "_processor", loaded)
        return self._processor  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        return {"size": self.size, "kind": self.kind, "model": self.model, "_processor": None}


KINDS: dict[str, type[Units]] = {each.name: each for each in (Words, Characters, Subwords)}


def units_from_dict(state: Any) -> Units:
    """The inverse of `Units.to_dict`. ``None`` = words, as in files that were written before there were other units.

    Raises:
        ValueError: it is not the state of units.
    """
    if state is None:
        return Words()
    if not isinstance(state, dict) or state.get("name") not in KINDS:
        raise ValueError("not the state of units")
    if state["name"] != Subwords.name:
        return KINDS[state["name"]]()
    try:
        return Subwords(int(state["size"]), str(state["kind"]), base64.b64decode(state["model"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the state of subwords: {error!r}") from None
