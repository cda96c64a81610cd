"""Compiled updates on single pairs against the same model in plain PyTorch, autograd and `torch.optim.SGD`."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from seq2seq_lab.accelerate import compiler
from seq2seq_lab.accelerate.sentence_updates import DropoutMasks, SentenceUpdates

if reason := compiler.available():
    pytest.skip(reason, allow_module_level=True)


@dataclass(frozen=True)
class Sizes:
    """Of a model: words, embeddings, hidden size, layers, rows of the memory (0: as many as the sentence has)."""

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
    """What an update is given, of one pair."""

    source: Tensor
    target: Tensor
    words: Tensor
    own: Tensor
    scale: float
    noise: Tensor | None
    masks: DropoutMasks


class Literal(nn.Module):
    """The model, as its equations are written."""

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
        """Summed over positions, and the words that the decoder was fed."""
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
    sizes: Sizes, generator: torch.Generator, dtype: torch.dtype, *, dropout: bool, noise: bool
) -> Pair:
    source, target = (int(torch.randint(1, 9, (), generator=generator)) for _ in range(2))

    def ids(words: int, length: int) -> Tensor:
        return torch.randint(words, (length,), generator=generator)

    def mask(*shape: int) -> Tensor | None:
        if not dropout:
            return None
        kept = torch.rand(1, *shape, generator=generator, dtype=dtype) < 0.75
        return kept.to(dtype) / 0.75

    def chance() -> Tensor:
        return torch.randn(1, target, sizes.target_words, generator=generator, dtype=dtype)

    between = sizes.layers - 1
    return Pair(
        source=ids(sizes.source_words, source),
        target=ids(sizes.target_words, target),
        words=ids(sizes.target_words, target),
        own=torch.rand(target, generator=generator) < 0.5,
        scale=0.7 if noise else 1.0,
        noise=chance() if noise else None,
        masks=DropoutMasks(
            mask(source, sizes.source_width),
            mask(between, source, sizes.hidden),
            mask(target, sizes.target_width),
            mask(between, target, sizes.hidden),
        ),
    )


CASES = [
    Sizes(attention=False),
    Sizes(),
    Sizes(positions=9),
    Sizes(layers=2, positions=5),
    Sizes(layers=3, attention=False),
    Sizes(
        layers=2, source_width=16, target_width=32, hidden=16, source_words=40, target_words=32, positions=12
    ),
    Sizes(source_width=50, target_width=33, hidden=45, source_words=80, target_words=77),
    Sizes(source_width=1, target_width=1, hidden=1, source_words=1, target_words=1),
]
OPTIONS = [(False, False), (True, True)]


@pytest.mark.parametrize(("dropout", "noise"), OPTIONS)
@pytest.mark.parametrize("sizes", CASES)
def test_updates_in_double_precision_are_those_of_pytorch(sizes: Sizes, dropout: bool, noise: bool) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model, twin = Literal(sizes, torch.float64), Literal(sizes, torch.float64)
    twin.load_state_dict(model.state_dict())
    updates, optimizer = compiled(twin), torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(12):
        pair = random_pair(sizes, generator, torch.float64, dropout=dropout, noise=noise)
        loss, _ = model.loss(pair)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        got = updates(
            pair.source, pair.target, pair.words, pair.own,
            lr=0.1, scale=pair.scale, noise=pair.noise, dropout=pair.masks
        )  # fmt: skip
        assert got == pytest.approx(loss.item(), rel=1e-12, abs=1e-12)
    for (name, expected), parameter in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert (parameter - expected).abs().max() < 1e-12, name


@pytest.mark.parametrize(("dropout", "noise"), OPTIONS)
@pytest.mark.parametrize("sizes", CASES)
def test_one_update_in_single_precision_is_that_of_pytorch(sizes: Sizes, dropout: bool, noise: bool) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model, twin = Literal(sizes, torch.float32), Literal(sizes, torch.float32)
    updates, optimizer = compiled(twin), torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(12):
        twin.load_state_dict(model.state_dict())
        pair = random_pair(sizes, generator, torch.float32, dropout=dropout, noise=noise)
        loss, _ = model.loss(pair)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        got = updates(
            pair.source, pair.target, pair.words, pair.own,
            lr=0.1, scale=pair.scale, noise=pair.noise, dropout=pair.masks
        )  # fmt: skip
        assert got == pytest.approx(loss.item(), rel=1e-6, abs=1e-6)
        for (name, expected), parameter in zip(model.named_parameters(), twin.parameters(), strict=True):
            assert (parameter - expected).abs().max() < 1e-6, name
