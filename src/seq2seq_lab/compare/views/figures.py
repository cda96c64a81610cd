"""Panels and a legend, as files for a paper and as drawings for the report."""

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
from seq2seq_lab.files import replacing

# The report draws these in the colours of the reader's screen, so nothing else may have them.
INK, GRID, PAPER = "#1f2328", "#d7dade", "#fffffe"
_PANEL = (5.2, 3.4)  # inches
_LEGEND_LINE = 0.2  # inches
_GLYPHS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
_HOLLOW = {"○": "o", "□": "s", "△": "^"}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.fonttype": "none",  # words stay words: small files, text that can be searched
    "svg.hashsalt": "seq2seq-lab",  # the same runs give the same file, byte for byte
    "figure.facecolor": PAPER,
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
    """What a file shows.

    Attributes:
        name: of its files, without a suffix.
        title: what it shows, for people.
        panels: title → what draws the panel.
        legend: label → what is drawn so.
    """

    name: str
    title: str
    panels: Mapping[str, Callable[[Axes], None]]
    legend: Mapping[str, Look]


@contextmanager
def _styled() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()  # the reader's own matplotlibrc has no say in a result
        for setting, value in _STYLE.items():
            mpl.rcParams[setting] = value
        yield


def save(plot: Plot, folder: Path) -> None:
    """Write a plot as PNG and SVG; the same runs give the same bytes."""
    with _styled():
        figure = _figure(plot)
        for suffix, metadata in (("png", {}), ("svg", {"Date": None})):
            with replacing(folder / f"{plot.name}.{suffix}") as path:
                figure.savefig(path, format=suffix, dpi=150, metadata=metadata)


def discard(prefix: str, folder: Path, *, keep: Container[str]) -> None:
    """Remove the plots of an earlier comparison whose names begin so: what `save` wrote, in both its forms."""
    for picture in folder.glob(f"{prefix}*.svg"):
        twin = picture.with_suffix(".png")
        if picture.stem not in keep and twin.exists():
            picture.unlink()
            twin.unlink()


def _figure(plot: Plot) -> Figure:
    """All panels in a grid, and the legend below them."""
    columns = min(3, ceil(sqrt(len(plot.panels))))
    rows = ceil(len(plot.panels) / columns)
    across = max(1, int(_PANEL[0] * columns / (0.7 + 0.07 * max(map(len, plot.legend), default=0))))
    figure, axes = _grid(columns, rows, below=_LEGEND_LINE * (1 + ceil(len(plot.legend) / across)))
    for place, (title, draw) in zip(axes, plot.panels.items(), strict=False):
        place.set_title(plain(title))
        draw(place)
    for place in axes[len(plot.panels) :]:
        place.set_axis_off()
    lines = [Line2D([], [], **line_style(look)) for look in plot.legend.values()]
    figure.legend(lines, list(map(plain, plot.legend)), loc="lower left", ncols=across, handlelength=3)
    return figure


def _grid(columns: int, rows: int, *, below: float = 0.0, top: float = 0.35) -> tuple[Figure, list[Axes]]:
    """Panels with fixed room around each, in inches: to measure the words in them takes most of a second."""
    left, right, bottom = 0.75, 0.15, 0.5
    width, height = columns * _PANEL[0], rows * _PANEL[1] + below
    inner_width, inner_height = _PANEL[0] - left - right, _PANEL[1] - bottom - top
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=(bottom + below) / height,
        top=1 - top / height,
        wspace=(left + right) / inner_width,
        hspace=(bottom + top) / inner_height,
    )
    return figure, list(axes.flat)


def drawings(plot: Plot) -> dict[str, str]:
    """Title → SVG element of each panel, for a page: in the page's colours, with ids of its own."""
    elements = {}
    with _styled():
        for number, (title, draw) in enumerate(plot.panels.items()):
            figure, (axes,) = _grid(1, 1, top=0.1)
            draw(axes)
            text = io.StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None})
            elements[title] = _embedded(text.getvalue(), f"{plot.name}-{number}-")
    return elements


def _embedded(svg: str, prefix: str) -> str:
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'\bid="|url\(#|href="#', lambda found: found[0] + prefix, svg)
    svg = re.sub(r' (width|height)="[^"]*"', "", svg, count=2)  # the page gives it its size
    for colour, own in ((INK, "currentColor"), (GRID, "var(--grid)"), (PAPER, "var(--paper)")):
        svg = svg.replace(colour, own)
    return svg


def plain(text: str) -> str:
    """Text that matplotlib takes for text, not for mathematics between dollar signs."""
    return text.replace("$", r"\$")


def line_style(look: Look) -> dict[str, Any]:
    """A look in matplotlib's words."""
    style = ("none" if not look.line else (0, look.dashes)) if look.dashes or not look.line else "-"
    marker = {"marker": _HOLLOW.get(look.marker, look.marker) or None}
    return {"color": look.colour, "linestyle": style, **marker} | (
        {"markerfacecolor": "none"} if look.marker in _HOLLOW else {}
    )


def sample(look: Look) -> str:
    """A look as a small SVG element, for the legend of a page."""
    colour = "currentColor" if look.colour == INK else look.colour
    dashes = " ".join(f"{2 * length:g}" for length in look.dashes)
    line = (
        f'<path d="M0 6H36" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        if look.line
        else ""
    )
    glyph = _GLYPHS.get(look.marker, look.marker)
    mark = (
        f'<text x="18" y="10" fill="{colour}" font-size="11" text-anchor="middle">{glyph}</text>'
        if glyph
        else ""
    )
    return f'<svg class="sample" viewBox="0 0 36 12" aria-hidden="true">{line}{mark}</svg>'
