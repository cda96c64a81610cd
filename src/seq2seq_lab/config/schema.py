"""The groups and the root keys of a configuration: the one place where either is added."""

from typing import Literal, TypedDict

# The groups of which a run takes one option each.
GROUPS = (
    "data",
    "split",
    "model",
    "forcing",
    "target",
    "objective",
    "optimizer",
    "lr_schedule",
    "trainer",
    "logger",
    "callbacks",
    "measures",
    "accelerate",
)
# Groups that had another name in an earlier version.
RENAMED = {"schedule": "lr_schedule"}
# Those whose options are sets of named nodes; an option of the others is one node.
SETS = ("logger", "callbacks", "measures", "accelerate")
# The group of whole experiments; a run takes one of its options or none.
EXPERIMENT = "experiment"
# The node of `target=gold`, which runs of before there were targets learnt.
GOLD = {"_target_": "seq2seq_lab.targets.gold.Gold"}
# Root keys that hold one node each, which no group provides.
NODES = ("loader",)
# Bytes of the name of a folder: file systems allow 255, and two hashes may be appended.
LONGEST_NAME = 230
# The key that the run itself adds: the option that was chosen in each group.
CHOICES = "choices"
# Another one, where the run is made of the user's own modules: the hash of the source of each.
CODE = "code"


class Monitor(TypedDict):
    """The metric that decides which checkpoint is the best one."""

    metric: str
    mode: Literal["min", "max"]


class Reference(TypedDict):
    """A curve of a CSV file that a run is shown beside."""

    file: str
    curve: str
    metric: str


class Root(TypedDict):
    """The keys of a configuration that belong to no group, and their types."""

    seed: int
    name: str | None
    output_dir: str
    fresh: bool
    compare: bool
    stop_after_failures: int | None
    threads: int | None
    init_from: str | None
    init_from_checkpoint: Literal["last", "best"]
    gradient_clip: float | None
    segments: Literal["source", "pair"]
    monitor: Monitor
    reference: Reference | None
    notify: str | None
