"""The jobs of a sweep: all combinations of its values, but for values in step, and several sweeps joined."""

import re
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from seq2seq_lab.config.texts import escaped, quoted
from seq2seq_lab.errors import UserError, counted, first_line

Parse = Callable[[list[str]], Sequence[Any]]


def as_overrides(zipped: Sequence[str], sweeps: Sequence[Sequence[str]]) -> list[str]:
    """The overrides of the sweeper for `--zip` and `--sweep`.

    Args:
        zipped: keys with commas between them, whose values are taken in step.
        sweeps: the overrides of each of the joined sweeps.
    """
    groups = ",".join(f"[{','.join(map(quoted, keys.split(',')))}]" for keys in zipped)
    joined = ",".join(f"[{','.join(quoted(escaped(each)) for each in further)}]" for further in sweeps)
    return [
        *([f"hydra.sweeper.zip=[{groups}]"] if groups else []),
        *([f"hydra.sweeper.sweeps=[{joined}]"] if joined else []),
    ]


def combined(
    arguments: Sequence[str],
    parse: Parse,
    *,
    zipped: Sequence[Sequence[str]] = (),
    sweeps: Sequence[Sequence[str]] = (),
) -> list[list[str]]:
    """The overrides of each job, each job once.

    Args:
        arguments: the overrides of all sweeps.
        parse: Hydra's parser of overrides.
        zipped: groups of keys whose values are taken in step: the first of each, the second of each, and so on.
        sweeps: the further overrides of each sweep, which win over the common ones; none: there is one sweep.

    Raises:
        UserError: keys that are taken in step have no values, or not equally many, or are in two groups. Or one of
            the sweeps has what holds for the command: the launcher, which was chosen before, or the folder of all runs.
        HydraException: an override has no list of values, such as `interval(0,1)`.
    """
    for override in (each for further in sweeps for each in further):
        if (key := _parted(override)[0]) == "output_dir" or re.match(r"hydra[./]", key):
            raise UserError(
                f"{override}: it holds for all sweeps of a command, and is not one sweep's; write it before the first "
                "--sweep"
            )
    jobs: dict[frozenset[str], list[str]] = {}
    zipped = [[key.strip() for key in group] for group in zipped]
    named = [key for group in zipped for key in group]
    if twice := next((key for key in named if named.count(key) > 1), None):
        raise UserError(f"zip: {twice} is named twice; all keys that are taken in step with it are one group")
    unused = zipped
    for further in sweeps or [()]:
        values = _values(parse([*arguments, *further]))
        in_step = [group for group in zipped if _zips(group, values)]
        unused = [group for group in unused if group not in in_step]
        for job in _combinations(values, in_step):
            jobs.setdefault(frozenset(job), job)
    if unused:
        raise UserError(f"zip: {' and '.join(unused[0])} have no several values; those are taken in step")
    return list(jobs.values())


def swept(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The keys that do not have the same value in all jobs."""
    rows = [dict(_parted(override) for override in job) for job in jobs]
    keys = dict.fromkeys(key for row in rows for key in row)
    return [key for key in keys if any(row.get(key) != rows[0].get(key) for row in rows)]


def apart(job: Sequence[str], keys: Sequence[str]) -> str:
    """What sets a job apart from the others of its sweep."""
    return " ".join(override for override in job if _parted(override)[0] in keys)


def _values(parsed: Sequence[Any]) -> dict[str, list[str]]:
    """Key, with its sign → the overrides of each of its values; of two of a key the last one counts."""
    from hydra.errors import HydraException

    found = {}
    for override in parsed:
        key = override.get_key_element()
        if not override.is_sweep_override():
            found[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            try:
                found[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            except ValueError as error:  # of range()
                raise UserError(f"{override.input_line}: {first_line(error)}") from None
        else:
            raise HydraException(f"The sweeper does not support sweep type : {override.value_type.name}")
    return found


def _combinations(values: dict[str, list[str]], in_step: Sequence[Sequence[str]]) -> list[list[str]]:
    axes: dict[str, list[list[str]]] = {}
    leader = {key: group[0] for group in in_step for key in group}
    for key, overrides in values.items():
        steps = axes.setdefault(leader.get(_plain(key), key), [[] for _ in overrides])
        for step, override in zip(steps, overrides, strict=True):
            step.append(override)
    return [[override for step in steps for override in step] for steps in product(*axes.values())]


def _zips(group: Sequence[str], values: dict[str, list[str]]) -> bool:
    """Whether a sweep has several values of the keys of a group: equally many of each, or it has several of none."""
    counts = {_plain(key): len(overrides) for key, overrides in values.items()}
    found = [counts.get(key, 0) for key in group]
    if max(found) > 1 and len(set(found)) > 1:
        each = ", ".join(f"{key} has {counted(counts.get(key, 0), 'value')}" for key in group)
        raise UserError(f"zip: {each}; in step they have equally many")
    return max(found) > 1


def _plain(key: str) -> str:
    return key.lstrip("+~")


def _parted(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return _plain(key), value
