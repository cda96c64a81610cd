"""What was expected of some runs before they were trained: plan.md dates it, `planned` tests it."""

from collections.abc import Mapping
from dataclasses import dataclass

BETTER, WORSE = "better", "worse"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was expected of methods, one family of tests with Holm's correction.

    Attributes:
        task: the task of `plan.TASKS` whose runs they are.
        expected: method → `BETTER` or `WORSE`.
        others: the methods that are not expected to differ have a row too, as each may be as good.
        pairs: the pairs of TASK-shift_runs.csv that are translated; by default, the test part.
        against: the method that the others are compared with.
        beyond: a task with the same methods and seeds: what is compared is what a run has more than the one there, so
            that the difference of two methods is that of their differences in both tasks.
    """

    task: str
    expected: Mapping[str, str]
    others: bool = False
    pairs: str = ""
    against: str = "full"
    beyond: str = ""

    @property
    def compared(self) -> str:
        """What the column of the differences is called."""
        return "difference of both differences" if self.beyond else f"difference from {self.against}"


OF_FOUR = {"RAML": BETTER, "R-Drop": BETTER, "free": WORSE, "two-pass": WORSE}
OF_REWARD = {"smoothing": BETTER, "self-critical": BETTER}
OF_OWN_WORDS = dict.fromkeys(("free", "optimal-completion", "confidence", "mixed", "two-pass"), BETTER)
PLANS = {
    "sounds": Plan(task="sounds", expected=OF_FOUR, others=True),
    "sentences": Plan(task="sentences", expected=OF_FOUR, others=True),
    "sentences-longer": Plan(
        task="sentences",
        pairs="longer",
        expected={"R-Drop": BETTER, "free": WORSE, "confidence": WORSE},
        others=True,
    ),
    "sentences-control": Plan(task="sentences", against="smoothing", expected={"R-Drop": BETTER}),
    "sentences-longer-control": Plan(
        task="sentences", pairs="longer", against="smoothing", expected={"R-Drop": BETTER}
    ),
    "sentences-others": Plan(
        task="sentences", expected={"confidence-soft": BETTER, "optimal-completion": WORSE}
    ),
    "sentences-longer-others": Plan(
        task="sentences",
        pairs="longer",
        expected=dict.fromkeys(
            ("mixed", "scheduled-down", "scheduled-up", "uniform", "optimal-completion"), WORSE
        ),
    ),
    "sentences-longer-curricula": Plan(
        task="sentences",
        pairs="longer",
        against="scheduled-up",
        expected={"scheduled-down": BETTER},
    ),
    "sentences-continued": Plan(
        task="sentences-continued",
        expected=OF_REWARD | {"free": WORSE, "optimal-completion": WORSE},
        others=True,
    ),
    "sentences-continued-longer": Plan(
        task="sentences-continued",
        pairs="longer",
        expected=OF_REWARD | {"R-Drop": BETTER, "free": WORSE, "optimal-completion": WORSE},
        others=True,
    ),
    "sentences-continued-control": Plan(
        task="sentences-continued", against="constant-reward", expected={"self-critical": BETTER}
    ),
    "sentences-continued-longer-control": Plan(
        task="sentences-continued",
        pairs="longer",
        against="constant-reward",
        expected={"self-critical": BETTER},
    ),
    "sentences-continued-beyond": Plan(task="sentences-continued", beyond="sentences", expected=OF_OWN_WORDS),
    "sentences-continued-longer-beyond": Plan(
        task="sentences-continued",
        beyond="sentences",
        pairs="longer",
        expected=OF_OWN_WORDS,
    ),
    # Looked at afterwards: the same hypothesis with other runs of part 2, by whose results no method was chosen.
    "sentences-continued-beyond-first": Plan(
        task="sentences-continued",
        beyond="sentences-first",
        expected=OF_OWN_WORDS | dict.fromkeys(("scheduled-down", "uniform"), BETTER),
    ),
    "sentences-continued-others": Plan(
        task="sentences-continued",
        expected=dict.fromkeys(("scheduled-down", "confidence-soft"), WORSE),
    ),
    "sentences-continued-longer-others": Plan(
        task="sentences-continued",
        pairs="longer",
        expected={"scheduled-down": WORSE, "RAML": BETTER, "teacher": BETTER},
    ),
    "sentences-continued-longer-curricula": Plan(
        task="sentences-continued",
        pairs="longer",
        against="scheduled-up",
        expected={"scheduled-down": WORSE},
    ),
    "sentences-continued-others-beyond": Plan(
        task="sentences-continued",
        beyond="sentences",
        expected=dict.fromkeys(("scheduled-down", "uniform", "confidence-soft"), BETTER),
    ),
    "sounds-continued": Plan(
        task="sounds-continued",
        expected={
            **dict.fromkeys(("confidence", "confidence-soft", "RAML"), WORSE),
            "self-critical": BETTER,
        },
        others=True,
    ),
    "sounds-continued-beyond": Plan(
        task="sounds-continued",
        beyond="sounds",
        expected=dict.fromkeys(("confidence", "confidence-soft", "RAML"), BETTER),
    ),
    "transformer": Plan(task="transformer", expected={"smoothing": BETTER, "mixed": WORSE}),
    "transformer-longer": Plan(
        task="transformer",
        pairs="longer",
        expected={"smoothing": BETTER, "mixed": WORSE},
        others=True,
    ),
    "transformer-two-pass": Plan(task="transformer", expected={"two-pass": WORSE}),
    "corpus": Plan(task="corpus", expected={"smoothing": BETTER, "mixed": WORSE}),
    "corpus-noise": Plan(task="corpus", expected={"word-dropout": WORSE, "RAML": WORSE}),
    "corpus-R-Drop": Plan(task="corpus", expected={"R-Drop": BETTER}),
    "corpus-uniform": Plan(task="corpus", expected={"uniform": WORSE}),
    "scan-length": Plan(task="scan-length", expected={"mixed": BETTER, "smoothing": BETTER}, others=True),
    "transformer-beyond": Plan(task="transformer", beyond="sentences", expected={}, others=True),
    "transformer-longer-beyond": Plan(
        task="transformer", beyond="sentences", pairs="longer", expected={}, others=True
    ),
}
