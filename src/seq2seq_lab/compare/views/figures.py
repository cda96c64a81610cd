"""Draw panels and a legend once, as files for a paper and as SVG elements for the report."""

import io
import re
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from seq2seq_lab.compare.views.appearance import Look
from seq2seq_lab.errors import printable
from seq2seq_lab.files import replacing, write_text

# The report replaces these by the colours of the browser's theme, so nothing else may use them.
INK, GRID = "#1f2328", "#d7dade"
_PANEL = (5.2, 3.4)  # inches
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.75, 0.15, 0.5, 0.35  # inches around the axes of a panel
_TITLE = 0.25  # inches at the top of a panel for its title
_POINTS = 72  # units per inch in matplotlib's SVG
_LEGEND_LINE = 0.2  # inches
_SIGNS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
_HOLLOW = {"○": "o", "□": "s", "△": "^"}
_DEFINITION = re.compile(r'<(path|clipPath) id="(\w+)"(?:[^>]*/>|>.*?</clipPath>)', re.DOTALL)
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
        for setting, value in _STYLE.items():
            mpl.rcParams[setting] = value
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


def discard(prefix: str, folder: Path, *, keep: Container[str]) -> None:
    """Remove the PNG and SVG files of an earlier comparison whose names begin with `prefix`, except `keep`."""
    for svg in folder.glob(f"{prefix}*.svg"):
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
    across = max(1, int(_PANEL[0] * columns / (0.7 + 0.07 * max(map(len, plot.legend), default=0))))
    figure, axes = _grid(columns, rows, below=_LEGEND_LINE * (1 + ceil(len(plot.legend) / across)))
    for place, (title, draw) in zip(axes, plot.panels.items(), strict=False):
        place.set_title(plain(title)).set_gid("title")
        draw(place)
    for place in axes[len(plot.panels) :]:
        place.set_axis_off()
    lines = [Line2D([], [], **line_style(look)) for look in plot.legend.values()]
    figure.legend(lines, list(map(plain, plot.legend)), loc="lower left", ncols=across, handlelength=3)
    return figure


def _grid(columns: int, rows: int, *, below: float) -> tuple[Figure, list[Axes]]:
    """Panels with fixed margins, in inches, because matplotlib takes almost a second to measure the text."""
    width, height = columns * _PANEL[0], rows * _PANEL[1] + below
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        bottom=(_BOTTOM + below) / height,
        top=1 - _TOP / height,
        wspace=(_LEFT + _RIGHT) / (_PANEL[0] - _LEFT - _RIGHT),
        hspace=(_BOTTOM + _TOP) / (_PANEL[1] - _BOTTOM - _TOP),
    )
    return figure, list(axes.flat)


def _panels(svg: str, plot: Plot) -> dict[str, str]:
    """Extract the panels without titles from the SVG of a plot; matplotlib indents its groups by their depth."""
    groups = re.findall(r'^  <g id="axes_\d+">\n.*?^  </g>\n', svg, flags=re.DOTALL | re.MULTILINE)
    definitions = {each[2]: each[0] for each in _DEFINITION.finditer(svg)}
    width, height = _PANEL
    elements = {}
    for number, (title, group) in enumerate(zip(plot.panels, groups, strict=False)):
        row, column = divmod(number, _columns(plot))
        drawing = re.sub(r'^   <g id="title">\n.*?^   </g>\n', "", group, flags=re.DOTALL | re.MULTILINE)
        # A marker is defined in the first panel that uses it, and the clip paths of all panels at the end.
        used = dict.fromkeys(re.findall(r'(?:url\(|href=")#(\w+)', drawing))
        missing = "".join(definitions[each] for each in used if f'id="{each}"' not in drawing)
        box = (column * width, row * height + _TITLE, width, height - _TITLE)
        place = " ".join(f"{_POINTS * inches:g}" for inches in box)
        element = f'<svg viewBox="{place}"><defs>{missing}</defs>{drawing}</svg>'
        elements[title] = _embedded(element, f"{plot.name}-{number}-")
    return elements


def _embedded(svg: str, prefix: str) -> str:
    svg = re.sub(r'\bid="|url\(#|href="#', lambda found: found[0] + prefix, svg)
    return svg.replace(INK, "currentColor").replace(GRID, "var(--grid)")


def plain(text: str) -> str:
    """A text that matplotlib draws: without control characters, and dollar signs are no mathematics."""
    return printable(text).replace("\t", " ").replace("$", r"\$")


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
