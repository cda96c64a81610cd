"""One function for each model of the group `model`: from sizes to modules."""

from collections.abc import Callable
from functools import partial

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
    output_dropout: float = 0.0,
    cell: Cell = nn.GRU,
    bidirectional: bool = False,
    bridge: bool = False,
    input_feeding: bool = False,
    tie_embeddings: bool = False,
    embedding_relu: bool = True,
    embedding_std: float | None = None,
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
        output_dropout: on the input of the output layer, in [0, 1).
        cell: class of a recurrent layer, `torch.nn.GRU` or `torch.nn.LSTM`.
        bidirectional: whether the encoder is bidirectional, with hidden size H / 2 in each direction.
        bridge: whether to apply a linear layer and tanh between the encoder's and the decoder's state.
        input_feeding: see `Decoder`.
        tie_embeddings: whether the output layer has the weights of the target embedding (Press & Wolf 2017,
            https://arxiv.org/abs/1608.05859). Give a small `embedding_std`, as the weights also scale the logits.
        embedding_relu: see `Decoder`.
        embedding_std: standard deviation of the initial embeddings; None: PyTorch's, 1.
        score: a class of attention, called with `hidden_size`; None: no attention.
        unmasked_positions: see `Encoder`.

    Raises:
        ValueError: a size is less than 1, or `dropout` is out of its range; the message begins with the name.
    """
    sizes = {"hidden_size": hidden_size, "embedding_size": embedding_size, "layers": layers}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")

    if tie_embeddings and embedding_size != hidden_size:
        raise ValueError(
            f"tie_embeddings needs hidden_size = embedding_size, got {hidden_size} and {embedding_size}"
        )
    if embedding_std is not None and not embedding_std > 0:
        raise ValueError(f"embedding_std must be positive, got {embedding_std}")

    def rnn(site: str, *, input_size: int = embedding_size, bidirectional: bool = False) -> RNN:
        return RNN(
            input_size=input_size,
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
        rnn=rnn("decoder", input_size=embedding_size + hidden_size if input_feeding else embedding_size),
        attention=None if score is None else score(hidden_size=hidden_size),
        dropout=dropout,
        output_dropout=output_dropout,
        embedding_relu=embedding_relu,
        input_feeding=input_feeding,
        output=nn.Linear(hidden_size, target_vocabulary_size),
    )
    if bridge:
        states = layers * (2 if isinstance(encoder.rnn.layers[0], nn.LSTM) else 1)
        encoder.bridge = Bridge(hidden_size=hidden_size, states=states)
    if embedding_std is not None:
        for part in (encoder, decoder):
            nn.init.normal_(part.embedding.weight, std=embedding_std)
    if tie_embeddings:
        decoder.output.weight = decoder.embedding.weight
    return Seq2Seq(encoder=encoder, decoder=decoder)


# The plain model with attention over the encoder's outputs.
attention_model = partial(seq2seq_model, score=DotAttention)
