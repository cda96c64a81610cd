"""The model of the compiled updates in plain PyTorch, and the same random pairs for both."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seq2seq_lab.accelerate.sentence_updates import DropoutMasks, SentenceUpdates

LR = 0.1


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model: words, embeddings, hidden size, layers, rows of the memory (0: the length of the sentence)."""

    source_words: int = 11
    target_words: int = 13
    source_width: int = 5
    target_width: int = 6
    hidden: int = 7
    layers: int = 1
    attention: bool = True
    positions: int = 0


@dataclass
class Pair:
    """The arguments of an update on one pair."""

    source: Tensor
    target: Tensor
    words: Tensor
    own: Tensor
    scale: float
    noise: Tensor | None
    masks: DropoutMasks


class Literal(nn.Module):
    """The model, implemented literally from its equations."""

    def __init__(self, sizes: Sizes, dtype: torch.dtype) -> None:
        super().__init__()
        self.sizes, hidden = sizes, sizes.hidden

        def layers(width: int) -> nn.ModuleList:
            return nn.ModuleList(nn.GRU(hidden if k else width, hidden) for k in range(sizes.layers))

        self.encoder_embedding = nn.Embedding(sizes.source_words, sizes.source_width)
        self.encoder_layers = layers(sizes.source_width)
        self.decoder_embedding = nn.Embedding(sizes.target_words, sizes.target_width)
        self.decoder_layers = layers(sizes.target_width)
        self.combine = nn.Linear(2 * hidden, hidden) if sizes.attention else None
        self.output = nn.Linear(hidden, sizes.target_words)
        self.to(dtype)

    def loss(self, pair: Pair) -> tuple[Tensor, list[int]]:
        """The loss, summed over positions, and the words that the decoder was fed."""
        source_mask, encoder_mask, target_mask, decoder_mask = pair.masks
        outputs = self.encoder_embedding(pair.source)
        if source_mask is not None:
            outputs = outputs * source_mask[0]
        states = []
        for k, gru in enumerate(self.encoder_layers):
            if k and encoder_mask is not None:
                outputs = outputs * encoder_mask[0, k - 1]
            outputs, state = gru(outputs)
            states.append(state)
        rows = max(self.sizes.positions, len(outputs))
        memory = torch.cat([outputs, outputs.new_zeros(rows - len(outputs), self.sizes.hidden)])
        fed, logits, loss = [], outputs.new_zeros(0), outputs.new_zeros(())
        for t, gold in enumerate(pair.target):
            if t and pair.own[t]:
                chances = pair.scale * logits + (0 if pair.noise is None else pair.noise[0, t])
                fed.append(int(chances.argmax()))
            else:
                fed.append(int(pair.words[t]))
            x = self.decoder_embedding.weight[fed[-1]].relu()
            if target_mask is not None:
                x = x * target_mask[0, t]
            for k, gru in enumerate(self.decoder_layers):
                if k and decoder_mask is not None:
                    x = x * decoder_mask[0, k - 1, t]
                x, states[k] = gru(x[None] if x.dim() == 1 else x, states[k])
                x = x[0]
            if self.combine is not None:
                value = (memory @ x).softmax(0) @ memory
                x = self.combine(torch.cat([value, x])).tanh()
            logits = self.output(x)
            loss = loss + functional.cross_entropy(logits, gold, reduction="sum")
        return loss, fed


def compiled(model: Literal) -> SentenceUpdates:
    combine = model.combine
    return SentenceUpdates(
        encoder_embedding=model.encoder_embedding.weight,
        encoder_layers=[tuple(gru.parameters()) for gru in model.encoder_layers],
        decoder_embedding=model.decoder_embedding.weight,
        decoder_layers=[tuple(gru.parameters()) for gru in model.decoder_layers],
        combine=None if combine is None else (combine.weight, combine.bias),
        output=(model.output.weight, model.output.bias),
        positions=model.sizes.positions,
    )


def random_pair(
    sizes: Sizes,
    generator: torch.Generator,
    dtype: torch.dtype,
    *,
    dropout: bool,
    noise: bool,
    lengths: tuple[int, int] | None = None,
) -> Pair:
    source, target = lengths or torch.randint(1, 9, (2,), generator=generator).tolist()

    def ids(words: int, length: int) -> Tensor:
        return torch.randint(words, (length,), generator=generator)

    def mask(*shape: int) -> Tensor | None:
        if not dropout:
            return None
        kept = torch.rand(1, *shape, generator=generator, dtype=dtype) < 0.75
        return kept.to(dtype) / 0.75

    def chance() -> Tensor:
        return torch.randn(1, target, sizes.target_words, generator=generator, dtype=dtype)

    words, own = ids(sizes.target_words, target), torch.rand(target, generator=generator) < 0.5
    words[1:][own[1:]] = -1  # the decoder's own choice is fed there
    between = sizes.layers - 1
    return Pair(
        source=ids(sizes.source_words, source),
        target=ids(sizes.target_words, target),
        words=words,
        own=own,
        scale=0.7 if noise else 1.0,
        noise=chance() if noise else None,
        masks=DropoutMasks(
            mask(source, sizes.source_width),
            mask(between, source, sizes.hidden),
            mask(target, sizes.target_width),
            mask(between, target, sizes.hidden),
        ),
    )


def eager_update(model: Literal, pair: Pair) -> tuple[float, list[int]]:
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    loss, fed = model.loss(pair)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item(), fed


def compiled_update(updates: SentenceUpdates, pair: Pair) -> float:
    how = {"lr": LR, "scale": pair.scale, "noise": pair.noise, "dropout": pair.masks}
    return updates(pair.source, pair.target, pair.words, pair.own, **how)


def difference(model: nn.Module, other: nn.Module) -> float:
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def two_models(sizes: Sizes, dtype: torch.dtype) -> tuple[Literal, Literal]:
    torch.manual_seed(0)
    model, twin = Literal(sizes, dtype), Literal(sizes, dtype)
    twin.load_state_dict(model.state_dict())
    return model, twin


def block_of(pairs: list[Pair]) -> tuple[Tensor, ...]:
    """The arguments of `SentenceUpdates.block`, padded with words that do not exist."""
    fields = [[getattr(pair, name) for pair in pairs] for name in ("source", "target", "words", "own")]
    source, target, words, own = (
        nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-7) for rows in fields
    )
    source_lengths, target_lengths = (torch.tensor([len(row) for row in rows]) for rows in fields[:2])
    return source, source_lengths, target, target_lengths, words, own
