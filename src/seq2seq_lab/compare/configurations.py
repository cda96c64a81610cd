"""The configuration and the corpus of each run as those of its group: without the seed, and what follows the seed."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seq2seq_lab.compare.naming import canonical
from seq2seq_lab.runs.facts import flatten
from seq2seq_lab.runs.identity import how_trained
from seq2seq_lab.runs.layout import INCIDENTAL
from seq2seq_lab.runs.read import CorpusFacts
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.used import USED

_OF_CORPUS = ("data.", "split.")
_SEED = re.compile(r"/seed-\d+/*$")
Items = tuple[tuple[str, Any], ...]


def configurations(runs: Sequence[Run]) -> tuple[dict[Run, dict[str, Any]], dict[Run, CorpusFacts]]:
    """The configuration of each run, dotted key → value, without the keys that do not change the trained model; and its
    corpus, which is that of all seeds where the data or the split follow the seed."""
    flat = {run: dict(flatten(run.config())) for run in runs}
    everywhere = _following_the_seed(list(flat.values()))
    on_data: dict[Items, list[Run]] = defaultdict(list)  # runs that are alike in these settings but for seeds
    for run, config in flat.items():
        own = {key: value for key, value in config.items() if key.startswith(_OF_CORPUS)}
        on_data[items({key: value for key, value in own.items() if not _is_seed(key)})].append(run)
    found, corpora = {}, {run: run.corpus for run in runs}
    for together in on_data.values():
        several = [flat[run] for run in together]
        seeds = {key for key in _following_the_seed(several) if key.startswith(_OF_CORPUS)}
        if len({config.get("seed") for config in several}) > 1:
            corpora |= _joined([run for run in together if seeds & flat[run].keys()])
        else:  # of one seed any key may have its value by chance
            seeds = set()
        for run in together:
            trainer = {"strategy": flat[run].get("trainer.strategy")}
            left_out = everywhere | seeds | {f"trainer.{key}" for key in how_trained(trainer)}
            made_in = Path(str(flat[run].get("output_dir")), str(flat[run].get("name")), f"seed-{run.seed}")
            found[run] = {
                key: _relocated(value, (str(run.folder), str(made_in)))
                for key, value in flat[run].items()
                if key not in left_out and key.partition(".")[0] not in (*INCIDENTAL, "choices")
            }
    found = {run: found[run] for run in runs}
    for key in USED:
        _forget_own_seeds(found, corpora, key)
    return found, corpora


def items(config: Mapping[str, Any]) -> Items:
    """A configuration as a key of a dictionary."""
    return tuple(sorted((key, canonical(value)) for key, value in config.items()))


def _joined(runs: Sequence[Run]) -> dict[Run, CorpusFacts]:
    """The corpus of all of these runs, of which each seed has one of its own; empty where a seed has two."""
    facts = {run: run.corpus for run in runs if run.corpus.fingerprint is not None}
    by_seed: dict[int | None, set[str]] = defaultdict(set)
    for run, each in facts.items():
        by_seed[run.seed].add(str(each.fingerprint))
    fingerprints = sorted(set().union(*by_seed.values()))
    if len(fingerprints) < 2 or any(len(own) > 1 for own in by_seed.values()):
        return {}
    whole = hashlib.sha256("".join(fingerprints).encode()).hexdigest()
    floors = {each.loss_floor for each in facts.values()}
    floor = floors.pop() if len(floors) == 1 else None
    joint = replace(next(iter(facts.values())), fingerprint=whole, pairs=None, loss_floor=floor)
    return dict.fromkeys(facts, joint)


def _forget_own_seeds(
    several: Mapping[Run, dict[str, Any]], corpora: Mapping[Run, CorpusFacts], key: str
) -> None:
    """Take the seed off the folder of a run that is named, where each seed names one of its own.

    One that all seeds share stays, as do those of some seeds.
    """
    alike: dict[Any, list[Run]] = defaultdict(list)
    for run, config in several.items():
        if _SEED.search(str(config.get(key))):
            stems = {each: _SEED.sub("", str(config[each])) for each in USED if each in config}
            alike[items({**config, **stems}), corpora[run].fingerprint].append(run)
    for together in alike.values():
        named = {(run.seed, several[run][key]) for run in together}
        seeds, folders = ({pair[place] for pair in named} for place in (0, 1))
        if len(seeds) == len(folders) == len(named):
            for run in together:
                several[run][key] = _SEED.sub("", several[run][key])


def _following_the_seed(several: Sequence[Mapping[str, Any]]) -> set[str]:
    """``seed``, and keys such as ``data.seed`` that are equal to it in every configuration, such as ``${seed}``."""
    named = {key for config in several for key in config if _is_seed(key)}
    return {
        key for key in named if all(config[key] == config.get("seed") for config in several if key in config)
    }


def _is_seed(key: str) -> bool:
    return key.rpartition(".")[2] == "seed"


def _relocated(value: Any, folders: Iterable[str]) -> Any:
    """A value; if it is a path inside the run's current or original folder, without that folder."""
    for folder in folders:
        if isinstance(value, str) and (value == folder or value.startswith(folder + "/")):
            return "." + value.removeprefix(folder)
    return value
