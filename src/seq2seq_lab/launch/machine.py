"""What a run takes of the machine: threads and a device."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from seq2seq_lab.errors import UserError


def set_threads(config: Mapping[str, Any], jobs: int) -> None:
    """The threads that a run computes with: those it asks for, else its share of the processors among `jobs`."""
    threads = config["threads"]
    if threads is None:
        threads = 1 if config["loader"]["batch_size"] == 1 else max(1, _processors() // jobs)
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")  # NumPy's, which `models.stages` runs on


def _processors() -> int:
    """Those that this process may run on: of a shared machine, its own."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_accelerator(trainer: Mapping[str, Any]) -> None:
    """Refuse a GPU where there is none, several devices, and half precision, before any data is prepared."""
    if trainer.get("accelerator") in ("cuda", "gpu") and not torch.cuda.is_available():
        raise UserError(
            f"trainer.accelerator: {trainer['accelerator']} is asked for, but PyTorch {torch.__version__} sees no "
            "CUDA GPU; use trainer=cpu"
        )
    devices = trainer.get("devices", 1)
    if devices not in (1, "1") and not (isinstance(devices, Sequence) and len(devices) == 1):
        raise UserError(
            f"trainer.devices: {devices}; a run trains on one device, as trainer.devices=1 or [N]; several runs at "
            "once are a sweep's"
        )
    if str(precision := trainer.get("precision") or "32-true") not in ("32", "32-true", "64", "64-true"):
        raise UserError(f"trainer.precision: {precision}; the recurrence is written for 32-true and 64-true")
