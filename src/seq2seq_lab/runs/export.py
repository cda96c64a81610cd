"""A trained model as ONNX: the encoder, and one step of the decoder."""

import json
import logging
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import replacing, write_text
from seq2seq_lab.models.encoder import Memory
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.chosen import Which, name_of
from seq2seq_lab.runs.load import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

ENCODER, DECODER, ABOUT = "encoder.onnx", "decoder.onnx", "about.json"


class EncoderModule(nn.Module):
    """Source ids [B, S], lengths [B] → outputs [B, S, H], mask [B, S], and the decoder's first state, each [B, H]."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        encoder = self.model.encoder
        outputs, state = encoder.rnn(encoder.embedding(source), lengths=lengths)
        if encoder.bridge is not None:
            state = encoder.bridge(state)
        mask = torch.arange(source.shape[1]) < lengths.unsqueeze(1)
        if (
            encoder.unmasked_positions is not None
        ):  # the seminar's quirk A: a block of this size, all of it attended to
            block = outputs.new_zeros(outputs.shape[0], encoder.unmasked_positions, outputs.shape[2])
            outputs = torch.cat((outputs, block), dim=1)[:, : encoder.unmasked_positions]
            mask = torch.ones_like(outputs[:, :, 0], dtype=torch.bool)
        first = self.model.decoder.first_state(Memory(outputs, mask, state))
        return (outputs, mask, *first)


class StepModule(nn.Module):
    """Words [B], outputs, mask, state → logits [B, V], weights [B, S] (with attention), and the next state."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, word: Tensor, outputs: Tensor, mask: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        decoder = self.model.decoder
        decoded, after = decoder(decoder.embed(word.unsqueeze(1)), Memory(outputs, mask, state), state)
        weights = () if decoded.weights is None else (decoded.weights.squeeze(1),)
        return (decoded.logits.squeeze(1), *weights, *after)


def export_onnx(
    path: Path, folder: Path, *, checkpoint: Which | None = None, trusted: "Sequence[str]" = ()
) -> list[Path]:
    """Write a run's model as ONNX; returns the files: encoder, decoder step, vocabularies, and a description.

    Batch and lengths are dynamic. Dropout is off, as in translation.

    Args:
        path: the run's folder.
        folder: where the files go.
        checkpoint: the best or the last; None: the best where there is one, else the last.
        trusted: modules whose code the run may name.

    Raises:
        UserError: the run cannot be loaded, its model cannot be exported, or the packages are missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UserError("export needs the packages of the extra: pip install 'seq2seq-lab[onnx]'") from None
    _, model, words = load_model(path, checkpoint=checkpoint, trusted=trusted)
    if model.overrides_forward:
        raise UserError(f"{path}: {type(model).__name__} has a forward of its own, which is not exported")
    source, lengths = torch.tensor([[3, 4, EOS], [3, EOS, EOS]]), torch.tensor([3, 2])
    batch, positions = (
        torch.export.Dim("batch", min=1, max=4096),
        torch.export.Dim("positions", min=1, max=4096),
    )
    encoder, decoder = EncoderModule(model).eval(), StepModule(model).eval()
    with torch.no_grad():
        outputs, mask, *state = encoder(source, lengths)
    names = [f"state_{number}" for number in range(len(state))]
    folder.mkdir(parents=True, exist_ok=True)
    _export(
        encoder,
        (source, lengths),
        folder / ENCODER,
        ["source", "lengths"],
        ["outputs", "mask", *names],
        {"source": {0: batch, 1: positions}, "lengths": {0: batch}},
    )
    over = {0: batch} if model.encoder.unmasked_positions is not None else {0: batch, 1: positions}
    shapes = {"word": {0: batch}, "outputs": over, "mask": over, "state": tuple({0: batch} for _ in state)}
    weights = [] if model.decoder.attention is None else ["weights"]
    _export(
        decoder,
        (torch.tensor([SOS, SOS]), outputs, mask, *state),
        folder / DECODER,
        ["word", "outputs", "mask", *names],
        ["logits", *weights, *[f"next_{name}" for name in names]],
        shapes,
    )
    shutil.copyfile(path / layout.VOCABULARIES, folder / layout.VOCABULARIES)
    about = {
        "sos": SOS,
        "eos": EOS,
        "max_length": words.max_length,
        "states": len(state),
        "run": str(path),
        "checkpoint": name_of(path, checkpoint),
    }
    write_text(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return [folder / name for name in (ENCODER, DECODER, layout.VOCABULARIES, ABOUT)]


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    shapes: dict[str, Any],
) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    with replacing(path) as temporary:
        program.save(temporary, external_data=False)
