"""N-step: the decoder also predicts the gold words after its own soft outputs."""

import torch

from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.decoding.unroll import encode
from seq2seq_lab.forcing.passes import scores
from seq2seq_lab.targets.base import Fed, Target
from seq2seq_lab.targets.wanted import Words


class NStep(Target):
    """The gold word, in each of N passes of the decoder, each of which is fed the soft outputs of the one before.

    Pass n ≥ 2 is fed, at position t, Σ_v p(v at t − 1) · embedding_v of pass n − 1, with gradient. So it has to predict
    the gold word n − 1 steps after the last word that pass 1 was fed; its first n − 1 positions are the pass's before,
    and do not count again. The loss is Σ_n discountⁿ⁻¹ · loss of pass n (Goodman et al. 2020,
    https://arxiv.org/abs/2010.03494; that the passes begin with `<sos>` is ours).

    Args:
        steps: N, at least 1; 1 is the gold word.
        discount: of each further pass, in (0, 1].
        alpha: sharpness of the mixture, as of the feeder `soft`; > 0.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(self, *, steps: int = 2, discount: float = 1.0, alpha: float = 1.0) -> None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if not 0 < discount <= 1:
            raise ValueError(f"discount must lie in (0, 1], got {discount}")
        if not 0 < alpha < float("inf"):
            raise ValueError(f"alpha must be positive and finite, got {alpha}")
        self.steps = steps
        self.discount = discount
        self.alpha = alpha

    def __call__(self, fed: Fed) -> Words:
        batch, draws = fed.batch, fed.draws
        gold = Words(batch.target, batch.target_lengths)
        more = torch.zeros(batch.target.shape, device=fed.logits.device, dtype=fed.logits.dtype)
        encoded = encode(fed.model, batch.source, batch.source_lengths, draws)
        start = fed.model.embed(torch.full_like(batch.target[:, :1], SOS))
        logits = fed.logits
        for number in range(1, self.steps):
            mixed = fed.model.embed_mixture((self.alpha * logits[:, :-1]).softmax(dim=2))
            inputs = torch.cat((start, mixed), dim=1)
            logits = scores(fed.model, encoded, batch.target, inputs, draws).logits
            losses = gold.losses(logits)
            again = torch.arange(losses.shape[1], device=losses.device) < number
            more = more + self.discount**number * losses.masked_fill(again, 0.0)
        return Words(batch.target, batch.target_lengths, more)
