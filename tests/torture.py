"""Kill sweeps at random moments, start them again, and compare everything with undisturbed sweeps: `make torture`.

    python tests/torture.py [KILLS] [SEED]

Sweeps over three models, a coin a sentence and a word, single sentences and mini-batches with dropout and Adam, a
schedule, and an end by validation, in one process and in two. Each is killed with SIGKILL, all of its processes, again
and again until it has ended by itself. Then every weight, curve, sample and event file must be equal to those of the
same sweep undisturbed.
Prints the number of kills and of differences; exit status 1 if there is a difference.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kills
import tiny
from seq2seq_lab.files import TEMPORARY

COMMON = (
    "data=toy",
    "data.pairs=60",
    "model.hidden_size=8",
    "loader.updates_per_block=4",
    "callbacks.translations.maps=0",
    "callbacks.translations.sentences=2",
    "threads=1",
    "compare=false",
    "forcing=mixed",
    "forcing.unit=sentence,position",
    "seed=0,1",
)
RECURRENT = ("model=seq2seq,attention", "model.embedding_size=8")
SWEEPS = {
    "sentences": (*RECURRENT, "trainer.max_epochs=8"),
    "batches-dropout-adam": (
        *RECURRENT,
        "loader.batch_size=8",
        "model.dropout=0.2",
        "optimizer=adam",
        "trainer.max_epochs=8",
    ),
    "scheduled": (
        *RECURRENT,
        "forcing=scheduled",
        "loader.batch_size=4",
        "optimizer=adam",
        "lr_schedule=cosine",
        "trainer.max_epochs=8",
    ),
    "transformer": (
        "model=transformer",
        "model.heads=2",
        "model.dropout=0.4",
        "loader.batch_size=8",
        "optimizer=adam",
        "callbacks=[default,early_stopping]",
        "split.test=0.2",
        "trainer.max_epochs=8",
    ),
}
LAUNCHERS = {"one process": (), "two processes": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")}


def start(outputs, overrides):
    command = [
        sys.executable,
        "-m",
        "seq2seq_lab",
        "train",
        "-m",
        *COMMON,
        *overrides,
        f"output_dir={outputs}",
    ]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill_all(sweep):
    """Kill all processes of a sweep's session at once."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            session = int(path.read_text().rpartition(")")[2].split()[3])
            if session == sweep.pid:
                os.kill(int(path.parent.name), signal.SIGKILL)
        except (OSError, ValueError, IndexError):
            continue
    sweep.wait()


def outcomes(outputs):
    return {folder.relative_to(outputs).as_posix(): kills.outcome(folder) for folder in tiny.folders(outputs)}


def main(wanted=100, seed=0):
    rng = random.Random(seed)
    killed = different = compared = 0
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = {}
        number = 0
        while killed < wanted:
            for name, overrides in SWEEPS.items():
                if name not in undisturbed:
                    started = time.monotonic()
                    assert start(f"{folder}/{name}/undisturbed", overrides).wait() == 0
                    undisturbed[name] = (
                        outcomes(Path(folder, name, "undisturbed")),
                        time.monotonic() - started,
                    )
                expected, seconds = undisturbed[name]
                assert expected
                for launcher, how in LAUNCHERS.items():
                    number += 1
                    outputs = Path(folder, name, str(number))
                    before = killed
                    while killed - before < 12:
                        sweep = start(outputs, (*overrides, *how))
                        try:
                            sweep.wait(timeout=rng.uniform(0.3, 0.7) * seconds if rng.random() < 0.9 else 1)
                            break
                        except subprocess.TimeoutExpired:
                            kill_all(sweep)
                            killed += 1
                    assert start(outputs, (*overrides, *how)).wait() == 0
                    found = outcomes(outputs)
                    assert found.keys() == expected.keys()
                    wrong = {run: kills.different(found[run], expected[run]) for run in found}
                    wrong = {run: parts for run, parts in wrong.items() if parts}
                    left = [path.name for path in outputs.rglob(TEMPORARY)]
                    left += [path.name for path in outputs.rglob("sweep-*")]
                    compared += len(found)
                    different += len(wrong) + len(left)
                    what = f"{name}, {launcher}: {killed - before} kills, {len(found)} runs"
                    print(f"{what}, differences: {wrong or 0}, files left: {left or 0}", flush=True)
    print(f"{killed} kills, {compared} runs compared with undisturbed ones, {different} differences")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
