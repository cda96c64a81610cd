"""What there is to choose from: the groups of the configuration, and the options of each.

`extra` is always the folders that a user adds to the package's own (`--config-dir`, `hydra.searchpath`).
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from seq2seq_lab.config.schema import EXPERIMENT, GROUPS
from seq2seq_lab.errors import UserError, first_line

ROOT = "train"  # the name of the file that all configurations begin with


def config_dir() -> Path:
    """The configuration's folder: the package's copy where it is installed, else the checkout's `conf`."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def groups(extra: Sequence[Path] = ()) -> list[str]:
    """Every group; those nested in another one, such as `model/score`, follow it."""
    return _groups(tuple(extra)) if extra else list(_own_groups())


@cache
def _own_groups() -> list[str]:
    return _groups(())  # the package's files do not change while it runs


def _groups(extra: tuple[Path, ...]) -> list[str]:
    return [
        name
        for group in (*GROUPS, EXPERIMENT)
        for name in (group, *(f"{group}/{nested}" for nested in _nested(group, extra)))
    ]


def options(group: str, extra: Sequence[Path] = ()) -> list[str]:
    """The names of a group's options, those in subfolders as `folder/option`."""
    return sorted(option_files(group, extra))


def option_files(group: str, extra: Sequence[Path] = ()) -> dict[str, Path]:
    """A group's options, and the file of each: the one that Hydra reads if several folders have the option."""
    nested = tuple(f"{name}/" for name in _nested(group, extra))
    return {name: path for name, path in _files(group, extra).items() if not name.startswith(nested)}


def description(path: Path) -> str:
    """What the first comment of an option's file says of it: its lines to the first that ends with a full stop."""
    said: list[str] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("# @"):
                continue
            text = line.strip().lstrip("#")
            if not line.startswith("#") or (said and (not text.strip() or text.startswith("  "))):
                break  # the comment ends, or a command follows
            said.append(text.strip())
            if text.endswith("."):
                break
    return " ".join(said)


def read(path: Path) -> dict[str, Any]:
    """The keys of an option's file.

    Raises:
        UserError: it is not YAML.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        why = getattr(error, "problem", None) or first_line(error)
        raise UserError(f"{path}:{line} not YAML: {why}") from error
    return content if isinstance(content, dict) else {}


def nests(path: Path, group: str, before: Sequence[Path] = ()) -> set[str]:
    """The groups below `group` of which an option's file, by its defaults list, takes an option.

    Args:
        before: the options whose defaults lists lead to this one.

    Raises:
        UserError: it is one of them.
    """
    if path in before:
        raise UserError(f"{path}: its defaults list leads back to itself")
    found: set[str] = set()
    for entry in _defaults_of(path):
        if isinstance(entry, dict):  # without `override` and the package
            found |= {key.split()[-1].partition("@")[0].removeprefix(f"/{group}/") for key in map(str, entry)}
        elif (beside := path.parent / f"{entry}.yaml").is_file() and entry != "_self_":
            # Another option of the group, whose keys it has too.
            found |= nests(beside, group, (*before, path))
    return found


def chosen_by(group: str, option: str, wanted: str, extra: Sequence[Path] = ()) -> str | None:
    """The option of another group that an option chooses in its defaults list, or in those that this names.

    Args:
        group: of the option, such as ``experiment``.
        option: its name.
        wanted: the other group, such as ``hydra/launcher``.
    """
    for path in _lineage(group, option, extra):
        for entry in _defaults_of(path):
            for key, value in entry.items() if isinstance(entry, dict) else ():
                if str(key).split()[-1].strip("/") == wanted:
                    return str(value)
    return None


def said_by(group: str, option: str, key: str, extra: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """What an option says of a top-level key that has keys of its own, and what those of its defaults list say."""
    found = (read(path).get(key) for path in _lineage(group, option, extra))
    return [each for each in found if isinstance(each, dict)]


def _lineage(group: str, option: str, extra: Sequence[Path]) -> list[Path]:
    """The file of an option, and those of its group that its defaults list takes, which it wins over."""
    files, found = option_files(group, extra), dict[Path, None]()

    def visit(path: Path | None) -> None:
        if path is None or path in found:
            return
        found[path] = None
        for entry in reversed(_defaults_of(path)):  # the last one wins
            beside = path.parent / f"{entry}.yaml"
            visit(beside if beside.is_file() else files.get(str(entry).removeprefix(f"/{group}/")))

    visit(files.get(option))
    return list(found)


def _defaults_of(path: Path) -> list[Any]:
    state = path.stat()
    return _defaults(path, state.st_mtime_ns, state.st_size)


@cache
def _defaults(path: Path, modified: int, size: int) -> list[Any]:
    """The defaults list of an option's file; parsing takes most of the time of what asks for options."""
    found = read(path).get("defaults")
    return found if isinstance(found, list) else []  # Hydra refuses others where the option is chosen


def _files(group: str, extra: Sequence[Path]) -> dict[str, Path]:
    files = {}
    for folder in reversed((config_dir(), *extra)):
        root = folder / group
        for path in root.rglob("*.yaml"):
            # Other programs keep files of their own there, such as `.ipynb_checkpoints/`, and links to nowhere.
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if not path.name.startswith("_") and not hidden and path.is_file():
                files[path.relative_to(root).with_suffix("").as_posix()] = path
    return files


def _nested(group: str, extra: Sequence[Path]) -> list[str]:
    """The subfolders of a group that are groups: those that the defaults list of one of its options names.

    All other subfolders only sort the group's options, as those of `experiment` do.
    """
    files = _files(group, extra)
    folders = {name.rpartition("/")[0] for name in files} - {""}
    if not folders:
        return []
    return sorted(folders & {name for path in files.values() for name in nests(path, group)})
