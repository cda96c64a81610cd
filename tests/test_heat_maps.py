"""Heat maps of attention: the colour of each cell is its weight, and no label is cut off or covers a map."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import BboxImage

from seq2seq_lab.evaluation.fonts import other_scripts
from seq2seq_lab.evaluation.heat_maps import attention_figure, attention_image, save_attention


def sample(rows, columns):
    weights = np.random.default_rng(0).random((len(rows), len(columns)))
    return {"rows": rows, "columns": columns, "attention": weights.tolist()}


SHORT = sample(["no", "<eos>"], ["unpronounceable", "$x$", "<eos>"])
LONG = sample([*"abcdefghijkl", "unpronounceable"], ["je", "suis", "extraordinairement", "."])
EMPTY = sample([], ["a"])


@pytest.mark.parametrize("samples", [[SHORT], [LONG], [EMPTY], [SHORT, LONG, EMPTY]])
def test_labels_are_in_the_figure_and_outside_of_the_maps(samples):
    figure = attention_figure(samples)
    FigureCanvasAgg(figure).draw()
    inside, maps = figure.bbox, [each.get_window_extent() for each in figure.artists]
    assert len([each for each in figure.artists if isinstance(each, BboxImage)]) == 2 * len(samples) - (
        EMPTY in samples
    )
    texts = [text.get_window_extent() for text in figure.texts]
    for box in (*texts, *maps):
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1
        assert inside.y0 <= box.y0
        assert box.y1 <= inside.y1
    assert not any(text.overlaps(box) for text in texts for box in maps)


def test_the_colour_of_a_cell_is_its_weight():
    figure = attention_figure([LONG])
    (box,) = (each.get_window_extent() for each in figure.artists[:1])
    pixels = attention_image(LONG)
    weights = np.array(LONG["attention"])
    for row, column in np.ndindex(*weights.shape):
        x = box.x0 + box.width * (column + 0.5) / weights.shape[1]
        y = box.y1 - box.height * (row + 0.5) / weights.shape[0]
        expected = colormaps["viridis"](weights[row, column], bytes=True)[:3]
        found = pixels[int(pixels.shape[0] - y), int(x)]
        assert np.abs(found.astype(int) - np.array(expected, dtype=int)).max() <= 3


def test_characters_that_no_font_has_are_drawn_without_a_warning_for_each(tmp_path, recwarn):
    script = sample([*"\U00016a60\U00016a61"], [*"\U00016a62\U00016a63"])  # Mro, of which few fonts know
    assert attention_image(script).shape[2] == 3
    save_attention([script], tmp_path / "maps.png")
    assert (tmp_path / "maps.png").stat().st_size
    assert not recwarn.list


def test_a_font_of_another_script_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.get_font_names", lambda: ["NanumGothic", "Other"])
    with other_scripts():
        (text, *_) = attention_figure([sample(["노"], ["ᄂ"])]).texts
    assert text.get_fontfamily() == ["DejaVu Sans", "NanumGothic"]
