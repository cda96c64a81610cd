"""The configuration of each run as that of its group: without the seed, and without what follows the seed."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.compare.naming import canonical
from seq2seq_lab.runs.facts import flatten
from seq2seq_lab.runs.layout import INCIDENTAL
from seq2seq_lab.runs.run import Run

_RUNS = ("init_from", "target.run")  # keys whose value is the folder of a run
_SEED = re.compile(r"/seed-\d+/*$")
Items = tuple[tuple[str, Any], ...]


def configurations(runs: Sequence[Run]) -> dict[Run, dict[str, Any]]:
    """The configuration of each run, dotted key → value, without the keys that do not change the trained model."""
    flat = {run: dict(flatten(run.config())) for run in runs}
    seeds = _following_the_seed(flat)
    found = {}
    for run, config in flat.items():
        made_in = Path(str(config.get("output_dir")), str(config.get("name")), f"seed-{run.seed}")
        found[run] = {
            key: _relocated(value, (str(run.folder), str(made_in)))
            for key, value in config.items()
            if key not in seeds and key.partition(".")[0] not in (*INCIDENTAL, "choices")
        }
    for key in _RUNS:
        _forget_own_seeds(found, key)
    return found


def items(config: Mapping[str, Any]) -> Items:
    """A configuration as a key of a dictionary."""
    return tuple(sorted((key, canonical(value)) for key, value in config.items()))


def _forget_own_seeds(several: Mapping[Run, dict[str, Any]], key: str) -> None:
    """Take the seed off the folder of a run that is named, where each seed names one of its own.

    One that all seeds share stays, as do those of some seeds.
    """
    alike: dict[Any, list[Run]] = defaultdict(list)
    for run, config in several.items():
        if _SEED.search(str(config.get(key))):
            stems = {each: _SEED.sub("", str(config[each])) for each in _RUNS if each in config}
            alike[items({**config, **stems}), run.corpus.fingerprint].append(run)
    for together in alike.values():
        named = {(run.seed, several[run][key]) for run in together}
        seeds, folders = ({pair[place] for pair in named} for place in (0, 1))
        if len(seeds) == len(folders) == len(named):
            for run in together:
                several[run][key] = _SEED.sub("", several[run][key])


def _following_the_seed(flat: Mapping[Run, Mapping[str, Any]]) -> set[str]:
    """``seed``, and keys such as ``data.seed`` that are equal to it in every run, such as ``${seed}``."""
    named = {key for config in flat.values() for key in config if key.rpartition(".")[2] == "seed"}
    return {
        key
        for key in named
        if all(config[key] == config.get("seed") for config in flat.values() if key in config)
    }


def _relocated(value: Any, folders: Iterable[str]) -> Any:
    """A value; if it is a path inside the run's current or original folder, without that folder."""
    for folder in folders:
        if isinstance(value, str) and (value == folder or value.startswith(folder + "/")):
            return "." + value.removeprefix(folder)
    return value
