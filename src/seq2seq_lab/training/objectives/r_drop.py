"""R-Drop: two passes with different dropout, which should agree."""

import math

from torch import Tensor
from torch.nn.modules.dropout import _DropoutNd

from seq2seq_lab.decoding.unroll import encode
from seq2seq_lab.forcing.passes import scores
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import sum_of_first
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.n_step import NStep
from seq2seq_lab.targets.wanted import kl
from seq2seq_lab.training.objectives.base import Objective, Outcome
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood


class RDrop(Objective):
    """The loss of two passes of the same inputs, plus α · ½ [KL(p₁ ‖ p₂) + KL(p₂ ‖ p₁)] at each position.

    (Wu et al. 2021, https://arxiv.org/abs/2106.14448.) The passes differ in their dropout masks. It changes neither
    what is fed nor what is learnt, which the first pass decides for both: a control for methods that do.

    Args:
        alpha: α ≥ 0.
        label_smoothing: of both losses, in [0, 1).

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(self, *, alpha: float = 5.0, label_smoothing: float = 0.0) -> None:
        if not 0 <= alpha < math.inf:
            raise ValueError(f"alpha must be at least 0 and finite, got {alpha}")
        self.alpha = alpha
        self.likelihood = NegativeLogLikelihood(label_smoothing=label_smoothing)

    def refuses(self, model: Model, target: Target) -> str | None:
        """Why it makes no sense with a model."""
        if isinstance(target, NStep):
            return (
                "the further passes of target=n_step would be those of the first pass alone; use target=gold"
            )
        if any(isinstance(each, Dropout | _DropoutNd) and each.p for each in model.modules()):
            return None
        return "the model has no dropout in which two passes could differ; use model.dropout=0.3"

    def __call__(self, outcome: Outcome) -> Tensor:
        """The loss of each pair, [B]."""
        model, batch = outcome.model, outcome.batch
        draws = outcome.draws.of_pass(1)  # other dropout masks; what is fed is already decided
        encoded = encode(model, batch.source, batch.source_lengths, draws)
        again = scores(model, encoded, batch.target, outcome.inputs, draws)
        losses = sum_of_first(outcome.aim.losses(again.logits), outcome.aim.lengths)
        other = outcome._replace(decoded=again, losses=losses)
        one, two = (each.logits.log_softmax(dim=2) for each in (outcome.decoded, again))
        apart = sum_of_first((kl(one, two) + kl(two, one)) / 2, outcome.aim.lengths)
        return self.likelihood(outcome) + self.likelihood(other) + self.alpha * apart
