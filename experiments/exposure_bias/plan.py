"""What the study trains on quality: its methods, and its tasks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import UserError

Settings = Mapping[str, Any]
FEWEST = 3  # seeds of a method that is compared with others over methods or tasks
TEACHER = "teacher"  # the method that learns from a run of full forcing with another seed
METHODS: Mapping[str, Settings] = {
    "full": {"forcing": "full"},
    "free": {"forcing": "free"},
    "mixed": {"forcing": "mixed"},
    "scheduled-down": {"forcing": "scheduled", "forcing.share": 0.25},
    "scheduled-up": {"forcing": "scheduled", "forcing.share": 0.25, "forcing.start": 0.0, "forcing.end": 1.0},
    "two-pass": {"forcing": "two_pass"},
    "word-dropout": {"forcing": "word_dropout"},
    "uniform": {"forcing": "uniform"},
    "confidence": {"forcing": "confidence"},
    "confidence-soft": {
        "forcing": "confidence",
        "forcing/feeder": "soft",
        "forcing.feeder.gradient": False,
        "forcing.first_pass": 1.0,
    },
    "smoothing": {"forcing": "full", "objective.label_smoothing": 0.1},
    "RAML": {"forcing": "full", "target": "reward_sampled"},
    "optimal-completion": {"forcing": "free", "forcing/feeder": "sample", "target": "optimal_completion"},
    "R-Drop": {"forcing": "full", "objective": "r_drop"},
    TEACHER: {
        "forcing": "mixed",
        "forcing/feeder": "sample",
        "target": "teacher",
        "target.checkpoint": "best",  # the last one is of some validations later, when a run ends by validation
    },
}
# The methods that feed no word of the model itself.
NO_OWN_WORDS = ("full", "word-dropout", "uniform", "smoothing", "RAML", "R-Drop")
EXPOSURE = {"test/loss_forced": 3, "test/exposure_gap": 3, "test/recovery_second_best": 3}
OF_SENTENCES = {"test/bleu": 2, "test/chrf": 2, "test/exact_match": 3, **EXPOSURE}
OF_SYMBOLS = {"test/sequence_error_rate": 4, "test/symbol_error_rate": 4, **EXPOSURE}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of the study.

    Attributes:
        preset: `experiment=exposure_bias/PRESET`.
        rates: learning rates that are tried.
        measures: what is said of the test part → digits; the first one is the quality.
        as_good: a method is as good where the 90 % interval of its difference lies within this on both sides of 0.
        given: further settings of all of its runs.
        search: further settings of the runs that try learning rates.
        methods: name → settings; full forcing, which all others are compared with, is the first one.
        seeds: those of its results.
        splits: seeds of the split, which are 0, 1, …; the seeds of the results have them in turn.
        start: the task whose runs of full forcing give the initial weights, each to the run of its seed; empty: random.
        shifts: name → settings of the data, for pairs that are not of the corpus.
        reward: what self-critical training makes greater.
        folder, files: an environment variable that names a folder, and keys → files in it.
        kept: its runs had settings that are no longer those of the methods; their rows are kept, and none is trained.
    """

    preset: str
    rates: Sequence[float]
    measures: Mapping[str, int]
    as_good: float
    given: Settings = field(default_factory=dict)
    search: Settings = field(default_factory=dict)
    methods: Mapping[str, Settings] = field(default_factory=lambda: METHODS)
    seeds: Sequence[int] = range(6)
    splits: int = 1
    start: str = ""
    shifts: Mapping[str, Settings] = field(default_factory=dict)
    reward: str = "bleu"
    folder: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    kept: bool = False

    @property
    def quality(self) -> str:
        """The measure that methods are compared in."""
        return next(iter(self.measures))

    def split(self, seed: int) -> int:
        """The seed of the split that a run has; the search has the first one."""
        return seed % self.splits if seed in self.seeds else 0

    def in_order(self, methods: Sequence[str] = ()) -> list[list[str]]:
        """The methods that are named, or all; those of a list after the ones before, which some of them learn from."""
        named = methods or self.methods
        full = ["full"] if {"full", TEACHER} & {*named} else []
        return [*filter(None, (full, [each for each in self.methods if each in {*named} - {"full"}]))]

    def teacher(self, seed: int) -> int:
        """The seed of the run of full forcing that a run learns from: the next one with the same split, which has not
        seen the test part either."""
        others = [each for each in self.seeds if each != seed and self.split(each) == self.split(seed)]
        return min(others, key=lambda each: (each - seed) % len(self.seeds))

    def settings(self) -> dict[str, Any]:
        """The settings that all of its runs share.

        Raises:
            UserError: the environment variable of its files is not set.
        """
        found = {"experiment": f"exposure_bias/{self.preset}", **self.given}
        if self.files:
            if not (folder := os.environ.get(self.folder)):
                raise UserError(f"set {self.folder} to the folder of {', '.join(self.files.values())}")
            found |= {key: str(Path(folder) / file) for key, file in self.files.items()}
        return found


def continued(name: str, task: Task) -> Task:
    """A task that starts from the weights of another one, with smaller steps and the methods that need such weights."""
    own: Settings = {"forcing": "full", "objective": "self_critical", "~objective.label_smoothing": None}
    rewards = {"self-critical": task.reward, "constant-reward": "constant"}
    return replace(
        task,
        rates=[rate / 5 for rate in task.rates],
        given={**task.given, "init_from_checkpoint": "best", "trainer.max_epochs": 20},
        methods={**task.methods, **{key: {**own, "objective.reward": each} for key, each in rewards.items()}},
        start=name,
    )


OF_SEMINAR = {"other_prefixes": {"prefixes": []}, "longer": {"max_words": 10}}
TASKS = {
    "sentences": Task(
        preset="sentences",
        rates=(0.0005, 0.001, 0.002),
        measures=OF_SENTENCES,
        as_good=1,
        splits=3,
        shifts=OF_SEMINAR,
    ),
    "sounds": Task(
        preset="sounds",
        rates=(0.0005, 0.001, 0.002),
        measures=OF_SYMBOLS,
        as_good=0.01,
        reward="negative_per",
        folder="G2P_FOLDER",
        files={"data.train": "fre_train.tsv", "data.validation": "fre_dev.tsv", "data.test": "fre_test.tsv"},
    ),
    "transformer": Task(
        preset="transformer",
        rates=(0.0002, 0.0005, 0.001),
        measures=OF_SENTENCES,
        as_good=1,
        splits=3,
        shifts=OF_SEMINAR,
    ),
    "corpus": Task(
        preset="corpus",
        rates=(0.001, 0.002, 0.004),
        measures=OF_SENTENCES,
        as_good=1,
        search={"trainer.max_epochs": 1},
        seeds=range(3),
        splits=3,
    ),
    **{
        f"scan-{split}": Task(
            preset="scan",
            rates=(0.0005, 0.001, 0.002),
            measures=OF_SYMBOLS,
            as_good=0.05,
            given={"data.split_name": split},
            seeds=range(seeds),
        )
        for split, seeds in (("length", 6), ("jump", 3))
    },
    "paths": Task(
        preset="paths",
        rates=(0.0005, 0.001, 0.002),
        measures=OF_SYMBOLS,
        as_good=0.05,
        methods={
            name: each for name, each in METHODS.items() if name != "R-Drop"
        },  # its model has no dropout
        seeds=range(3),
    ),
}
TASKS["sentences-first"] = replace(TASKS["sentences"], kept=True)
TASKS |= {f"{name}-continued": continued(name, TASKS[name]) for name in ("sentences", "sounds")}
