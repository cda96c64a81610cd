"""Heat maps of attention weights, placed by the lengths of their labels: a layout by Matplotlib takes longer."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq_lab.errors import printable
from seq2seq_lab.evaluation.fonts import other_scripts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches.
_CELL = 0.4
_LETTER = 0.09  # the width of a letter of a label
_GAP = 0.06  # between a map and its labels
_TITLE = 0.3  # the names of the axes
_SCALE = 0.12  # the width of the scale
_RIGHT = 1.1  # the scale, its gap and its labels
_LEAST = 1.6  # the height of a map: the scale and its name are beside it


def attention_figure(samples: list[dict[str, Any]]) -> "Figure":
    """One heat map per sample, from its `attention_table`; empty for a translation without a row, of `<sos>` alone."""
    from matplotlib.figure import Figure

    labels = [[[*map(printable, each[side])] for side in ("rows", "columns")] for each in samples]
    left = _TITLE + _GAP + max(_margin(rows, columns) for rows, columns in labels)
    width = left + _CELL * max(len(columns) for _, columns in labels) + _RIGHT
    heights = [_height(rows, columns) for rows, columns in labels]
    figure = Figure(figsize=(width, sum(heights)))
    top = sum(heights)
    for sample, (rows, columns), height in zip(samples, labels, heights, strict=True):
        _draw(figure, np.array(sample["attention"]), rows, columns, left, top - _GAP)
        top -= height
    return figure


def attention_image(sample: dict[str, Any]) -> Any:
    """The heat map of a sample as pixels, ``[height, width, 3]`` of ``uint8``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with other_scripts():
        canvas: Any = FigureCanvasAgg(attention_figure([sample]))
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def save_attention(samples: list[dict[str, Any]], path: Path) -> None:
    """Write the heat maps of samples as one PNG."""
    with other_scripts():
        attention_figure(samples).savefig(path, format="png", dpi=150)


def _margin(rows: list[str], columns: list[str]) -> float:
    """What the labels take to the left of a map; those of the columns are turned by 45 degrees."""
    below = (0.75 * _LETTER * len(label) - _CELL * n for n, label in enumerate(columns))
    return max(0.0, *(_LETTER * len(label) for label in rows), *below)


def _height(rows: list[str], columns: list[str]) -> float:
    """The height of a map with the labels of its columns."""
    letters = max(map(len, columns), default=0)
    return max(_LEAST, _CELL * len(rows)) + 0.75 * _LETTER * letters + _TITLE + 4 * _GAP


def _draw(
    figure: "Figure", weights: Any, rows: list[str], columns: list[str], left: float, top: float
) -> None:
    """Draw one map below `top` and right of `left`, in inches."""
    right, bottom = left + _CELL * len(columns), top - _CELL * len(rows)
    if rows:
        _image(figure, weights, (left, bottom, right, top))
    for number, label in enumerate(rows):
        _text(figure, left - _GAP, top - _CELL * (number + 0.5), label, ha="right", va="center")
    for number, label in enumerate(columns):
        place = left + _CELL * (number + 0.5)
        _text(figure, place, bottom - _GAP, label, ha="right", va="top", rotation=45, rotation_mode="anchor")
    lowest = bottom - 3 * _GAP - 0.75 * _LETTER * max(map(len, columns), default=0)
    _text(figure, (left + right) / 2, lowest, "source", ha="center", va="top")
    beside = (top + min(bottom, top - 2 * _CELL)) / 2
    _text(figure, _GAP, beside, "hypothesis", ha="left", va="center", rotation=90)
    scale, end = right + 3 * _GAP, top - _LEAST + 2 * _GAP
    _image(figure, np.linspace(1, 0, 32)[:, None], (scale, end, scale + _SCALE, top))
    for value, place in (("1", top), ("0", end)):
        _text(figure, scale + _SCALE + _GAP, place, value, va="top" if place == top else "bottom")
    name = {"va": "center", "rotation": 90}
    _text(figure, scale + _SCALE + 4 * _GAP, (top + end) / 2, "attention weight", **name)


def _image(figure: "Figure", values: Any, place: tuple[float, float, float, float]) -> None:
    """Values from 0 to 1 as colours, between left, bottom, right and top in inches."""
    from matplotlib.colors import Normalize
    from matplotlib.image import BboxImage
    from matplotlib.transforms import Bbox, TransformedBbox

    box = TransformedBbox(Bbox.from_extents(*place), figure.dpi_scale_trans)
    image = BboxImage(box, cmap="viridis", norm=Normalize(0, 1), interpolation="nearest", origin="upper")
    image.set_data(values)
    figure.add_artist(image)


def _text(figure: "Figure", x: float, y: float, text: str, **how: Any) -> None:
    figure.text(x, y, text, transform=figure.dpi_scale_trans, parse_math=False, **how)
