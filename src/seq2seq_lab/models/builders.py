"""One function for each model of the group `model`: from sizes to modules."""

from collections.abc import Callable

from torch import nn

from seq2seq_lab.models.attention.base import Attention
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.encoder import Bridge, Encoder
from seq2seq_lab.models.rnn import RNN, Cell
from seq2seq_lab.models.seq2seq import Seq2Seq


def seq2seq_model(
    *,
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    hidden_size: int = 256,
    embedding_size: int = 256,
    layers: int = 1,
    dropout: float = 0.0,
    cell: Cell = nn.GRU,
    bidirectional: bool = False,
    bridge: bool = False,
    score: Callable[..., Attention] | None = None,
    unmasked_positions: int | None = None,
) -> Seq2Seq:
    """The plain model: the decoder receives only the last state of the encoder.

    Args:
        source_vocabulary_size, target_vocabulary_size: numbers of words, including the special words.
        hidden_size: H, of encoder and decoder.
        embedding_size: E, of encoder and decoder.
        layers: number of recurrent layers of encoder and decoder.
        dropout: on embedded words and between layers, in [0, 1).
        cell: class of a recurrent layer, `torch.nn.GRU` or `torch.nn.LSTM`.
        bidirectional: whether the encoder is bidirectional, with hidden size H / 2 in each direction.
        bridge: whether to apply a linear layer and tanh between the encoder's and the decoder's state.
        score: a class of attention, called with `hidden_size`; None: no attention.
        unmasked_positions: see `Encoder`.

    Raises:
        ValueError: a size is less than 1, or `dropout` is out of its range; the message begins with the name.
    """
    sizes = {"hidden_size": hidden_size, "embedding_size": embedding_size, "layers": layers}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")

    def rnn(site: str, *, bidirectional: bool = False) -> RNN:
        return RNN(
            input_size=embedding_size,
            hidden_size=hidden_size,
            layers=layers,
            dropout=dropout,
            cell=cell,
            bidirectional=bidirectional,
            site=site,
        )

    # Initial weights are drawn in this order.
    encoder = Encoder(
        embedding=nn.Embedding(source_vocabulary_size, embedding_size),
        rnn=rnn("encoder", bidirectional=bidirectional),
        dropout=dropout,
        unmasked_positions=unmasked_positions,
    )
    decoder = Decoder(
        embedding=nn.Embedding(target_vocabulary_size, embedding_size),
        rnn=rnn("decoder"),
        attention=None if score is None else score(hidden_size=hidden_size),
        dropout=dropout,
        output=nn.Linear(hidden_size, target_vocabulary_size),
    )
    if bridge:
        states = layers * (2 if isinstance(encoder.rnn.layers[0], nn.LSTM) else 1)
        encoder.bridge = Bridge(hidden_size=hidden_size, states=states)
    return Seq2Seq(encoder=encoder, decoder=decoder)


def attention_model(
    *,
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    hidden_size: int = 256,
    embedding_size: int = 256,
    layers: int = 1,
    dropout: float = 0.0,
    cell: Cell = nn.GRU,
    bidirectional: bool = False,
    bridge: bool = False,
    score: Callable[..., Attention] = DotAttention,
    unmasked_positions: int | None = None,
) -> Seq2Seq:
    """The plain model with attention over the encoder's outputs; the arguments are those of `seq2seq_model`."""
    return seq2seq_model(
        source_vocabulary_size=source_vocabulary_size,
        target_vocabulary_size=target_vocabulary_size,
        hidden_size=hidden_size,
        embedding_size=embedding_size,
        layers=layers,
        dropout=dropout,
        cell=cell,
        bidirectional=bidirectional,
        bridge=bridge,
        score=score,
        unmasked_positions=unmasked_positions,
    )
