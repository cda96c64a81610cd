"""A run on disk: its folder, its name, its configuration, and how to load it again."""

import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seq2seq_lab import __version__
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import write_text
from seq2seq_lab.runs import layout

if TYPE_CHECKING:
    from seq2seq_lab.models import Seq2Seq

# Groups and keys that the first part of a name tells already, or that do not decide what a run learns.
_NAMED = ("model", "forcing", "forcing.ratio")
_UNNAMED = (
    *layout.INCIDENTAL,
    "seed",
    "experiment",
    "trainer",
    "logger",
    "callbacks",
    "data.archive",
    "monitor",
)
_LONGEST = 120  # characters of a name; file systems allow 255


def derived_name(choices: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """`model-forcing[-ratio]`, e.g. `attention-mixed-0.5`."""
    parts = [choices["model"], choices["forcing"]]
    if "ratio" in config["forcing"]:
        parts.append(str(config["forcing"]["ratio"]))
    return "-".join(parts)


def run_folder(config: Mapping[str, Any], overrides: Sequence[str], named: bool) -> Path:
    """Where a run lies: `[overrides/]name/seed-N` below the output directory.

    Args:
        config: the resolved configuration.
        overrides: of the command line, `key=value`.
        named: whether the configuration gave the name; else model and forcing are told by the name itself.
    """
    unnamed = _UNNAMED if named else (*_UNNAMED, *_NAMED)
    told = {}  # by key and in its order, as that of the command line means nothing; the last one holds
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key not in unnamed and not key.startswith("hydra"):
            told[key] = value if key == "data" else f"{key.rpartition('.')[2]}={value}"
    parent = re.sub(r"[^\w.,=+-]+", "_", ",".join(told[key] for key in sorted(told)))
    if len(parent) > _LONGEST:
        parent = parent[:_LONGEST] + "~" + hashlib.sha256(parent.encode()).hexdigest()[:8]
    return Path(str(config["output_dir"]), parent, str(config["name"]), f"seed-{config['seed']}")


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration decides what is learnt."""
    return {key: value for key, value in config.items() if key not in layout.INCIDENTAL}


def machine() -> str:
    """The machine in a few words, for figures to be read with."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
        processor = names[0] if names else processor
    return f"{platform.system()}, {os.cpu_count()} × {processor}"


def commit() -> str | None:
    """The commit of the checkout that the package runs from; None where it is installed from a wheel."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # there is no git
        return None
    return answer.stdout.strip() or None


class Run:
    """A run's folder.

    Args:
        folder: where it is, or is to be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def last_checkpoint(self) -> Path:
        """The state that a resumed run goes on from."""
        return self.folder / layout.CHECKPOINTS / layout.LAST

    @property
    def best_checkpoint(self) -> Path:
        """The state that was best by the monitored metric."""
        return self.folder / layout.CHECKPOINTS / layout.BEST

    def exists(self) -> bool:
        """Whether the folder is a run's."""
        return (self.folder / layout.CONFIG).exists()

    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return yaml.safe_load((self.folder / layout.CONFIG).read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def summary(self) -> dict[str, Any]:
        """The summary; empty where none was written."""
        path = self.folder / layout.SUMMARY
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def begin(
        self,
        config: Mapping[str, Any],
        corpus: Corpus,
        *,
        max_length: int,
        loss_floor: float,
        measures: Mapping[str, Any],
        command: str | None = None,
    ) -> None:
        """Make the folder a run's.

        Args:
            config: the resolved configuration.
            corpus: what it trains on.
            max_length: positions that the model's hypotheses have at most.
            loss_floor: the training loss that no model can go below.
            command: the command line that launched it; None: that of this process.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        vocabularies = {
            "source": corpus.source_vocabulary.to_list(),
            "target": corpus.target_vocabulary.to_list(),
            "normalise": asdict(corpus.normalise),
            "max_length": max_length,
        }
        write_text(self.folder / layout.VOCABULARIES, json.dumps(vocabularies, ensure_ascii=False))
        self.write_summary(
            status="running",
            epochs=0,
            last={},
            best={},
            seconds=0.0,
            version=__version__,
            commit=commit(),
            machine=machine(),
            command=command or shlex.join(sys.argv),
            corpus={
                "fingerprint": corpus.fingerprint,
                "pairs": len(corpus),
                "loss_floor": loss_floor,
                "origin": corpus.origin,
            },
            measures=dict(measures),
            started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        )
        write_text(
            self.folder / layout.CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training into the folder meanwhile.

        Raises:
            UserError: another one is at it.
        """
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / layout.LOCK, timeout=0):
                yield
        except Timeout:
            raise UserError(
                f"{self.folder} is being trained by another process; wait for it, or give this run a name=… of "
                "its own"
            ) from None

    def clear(self) -> None:
        """Remove what an earlier run left here; other files stay."""
        names = (layout.CONFIG, layout.SUMMARY, layout.METRICS, layout.TRANSLATIONS, layout.VOCABULARIES)
        of_tensorboard = (*self.folder.glob("events.out.tfevents.*"), self.folder / "hparams.yaml")
        for path in (*(self.folder / name for name in names), *of_tensorboard):
            path.unlink(missing_ok=True)
        for path in (self.last_checkpoint, self.best_checkpoint):
            path.unlink(missing_ok=True)

    def write_summary(self, **changes: Any) -> None:
        """Change entries of the summary, keep the others."""
        summary = self.summary() | changes
        write_text(self.folder / layout.SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")

    def difference(self, config: Mapping[str, Any]) -> str | None:
        """The first key by which this run is another one than `config` says; None where it is the same."""
        return _first_difference(identity(self.config()), identity(config))


def _first_difference(one: Any, other: Any, path: str = "") -> str | None:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in [*one, *(key for key in other if key not in one)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in one or key not in other:
                return below
            if found := _first_difference(one[key], other[key], below):
                return found
        return None
    return None if one == other else path


@dataclass(frozen=True)
class Vocabularies:
    """The words of both sides, how raw sentences become them, and how long a translation may get.

    `max_length` counts `<eos>`, and `<sos>` where the model predicts it.
    """

    source: Vocabulary
    target: Vocabulary
    normalise: Normalisation
    max_length: int


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents, on the CPU.

    Raises:
        UserError: it is damaged.
    """
    import torch

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state["state_dict"]
    except Exception as error:  # damage surfaces as nearly any
        raise UserError(f"{path}: damaged; copy it again, or train anew with fresh=true") from error
    return state


def load_run(path: str | Path, *, best: bool = False) -> "tuple[dict[str, Any], Seq2Seq, Vocabularies]":
    """A trained model: its configuration, the model in evaluation mode, its vocabularies.

    Args:
        path: the run's folder.
        best: the best checkpoint instead of the last.

    Raises:
        UserError: the folder is no run, or the run has no checkpoint yet.
    """
    run = Run(Path(path))
    if not run.exists():
        what = "is no run: it has no config.yaml" if run.folder.exists() else "does not exist"
        raise UserError(f"{path} {what}; a run's folder looks like outputs/attention-mixed-0.5/seed-0")
    checkpoint = run.best_checkpoint if best else run.last_checkpoint
    if not checkpoint.exists():
        raise UserError(f"{path} has no checkpoint {checkpoint.name} yet; let the run finish its first epoch")

    from seq2seq_lab.config.build import build, call

    config = run.config()
    words = json.loads((run.folder / layout.VOCABULARIES).read_text(encoding="utf-8"))
    vocabularies = Vocabularies(
        Vocabulary.from_list(words["source"]),
        Vocabulary.from_list(words["target"]),
        Normalisation(**words["normalise"]),
        words["max_length"],
    )
    model = call(
        build(config["model"], "model"),
        "model",
        source_vocabulary_size=len(vocabularies.source),
        target_vocabulary_size=len(vocabularies.target),
    )
    state = read_checkpoint(checkpoint)["state_dict"]
    model.to(next(iter(state.values())).dtype)  # trained in double precision, it stays so
    prefix = "model."
    model.load_state_dict({key.removeprefix(prefix): value for key, value in state.items()})
    return config, model.eval(), vocabularies
