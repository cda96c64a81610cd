"""What a search may choose from, in Hydra's grammar: `interval(0.1,1)`, `tag(log,interval(…))`, `range(1,5)`, `a,b`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq_lab.errors import UserError

_DIGITS = 4  # significant ones of a number that is drawn


@dataclass(frozen=True)
class Dimension:
    """The values of one key.

    Attributes:
        distribution: Optuna's.
        first: one of them.
    """

    distribution: Any
    first: Any


def parsed_space(overrides: Sequence[Any]) -> tuple[list[str], dict[str, Dimension]]:
    """The overrides that are fixed, and key → what is chosen from; of two of a key the last one counts.

    Raises:
        UserError: an interval is none, or nothing is left to choose.
    """
    fixed: dict[str, str] = {}
    space: dict[str, Dimension] = {}
    for override in overrides:
        key = override.get_key_element()
        fixed.pop(key, None)
        space.pop(key, None)
        if override.is_sweep_override():
            space[key] = _dimension(override)
        else:
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
    if not space:
        raise UserError(
            "hydra/sweeper=optuna: nothing to search over; give a key an interval, as "
            "'optimizer.lr=tag(log,interval(0.01,1))', or several values with commas"
        )
    return list(fixed.values()), space


def written(value: Any) -> str:
    """A value that was chosen, as an override has it; numbers with few digits, so that folders have short names."""
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)


def _dimension(override: Any) -> Dimension:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if (
        override.is_range_sweep()
        and not value.shuffle
        and all(map(_is_int, (value.start, value.stop, value.step)))
    ):
        several = range(value.start, value.stop, value.step)
        if several and value.step > 0:
            return Dimension(IntDistribution(several[0], several[-1], step=value.step), several[0])
    if not override.is_interval_sweep():
        choices = list(override.sweep_string_iterator())
        if not choices:
            raise UserError(f"{override.input_line}: no value, so there is nothing to choose from")
        return Dimension(CategoricalDistribution(choices), choices[0])
    kind = IntDistribution if all(map(_is_int, (value.start, value.end))) else FloatDistribution
    try:
        return Dimension(kind(value.start, value.end, log="log" in value.tags), value.start)
    except ValueError as error:
        raise UserError(f"{override.input_line}: {error}") from None


def _is_int(value: Any) -> bool:
    return isinstance(value, int)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check the numbers of a search.

    Raises:
        UserError: there is no trial, none at a time, no sampler or pruner, or the seeds are not different numbers.
    """
    for name in ("n_trials", "n_jobs"):
        if not _is_whole(settings[name]) or settings[name] < 1:
            raise UserError(f"hydra.sweeper.{name}={settings[name]}: it must be a whole number, at least 1")
    for name, none in (("sampler", "hydra/sweeper/sampler=tpe"), ("pruner", "hydra/sweeper/pruner=none")):
        if not isinstance(settings[name], Mapping) or "_target_" not in settings[name]:
            raise UserError(
                f"hydra.sweeper.{name}={settings[name]}: it must be a set of keys; {none} chooses one"
            )
    if not isinstance(seed := settings["sampler"].get("seed"), int | None):
        raise UserError(f"hydra.sweeper.sampler.seed={seed}: it must be a whole number, or null")
    seeds = settings["seeds"]
    if seeds is None:
        return
    if not isinstance(seeds, list) or not all(map(_is_whole, seeds)) or len({*seeds}) < len(seeds):
        raise UserError(f"hydra.sweeper.seeds={seeds}: it must be a list of different seeds, such as [0,1,2]")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
