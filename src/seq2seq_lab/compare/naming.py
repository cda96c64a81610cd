"""The settings in which configurations differ, with short names."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq_lab.runs.layout import CODE

Flat = Mapping[str, Any]  # dotted key → value; lists are values
ABSENT = "absent"
TARGET = "_target_"
OF_SUMMARY = ("seconds", "version", "commit", "machine", "command")  # columns from the summary of a run
# Column names of the tables, which no setting gets as its short name.
RESERVED = {
    *("run", "group", "seed", "n", "runs", "status", "averaged", "epochs", "corpus", "tags", "note"),
    *OF_SUMMARY,
}
_LONG, _BEGINNING = 40, 12  # characters of a value that is shown, and of its beginning
_FILE_BYTES = 150  # of a file name, which may have 255
# Two corpora differ in every key of their options, so only the name of the option is shown.
_NAMED_WHOLE = ("data",)


def canonical(value: Any) -> Any:
    """A value for comparisons: 1 equals 1.0, but not true or "1"; lists are compared by content."""
    if isinstance(value, bool | list | Mapping):
        return ("json", json.dumps(value, sort_keys=True, default=str))
    return value


def written(value: Any) -> str:
    """A value as one would write it in YAML, whole."""
    if isinstance(value, float):
        return text if float(text := f"{value:g}") == value else repr(value)
    if isinstance(value, str):
        return json.dumps(value) if _reads_otherwise(value) else value
    return json.dumps(value, default=str, ensure_ascii=False)


def show(value: Any) -> str:
    """A value for people: a number with six digits; a long text without its middle, as the ends of paths differ."""
    text = f"{value:g}" if isinstance(value, float) else written(value)
    return text if len(text) <= _LONG else f"{text[:_BEGINNING]}…{text[_BEGINNING + 1 - _LONG :]}"


def told_apart(several: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The values of several settings for people; of one key, those that `show` writes alike are shown otherwise: a
    number whole, a long text with the place where the texts begin to differ."""
    alike: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in several:
        for key, value in each.items():
            alike[key, show(value)].add(written(value))

    def text(key: str, value: Any) -> str:
        whole, same = written(value), alike[key, show(value)]
        if len(same) == 1:
            return show(value)
        if len(whole) <= _LONG:
            return whole
        shortest = min(map(len, same))  # which the others may begin with
        differ = next((at for at in range(shortest) if len({each[at] for each in same}) > 1), shortest)
        start = max(_BEGINNING, differ - _BEGINNING)
        end = start + _LONG - _BEGINNING - 2
        return f"{whole[:_BEGINNING]}…{whole[start:end]}{'…' if end < len(whole) else ''}"

    return [{key: text(key, value) for key, value in each.items()} for each in several]


def _reads_otherwise(text: str) -> bool:
    """Whether YAML would read the text without quotes as a number, null, true or a list."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def file_names(labels: Sequence[str]) -> list[str]:
    """File names for labels: short, distinct, and valid on every file system."""
    names: list[str] = []
    for label in labels:
        text = re.sub(r"[^\w .,=+#-]", "-", label).encode()[:_FILE_BYTES].decode(errors="ignore")
        name = text.strip(" .") or "-"  # ".." is another folder
        names.append(f"{name} ({len(names)})" if name in names else name)
    return names


def differing(configs: Sequence[Flat]) -> list[str]:
    """The keys whose values differ or that some configurations lack, node by node in order of appearance."""
    keys = dict.fromkeys(key for config in configs for key in config)
    nodes = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    found = [key for key in keys if len({canonical(config.get(key, ABSENT)) for config in configs}) > 1]
    return sorted(found, key=lambda key: nodes.index(key.partition(".")[0]))


def determines(key: str, other: str, settings: Sequence[Flat]) -> bool:
    """Whether the value of a key determines that of another key in all settings, as `optimizer` may determine `lr`."""
    pairs = {(canonical(each.get(key, ABSENT)), canonical(each.get(other, ABSENT))) for each in settings}
    return len(pairs) == len({value for value, _ in pairs})


def independent(settings: Sequence[Flat]) -> list[str]:
    """The keys of settings that no other key determines, in order of appearance."""
    keys = list(dict.fromkeys(key for each in settings for key in each))
    for key in reversed(keys):
        others = [other for other in keys if other != key]
        if any(determines(other, key, settings) for other in others):
            keys = others
    return keys


def settings(configs: Sequence[Flat], choices: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The settings in which each configuration differs: short key → value, without keys that its options lack.

    If different options were chosen for a node, the node is shown by the name of the option. What the option implies is
    not shown: its ``_target_``, and keys that only one option has. A key that several options have with different
    values is shown, no matter if the option or the user set it.
    """
    keys = [key for key in differing(configs) if not names_code(key, configs)]
    shown: dict[str, list[Any]] = {}
    nodes = _nodes(keys, configs, choices)
    for node in dict.fromkeys(nodes.values()):
        options = _options(node, configs, choices)
        named = len(set(options)) > 1
        if named:
            nested = "." in node  # some models do not have this node
            shown[node] = [_FOREIGN if nested and option == ABSENT else option for option in options]
        for key in (key for key in keys if nodes[key] == node):
            values = [config.get(key, ABSENT) for config in configs]
            if not (named and _implied(key, node, values, options)):
                shown[key] = _without_foreign(values, options) if named else values
    short = dict(zip(shown, _shorten(list(shown)), strict=True))
    return [
        {short[key]: values[n] for key, values in shown.items() if values[n] is not _FOREIGN}
        for n in range(len(configs))
    ]


def names_code(key: str, configs: Sequence[Flat]) -> bool:
    """Whether a key holds the hash of a module that only some configurations use: another key then says so."""
    return key.startswith(f"{CODE}.") and len({config[key] for config in configs if key in config}) == 1


_FOREIGN = object()  # placeholder: the chosen option does not have this key


def _nodes(
    keys: Sequence[str], configs: Sequence[Flat], choices: Sequence[Mapping[str, str]]
) -> dict[str, str]:
    """The node of each key: its first part, or a nested group with several options, such as `model.score`."""
    groups = {group for chosen in choices for group in chosen if "/" in group}
    nested = [f"{group.replace('/', '.')}." for group in groups if _has_options(group, configs, choices)]
    # Of runs that do not say which option they have, the class of a nested node stands for it.
    nested += [
        key.removesuffix(TARGET)
        for key in keys
        if key.endswith(f".{TARGET}") and key.count(".") > 1 and _count(key, configs) > 1
    ]
    nodes = {}
    for key in keys:
        inner = max((prefix for prefix in nested if key.startswith(prefix)), key=len, default=None)
        nodes[key] = inner.removesuffix(".") if inner else key.partition(".")[0]
    return nodes


def _count(key: str, configs: Sequence[Flat]) -> int:
    """The number of different values of a key."""
    return len({canonical(config[key]) for config in configs if key in config})


def _has_options(group: str, configs: Sequence[Flat], choices: Sequence[Mapping[str, str]]) -> bool:
    """Whether several options of a nested group were chosen, and only configurations with a choice have its keys."""
    prefix = group.replace("/", ".") + "."
    without = [config for config, chosen in zip(configs, choices, strict=True) if group not in chosen]
    if any(key.startswith(prefix) for config in without for key in config):
        return False  # a run of an earlier version, in which it was not a group
    return len({chosen[group] for chosen in choices if group in chosen}) > 1


def _options(node: str, configs: Sequence[Flat], choices: Sequence[Mapping[str, str]]) -> list[str]:
    """The option chosen for a node in each configuration, or the name of its class if some options are unknown."""
    group = node.replace(".", "/")
    some = any(group in chosen for chosen in choices)
    if some and (group != node or all(group in chosen for chosen in choices)):
        return [show(chosen[group]) if group in chosen else ABSENT for chosen in choices]
    targets = [config.get(f"{node}.{TARGET}") for config in configs]
    return [str(target).rpartition(".")[2] if target is not None else ABSENT for target in targets]


def _implied(key: str, node: str, values: Sequence[Any], options: Sequence[str]) -> bool:
    """Whether a key's value follows from the option."""
    by_option = {(option, canonical(value)) for option, value in zip(options, values, strict=True)}
    if len(by_option) > len(set(options)):
        return False  # the value differs within one option
    present = {canonical(value) for value in values} - {ABSENT}
    return key.endswith(f".{TARGET}") or node in _NAMED_WHOLE or len(present) == 1


def _without_foreign(values: Sequence[Any], options: Sequence[str]) -> list[Any]:
    users = {option for option, value in zip(options, values, strict=True) if value is not ABSENT}
    return [value if option in users else _FOREIGN for option, value in zip(options, values, strict=True)]


def _shorten(keys: Sequence[str]) -> list[str]:
    """Shorten each key to the fewest last parts that are unique; a ``_target_`` gets the key of its node."""
    paths = [key.removesuffix(f".{TARGET}").split(".") for key in keys]

    def short(path: list[str]) -> str:
        for size in range(1, len(path)):
            name = ".".join(path[-size:])
            if name not in RESERVED and sum(other[-size:] == path[-size:] for other in paths) == 1:
                return name
        return ".".join(path)

    return [short(path) for path in paths]
