"""The LightningModule: a model, a forcing policy, an optimizer, and what is measured."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.evaluation.evaluate import EvaluationMeasure, Evaluator, measured
from seq2seq_lab.forcing.plan import ForcingPolicy, Pairs, Plan, checked, mean_over_words
from seq2seq_lab.models.interface import Model
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.accelerator import Selection
from seq2seq_lab.training.lr_schedules import LRSchedule
from seq2seq_lab.training.objectives.base import Objective, OfOutcome, Outcome
from seq2seq_lab.training.update import Job, UpdateResult, joined, scheduled

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


class DivergenceError(ArithmeticError):
    """Training diverged: the loss is not finite."""


class Tally:
    """Sums over an epoch, each in double precision, which not every device has."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0
        self.seconds = 0.0

    def add(self, count: int, values: Mapping[str, Tensor]) -> None:
        """Add values [count] of as many pairs."""
        self.count += count
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.cpu().double().sum())

    def means(self) -> dict[str, float]:
        """The mean of each over all pairs."""
        return {name: total / self.count for name, total in self.sums.items()}


class TranslationModule(pl.LightningModule):
    """Trains a model under a forcing policy, one update after the other.

    The loss of an update is the mean over its pairs of what the objective makes of them, such as the negative
    log-likelihood summed over target positions; what is logged divides each pair's by its number of positions first
    (the seminar's measure).

    Args:
        model: what is trained.
        forcing: plans what the decoder is fed.
        optimizer: parameters → optimizer.
        lr_schedule: changes its learning rate.
        objective: what is minimised; a function gives the loss of each pair.
        select: what makes the updates of a job (`training.accelerator.select`).
        to_text: target ids up to and without `<eos>` → sentence.
        max_length: positions that a hypothesis may have.
        references: for each evaluated pair, in order, its accepted translations.
        measures: what is measured of an evaluation.
        segments: for each evaluated pair, in order, the number of its segment; see `Evaluation`.
        evaluated: prefix of the evaluation's metric names, `val` or `train`.
        batch_size: pairs an update.
        gradient_clip: limit of the gradient's norm; None does not clip.
        seed: of everything that is drawn while it trains.
        unk: the id of `<unk>` among the target's words; None where there is none.
        target: decides what each position should predict; None: the gold word.
    """

    def __init__(
        self,
        *,
        model: Model,
        forcing: ForcingPolicy,
        optimizer: OptimizerFactory,
        lr_schedule: LRSchedule,
        objective: Objective | Callable[[Outcome], Tensor],
        select: Callable[[Job], Selection],
        to_text: Callable[[list[int]], str],
        max_length: int,
        references: list[list[str]],
        measures: Mapping[str, EvaluationMeasure],
        segments: list[int] | None = None,
        evaluated: str = "val",
        batch_size: int = 1,
        gradient_clip: float | None = None,
        seed: int = 0,
        unk: int | None = None,
        target: Target | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # a step makes the updates of a whole block
        self.model = model
        self.forcing = forcing
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.objective = objective if isinstance(objective, Objective) else OfOutcome(objective)
        self.select = select
        self.to_text = to_text
        self.max_length = max_length
        self.references = references
        self.measures = measures
        self.segments = segments
        self.evaluated = evaluated
        self.batch_size = batch_size
        self.gradient_clip = gradient_clip
        self.seed = seed
        self.unk = unk
        self.target = target or Gold()
        self.selection: Selection | None = None
        self.tally = Tally()
        self.evaluator = self._evaluator()
        self.scalars: dict[str, float] = {}  # what was measured in this epoch
        self.others: set[str] = set()  # names of what callbacks of the user logged in it
        self.started = 0.0
        self.lr = 0.0  # of the last update

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """The optimizer of all parameters, and the scheduler of its learning rate where there is one."""
        optimizer = self.optimizer(self.model.parameters())
        scheduler = self.lr_schedule.scheduler(optimizer)
        return [optimizer], [] if scheduler is None else [scheduler]

    def job(self, optimizer: Optimizer) -> Job:
        """What is to be trained, and how."""
        one = torch.ones(1, dtype=torch.int64)
        draws = Draws(self.seed, 0, one)
        plan = self.plan(Pairs(2 * one, 2, draws, update=one - 1, updates=1, epochs=1))
        return Job(
            self.model,
            optimizer,
            self.objective,
            self.gradient_clip,
            self.batch_size * self.target.samples,
            plan,
            self.target.of_update,
        )

    # Training

    def on_train_start(self) -> None:
        """Begin an epoch also where it is resumed in its middle, which Lightning does not call a start."""
        self.others.clear()  # of the check before training
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Select what makes the updates, as a callback may have changed the job; start the clock, which ran before in
        a resumed epoch.
        """
        optimizer = cast(LightningOptimizer, self.optimizers()).optimizer
        self.selection = self.select(self.job(optimizer))
        self.started = time.monotonic() - self.tally.seconds

    def training_step(self, block: Block, batch_idx: int) -> dict[str, Tensor]:
        """Make the updates of a block; returns each pair's loss by position and share of forced words, [N]."""
        draws = Draws(self.seed, self.current_epoch, torch.from_numpy(block.indices))
        block, prepared = self.target.prepare(block, draws)
        pairs = self.pairs(block, self.current_epoch, max(0, self.trainer.max_epochs or 0))
        plan = self.plan(pairs)
        made = self._updates(block, plan, pairs.draws.to(self.device))
        optimizer = cast(LightningOptimizer, self.optimizers())
        self._count_as_one_step(optimizer)
        outcome = {"loss": made.losses / block.target_lengths, "forced_share": made.forced_share}
        outcome |= {**made.measured, **prepared}
        if plan.ratio is not None:
            outcome["forcing_ratio"] = mean_over_words(plan.ratio, pairs.lengths)
        self.tally.add(len(block), outcome)
        self.tally.seconds = time.monotonic() - self.started
        if self.trainer.is_last_batch or 0 < self.trainer.max_steps <= self.trainer.global_step:
            self._log_training()
        return outcome

    def _updates(self, block: Block, plan: Plan, draws: Draws) -> UpdateResult:
        """Make the updates of a block; in parts where the learning rate changes with each of them."""
        assert self.selection is not None
        if self.lr_schedule.over != "updates":
            self.lr = self._current_lr()
            return self.selection.updates(block, plan, draws)
        made = []
        for shape, part in zip(block.shapes, block.split(), strict=True):
            self.lr = self._current_lr()
            of_part = plan.rows(shape.rows, part.target.shape[1])
            made.append(self.selection.updates(part, of_part, draws[shape.rows]))
            self._scheduler().step()
        return joined(made)

    def _scheduler(self) -> LRScheduler:
        return cast(LRScheduler, self.lr_schedulers())

    def _current_lr(self) -> float:
        return float(cast(LightningOptimizer, self.optimizers()).optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, outputs: Any, batch: Block, batch_idx: int) -> None:
        """Log the training of an epoch that a callback, such as Lightning's timer, has just cut short."""
        if self.tally.count and self.trainer.fit_loop.epoch_loop.done:
            self._log_training()

    def pairs(self, block: Block, epoch: int, epochs: int) -> Pairs:
        """What a policy may know of a block's pairs in an epoch; epochs: of all of training, 0 where no end is set."""
        return Pairs(
            lengths=block.target_lengths.cpu(),
            positions=block.target.shape[1],
            draws=Draws(self.seed, epoch, torch.from_numpy(block.indices)),
            update=epoch * block.updates + block.update_numbers,
            updates=epochs * block.updates,
            epoch=epoch,
            epochs=epochs,
        )

    def plan(self, pairs: Pairs) -> Plan:
        """What the policy feeds these pairs, and the schedules of target and objective."""
        return checked(self.forcing.plan(pairs), pairs)._replace(
            unk=self.unk, scheduled=scheduled(pairs, self.target, self.objective)
        )

    def _log_training(self) -> None:
        tally, self.tally = self.tally, Tally()
        means = tally.means()
        if not math.isfinite(means["loss"]):
            raise DivergenceError(
                f"training diverged, train/loss is {means['loss']} in epoch {self.current_epoch + 1}; try a "
                "smaller optimizer.lr, or gradient_clip=1"
            )
        self._log({f"train/{name}": value for name, value in (means | {"lr": self.lr}).items()})
        pairs = tally.count / self.target.samples
        speed = {"perf/sentences_per_second": pairs / tally.seconds, "perf/epoch_seconds": tally.seconds}
        self._log(speed)
        if self.lr_schedule.over == "epochs" and self.lr_schedule.metric is None:
            self._scheduler().step()

    def _count_as_one_step(self, optimizer: LightningOptimizer) -> None:
        # The updates do not go through Lightning, whose hooks around each would cost a tenth of it. Its own count
        # of steps, which checkpoints are named and skipped by, still has to move.
        optimizer._on_before_step()
        optimizer._on_after_step()

    # Evaluation

    def _evaluator(self) -> Evaluator:
        return Evaluator(self.to_text, self.max_length)

    def validation_step(self, block: Block, batch_idx: int) -> None:
        """Losses of the gold words under gold and under own words, and greedy translations."""
        for batch in block:
            self.evaluator.add(self.model, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the evaluation."""
        evaluator, self.evaluator = self.evaluator, self._evaluator()
        if self.trainer.sanity_checking:  # nothing is trained yet
            return
        evaluation = evaluator.evaluation(self.references, self.segments)
        values = measured(evaluation, self.measures)
        self._log({f"{self.evaluated}/{name}": value for name, value in values.items()})

    def log(
        self,
        name: str,
        value: Any,
        prog_bar: bool = False,
        logger: bool | None = None,
        *given: Any,
        **how: Any,
    ) -> None:
        """Log a value, as Lightning does, which also calls this for callbacks of the user.

        Loggers get it from `EpochScalars`, with all others of its epoch; Lightning would count its steps.
        """
        super().log(name, value, prog_bar, False, *given, **how)
        if logger is not False:
            self.others.add(name)

    def _log(self, values: dict[str, float]) -> None:
        # For Lightning's monitors. The callback `EpochScalars` passes them to the loggers, one row per epoch.
        # Several processes must decide alike, whatever they round.
        values = self.trainer.strategy.broadcast(values)
        self.scalars |= values
        if self.lr_schedule.metric in values:
            cast(ReduceLROnPlateau, self._scheduler()).step(values[self.lr_schedule.metric])
        self.log_dict(values, on_step=False, on_epoch=True, logger=False, batch_size=1)

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the sums of the current epoch to the checkpoint."""
        checkpoint["tally"] = vars(self.tally)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the sums."""
        vars(self.tally).update(checkpoint["tally"])
