"""Which key is meant by one that no chosen option has. What is suggested can be written as it stands."""

import difflib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.config.options import ROOT, config_dir, groups, nests, option_files, read
from seq2seq_lab.config.schema import GROUPS, RENAMED, SETS
from seq2seq_lab.errors import nearest

_SEARCH_PATH = "hydra.searchpath"


def no_such_key(key: str, overrides: Sequence[str], extra: Sequence[Path] = ()) -> str:
    """What to say of an unknown key: which option has it, which key is meant, or how it is added.

    Args:
        key: dotted.
        overrides: the command line; its options are those that the key does not fit.
        extra: folders of the user's own options.
    """
    chosen = _chosen(overrides, extra)
    if now := RENAMED.get(key.partition(".")[0]):
        return f"{key}: the group is named {now} now"
    parent, _, last = key.rpartition(".")
    if last in _more(_node(chosen, parent), parent):
        return f"{key}: no such key{meant(key, chosen)}"
    elsewhere: dict[str, str] = {}  # the last part of each key beside it that an option has → that option
    for group, option, content in _contents(key.partition(".")[0], extra):
        keys = list(_flat(content, group.replace("/", ".")))
        if key in keys:
            choice = _choice(group, option, chosen, extra)
            return f"{key}: {choice} has this key, the option that was chosen has not"
        for name in keys:
            above, _, below = name.rpartition(".")
            if above == parent and below not in elsewhere:
                elsewhere[below] = _choice(group, option, chosen, extra)
    near = _nested(key, chosen, extra) or meant(key, chosen)
    if not near and (close := difflib.get_close_matches(last, elsewhere, n=1)):
        near = f"; did you mean {parent}.{close[0]}, of {elsewhere[close[0]]}?"
    if not near and not parent:
        near = _of_other_options(key, chosen, extra)
    if not near and parent in SETS:
        near = f"; a node of your own is added with +{key}._target_=MODULE.CLASS"
    return f"{key}: no such key{near}"


def meant(key: str, config: Mapping[str, Any]) -> str:
    """A suggestion to append to an unknown key of a composed configuration; empty if none is similar."""
    if now := RENAMED.get(key.partition(".")[0]):
        return f"; the group is named {now} now"
    parent, _, last = key.rpartition(".")
    node = _node(config, parent)
    return (meant_beside(last, node, parent) if node else "") or _same_name(key, config)


def meant_beside(last: str, node: Mapping[str, Any], path: str) -> str:
    """The key of a node that is meant by one that it lacks, or one that can be added to it; empty if none is similar.

    Args:
        last: the unknown key, without those above it.
        node: of a configuration.
        path: its key; empty for the whole configuration.
    """
    before = f"{path}." if path else ""
    more = _more(node, path)
    if last in more:
        return f" yet; it is added with +: +{before}{last}=…"
    own = [str(name) for name in node if not str(name).startswith("_") and f"{path}/{name}" not in groups()]
    return nearest(last, own, before) or nearest(last, more, f"+{before}")


def _more(node: Mapping[str, Any], path: str) -> list[str]:
    """The keys that can be added to a node, but for nested groups, of which an option is chosen."""
    return [name for name in addable(node) if f"{path}/{name}" not in groups()]


def _node(config: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The keys at a path of a configuration; empty if there are none."""
    node: Any = config
    for part in path.split(".") if path else ():
        node = node.get(part) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def addable(node: Mapping[str, Any]) -> list[str]:
    """The parameters of what a node builds that it has no key for; those that the run itself gives are left out."""
    try:
        parameters = inspect.signature(pkgutil.resolve_name(node["_target_"])).parameters.values()
    except Exception:  # a missing or wrong target, of which `check` says more
        return []
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        each.name
        for each in parameters
        if each.name not in node
        and each.kind in kinds
        and not (node.get("_partial_") and each.default is each.empty)
    ]


def _same_name(key: str, config: Mapping[str, Any]) -> str:
    """A key elsewhere in the configuration with the same last part; for one without a group, also a similar one."""
    parent, _, last = key.rpartition(".")
    last_parts = {each: each.rpartition(".")[2] for each in _flat(config, "") if not each.startswith("hydra")}
    wanted = [last] if parent else [last, *difflib.get_close_matches(last, last_parts.values(), n=1)]
    for name in wanted:
        named = [each for each in last_parts if last_parts[each] == name]
        if found := difflib.get_close_matches(key, named, n=1, cutoff=0):
            return f"; did you mean {found[0]}?"
    can_be_added = (group for group in GROUPS if not parent and last in addable(_node(config, group)))
    return next((f"; did you mean +{group}.{last}?" for group in can_be_added), "")


def _of_other_options(name: str, chosen: Mapping[str, Any], extra: Sequence[Path]) -> str:
    """A key with this last part of an option that was not chosen."""
    for top in GROUPS:
        for group, option, content in _contents(top, extra):
            for key in _flat(content, group.replace("/", ".")):
                if key.rpartition(".")[2] == name:
                    return f"; did you mean {key}, of {_choice(group, option, chosen, extra)}?"
    return ""


def _nested(key: str, chosen: Mapping[str, Any], extra: Sequence[Path]) -> str:
    """A nested group whose name is similar to an unknown key, and the option that has it unless it was chosen."""
    parent, _, last = key.rpartition(".")
    inner = [each.rpartition("/")[2] for each in groups(extra) if each.rpartition("/")[0] == parent]
    close = difflib.get_close_matches(last, inner, n=1, cutoff=0.7)
    if not parent or not close:
        return ""
    option = _option_with(f"{parent}/{close[0]}", chosen, extra)
    return f"; did you mean {parent}/{close[0]}{f', of {option}' if option else ''}?"


def _choice(group: str, option: str, chosen: Mapping[str, Any], extra: Sequence[Path]) -> str:
    """How an option is chosen: in a nested group, together with an option that has the group."""
    above = _option_with(group, chosen, extra) if "/" in group else ""
    return f"{above} {group}={option}".strip()


def _option_with(group: str, chosen: Mapping[str, Any], extra: Sequence[Path]) -> str:
    """The choice of an option that has a nested group; empty if the chosen one has it."""
    parent, _, inner = group.partition("/")
    if inner in _node(chosen, parent):
        return ""
    files = sorted(option_files(parent, extra).items())
    return next((f"{parent}={option}" for option, path in files if inner in nests(path, parent)), "")


def _chosen(overrides: Sequence[str], extra: Sequence[Path]) -> dict[str, Any]:
    """The configuration of the options that a command line chooses; empty if it cannot be composed.

    The first option of those that are swept over is taken.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    known, kept = groups(extra), []
    for override in overrides:
        group, _, option = override.partition("=")
        if group.lstrip("+") in known:
            kept.append(override if option.startswith("[") else f"{group}={option.partition(',')[0]}")
        elif group == _SEARCH_PATH:
            kept.append(override)
    current = GlobalHydra.instance()
    sweep, current.hydra = current.hydra, None  # while a job is composed, there is one
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            found = OmegaConf.to_container(compose(ROOT, overrides=kept))
    except Exception:  # the command line has another mistake, too
        return {}
    finally:
        current.hydra = sweep
    return dict(found) if isinstance(found, dict) else {}  # type: ignore[arg-type]


def _contents(top: str, extra: Sequence[Path]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What the options of a group and of those nested in it hold: the group, the option, and its content."""
    for group in groups(extra):
        if top in GROUPS and group.partition("/")[0] == top:
            for option, path in sorted(option_files(group, extra).items()):
                content = {name: each for name, each in read(path).items() if name != "defaults"}
                yield group, option, content


def _flat(node: Any, path: str) -> Iterator[str]:
    """The dotted key of everything in a node but Hydra's own, such as `_target_`."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not str(key).startswith("_"):
                below = f"{path}.{key}" if path else str(key)
                yield below
                yield from _flat(value, below)
