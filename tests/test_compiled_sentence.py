"""Compiled updates on single pairs are compared with the same model in plain PyTorch and `torch.optim.SGD`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tiny
from literal_sentence import (
    LR,
    Literal,
    Sizes,
    block_of,
    compiled,
    compiled_update,
    difference,
    eager_update,
    random_pair,
    two_models,
)
from seq2seq_lab.accelerate import compiled_sentence, compiler
from seq2seq_lab.accelerate.sentence_updates import DropoutMasks

if reason := compiler.available():
    pytest.skip(reason, allow_module_level=True)

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
def test_updates_in_float64_are_equal_to_those_of_pytorch(sizes: Sizes, dropout: bool, noise: bool) -> None:
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
def test_one_update_in_float32_is_equal_to_that_of_pytorch(sizes: Sizes, dropout: bool, noise: bool) -> None:
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
def test_updates_on_sentences_of_any_length(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    sizes = Sizes(source_width=20, target_width=9, hidden=19, positions=4)
    model, twin = two_models(sizes, torch.float64)
    pair = random_pair(
        sizes, generator, torch.float64, dropout=True, noise=False, lengths=(20 - length, length)
    )
    pair.words.clamp_(min=0)
    pair.own[:] = False
    assert compiled_update(compiled(twin), pair) == pytest.approx(eager_update(model, pair)[0], rel=1e-12)
    assert difference(model, twin) < 1e-12


def test_a_block_is_equal_to_its_pairs_one_after_the_other() -> None:
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


def test_each_pair_of_a_block_has_its_own_noise_and_masks() -> None:
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


def test_the_first_of_equal_scores_is_chosen() -> None:
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
def test_an_id_or_a_length_out_of_range_changes_no_parameter(argument: int, value: int) -> None:
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


def test_parameters_can_be_moved_in_memory() -> None:
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
def test_a_loss_that_is_not_a_number_is_returned(name: str, value: float) -> None:
    model = Literal(Sizes(), torch.float32)
    dict(model.named_parameters())[name].data.fill_(value)
    ids, own = torch.ones(3, dtype=torch.int64), torch.zeros(3, dtype=torch.bool)
    assert not np.isfinite(compiled(model)(ids, ids, ids, own, lr=LR))


@pytest.mark.parametrize("feeder", ["sample", "gumbel", "argmax"])
def test_a_block_with_much_noise_is_trained_pair_by_pair_with_the_same_result(
    feeder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("forcing=mixed", f"forcing/feeder={feeder}", "loader.batch_size=1", "trainer.max_epochs=2")
    whole = tiny.train(tmp_path / "whole", *settings)
    monkeypatch.setattr(compiled_sentence, "_MOST_NOISE", 100)
    calls: list[int] = []
    block = compiled_sentence.SentenceUpdates.block
    monkeypatch.setattr(
        compiled_sentence.SentenceUpdates,
        "block",
        lambda self, source, *given, **how: calls.append(len(source)) or block(self, source, *given, **how),
    )
    parts = tiny.train(tmp_path / "parts", *settings)
    assert {*calls} == {1}
    assert tiny.same_weights(whole, parts)
    assert tiny.curves(whole) == tiny.curves(parts)
