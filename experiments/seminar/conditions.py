"""What the scripts of this study share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

STUDY = Path(__file__).parent


def quirks_of(config: Mapping[str, Any]) -> str:
    """Which of the seminar's quirks are on: A, unmasked padding; B, `<sos>` as the first word to predict."""
    on = {"A": config["model"].get("unmasked_positions") is not None, "B": config["loader"]["predict_sos"]}
    return " + ".join(quirk for quirk, is_on in on.items() if is_on) or "none"
