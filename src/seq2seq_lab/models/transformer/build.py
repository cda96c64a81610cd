"""From sizes to a Transformer."""

from torch import nn

from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.transformer.layers import DecoderLayer, EncoderLayer
from seq2seq_lab.models.transformer.model import Stack, Transformer


def transformer_model(
    *,
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    hidden_size: int = 256,
    layers: int = 3,
    decoder_layers: int | None = None,
    heads: int = 4,
    feedforward_size: int = 1024,
    dropout: float = 0.1,
    tie_embeddings: bool = True,
) -> Transformer:
    """A Transformer with random initial weights.

    Linear maps begin as Glorot & Bengio (2010) have it, embeddings with the standard deviation 1/√H, as they are
    multiplied by √H where they are inputs.

    Args:
        source_vocabulary_size, target_vocabulary_size: numbers of words, including the special words.
        hidden_size: H, of embeddings and of what layers give.
        layers: of the encoder, and of the decoder.
        decoder_layers: of the decoder; None: `layers`.
        heads: of each attention; a divisor of `hidden_size`.
        feedforward_size: F, inside of the feed-forward parts.
        dropout: on embedded words and on what each part of a layer adds, in [0, 1).
        tie_embeddings: whether the output layer has the weights of the target embedding (Press & Wolf 2017,
            https://arxiv.org/abs/1608.05859).

    Raises:
        ValueError: a size is less than 1, `heads` does not divide `hidden_size`, or `dropout` is out of its range; the
            message begins with the name.
    """
    below = layers if decoder_layers is None else decoder_layers
    sizes = {
        "hidden_size": hidden_size,
        "layers": layers,
        "decoder_layers": below,
        "heads": heads,
        "feedforward_size": feedforward_size,
    }
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    if hidden_size % heads:
        raise ValueError(f"heads must divide hidden_size, which is {hidden_size}, got {heads}")

    def stack(side: str, words: int, kind: type[EncoderLayer] | type[DecoderLayer], count: int) -> Stack:
        return Stack(
            embedding=nn.Embedding(words, hidden_size),
            layers=nn.ModuleList(
                kind(
                    size=hidden_size,
                    heads=heads,
                    feedforward_size=feedforward_size,
                    dropout=dropout,
                    site=f"{side}/{number}",
                )
                for number in range(count)
            ),
            dropout=Dropout(dropout, f"{side}/embedding"),
        )

    model = Transformer(
        encoder=stack("encoder", source_vocabulary_size, EncoderLayer, layers),
        decoder=stack("decoder", target_vocabulary_size, DecoderLayer, below),
        output=nn.Linear(hidden_size, target_vocabulary_size),
    )
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=hidden_size**-0.5)
    if tie_embeddings:
        model.output.weight = model.decoder.embedding.weight
    return model
