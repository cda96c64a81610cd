"""What each method has beside full forcing, in one figure: `python -m experiments.exposure_bias.overview`.

Writes overview.png from the CSV files of the runs that are there: a panel for each task of parts 2 to 4, and for the
longer sentences of part 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.exposure_bias.plan import TASKS
from experiments.exposure_bias.planned import read_values
from experiments.exposure_bias.quality import STUDY
from experiments.tables import paired_differences, run
from seq2seq_lab.compare.statistics import ALPHA, Difference
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import measure

SEEN, NOT_SEEN = "#1f4e8c", "#8a8a8a"
COLUMNS = 4  # panels side by side


@dataclass(frozen=True)
class Panel:
    """The differences of a task's methods from full forcing.

    Attributes:
        pairs: as in `expected.Plan.pairs`.
    """

    title: str
    task: str
    pairs: str = ""

    @property
    def better(self) -> str:
        """What the axis says."""
        quality = TASKS[self.task].quality.removeprefix("test/")
        return f"{quality} − full" + (", reversed" if self.lower else "")

    @property
    def lower(self) -> bool:
        """Whether a lower quality is better."""
        return measure(TASKS[self.task].quality).better == "lower"

    def differences(self) -> Mapping[str, tuple[Difference, float]]:
        """Method → difference from full forcing, paired by seed, and its p-value with Holm's correction over methods;
        empty where no run is there."""
        values = read_values(self.task, self.pairs)
        return paired_differences(values, TASKS[self.task].quality) if "full" in values else {}


PANELS = (
    Panel("sentences", "sentences"),
    Panel("longer sentences", "sentences", "longer"),
    Panel("sentences, a Transformer", "transformer"),
    Panel("the whole corpus", "corpus"),
    Panel("sentences, from trained weights", "sentences-continued"),
    Panel("spelling to sounds", "sounds"),
    Panel("sounds, from trained weights", "sounds-continued"),
    Panel("SCAN, longer outputs", "scan-length"),
)


def draw(panels: Sequence[Panel]) -> Figure:
    """A panel for each that has runs: the mean difference of each method, and its 95 % interval."""
    found = {panel: its for panel in panels if (its := panel.differences())}
    methods = list(dict.fromkeys(method for its in found.values() for method in its))
    beside = min(COLUMNS, len(found))
    below = -(-len(found) // beside)
    size = (2.6 * beside, below * (0.24 * len(methods) + 1))
    figure = Figure(figsize=size, layout="constrained")
    places = figure.subplots(below, beside, sharey=True, squeeze=False)
    for empty in places.flat[len(found) :]:
        empty.set_axis_off()
    for place, (panel, its) in zip(places.flat, found.items(), strict=False):
        for row, method in enumerate(methods):
            if method in its:
                _row(place, row, *its[method])
        place.axvline(0, color="#444444", linewidth=0.8)
        place.set_title(panel.title, fontsize=10)
        place.set_xlabel(panel.better, fontsize=8)
        place.grid(axis="x", color="#dddddd", linewidth=0.6)
        place.set_axisbelow(True)
        place.locator_params(axis="x", nbins=4)
        place.spines[["top", "right"]].set_visible(False)
        if panel.lower:
            place.invert_xaxis()  # better is to the right in each panel
    for place in places[:, 0]:
        place.set_yticks(range(len(methods)), methods, fontsize=9)
    places[0, 0].invert_yaxis()
    return figure


def _row(place: Axes, row: int, difference: Difference, p: float) -> None:
    color = SEEN if p < ALPHA else NOT_SEEN
    place.plot([difference.low, difference.high], [row, row], color=color, linewidth=1.6)
    place.plot(difference.mean, row, "o", color=color, markersize=5)


def main(arguments: list[str]) -> None:
    """Write the figure."""
    if arguments:
        raise UserError("usage: overview")
    draw(PANELS).savefig(STUDY / "overview.png", dpi=110)


if __name__ == "__main__":
    run(main)
