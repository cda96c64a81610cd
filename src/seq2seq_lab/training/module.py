"""The LightningModule: a model, a forcing policy and an optimizer."""

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from seq2seq_lab.accelerate import cuda_graphs as capture
from seq2seq_lab.accelerate.factors import write_out_factors
from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.forcing.plan import ForcingPolicy
from seq2seq_lab.models import Seq2Seq
from seq2seq_lab.training.loss import losses_and_error, sentence_losses, translation_scores

EVALUATED = ("loss_forced", "loss_free", "exposure_gap", "bleu", "chrf", "exact_match")

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


class DivergenceError(ArithmeticError):
    """The loss is no number any more."""


class Tally:
    """Sums over an epoch, each in double precision, which not every device has."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0
        self.seconds = 0.0

    def add(self, count: int, **values: Tensor) -> None:
        """Add values [count] of as many pairs."""
        self.count += count
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.cpu().double().sum())

    def means(self) -> dict[str, float]:
        """The mean of each over all pairs."""
        return {name: total / self.count for name, total in self.sums.items()}


class TranslationModule(pl.LightningModule):
    """Trains a model under a forcing policy, one update after the other.

    The loss of an update is the mean over its pairs of the negative log-likelihood summed over target positions;
    what is logged divides each pair's by its number of positions first (the seminar's measure).

    Args:
        model: what is trained.
        forcing: draws which words the decoder is fed.
        optimizer: parameters → optimizer.
        to_text: target ids up to and without `<eos>` → sentence.
        max_length: positions that a hypothesis may have.
        references: for each evaluated pair, in order, its accepted translations.
        evaluated: prefix of the evaluation's metric names, `val` or `train`.
        gradient_clip: limit of the gradient's norm; None does not clip.
        seed: of the forcing coins.
    """

    def __init__(
        self,
        *,
        model: Seq2Seq,
        forcing: ForcingPolicy,
        optimizer: OptimizerFactory,
        to_text: Callable[[list[int]], str],
        max_length: int,
        references: list[list[str]],
        evaluated: str = "val",
        gradient_clip: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # a step makes the updates of a whole block
        self.model = model
        self.forcing = forcing
        self.optimizer = optimizer
        self.to_text = to_text
        self.max_length = max_length
        self.references = references
        self.evaluated = evaluated
        self.gradient_clip = gradient_clip
        self.coins = torch.Generator().manual_seed(seed)
        self.training_tally = Tally()
        self.evaluation_tally = Tally()
        self.hypotheses: list[str] = []
        self.captured: capture.CapturedUpdates | None = None
        self.scalars: dict[str, float] = {}  # what was measured in this epoch
        self.started = 0.0

    def configure_optimizers(self) -> Optimizer:
        """The optimizer of all parameters."""
        return self.optimizer(self.model.parameters())

    # Training

    @property
    def progress(self) -> float:
        """The share of training that is done, in [0, 1); 0 where no end is set."""
        epochs = self.trainer.max_epochs or 0
        if epochs <= 0:
            return 0.0
        blocks = self.trainer.num_training_batches
        return (self.current_epoch + self.trainer.fit_loop.epoch_loop.batch_idx / blocks) / epochs

    def on_train_start(self) -> None:
        """Start the clock: an epoch that is resumed in its middle does not start again."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Start the clock; a resumed epoch's ran before."""
        self.started = time.monotonic() - self.training_tally.seconds

    def training_step(self, block: Block, batch_idx: int) -> dict[str, Tensor]:
        """Make the updates of a block; returns each pair's loss by position and share of forced words, [N]."""
        forced = self.forcing(len(block), block.target.shape[1], self.progress, self.coins)
        fully_forced = forced.all(dim=1).tolist()
        forced_here = forced.to(self.device)
        optimizer = cast(LightningOptimizer, self.optimizers())
        update = self._updates(optimizer.optimizer)
        losses = []
        for batch in block:
            free = not all(fully_forced[batch.rows])
            mask = forced_here[batch.rows, : batch.target.shape[1]] if free else None
            losses.append(update(batch, mask))
        self._count_as_one_step(optimizer)
        positions = block.target_lengths.to(self.device)
        outcome = {
            "loss": torch.cat(losses) / positions,
            "forced_share": _mean_of_first(forced_here, positions),
        }
        self.training_tally.add(len(block), **outcome)
        self.training_tally.seconds = time.monotonic() - self.started
        if self.trainer.is_last_batch or 0 < self.trainer.max_steps <= self.trainer.global_step:
            self._log_training()
        return outcome

    def _log_training(self) -> None:
        tally, self.training_tally = self.training_tally, Tally()
        means = tally.means()
        if not math.isfinite(means["loss"]):
            raise DivergenceError(
                f"training diverged, train/loss is {means['loss']} in epoch {self.current_epoch + 1}; try a "
                "smaller optimizer.lr, or gradient_clip=1"
            )
        self._log({f"train/{name}": value for name, value in means.items()})
        self._log(
            {"perf/sentences_per_second": tally.count / tally.seconds, "perf/epoch_seconds": tally.seconds}
        )

    def _updates(self, optimizer: Optimizer) -> Callable[[Batch, Tensor | None], Tensor]:
        """How updates are made: captured in graphs on a GPU, else one by one as they come."""
        if not capture.possible(optimizer, self.device):
            return partial(self.update, optimizer=optimizer)
        if self.captured is None or self.captured.optimizer is not optimizer:
            longest = self.model.encoder.unmasked_positions
            self.captured = capture.CapturedUpdates(self.update, optimizer, longest_source=longest)
        return self.captured

    def update(self, batch: Batch, forced: Tensor | None, optimizer: Optimizer) -> Tensor:
        """One optimizer step on one batch; returns its pairs' losses summed over positions, [B]."""
        optimizer.zero_grad()
        losses = self.model.backpropagate(
            batch.source,
            batch.target,
            source_lengths=batch.source_lengths,
            forced=forced,
            loss=partial(losses_and_error, target=batch.target, target_lengths=batch.target_lengths),
        )
        if self.gradient_clip is not None:
            write_out_factors(self.model.parameters())
            nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        optimizer.step()
        return losses

    def _count_as_one_step(self, optimizer: LightningOptimizer) -> None:
        # The updates go past Lightning, whose hooks around each would cost a tenth of it. Its own count of steps,
        # which checkpoints are named and skipped by, still has to move.
        optimizer._on_before_step()
        optimizer._on_after_step()

    # Evaluation

    def validation_step(self, block: Block, batch_idx: int) -> None:
        """Losses of the gold words under gold and under own words, and greedy translations."""
        for batch in block:
            positions = block.target_lengths[batch.rows]
            decoded = self.model(batch.source, batch.target, source_lengths=batch.source_lengths)
            free = greedy(self.model, batch.source, batch.source_lengths, self.max_length)
            length = batch.target.shape[1]
            forced_losses, free_losses = (
                sentence_losses(logits, batch.target, batch.target_lengths) / positions
                for logits in (decoded.logits, free.logits[:, :length])
            )
            self.evaluation_tally.add(len(positions), loss_forced=forced_losses, loss_free=free_losses)
            self.hypotheses.extend(self.to_text(ids) for ids in free.words.tolist())

    def on_validation_epoch_end(self) -> None:
        """Log the evaluation; the exposure gap is what the model loses by hearing its own words."""
        results = self.evaluation_tally.means()
        results["exposure_gap"] = results["loss_free"] - results["loss_forced"]
        if len(self.hypotheses) == len(
            self.references
        ):  # not so in a sanity check, which takes the first few
            results |= translation_scores(self.hypotheses, self.references)
        self._log({f"{self.evaluated}/{name}": value for name, value in results.items()})
        self.evaluation_tally, self.hypotheses = Tally(), []

    def _log(self, values: dict[str, float]) -> None:
        # For Lightning's monitors; to the loggers they go by way of `callbacks.EpochScalars`, one row an epoch.
        self.scalars |= values
        self.log_dict(values, on_step=False, on_epoch=True, logger=False, batch_size=1)

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Beside what Lightning keeps: the coins, and the sums of an epoch that is under way."""
        checkpoint["coins"] = self.coins.get_state()
        checkpoint["tally"] = vars(self.training_tally)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self.coins.set_state(checkpoint["coins"].cpu())
        vars(self.training_tally).update(checkpoint["tally"])


def _mean_of_first(values: Tensor, counts: Tensor) -> Tensor:
    """The mean of the first counts[i] values of each row: [N, T], [N] → [N]."""
    inside = torch.arange(values.shape[1], device=values.device) < counts.unsqueeze(1)
    return (values & inside).sum(dim=1) / counts
