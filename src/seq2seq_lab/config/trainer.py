"""Lightning's own settings, `trainer.*`: those that a run follows, and what to write instead of the others."""

from collections.abc import Mapping
from typing import Any

from seq2seq_lab.errors import UserError

_LEAVE = "leave it out"
# Key → (the values that change nothing, what to write instead).
REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "accumulate_grad_batches": ((1,), "write loader.batch_size=…, the pairs of an update"),
    "barebones": ((False,), "write callbacks=none logger=none"),
    "callbacks": ((None,), "write callbacks=…"),
    "default_root_dir": ((None,), "write output_dir=…"),
    "enable_checkpointing": ((None, True), "write callbacks=none"),
    "enable_progress_bar": ((None,), f"a run shows its own progress; {_LEAVE}"),
    "gradient_clip_algorithm": ((None, "norm"), "write gradient_clip=…, which limits the norm"),
    "gradient_clip_val": ((None,), "write gradient_clip=…"),
    "limit_predict_batches": ((None, 1.0), f"training predicts nothing; {_LEAVE}"),
    "limit_test_batches": ((None, 1.0), "the test part is evaluated whole; write split.test=…, its share"),
    "limit_val_batches": (
        (None, 1.0, 0, 0.0),
        "the validation part is evaluated whole, or not with 0; write split.validation=…, its share",
    ),
    "log_every_n_steps": ((None, 1), f"a run logs at the end of each epoch; {_LEAVE}"),
    "logger": ((None,), "write logger=…"),
    "model_registry": ((None,), f"a run has no registry of models; {_LEAVE}"),
    "num_nodes": ((1,), "a run trains on one machine; trainer=ddp takes several"),
    "plugins": ((None,), f"a run has its own; {_LEAVE}"),
    "reload_dataloaders_every_n_epochs": ((0,), f"the loader draws a new order each epoch; {_LEAVE}"),
    "strategy": (
        ("auto", "ddp"),
        "write trainer=ddp for several devices; several runs at once are a sweep's",
    ),
    "sync_batchnorm": ((False,), f"no model here has batch normalisation; {_LEAVE}"),
    "val_check_interval": (
        (None, 1.0),
        "a run is evaluated at the end of epochs; write trainer.check_val_every_n_epoch=…",
    ),
}
# Counts of batches or steps, each of which is an update, and the values with which nothing is counted.
_COUNTS: Mapping[str, tuple[Any, ...]] = {
    "fast_dev_run": (False, 0),
    "limit_train_batches": (None, 1.0),
    "max_steps": (-1,),
    "min_steps": (None,),
    "overfit_batches": (0, 0.0),
}
_POSITIVE = ("max_epochs", "num_nodes", "check_val_every_n_epoch", "max_steps", "limit_train_batches")


def most_epochs(trainer: Any) -> int | None:
    """The limit of epochs in the settings `trainer`; None if there is none, or they are damaged."""
    most = trainer.get("max_epochs") if isinstance(trainer, Mapping) else None
    return most if isinstance(most, int) and most >= 0 else None


def is_endless(config: Mapping[str, Any]) -> bool:
    """Whether nothing ends a run but an interruption."""
    trainer = config["trainer"]
    stops = any(str(each.get("_target_")).endswith("EarlyStopping") for each in config["callbacks"].values())
    return (
        trainer.get("max_epochs") == trainer.get("max_steps", -1) == -1
        and not trainer.get("max_time")
        and not stops
    )


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Check the settings that Lightning accepts, and that a run does not follow, or with which it does nothing.

    Raises:
        UserError: one of them is given.
    """
    for key in _POSITIVE:
        if trainer.get(key) == 0:
            raise UserError(f"trainer.{key}: it must be at least 1, got 0")
    if (
        trainer.get("max_epochs") is None
        and trainer.get("max_steps", -1) == -1
        and not trainer.get("max_time")
    ):
        raise UserError(
            "trainer.max_epochs: null would be the 1,000 epochs that Lightning has by default; write a number of "
            "epochs, or -1 for a run that something else ends"
        )
    for key, (harmless, instead) in REFUSED.items():
        several = key == "num_nodes" and trainer.get("strategy") == "ddp"
        if key in trainer and not several and not _is_one_of(trainer[key], harmless):
            raise UserError(f"trainer.{key}: {trainer[key]}; {instead}")


def counts_updates(config: Mapping[str, Any]) -> bool:
    """Whether a setting counts batches or steps. Lightning's batch is then one update, and not a block of updates."""
    trainer = config["trainer"]
    callbacks = config["callbacks"].values()
    return any(
        key in trainer and not _is_one_of(trainer[key], uncounted) for key, uncounted in _COUNTS.items()
    ) or any(callback.get("every_n_train_steps") for callback in callbacks)


def _is_one_of(value: Any, values: tuple[Any, ...]) -> bool:
    """Whether a value is among others of its type: 1 is one batch, and 1.0 is all."""
    return any(type(value) is type(each) and value == each for each in values)
