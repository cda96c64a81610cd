"""From overrides to a configuration: Hydra composes it, and what it refuses is explained."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.config.explain import explained, unresolved
from seq2seq_lab.config.misuse import refuse_misuse
from seq2seq_lab.config.options import ROOT, config_dir
from seq2seq_lab.config.texts import as_texts, quoted
from seq2seq_lab.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

_SEARCH_PATH = "hydra.searchpath"


def composed(overrides: Sequence[str], folder: Path | None = None) -> dict[str, Any]:
    """The resolved configuration that these overrides give, as `seq2seq-lab train` would see it.

    Args:
        overrides: as on the command line.
        folder: a folder of the user's own options, as `--config-dir` names it.

    Raises:
        UserError: there is no such folder, option or key, or an interpolation leads nowhere.
    """
    from hydra import compose, initialize_config_dir

    overrides, extra = search_path(overrides, folder)
    overrides = as_texts(overrides, extra)
    refuse_misuse(overrides, extra)
    with explained(overrides, extra), initialize_config_dir(str(config_dir()), version_base="1.3"):
        return resolve(compose(ROOT, overrides=overrides))


def resolve(cfg: "DictConfig") -> dict[str, Any]:
    """The configuration as plain containers, every interpolation replaced.

    Raises:
        UserError: an interpolation leads nowhere, or a mandatory value is missing.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(
            f"{getattr(error, 'full_key', '') or 'configuration'}: {unresolved(error)}"
        ) from error


def search_path(overrides: Sequence[str], folder: Path | None) -> tuple[list[str], list[Path]]:
    """Where Hydra is to look for options besides the package's own.

    Args:
        overrides: as on the command line; one of them may be `hydra.searchpath=[...]`.
        folder: what `--config-dir` names.

    Returns:
        The overrides, with all places in one `hydra.searchpath`; and those places that are folders.

    Raises:
        UserError: `--config-dir` names no folder, or a folder has an option that the package has too.
    """
    if folder is not None and not folder.is_dir():
        raise UserError(f"--config-dir: {folder} is not a folder")
    places = [] if folder is None else [f"file://{folder.absolute()}"]
    rest = []
    for override in overrides:
        given = _list(override) if override.lstrip("+").startswith(f"{_SEARCH_PATH}=") else None
        if given is None:
            rest.append(override)
        else:
            places += given
    folders = []
    for place in places:
        if "://" in (name := place.removeprefix("file://")):  # no folder, such as pkg://
            continue
        if not (path := Path(name)).is_dir():
            raise UserError(f"{_SEARCH_PATH}: {place} is not a folder")
        _refuse_hidden(path)
        folders.append(path)
    if places:
        rest.append(f"{_SEARCH_PATH}=[{','.join(map(quoted, places))}]")
    return rest, folders


def _refuse_hidden(folder: Path) -> None:
    """Refuse an option of one's own that has the name of one of the package, which Hydra would use instead."""
    for theirs in config_dir().rglob("*.yaml"):
        option = theirs.relative_to(config_dir())
        path = folder / option
        if path.exists() and theirs.read_bytes() != path.read_bytes():
            raise UserError(
                f"{path}: the package has an option {option.with_suffix('').as_posix()} too, which would be used "
                "instead; give the file another name"
            )


def _list(override: str) -> list[str] | None:
    """The value of an override that is a list of strings; None for any other, which Hydra will refuse."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        value = OverridesParser.create().parse_override(override).value()
    except OverrideParseException:
        return None
    return [str(each) for each in value] if isinstance(value, list) else None
