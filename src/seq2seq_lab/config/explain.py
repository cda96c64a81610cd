"""Explain errors in a command line in the terms of this package instead of Hydra's."""

import difflib
import os
import re
import shlex
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seq2seq_lab.config.misuse import no_such_option
from seq2seq_lab.config.options import (
    description,
    groups,
    nests,
    option_files,
    options,
)
from seq2seq_lab.config.schema import EXPERIMENT, GROUPS
from seq2seq_lab.config.unknown import no_such_key
from seq2seq_lab.errors import UserError, first_line, nearest

_COLUMN = 32  # where the descriptions of the options begin, in characters
_NARROW = 60  # characters that a line of them has at least
_MANY = 20  # options that a message names


@contextmanager
def explained(overrides: Sequence[str], extra: Sequence[Path] = ()) -> Iterator[None]:
    """Raise what Hydra refuses as a `UserError`; with HYDRA_FULL_ERROR=1, as it is.

    Args:
        overrides: the command line that is composed.
        extra: folders of the user's own options.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        explanation = explain_error(error, overrides, extra)
        if explanation is None or os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise UserError(explanation) from error


def explain_error(error: Exception, overrides: Sequence[str], extra: Sequence[Path] = ()) -> str | None:
    """What is wrong with a command line, in a line or two; None for an error of another kind."""
    import yaml
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, OSError) and error.filename:  # a folder that cannot be made or written to
        return f"{error.filename}: {error.strerror}; output_dir=DIR puts runs elsewhere"
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, first_line(error))
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        names = ", ".join([*GROUPS, EXPERIMENT])
        return f"a group takes the name of one of its options, as model=attention; groups: {names}"
    if isinstance(error, UnicodeDecodeError):  # of a file that Hydra reads; it does not say of which one
        others = [str(path) for folder in extra for path in folder.rglob("*.yaml") if not _is_utf8(path)]
        return f"{', '.join(others) or 'an option'}: it is not in UTF-8; save it so"
    if isinstance(error, ValueError) and str(error).startswith("Unsupported item value in defaults : bool"):
        return 'a defaults list has on, off, yes or no, which YAML reads as true or false; put it in quotes: "off"'
    if isinstance(error, ValueError) and "in defaults : " in str(error):
        return f"{first_line(error)}; an entry is the name of an option, or GROUP: OPTION"
    if isinstance(error, ValueError) and str(error).startswith("Invalid defaults list in "):
        return f"{first_line(error)}, with a line for each entry, as `- toy`"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}: line {mark.line + 1}: not YAML: {error.problem}"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if found := re.search(r"Could not append to config. An item is already at '([^']+)'", str(error)):
        return f"+{found[1]}: the key is there already; it is changed without +: {found[1]}=…"
    if found := re.search(r"Could not delete from config\. '([^']+)' does not exist", str(error)):
        return f"~{found[1]}: no such key, so nothing to leave out"
    if found := re.search(r"Could not delete '([^']+)'", str(error)):
        return f"~{found[1]}: no such option was chosen, so nothing to leave out"
    if found := re.search(
        r"Multiple values for (\S+)\. To override a value use 'override [^:]+: (.+)'", str(error)
    ):
        group, option = found.groups()
        return f"{group}: it has an option already; write {group}={option}; in a defaults list, override /{group}"
    if found := re.match(r"(Error locating target .+), set env var .*\nfull_key: (\S+)", str(error)):
        return f"{found[2]}: {found[1]}"
    if found := re.search(r"Error merging override (.+)", str(error)):
        return f"{found[1]}: {first_line(error.__cause__ or error)}"
    if found := re.search(r"does not support sweep type : (\w+)_SWEEP", str(error)):
        kind = found[1].lower()
        return (
            f"the sweeper takes no {kind}(…), as hydra/sweeper=optuna does; write values with commas, or "
            "range(START,STOP)"
        )
    if isinstance(error, OmegaConfBaseException) and getattr(error, "full_key", None):
        return f"{error.full_key}: {unresolved(error)}"
    if found := re.search(r"Could not override '([^']+)'", lines[0] if lines else ""):
        return _no_such_key(found[1], overrides, extra)
    if found := re.match(
        r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", lines[0] if lines else ""
    ):
        return f"{found[1]}: several values; -m sweeps over them, and a list is written KEY=[1,2]"
    if found := re.search(r"Could not (?:find|load) '([^']+)'", str(error)):
        return _no_such_option(found[1], extra)
    return "\n".join(lines[:2])


def _is_utf8(path: Path) -> bool:
    try:
        path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return False
    return True


def unresolved(error: BaseException) -> str:
    """What is wrong with an interpolation."""
    if found := re.search(r"Environment variable '(.+)' not found", str(error)):
        return f"the environment variable {found[1]} is not set; ${{oc.env:{found[1]},DEFAULT}} has another value then"
    return first_line(error).partition(" raised while resolving interpolation: ")[2] or first_line(error)


def describe_groups(names: Sequence[str], extra: Sequence[Path] = ()) -> str:
    """The options of these groups and of those nested in them, each with what its file says of it."""
    lines = []
    for group in groups(extra):
        if group.partition("/")[0] in names:
            lines.append(f"  {group}=")
            files = option_files(group, extra)
            lines += [_option(option, description(files[option])) for option in sorted(files)]
    return "\n".join(lines) + "\n"


def _option(name: str, text: str) -> str:
    """An option and its description, in as many lines as it needs; in a column, like those of argparse."""
    width = max(_NARROW, shutil.get_terminal_size().columns - 2)
    column = " " * (_COLUMN - 1)
    lines = textwrap.wrap(
        text, width, initial_indent=column, subsequent_indent=column, break_on_hyphens=False
    )
    head = f"    {name}"
    if lines and len(head) < len(column):  # the description begins beside the name
        lines[0] = f"{head.ljust(len(column))}{lines[0].removeprefix(column)}"
        return "\n".join(lines)
    return "\n".join([head, *lines])


def _unreadable(override: str, why: str) -> str:
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[+~]*[A-Za-z_][\w./@:$-]*", key):
        return f"{override}: not an override of the form KEY=VALUE"
    quoted = f'{key}="{value}"'
    if value[:1] in ("[", "{", "'", '"') or '"' in value or value.endswith("\\"):
        return f"{override}: Hydra cannot read this value: {why}"
    return f"{override}: Hydra cannot read this value; a text is put in quotes: {shlex.quote(quoted)}"


def _no_such_option(wanted: str, extra: Sequence[Path]) -> str:
    there = [group for group in groups(extra) if wanted.startswith(f"{group}/")]
    group = max(there, key=len, default=wanted.rpartition("/")[0])
    if group.partition("/")[0] == "hydra":
        return no_such_option(group, wanted.removeprefix(f"{group}/"))
    option, known = wanted.removeprefix(f"{group}/"), options(group, extra)
    return f"{group}={option}: no such option{nearest(option, known)}\noptions of {group}: {_listed(known, option)}"


def _listed(known: Sequence[str], wanted: str) -> str:
    """The options of a group; where these are many, only those of the folder that was meant, and the other folders."""
    meant = next(iter(difflib.get_close_matches(wanted, known, n=1)), wanted).partition("/")[0]
    shown = []
    for option in known:
        folder, slash, _ = option.partition("/")
        shown.append(f"{folder}/…" if slash and folder != meant and len(known) > _MANY else option)
    return ", ".join(dict.fromkeys(shown))


def _no_such_key(key: str, overrides: Sequence[str], extra: Sequence[Path]) -> str:
    """What to say of a key or nested group that no chosen option has: who has it, or what was meant."""
    if "/" in key:
        return _no_such_group(key, extra)
    if key.startswith("hydra.launcher."):
        return f"{key}: the launcher that is chosen has no such key; hydra/launcher=joblib has n_jobs"
    if key in ("hydra.sweeper.zip", "hydra.sweeper.sweeps"):  # --zip and --sweep, or an experiment file
        return (
            f"{key.rpartition('.')[2].removesuffix('s')}: a search chooses each value itself; leave it out, or leave "
            "out hydra/sweeper=optuna to train each combination"
        )
    if key.startswith("hydra."):
        return f"{key}: Hydra has no such key; `seq2seq-lab train --cfg hydra` shows those that it has"
    return no_such_key(key, overrides, extra)


def _no_such_group(group: str, extra: Sequence[Path]) -> str:
    parent, _, nested = group.partition("/")
    known = groups(extra)
    if found := re.fullmatch(rf"{EXPERIMENT}/(.+)@(.+)", group):  # `override model: seq2seq`, of a file there
        return f"{found[1]}: in the defaults list of an experiment a group has a slash: `override /{found[1]}: OPTION`"
    if group not in known:
        return f"{group}: no such group{nearest(group, known)}"
    having = [
        f"{parent}={option}"
        for option, path in sorted(option_files(parent, extra).items())
        if nested in nests(path, parent)
    ]
    return (
        f"{group}: the option of {parent} that was chosen has no such group; it goes with {', '.join(having)}"
    )
