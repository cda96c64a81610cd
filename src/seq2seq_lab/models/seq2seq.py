"""Encoder and decoder as one model."""

from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.models.decoder import Decoded, Decoder
from seq2seq_lab.models.encoder import Encoder, Memory


def gold_inputs(target: Tensor) -> Tensor:
    """The decoder's input with teacher forcing: `<sos>`, then each gold word except the last one; [B, T] → [B, T]."""
    return nn.functional.pad(target, (1, -1), value=SOS)


class Seq2Seq(nn.Module):
    """A sequence-to-sequence model (Sutskever et al. 2014, https://arxiv.org/abs/1409.3215).

    A subclass may override `forward`. It is then called for every step too (`decoding.unroll`), with all positions up
    to that step: correct, but slower than a step of the decoder from its state.
    """

    def __init__(self, *, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    @property
    def overrides_forward(self) -> bool:
        """Whether a subclass computes the scores in a way of its own."""
        return type(self).forward is not Seq2Seq.forward

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_lengths: Tensor | None = None,
        inputs: Tensor | None = None,
        memory: Memory | None = None,
        draws: Draws | None = None,
    ) -> Decoded:
        """Compute the scores of every target position.

        Args:
            source: ids [B, S].
            target: the gold ids [B, T] to predict; padding at the end may hold any id.
            source_lengths: [B]; None if no source is padded.
            inputs: what the decoder is fed, embedded (`Decoder.embed`), [B, T, E]; None: the gold words.
            memory: memory of the source, if the encoder has already run.
            draws: random numbers of dropout; None: PyTorch's generator.
        """
        if memory is None:
            memory = self.encoder(source, source_lengths, draws)
        if inputs is None:
            inputs = self.decoder.embed(gold_inputs(target))
        decoded, _ = self.decoder(inputs, memory, draws=draws)
        return decoded  # type: ignore[no-any-return]
