"""What each position should predict: a target decides it, given what the decoder was fed.

A policy (`forcing`) decides what is fed, a target what is learnt, an objective what is minimised. Policies know no
targets, targets no policies. A target of your own is a subclass of `Target` with one method, `__call__`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.forcing.schedules import Schedule
from seq2seq_lab.models.interface import Model
from seq2seq_lab.targets.wanted import Wanted

# What an update measures of every target but `gold`, a value for each pair; `evaluation.measures` describes them.
MEASURES = ("loss", "target_entropy", "target_off_gold")


class Fed(NamedTuple):
    """What a target knows of B pairs, once the decoder was fed.

    Attributes:
        model: the model that learns.
        batch: the pairs; its `target` [B, T] are the words of the reference, each at the position that predicts it.
        words: the words that the decoder was fed, [B, T], the first of which is `<sos>`; None where it was fed anything
            else than words.
        inputs: the same, embedded, [B, T, E]; None where it was fed gold words throughout.
        gold: where it was fed the gold word, [B, T], on the CPU.
        logits: its scores, [B, T, V], with gradient.
        draws: the random numbers of the pairs.
        share: the value of the target's schedule in the update, [B]; None without a schedule.
        goes_on: whether own words follow from one another, so that a sentence of them ends at its own `<eos>`.
    """

    model: Model
    batch: Batch
    words: Tensor | None
    inputs: Tensor | None
    gold: Tensor
    logits: Tensor
    draws: Draws
    share: Tensor | None = None
    goes_on: bool = False

    def need_words(self) -> Tensor:
        """The words that were fed.

        Raises:
            ValueError: no words were fed.
        """
        if self.words is None:
            raise ValueError("the feeder gives no words, which it has to know; use forcing/feeder=sample")
        return self.words


# A run's folder, and which of its checkpoints → its configuration, the model, and its vocabularies.
LoadModel = Callable[..., tuple[Any, Model, Any]]


class Target(ABC):
    """Decides what each position should predict; everything but `__call__` may stay as it is here.

    Attributes:
        schedule: a value that changes while the model trains: `Fed.share`; None: there is none.
        samples: pairs that `prepare` makes of each pair.
        measures: what it measures of each pair besides `MEASURES`.
        prepared: what `prepare` measures.
    """

    schedule: Schedule | None = None
    samples: int = 1
    measures: tuple[str, ...] = ()
    prepared: tuple[str, ...] = ()

    @abstractmethod
    def __call__(self, fed: Fed) -> Wanted:
        """What each position should predict. It should give each pair the same whichever others are beside it."""

    @property
    def of_update(self) -> "Target":
        """The target of an update whose pairs `prepare` made."""
        return self

    def prepare(self, block: Block, draws: Draws) -> tuple[Block, Mapping[str, Tensor]]:
        """The pairs that are trained on instead of a block's N, before any plan of them, and what is measured of them.

        Args:
            block: the pairs as the loader gives them.
            draws: their random numbers.
        """
        return block, {}

    def extended(self, batch: Batch, plan: Plan) -> tuple[Batch, Plan]:
        """A batch and its plan with more positions, where own sentences may be longer than the reference."""
        return batch, plan

    def refuses(self, plan: Plan, *, always_gold: bool) -> str | None:
        """Why this target makes no sense with a policy, and what would do; None where it does.

        Args:
            plan: one of the policy's plans.
            always_gold: whether all of its plans feed gold words alone.
        """
        return None

    def load(  # noqa: B027, as most need nothing
        self, vocabularies: Mapping[str, Vocabulary], load_model: LoadModel
    ) -> None:
        """Take what it needs of a run besides the pairs; called once, before training.

        Args:
            vocabularies: of the run, `source` and `target`.
            load_model: loads a trained model, as `runs.load.load_model` does: its configuration, the model, its words.

        Raises:
            UserError, ValueError: it cannot; nothing has been written.
        """
