"""Compiled updates on single pairs against the same model in plain PyTorch, autograd and `torch.optim.SGD`."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
LR = 0.1
OPTIONS = [(False, False), (True, True)]


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


@pytest.mark.parametrize(("dropout", "noise"), OPTIONS)
@pytest.mark.parametrize("sizes", CASES)
def test_updates_in_float64_are_those_of_pytorch(sizes: Sizes, dropout: bool, noise: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    model, twin = two_models(sizes, torch.float64)
    updates = compiled(twin)
    for _ in range(12):
        pair = random_pair(sizes, generator, torch.float64, dropout=dropout, noise=noise)
        expected, _ = eager_update(model, pair)
        assert compiled_update(updates, pair) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert difference(model, twin) < 1e-12


@pytest.mark.parametrize(("dropout", "noise"), OPTIONS)
@pytest.mark.parametrize("sizes", CASES)
def test_one_update_in_float32_is_that_of_pytorch(sizes: Sizes, dropout: bool, noise: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    model, twin = two_models(sizes, torch.float32)
    updates = compiled(twin)
    for _ in range(12):
        twin.load_state_dict(model.state_dict())
        pair = random_pair(sizes, generator, torch.float32, dropout=dropout, noise=noise)
        expected, _ = eager_update(model, pair)
        assert compiled_update(updates, pair) == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert difference(model, twin) < 1e-6


@pytest.mark.parametrize("length", range(1, 20))
def test_sentences_of_any_length(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    sizes = Sizes(source_width=20, target_width=9, hidden=19, positions=4)
    model, twin = two_models(sizes, torch.float64)
    pair = random_pair(
        sizes, generator, torch.float64, dropout=True, noise=False, lengths=(20 - length, length)
    )
    pair.own[:] = False
    assert compiled_update(compiled(twin), pair) == pytest.approx(eager_update(model, pair)[0], rel=1e-12)
    assert difference(model, twin) < 1e-12


def test_a_block_is_its_pairs_one_after_the_other() -> None:
    generator = torch.Generator().manual_seed(1)
    sizes = Sizes(layers=2)
    model, twin = two_models(sizes, torch.float64)
    pairs = [random_pair(sizes, generator, torch.float64, dropout=False, noise=False) for _ in range(9)]
    losses, fed = compiled(twin).block(*block_of(pairs), lr=LR)
    for n, pair in enumerate(pairs):
        expected, words = eager_update(model, pair)
        assert losses[n] == pytest.approx(expected, rel=1e-12)
        assert fed[n, : len(words)].tolist() == words
    assert difference(model, twin) < 1e-12


def test_noise_and_masks_of_a_block_are_each_pair_s_own() -> None:
    generator = torch.Generator().manual_seed(1)
    sizes = Sizes(layers=2)
    model, twin = two_models(sizes, torch.float64)
    pairs = [
        random_pair(sizes, generator, torch.float64, dropout=True, noise=True, lengths=(6, 5))
        for _ in range(5)
    ]
    masks = [torch.cat([pair.masks[k] for pair in pairs]) for k in range(4)]
    noise = torch.cat([pair.noise for pair in pairs if pair.noise is not None])
    losses, _ = compiled(twin).block(
        *block_of(pairs), lr=LR, scale=0.7, noise=noise, dropout=DropoutMasks(*masks)
    )
    assert losses == pytest.approx([eager_update(model, pair)[0] for pair in pairs], rel=1e-12)
    assert difference(model, twin) < 1e-12


def test_of_equal_choices_the_first_is_taken() -> None:
    model, _ = two_models(Sizes(), torch.float32)
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
        model.output.bias[[4, 8]] = 1
    ids, own = torch.zeros(1, 2, dtype=torch.int64), torch.tensor([[False, True]])
    _, fed = compiled(model).block(ids, [2], ids, [2], ids, own, lr=0.0)
    assert fed.tolist() == [[0, 4]]


@pytest.mark.parametrize(
    ("argument", "value"), [(0, -1), (0, 11), (1, 0), (1, 4), (2, 13), (3, 9), (4, -1), (4, 13)]
)
def test_an_id_or_a_length_out_of_range_changes_nothing(argument: int, value: int) -> None:
    model, twin = two_models(Sizes(), torch.float32)
    arguments = [torch.full((1, 3), 2), torch.tensor([3]), torch.full((1, 3), 2), torch.tensor([3])]
    arguments += [torch.full((1, 3), 2), torch.zeros(1, 3, dtype=torch.bool)]
    arguments[argument].view(-1)[-1] = value
    with pytest.raises(IndexError, match="pair 0"):
        compiled(twin).block(*arguments, lr=LR)
    assert difference(model, twin) == 0


def test_shapes_that_do_not_fit_are_refused() -> None:
    updates = compiled(Literal(Sizes(), torch.float32))
    ids, own = torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.bool)
    with pytest.raises(ValueError, match="do not fit"):
        updates(ids, ids, ids[:1], own, lr=LR)
    with pytest.raises(ValueError, match="do not fit"):
        updates(ids, ids, ids, own, lr=LR, noise=torch.zeros(1, 2, 5))


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="float16"):
        compiled(Literal(Sizes(), torch.float16))
    model = Literal(Sizes(), torch.float32)
    model.output = nn.Linear(7, 12)
    with pytest.raises(ValueError, match="not the parameters"):
        compiled(model)


def test_parameters_may_move() -> None:
    generator = torch.Generator().manual_seed(1)
    model, twin = two_models(Sizes(), torch.float64)
    updates = compiled(twin)
    for parameter in twin.parameters():
        parameter.data = parameter.data.clone()
    pair = random_pair(Sizes(), generator, torch.float64, dropout=False, noise=False)
    assert compiled_update(updates, pair) == pytest.approx(eager_update(model, pair)[0], rel=1e-12)
    assert difference(model, twin) < 1e-12


@pytest.mark.parametrize(
    "name", ["encoder_embedding.weight", "decoder_layers.0.weight_hh_l0", "output.weight"]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_seen(name: str, value: float) -> None:
    model = Literal(Sizes(), torch.float32)
    dict(model.named_parameters())[name].data.fill_(value)
    ids, own = torch.ones(3, dtype=torch.int64), torch.zeros(3, dtype=torch.bool)
    assert not np.isfinite(compiled(model)(ids, ids, ids, own, lr=LR))


def python(code: str, **environment: str) -> subprocess.Popen[str]:
    settings = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | environment
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], env=settings, stdout=pipe, stderr=pipe, text=True)


AVAILABLE = "from seq2seq_lab.accelerate import compiler; print(compiler.available())"


def test_numba_is_imported_when_it_is_needed() -> None:
    code = "import sys, seq2seq_lab.accelerate.sentence_updates; print('numba' in sys.modules)"
    assert python(code).communicate()[0] == "False\n"


def test_the_reason_why_it_cannot_be_compiled() -> None:
    code = "import sys; sys.modules['numba'] = None; " + AVAILABLE
    assert python(code).communicate()[0].startswith("Numba cannot be imported")


@pytest.mark.slow
def test_two_processes_may_compile_at_once(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        return python(AVAILABLE, SEQ2SEQ_LAB_CACHE=str(tmp_path))

    both = [start(), start()]
    for process in both:
        out, error = process.communicate()
        assert out == "None\n"
        assert error == compiler.COMPILING + "\n"
    assert start().communicate() == ("None\n", "")


@pytest.mark.slow
def test_a_cache_folder_that_cannot_be_written_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out, error = python(AVAILABLE, SEQ2SEQ_LAB_CACHE=str(tmp_path / "file")).communicate()
    assert out == "None\n"
    first, second = error.splitlines()
    assert first.startswith(f"{tmp_path / 'file'}")
    assert second == compiler.COMPILING


@pytest.mark.slow
def test_ctrl_c_ends_a_compilation(tmp_path: Path) -> None:
    code = (
        "try:\n import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n "
        + AVAILABLE
        + "\nexcept KeyboardInterrupt: print('interrupted')"
    )
    process = python(code, SEQ2SEQ_LAB_CACHE=str(tmp_path))
    assert process.stderr is not None
    assert process.stderr.readline() == compiler.COMPILING + "\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("interrupted\n", "")


@pytest.mark.slow
def test_processors_without_wide_vectors(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "of_pytorch or any_length"]
    narrow = {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert subprocess.run(command, env=os.environ | narrow).returncode == 0
