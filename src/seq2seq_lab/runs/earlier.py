"""Configurations of runs of earlier versions, read as this version would write them: what was renamed or added."""

from typing import Any

from seq2seq_lab.config.schema import CHOICES, GOLD, RENAMED

_PACKAGE = "seq2seq_lab"
# The measures that `measures=default` has had since version 0.2.
_LATER_MEASURES = {
    "loss_forced_per_word": "LossForcedPerWord",
    "loss_free_per_word": "LossFreePerWord",
    "loss_forced_per_character": "LossForcedPerCharacter",
    "loss_free_per_character": "LossFreePerCharacter",
    "exposure_gap_to_own_end": "ExposureGapToOwnEnd",
}
# Group → its name now, and what its classes were named by and are named by now.
_RENAMED = {
    "schedule": (
        RENAMED["schedule"],
        f"{_PACKAGE}.training.schedules.",
        f"{_PACKAGE}.training.lr_schedules.",
    )
}


def as_of_now(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run of an earlier version, as this version would have written it."""
    return _with_measures(_with_target(_with_feeder(_with_groups(config))))


def _with_groups(config: dict[str, Any]) -> dict[str, Any]:
    """The groups by their names of now; those of version 0.2 are below `choices` too."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name, before, now = _RENAMED.get(key, (key, "", ""))
        if name != key and isinstance(value, dict) and isinstance(target := value.get("_target_"), str):
            value = value | {"_target_": target.replace(before, now)}
        found[name] = value
    if isinstance(choices := found.get("choices"), dict):
        found["choices"] = {_RENAMED.get(key, (key,))[0]: value for key, value in choices.items()}
    return found


def _with_feeder(config: dict[str, Any]) -> dict[str, Any]:
    """With the present name of what fed zeros, which was `unk` in version 0.2."""
    forcing, choices = config.get("forcing"), config.get(CHOICES)
    feeder = forcing.get("feeder") if isinstance(forcing, dict) else None
    if not isinstance(feeder, dict) or feeder.get("_target_") != f"{_PACKAGE}.forcing.feeders.unk.Unk":
        return config
    zero = feeder | {"_target_": f"{_PACKAGE}.forcing.feeders.zero.Zero"}
    found = config | {"forcing": {**config["forcing"], "feeder": zero}}
    if isinstance(choices, dict):
        found[CHOICES] = {
            key: "zero" if key.startswith("forcing/feeder") else each for key, each in choices.items()
        }
    return found


def _with_target(config: dict[str, Any]) -> dict[str, Any]:
    """With the target of runs of before there were targets, which learnt the gold word."""
    choices = config.get(CHOICES)
    if "target" in config or not isinstance(choices, dict):
        return config
    return config | {"target": dict(GOLD), CHOICES: choices | {"target": "gold"}}


def _with_measures(config: dict[str, Any]) -> dict[str, Any]:
    """With the measures and the key `segments` that came after version 0.2, which counted pairs.

    So its run can be compared with others.
    """
    choices, measures = config.get("choices"), config.get("measures")
    if "segments" in config or not (isinstance(choices, dict) and isinstance(measures, dict)):
        return config
    later = {
        name: {"_target_": f"{_PACKAGE}.evaluation.losses.{each}"} for name, each in _LATER_MEASURES.items()
    }
    default = choices.get("measures") == "default"
    return config | {"segments": "pair", "measures": {**measures, **later} if default else measures}
