"""Decoding of a Transformer with the keys and values of the positions before, and without."""

import torch
from torch import Tensor

from benchmarks.table import seconds, show, single_thread
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.models import transformer_model
from seq2seq_lab.models.interface import Decoded
from seq2seq_lab.models.transformer.model import SourceMemory, Transformer

WORDS = 4000  # of each vocabulary
LENGTHS = (10, 20, 40)  # positions
SENTENCES = (1, 32)


class WithoutCache(Transformer):
    """The reference: its state is what was fed so far, all of which each step computes again."""

    def first_state(self, memory: SourceMemory) -> Tensor:  # type: ignore[override]
        mask, layers = memory
        keys = layers[0].keys
        return keys.new_zeros(len(keys), 0, self.decoder.embedding.embedding_dim)

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
        decoded, _ = super().decode(fed, memory, super().first_state(memory))
        assert decoded.weights is not None
        return Decoded(decoded.logits[:, -count:], decoded.weights[:, -count:]), fed


def main() -> None:
    """Print the table."""
    single_thread()
    torch.manual_seed(0)
    model = transformer_model(source_vocabulary_size=WORDS, target_vocabulary_size=WORDS).eval()
    plain = WithoutCache(encoder=model.encoder, decoder=model.decoder, output=model.output).eval()
    rows = []
    for sentences in SENTENCES:
        for length in LENGTHS:
            source = torch.randint(3, WORDS, (sentences, length))
            found = [greedy(each, source, None, length).words for each in (model, plain)]
            assert torch.equal(*found)
            ours, theirs = (
                seconds(lambda each=each: greedy(each, source, None, length), repeats=5)  # type: ignore[misc]
                for each in (model, plain)
            )
            rows.append(
                (
                    f"{sentences} of {length} words",
                    f"{theirs * 1e3:.0f}",
                    f"{ours * 1e3:.0f}",
                    f"{theirs / ours:.1f}",
                )
            )
    header = ("sentences", "without cache ms", "with cache ms", "ratio")
    show("Greedy decoding of a Transformer (3 + 3 layers, 256), 1 thread", header, rows)
