"""The threads and the device that a run uses."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from seq2seq_lab.errors import UserError

DOUBLE = ("64", "64-true")  # values of trainer.precision


def set_threads(config: Mapping[str, Any], jobs: int) -> None:
    """Set the threads of a run: those of its configuration, else its share of the processors among `jobs`.

    The variable `OMP_NUM_THREADS` is a limit of the latter.
    """
    threads = config["threads"]
    processes = max(1, len(devices(config["trainer"])))
    if threads is None:
        threads = 1 if config["loader"]["batch_size"] == 1 else max(1, processors() // (jobs * processes))
        limit = os.environ.get("OMP_NUM_THREADS", "")
        threads = min(threads, int(limit)) if limit.isdecimal() and int(limit) else threads
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")  # NumPy's


def processors() -> int:
    """The number of processors that this process may use; on a shared machine, not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def devices(trainer: Mapping[str, Any]) -> list[torch.device]:
    """The devices of one run: several with `trainer=ddp`; an empty list where Lightning finds the one device.

    Raises:
        UserError: several devices without `trainer=ddp`, or more than there are.
    """
    given = trainer.get("devices", 1)
    if trainer.get("strategy") != "ddp":
        if given not in (1, "1") and not (isinstance(given, Sequence) and len(given) == 1):
            raise UserError(
                f"trainer.devices: {given}; a run trains on one device: trainer.devices=1 or [N]; trainer=ddp takes "
                "several; to train several runs in parallel, start a sweep"
            )
        return []
    kind = trainer.get("accelerator", "auto")
    if kind in ("auto", "gpu"):
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else None
    if numbers is None and str(given).isdecimal() and int(given):
        numbers = list(range(int(given)))
    if not numbers or kind not in ("cpu", "cuda") or not all(isinstance(each, int) for each in numbers):
        raise UserError(
            f"trainer.devices: {given} on {kind}; trainer=ddp takes a number of CPU processes or of GPUs, or a list of "
            "GPUs: trainer.devices=2 or [0,1]"
        )
    if kind == "cuda" and (max(numbers) >= torch.cuda.device_count() or min(numbers) < 0):
        raise UserError(f"trainer.devices: {given}; PyTorch finds {torch.cuda.device_count()} GPUs")
    if len(numbers) != len(set(numbers)):
        raise UserError(f"trainer.devices: {given} names a device twice")
    return [torch.device("cpu") if kind == "cpu" else torch.device("cuda", each) for each in numbers]


def processes(trainer: Mapping[str, Any]) -> int:
    """The processes of one run, on all its machines."""
    return max(1, len(devices(trainer))) * int(trainer.get("num_nodes", 1))


def check_accelerator(config: Mapping[str, Any]) -> None:
    """Check the devices and the precision before any data is prepared.

    Raises:
        UserError: a GPU that is not available, several devices that cannot be used, or half precision.
    """
    trainer = config["trainer"]
    started = int(os.environ.get("WORLD_SIZE", 1)) if "TORCHELASTIC_RUN_ID" in os.environ else 0
    if started > 1 and trainer.get("strategy") != "ddp":
        raise UserError(f"trainer: torchrun has started {started} processes for one run; write trainer=ddp")
    if started and trainer.get("strategy") == "ddp" and processes(trainer) != started:
        raise UserError(
            f"trainer.devices: {processes(trainer)} processes, with trainer.num_nodes={trainer.get('num_nodes', 1)}, "
            f"but torchrun has started {started}"
        )
    if trainer.get("accelerator") in ("cuda", "gpu") and not torch.cuda.is_available():
        raise UserError(
            f"trainer.accelerator: PyTorch {torch.__version__} finds no CUDA GPU for {trainer['accelerator']}; "
            "use trainer=cpu"
        )
    several, batch_size = processes(trainer), config["loader"]["batch_size"]
    if 1 < several > batch_size:
        raise UserError(
            f"trainer.devices: {several} processes, but loader.batch_size={batch_size}: an update is divided by its "
            f"pairs, so it needs at least {several}; write loader.batch_size=64, for example, or trainer.devices=1"
        )
    if str(precision := trainer.get("precision") or "32-true") not in ("32", "32-true", *DOUBLE):
        raise UserError(f"trainer.precision: {precision}; a run trains in 32-true or 64-true")
