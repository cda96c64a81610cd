"""The runs that another run uses: whose weights it starts from, and its teacher. They are known by their folder alone,
so it is noted which training was in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq_lab.runs.run import Run

USED = ("init_from", "target.run")  # keys whose value is the folder of a run


def used_runs(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Key → the folder of the run that it names, the identity of the training in it, and its number of epochs."""
    named = dict(zip(USED, (config.get("init_from"), (config.get("target") or {}).get("run")), strict=True))
    summaries = {key: Run(Path(path)).summary() for key, path in named.items() if isinstance(path, str)}
    return {
        key: {"run": named[key], "identity": summary["identity"], "epochs": summary.get("epochs")}
        for key, summary in summaries.items()
        if summary.get("identity") is not None
    }


def trained_again(summary: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """A line for each run that was trained again, or further, since the run of this summary used it."""
    before, now = summary.get("used"), used_runs(config)
    return [
        f"{key}: {its['run']} was trained again or further since this run used it; fresh=true uses what is there now"
        for key, its in now.items()
        if isinstance(before, Mapping) and before.get(key) not in (None, its)
    ]
