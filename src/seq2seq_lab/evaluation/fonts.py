"""Fonts for what users write: the texts of a plot may be of any script."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# With characters that the default font lacks. Of a file with several fonts Matplotlib knows the first: that of JP.
_OTHER_SCRIPTS = (
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "NanumGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
)


@contextmanager
def other_scripts() -> Iterator[None]:
    """Make and draw figures with fonts of other scripts, where they are installed.

    A character that no font has is a box, as in any program, without a warning for each.
    """
    import matplotlib as mpl
    from matplotlib.font_manager import get_font_names

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        installed = get_font_names()
        mpl.rcParams["font.family"] = ["DejaVu Sans", *(font for font in _OTHER_SCRIPTS if font in installed)]
        yield
