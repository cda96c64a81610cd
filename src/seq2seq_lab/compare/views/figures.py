"""Draw panels and a legend once, as files for a paper and as SVG elements for the report."""

import io
import re
import textwrap
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import ceil, inf, sqrt
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from seq2seq_lab.compare.views.appearance import Look
from seq2seq_lab.errors import printable
from seq2seq_lab.evaluation.fonts import other_scripts
from seq2seq_lab.files import replacing, write_text

# The report replaces these by the colours of the browser's theme, so nothing else may use them.
INK, GRID = "#1f2328", "#d7dade"
_PANEL = (5.2, 3.4)  # inches
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.9, 0.15, 0.5, 0.35  # inches around the axes of a panel
_TITLE = 0.25  # inches at the top of a panel for its title
_POINTS = 72  # units per inch in matplotlib's SVG
_FIXED = "\u00a0"  # a space at which no line is broken
_LEGEND_LINE = 0.2  # inches
_TITLE_LINE = 0.17  # inches
_SAMPLE = 0.7  # inches of a line in the legend, with the space around it
_CHARACTER = 0.075  # inches, of one of average width
_SIGNS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
_HOLLOW = {"○": "o", "□": "s", "△": "^"}
_SVG, _HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
ElementTree.register_namespace("", _SVG.strip("{}"))
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.fonttype": "none",  # keep text as text: the files are smaller and the text can be searched
    "svg.hashsalt": "seq2seq-lab",  # the same runs give the same file, byte for byte
    "axes.facecolor": "none",
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Plot:
    """The contents of a plot file.

    Attributes:
        name: name of its files, without a suffix.
        title: title of the plot.
        panels: title → function that draws the panel.
        legend: label → look.
    """

    name: str
    title: str
    panels: Mapping[str, Callable[[Axes], None]]
    legend: Mapping[str, Look]


@contextmanager
def _styled() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()  # the user's matplotlibrc must not change the result
        mpl.rcParams.update(_STYLE)
        with other_scripts():
            yield


def save(plot: Plot, folder: Path) -> dict[str, str]:
    """Write a plot as PNG, PDF and SVG; the same runs give the same bytes.

    Returns:
        Title → SVG element of each panel, for an HTML page: with the page's colours and unique ids.
    """
    with _styled():
        figure = _figure(plot)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        write_text(folder / f"{plot.name}.svg", text.getvalue())
        with replacing(folder / f"{plot.name}.png") as path:
            figure.savefig(path, format="png", dpi=150)
        with replacing(folder / f"{plot.name}.pdf") as path:
            figure.savefig(path, format="pdf", metadata={"CreationDate": None})
    return _panels(text.getvalue(), plot)


def discard(pattern: str, folder: Path, *, keep: Container[str]) -> None:
    """Remove the plots of an earlier comparison whose names match, except `keep`."""
    for svg in folder.glob(f"{pattern}.svg"):
        others = [svg.with_suffix(suffix) for suffix in (".png", ".pdf")]
        if svg.stem not in keep and others[0].exists():
            for path in (svg, *others):
                path.unlink(missing_ok=True)


def _columns(plot: Plot) -> int:
    return min(3, ceil(sqrt(len(plot.panels))))


def _figure(plot: Plot) -> Figure:
    """All panels in a grid, and the legend below them."""
    columns = _columns(plot)
    rows = ceil(len(plot.panels) / columns)
    width = _PANEL[0] * columns
    labels = [_wrapped(plain(label), width - _SAMPLE) for label in plot.legend]
    longest = max((len(line) for label in labels for line in label.splitlines()), default=0)
    across = max(1, int(width / (_SAMPLE + _CHARACTER * longest)))
    tall = max((label.count("\n") for label in labels), default=0)
    below = _LEGEND_LINE * (1.5 + (1 + tall) * ceil(len(labels) / across))
    figure, axes = _grid(columns, rows, below=below, more=_more(plot))
    for number, (place, (title, draw)) in enumerate(zip(axes, plot.panels.items(), strict=False)):
        place.set_gid(f"panel-{number}")
        place.set_title(_title(title)).set_gid(f"title-{number}")
        draw(place)
        place.set_ylabel(_wrapped(place.get_ylabel(), _PANEL[1] - _BOTTOM - _TOP))
    for place in axes[len(plot.panels) :]:
        place.set_axis_off()
    lines = [Line2D([], [], **line_style(look)) for look in plot.legend.values()]
    corner = (0, 0.1 / figure.get_figheight())
    figure.legend(lines, labels, loc="lower left", bbox_to_anchor=corner, ncols=across, handlelength=3)
    return figure


def _wrapped(text: str, inches: float) -> str:
    """A text in as many lines as it needs, broken before a bracket that fits a line and not within it."""
    width = max(20, int(inches / _CHARACTER))

    def whole(bracket: re.Match[str]) -> str:
        return bracket[0].replace(" ", _FIXED) if len(bracket[0]) <= width else bracket[0]

    lines = textwrap.fill(re.sub(r"\([^()]*\)", whole, text), width, break_on_hyphens=False)
    return lines.replace(_FIXED, " ")


def _title(text: str) -> str:
    name, mark, corpus = plain(text).partition(" · ")
    return _wrapped(f"{name}{mark}{corpus.replace(' ', _FIXED)}", _PANEL[0] - _LEFT - _RIGHT)


def _more(plot: Plot) -> float:
    """Inches that the titles of the panels need beside those of one line."""
    return _TITLE_LINE * max((_title(title).count("\n") for title in plot.panels), default=0)


def _grid(columns: int, rows: int, *, below: float, more: float) -> tuple[Figure, list[Axes]]:
    """Panels with fixed margins, in inches, because matplotlib takes almost a second to measure the text.

    Args:
        below: inches for the legend.
        more: inches that the titles need beside those of one line.
    """
    top, panel = _TOP + more, _PANEL[1] + more
    width, height = columns * _PANEL[0], rows * panel + below
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        bottom=(_BOTTOM + below) / height,
        top=1 - top / height,
        wspace=(_LEFT + _RIGHT) / (_PANEL[0] - _LEFT - _RIGHT),
        hspace=(_BOTTOM + top) / (panel - _BOTTOM - top),
    )
    return figure, list(axes.flat)


def _panels(svg: str, plot: Plot) -> dict[str, str]:
    """The panels of a plot's SVG without their titles, each as an element of its own."""
    root = ElementTree.fromstring(svg)
    elements = {each.get("id"): each for each in root.iter()}
    more = _more(plot)
    width, height = _PANEL[0], _PANEL[1] + more
    found = {}
    for number, title in enumerate(plot.panels):
        drawing = elements[f"panel-{number}"]
        drawing.remove(elements[f"title-{number}"])
        # A marker is defined in the first panel that uses it, and the clip paths of all panels at the end.
        here = {each.get("id") for each in drawing.iter()}
        missing = [elements[each] for each in dict.fromkeys(_references(drawing)) if each not in here]
        row, column = divmod(number, _columns(plot))
        box = (column * width, row * height + _TITLE + more, width, height - _TITLE - more)
        element = ElementTree.Element(
            f"{_SVG}svg", {"viewBox": " ".join(f"{_POINTS * inches:g}" for inches in box)}
        )
        ElementTree.SubElement(element, f"{_SVG}defs").extend(missing)
        element.append(drawing)
        found[title] = _embedded(element, f"{plot.name}-{number}-")
    return found


def _references(drawing: ElementTree.Element) -> Iterator[str]:
    """The ids of what a drawing uses."""
    for each in drawing.iter():
        for value in (each.get(_HREF, ""), each.get("clip-path", "")):
            if "#" in value:
                yield value.partition("#")[2].rstrip(")")


def _embedded(element: ElementTree.Element, prefix: str) -> str:
    """An element for an HTML page: with ids that are unique there, and in the colours of the page."""
    element = deepcopy(element)  # what panels share has an id in each of them
    for each in element.iter():
        for key, mark in (("id", ""), (_HREF, "#"), ("clip-path", "url(#")):
            if value := each.get(key):
                each.set(key, f"{mark}{prefix}{value.removeprefix(mark)}")
        if _HREF in each.attrib:  # in HTML a prefix of a namespace means nothing: the mark would not be drawn
            each.set("href", each.attrib.pop(_HREF))
    text = ElementTree.tostring(element, encoding="unicode")
    return text.replace(INK, "currentColor").replace(GRID, "var(--grid)")


def plain(text: str) -> str:
    """A text that matplotlib draws: without control characters, and dollar signs are no mathematics."""
    return printable(text).replace("\t", " ").replace("$", r"\$")


def with_room(places: Sequence[float], labels: Sequence[str]) -> list[str]:
    """The labels of places along the axis of a panel, which increase; empty where one has no room after another.

    As matplotlib has it, the first and the last place have a twentieth of their distance around them.
    """
    inches = (_PANEL[0] - _LEFT - _RIGHT) / 1.1
    span = places[-1] - places[0] or 1.0  # of a single place
    found: list[str] = []
    free = -inf  # where the last label ends, with a space
    for place, label in zip(places, labels, strict=True):
        middle = inches * (place - places[0]) / span
        half = _CHARACTER * len(label) / 2
        found.append(label if middle - half >= free else "")
        if found[-1]:
            free = middle + half + _CHARACTER
    return found


def line_style(look: Look) -> dict[str, Any]:
    """A look as keyword arguments for matplotlib."""
    style = ("none" if not look.line else (0, look.dashes)) if look.dashes or not look.line else "-"
    marker = {"marker": _HOLLOW.get(look.marker, look.marker) or None}
    return {"color": look.colour, "linestyle": style, **marker} | (
        {"markerfacecolor": "none"} if look.marker in _HOLLOW else {}
    )


def sample(look: Look) -> dict[str, str]:
    """A look for the legend of an HTML page: colour, whether there is a line, its dashes, and its marker."""
    return {
        "colour": "currentColor" if look.colour == INK else look.colour,
        "line": "yes" if look.line else "",
        "dashes": " ".join(f"{2 * length:g}" for length in look.dashes),
        "sign": _SIGNS.get(look.marker, look.marker),
    }
