"""A trained model's distribution, after the words that this model was fed."""

from collections.abc import Mapping
from typing import Literal

import torch

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.decoding.unroll import encode
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.passes import scores
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.interface import Model
from seq2seq_lab.targets import own
from seq2seq_lab.targets.base import Fed, LoadModel, Target
from seq2seq_lab.targets.edits import prefix_distances
from seq2seq_lab.targets.wanted import Distribution, Divergence


class Teacher(Target):
    """The distribution of a frozen, trained model that reads what this one is fed.

    Σ_t D(p_teacher(· | what was fed) ‖ p) up to the own `<eos>`. With gold words it is word-level distillation, with
    own words imitation learning: ImitKD (Lin et al. 2020, https://arxiv.org/abs/2009.07253), and with its divergences
    GKD (Agarwal et al. 2024, https://arxiv.org/abs/2306.13649).

    Args:
        run: the folder of the trained run.
        checkpoint: its best checkpoint or its last.
        divergence: D; see `Distribution`.
        beta: β of `jsd`, in (0, 1).
        max_ratio: positions that an own sentence may have, as a multiple of its reference's, at least 1.

    Raises:
        ValueError: a value is out of its range.
    """

    measures = (own.EDIT_DISTANCE,)

    def __init__(
        self,
        *,
        run: str | None = None,
        checkpoint: Literal["last", "best"] = "last",
        divergence: Divergence = "forward_kl",
        beta: float = 0.5,
        max_ratio: float = 1.2,
    ) -> None:
        if not 0 < beta < 1:
            raise ValueError(f"beta must lie in (0, 1), got {beta}; its ends are forward_kl and reverse_kl")
        if beta != 0.5 and divergence != "jsd":
            raise ValueError(f"beta is of divergence=jsd alone, got {beta} with {divergence}")
        own.check_max_ratio(max_ratio)
        self.run = run
        self.checkpoint: Literal["last", "best"] = checkpoint
        self.divergence: Divergence = divergence
        self.beta = beta
        self.max_ratio = max_ratio
        self.model: Model | None = None

    def load(self, vocabularies: Mapping[str, Vocabulary], load_model: LoadModel) -> None:
        """Load the teacher.

        Raises:
            UserError: the folder is no run, names code that is not trusted, or its model has other words.
        """
        if self.run is None:
            raise UserError("target.run: it names no run; target.run=FOLDER is that of the trained teacher")
        try:
            _, model, theirs = load_model(self.run, checkpoint=self.checkpoint)
        except UserError as error:
            raise UserError(f"target.run: {error}") from None
        for side, words in vocabularies.items():
            others = getattr(theirs, side).words
            if others != words.words:
                raise UserError(
                    f"target.run: {self.run} has another {side} vocabulary ({len(others)} words, this run has "
                    f"{len(words)}); a teacher must be trained on the same data"
                )
        self.model = model.requires_grad_(False)

    def extended(self, batch: Batch, plan: Plan) -> tuple[Batch, Plan]:
        return own.extended(batch, plan, self.max_ratio)

    @torch.no_grad()
    def __call__(self, fed: Fed) -> Distribution:
        assert self.model is not None, "load comes first"
        words, lengths = fed.need_words(), fed.batch.lengths
        teacher = self.model = self.model.to(fed.logits)
        encoded = encode(teacher, fed.batch.source, fed.batch.source_lengths)
        logits = scores(teacher, encoded, fed.batch.target, teacher.embed(words), None).logits
        counted = own.counted(fed, self.max_ratio)
        target = fed.batch.target[:, : int(lengths.max())]
        table = prefix_distances(words, target)
        return Distribution(
            logits.log_softmax(dim=2),
            counted,
            self.divergence,
            self.beta,
            own.edit_distance(table, counted, lengths),
        )
