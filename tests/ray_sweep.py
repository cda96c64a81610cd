"""A sweep on a local Ray: `make test-ray`. Its runs must equal those that were trained without it."""

import subprocess
import sys
import tempfile
from pathlib import Path

import kills
import tiny

COMMON = (
    "data=toy",
    "data.pairs=60",
    "model.hidden_size=8",
    "model.embedding_size=8",
    "loader.batch_size=4",
    "callbacks.translations.maps=0",
    "threads=1",
    "trainer.max_epochs=3",
    "forcing=full,mixed",
)


def train(outputs, *overrides):
    command = [
        sys.executable,
        "-m",
        "seq2seq_lab",
        "train",
        "-m",
        *COMMON,
        f"output_dir={outputs}",
        *overrides,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    print(done.stdout[-600:], done.stderr[-600:])
    return done.returncode


def main():
    with tempfile.TemporaryDirectory() as folder:
        alone, on_ray = Path(folder, "alone"), Path(folder, "ray")
        diverges = ("--sweep", "seed=0,1", "--sweep", "seed=2", "optimizer.lr=1e38")
        assert train(on_ray, "hydra/launcher=ray", *diverges) == 1, "a run fails, the others go on"
        assert train(alone, "seed=0,1") == 0
        runs = [path.relative_to(alone) for path in tiny.folders(alone)]
        assert runs == [
            path.relative_to(on_ray) for path in tiny.folders(on_ray) if "lr=1e+38" not in str(path)
        ]
        for run in runs:
            wrong = kills.different(kills.outcome(on_ray / run), kills.outcome(alone / run))
            assert not wrong, (run, wrong)
        print(f"{len(runs)} runs on Ray equal those without it")


if __name__ == "__main__":
    main()
