"""The threads and the device that a run uses."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from seq2seq_lab.errors import UserError


def set_threads(config: Mapping[str, Any], jobs: int) -> None:
    """Set the threads of a run: those of its configuration, else its share of the processors among `jobs`.

    The variable `OMP_NUM_THREADS` is a limit of the latter.
    """
    threads = config["threads"]
    if threads is None:
        threads = 1 if config["loader"]["batch_size"] == 1 else max(1, _processors() // jobs)
        limit = os.environ.get("OMP_NUM_THREADS", "")
        threads = min(threads, int(limit)) if limit.isdecimal() and int(limit) else threads
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")  # NumPy's


def _processors() -> int:
    """The number of processors that this process may use; on a shared machine, not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def take_card(job: int) -> None:
    """Let this process see one of several GPUs: that of the number of its job, modulo their number.

    It must be called before CUDA is used.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = visible.split(",") if visible else [str(card) for card in range(torch.cuda.device_count())]
    if len(cards) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = cards[job % len(cards)]


def check_accelerator(trainer: Mapping[str, Any]) -> None:
    """Check the device and the precision before any data is prepared.

    Raises:
        UserError: a GPU that is not available, several devices, or half precision.
    """
    if trainer.get("accelerator") in ("cuda", "gpu") and not torch.cuda.is_available():
        raise UserError(
            f"trainer.accelerator: PyTorch {torch.__version__} finds no CUDA GPU for {trainer['accelerator']}; "
            "use trainer=cpu"
        )
    devices = trainer.get("devices", 1)
    if devices not in (1, "1") and not (isinstance(devices, Sequence) and len(devices) == 1):
        raise UserError(
            f"trainer.devices: {devices}; a run trains on one device: trainer.devices=1 or [N]; to train several "
            "runs in parallel, start a sweep"
        )
    if str(precision := trainer.get("precision") or "32-true") not in ("32", "32-true", "64", "64-true"):
        raise UserError(f"trainer.precision: {precision}; a run trains in 32-true or 64-true")
