"""The models, as plain modules, and one function for each that puts it together."""

from typing import TypedDict, cast

from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.encoder import Encoder
from seq2seq_lab.models.seq2seq import Seq2Seq

__all__ = ["Decoder", "DotAttention", "Encoder", "Seq2Seq", "attention_model", "seq2seq_model"]


def seq2seq_model(
    *,
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    hidden_size: int = 256,
    embedding_size: int = 256,
    layers: int = 1,
    dropout: float = 0.0,
) -> Seq2Seq:
    """The plain model: all the decoder knows of the source is the encoder's last state."""
    sizes = _sizes(hidden_size=hidden_size, embedding_size=embedding_size, layers=layers)
    _check_dropout(dropout)
    return Seq2Seq(
        encoder=Encoder(vocabulary_size=source_vocabulary_size, dropout=dropout, **sizes),
        decoder=Decoder(vocabulary_size=target_vocabulary_size, dropout=dropout, **sizes),
    )


def attention_model(
    *,
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    hidden_size: int = 256,
    embedding_size: int = 256,
    layers: int = 1,
    dropout: float = 0.0,
    unmasked_positions: int | None = None,
) -> Seq2Seq:
    """The plain model with dot-product attention; `unmasked_positions` is explained at `Encoder`."""
    sizes = _sizes(hidden_size=hidden_size, embedding_size=embedding_size, layers=layers)
    _check_dropout(dropout)
    return Seq2Seq(
        encoder=Encoder(
            vocabulary_size=source_vocabulary_size,
            dropout=dropout,
            unmasked_positions=unmasked_positions,
            **sizes,
        ),
        decoder=Decoder(
            vocabulary_size=target_vocabulary_size,
            dropout=dropout,
            attention=DotAttention(hidden_size=hidden_size),
            **sizes,
        ),
    )


class _Sizes(TypedDict):
    """What encoder and decoder agree on."""

    hidden_size: int
    embedding_size: int
    layers: int


def _sizes(*, hidden_size: int, embedding_size: int, layers: int) -> _Sizes:
    sizes = _Sizes(hidden_size=hidden_size, embedding_size=embedding_size, layers=layers)
    for name, size in sizes.items():
        if cast(int, size) < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    return sizes


def _check_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}")
