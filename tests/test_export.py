"""An exported model computes what the package computes, under ONNX Runtime."""

import json

import numpy as np
import pytest
import torch

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.vocabulary import EOS
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.runs import export
from seq2seq_lab.runs.load import load_model

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

MODELS = {
    "gru, dot": ("model=attention",),
    "lstm, additive, both directions, bridge": (
        "model=attention",
        "model/score=additive",
        "model/cell=lstm",
        "model.bidirectional=true",
        "model.bridge=true",
    ),
    "general, input feeding": ("model=attention", "model/score=general", "model.input_feeding=true"),
    "the seminar's padding": ("model=attention", "model.unmasked_positions=8"),
    "no attention, two layers": ("model=seq2seq", "model.layers=2"),
    "transformer": ("model=transformer", "model.layers=2", "model.decoder_layers=1"),
}


QUICK = ("lstm, additive, both directions, bridge", "transformer")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(settings, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, settings in MODELS.items()
    ],
)
def test_the_exported_model_translates_in_the_same_way(tmp_path, settings, capsys):
    folder = tiny.train(tmp_path / "run", "optimizer=adam", "loader.batch_size=4", *settings)
    assert cli.main(["export", str(folder), "--output", str(tmp_path / "onnx")]) == 0
    assert "encoder.onnx" in capsys.readouterr().out
    about = json.loads((tmp_path / "onnx" / "about.json").read_text())
    encoder, step = (
        runtime.InferenceSession(tmp_path / "onnx" / f"{name}.onnx") for name in ("encoder", "decoder")
    )
    _, model, words = load_model(folder)
    assert (about["source_positions"], about["target_positions"]) == (
        8 if "model.unmasked_positions=8" in settings else None,
        None,
    )
    source = torch.tensor([[3, 4, 5, 6, EOS], [5, 4, EOS, EOS, EOS], [7, EOS, EOS, EOS, EOS]])
    lengths = torch.tensor([5, 3, 2])
    expected = greedy(model, source, lengths, words.max_length)
    made = encoder.run(None, {"source": source.numpy(), "lengths": lengths.numpy()})
    found = dict(zip((each.name for each in encoder.get_outputs()), made, strict=True))
    memory = {name: found[name] for name in about["memory"]}
    state = [found[f"state_{number}"] for number in range(about["states"])]
    word = np.full(3, about["sos"])
    for t in range(words.max_length):
        states = {f"state_{number}": value for number, value in enumerate(state)}
        logits, *rest = step.run(None, {"word": word, **memory, **states})
        if expected.weights is not None:
            weights, *rest = rest
            assert weights == pytest.approx(expected.weights[:, t].numpy(), abs=1e-5)
        state = rest
        word = logits.argmax(axis=1)
        assert word.tolist() == expected.words[:, t].tolist()


def test_a_model_with_a_fixed_number_of_sentences_is_refused(run, tmp_path, monkeypatch, capsys):
    folder = run("fixed", "model=attention")
    config, model, words = load_model(folder)

    class Fixed(type(model)):
        def encode(self, source, *arguments):
            return super().encode(source[: len(source)], *arguments)

    model.__class__ = Fixed
    monkeypatch.setattr(export, "load_model", lambda *_, **__: (config, model, words))
    assert cli.main(["export", str(folder), "--output", str(tmp_path / "onnx")]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "it fixes the batch of 'source' to 3; take sizes from tensor.shape" in said
    assert not (tmp_path / "onnx").exists()
