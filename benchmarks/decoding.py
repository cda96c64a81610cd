"""Decoding of a Transformer with the keys and values of the positions before, and without."""

import time
from typing import cast

import torch
from torch import Tensor

from benchmarks.table import show, single_thread
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.models import transformer_model
from seq2seq_lab.models.interface import Decoded
from seq2seq_lab.models.transformer.model import SourceMemory, Transformer

WORDS = 4000  # of each vocabulary
LENGTH = 20  # positions of source and translation
SENTENCES = (1, 8, 64)  # at a time
REPEATS = 3


class WithoutCache(Transformer):
    """The reference: a step computes all positions so far again, with the keys and values of the source."""

    def source_cache(self, outputs: Tensor) -> Tensor:  # type: ignore[override]
        return outputs

    def first_state(self, memory: SourceMemory) -> Tensor:  # type: ignore[override]
        outputs = cast(Tensor, memory.layers)
        return outputs[:, :0]

    def decode(  # type: ignore[override]
        self,
        inputs: Tensor,
        memory: SourceMemory,
        state: Tensor,
        *,
        draws: Draws | None = None,
        first: int = 0,
    ) -> tuple[Decoded, Tensor]:
        """Compute all positions so far; the scores of the last ones."""
        fed, count = torch.cat((state, inputs), dim=1), inputs.shape[1]
        again = SourceMemory(memory.mask, super().source_cache(cast(Tensor, memory.layers)))
        decoded, _ = super().decode(fed, again, super().first_state(again))
        assert decoded.weights is not None
        return Decoded(decoded.logits[:, -count:], decoded.weights[:, -count:]), fed


def timed(model: Transformer, source: Tensor) -> tuple[float, Tensor]:
    """Seconds of processor time, and the words found."""
    words = greedy(model, source, None, LENGTH).words  # the first call is slower
    started = time.process_time()
    for _ in range(REPEATS):
        greedy(model, source, None, LENGTH)
    return (time.process_time() - started) / REPEATS, words


def main() -> None:
    """Print the table."""
    single_thread()
    torch.manual_seed(0)
    model = transformer_model(source_vocabulary_size=WORDS, target_vocabulary_size=WORDS).eval()
    plain = WithoutCache(encoder=model.encoder, decoder=model.decoder, output=model.output).eval()
    rows = []
    for sentences in SENTENCES:
        source = torch.randint(3, WORDS, (sentences, LENGTH))
        times, words = zip(*(timed(each, source) for each in (model, plain)), strict=True)
        assert torch.equal(*words)
        ours, theirs = times
        rows.append((f"{sentences}", f"{theirs * 1e3:.0f}", f"{ours * 1e3:.0f}", f"{theirs / ours:.1f}"))
    header = ("sentences at a time", "without cache ms", "with cache ms", "ratio")
    show(
        f"Greedy decoding of {LENGTH} words with a Transformer (3 + 3 layers of 256), 1 thread", header, rows
    )
