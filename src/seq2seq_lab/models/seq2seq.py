"""Encoder and decoder as one model, and how the decoder is fed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seq2seq_lab.accelerate import sentence
from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.models.decoder import Decoded, Decoder
from seq2seq_lab.models.encoder import Encoder, Memory

# logits [B, T, V] → the loss of each sentence [B], and the gradient [B, T, V] of what they add up to.
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]


class Seq2Seq(nn.Module):
    """A sequence-to-sequence model (Sutskever et al. 2014, https://arxiv.org/abs/1409.3215)."""

    def __init__(self, *, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_lengths: Tensor | None = None,
        forced: Tensor | None = None,
    ) -> Decoded:
        """Scores of every target word.

        Args:
            source: ids [B, S].
            target: the gold ids [B, T] to predict; padding at the end may hold any id.
            source_lengths: [B]; None where no source is padded.
            forced: [B, T], True where the decoder is fed the gold word, False where its own; None feeds gold
                everywhere. The first position is always fed `<sos>`.
        """
        memory = self.encoder(source, source_lengths)
        gold = torch.cat((target.new_full((len(target), 1), SOS), target[:, :-1]), dim=1)
        # No gradient flows through the decoder's choice of its own words. So they can be found first, and the
        # whole sequence is then differentiated at once, as under full forcing.
        fed = gold if forced is None else self.feed(gold, forced, memory)
        decoded: Decoded = self.decoder(fed, memory)
        return decoded

    def backpropagate(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_lengths: Tensor | None = None,
        forced: Tensor | None = None,
        loss: Loss,
    ) -> Tensor:
        """Forward and back: adds the gradients of a loss to those of the parameters; returns the losses [B].

        Arguments as in `forward`. One sentence on a CPU goes a quicker way, with the same result.
        """
        if sentence.suits(self, source, source_lengths):
            alone = sentence.Sentence(self, source, target, forced)
            losses, error = loss(alone.logits)
            alone.back(error)
        else:
            logits = self(source, target, source_lengths=source_lengths, forced=forced).logits
            losses, error = loss(logits.detach())
            torch.autograd.backward(logits, error)
        return losses

    @torch.no_grad()
    def feed(self, gold: Tensor, forced: Tensor, memory: Memory) -> Tensor:
        """The words the decoder is fed [B, T]: `gold` where `forced`, else its own arg-max at the step before."""
        fed, state = [gold[:, 0]], memory.state
        for t in range(1, gold.shape[1]):
            decoded, state = self.decoder.step(fed[-1], memory, state)
            own = decoded.logits[:, 0].argmax(dim=1)
            fed.append(torch.where(forced[:, t], gold[:, t], own))
        return torch.stack(fed, dim=1)
