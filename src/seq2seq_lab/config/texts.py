"""Values of the command line that are meant as they stand, though Hydra's grammar would split or refuse them."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from seq2seq_lab.config.options import groups
from seq2seq_lab.config.schema import Root
from seq2seq_lab.errors import first_line

_BEGINS = ("'", '"', "[", "{")  # of what Hydra's grammar has another reading for
_PLAIN = r"[\w.+-]*"  # what it reads as it stands
# One of several values: what is in quotation marks, or what is before a comma that no space follows.
_PIECE = re.compile(
    r"""(?:^|,(?! ))('(?:[^'\\]|\\.)*'(?=,|$)|"(?:[^"\\]|\\.)*"(?=,|$)|(?:[^,]|,(?= ))*)""", re.DOTALL
)
# Root keys that take a text, such as `name` and `init_from`.
_TEXTS = tuple(key for key, hint in get_type_hints(Root).items() if str in (hint, *get_args(hint)))


def read_value(text: str) -> Any:
    """The value of a text in YAML, with OmegaConf's numbers, of which `1e-3` is one.

    Raises:
        ValueError: it cannot be read.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        found = OmegaConf.to_container(OmegaConf.create(f"value: {text}"))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ValueError(first_line(error)) from None
    return found["value"] if isinstance(found, dict) else None


def read_setting(key: str, text: str) -> Any:
    """The value of a root key or another one: a text as it stands where the key takes one, else as `read_value`."""
    as_it_stands = key in _TEXTS and text not in ("", "null") and text[0] not in ("'", '"')
    return text if as_it_stands else read_value(text)


def as_texts(overrides: Sequence[str], extra: Sequence[Path] = (), *, sweep: bool = False) -> list[str]:
    """The overrides, with quotation marks of Hydra's grammar around a value that is one text.

    Such a value is the path of something that exists, as `init_from=outputs/a,lr=0.1/seed-0`; with commas between them
    there may be several. For keys that take any text, as `name`, it is also one that Hydra cannot read, or reads as
    something else, such as a number. In a sweep commas separate several of them, but not commas before a space.

    Args:
        overrides: as on the command line.
        extra: folders of the user's own options.
        sweep: whether commas may separate several values.
    """
    known = groups(extra)
    found = []
    for override in overrides:
        key, equals, value = override.partition("=")
        odd = re.search(r"[^\w./-]|[^\x00-\x7f]", value) or (key in _TEXTS and not _is_text(value))
        special = odd and not value.startswith(_BEGINS) and "${" not in value
        if equals and special and key.lstrip("+") not in known:
            value = _as_text(key.lstrip("+"), value, sweep)
        found.append(f"{key}{equals}{value}")
    return found


def quoted(text: str) -> str:
    """A string as Hydra's grammar reads it; backslashes count only before a quotation mark."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return f"'{escaped}{escaped[len(escaped.rstrip(chr(92))) :]}'"


def escaped(text: str) -> str:
    """A text whose `${…}` OmegaConf leaves as it stands."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def unescaped(text: str) -> str:
    """A text as it was before `escaped`; also one that was never escaped."""
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1][: len(found[1]) // 2]}${{", text)


def is_plain(text: str) -> bool:
    """Whether Hydra reads a text as that text where it has no quotation marks."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return bool(OverridesParser.create().parse_override(f"key={text}").value() == text)
    except HydraException:
        return False


def _as_text(key: str, value: str, sweep: bool) -> str:
    if paths := _paths(value):
        return ",".join(each if re.fullmatch(_PLAIN, each) else quoted(each) for each in paths)
    if key not in _TEXTS or re.fullmatch(r"\w+\(.*\)", value):
        return value
    pieces = _PIECE.findall(value) if sweep else [value]
    return ",".join(each if _is_text(each) else quoted(each) for each in pieces)


def _paths(value: str) -> list[str]:
    """The paths that a value consists of, with commas between them; beside them plain words. Empty if it is no path."""
    if "/" not in value:
        return [value] if _exists(value) else []
    pieces = value.split(",")
    found: list[str] = []
    any_path = False
    while pieces:
        ends = (end for end in range(len(pieces), 0, -1) if _exists(",".join(pieces[:end])))
        end = next(ends, 0)
        if not end and not re.fullmatch(_PLAIN, pieces[0]):
            return []
        any_path = any_path or end > 0
        found.append(",".join(pieces[: end or 1]))
        pieces = pieces[end or 1 :]
    return found if any_path else []


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # no path at all
        return False


@cache
def _is_text(value: str) -> bool:
    """Whether Hydra reads a value as a text, or as null."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import QuotedString
    from hydra.errors import HydraException

    try:
        read = OverridesParser.create().parse_override(f"key={value}").value()
    except HydraException:
        return False
    return read is None or isinstance(read, str | QuotedString)
