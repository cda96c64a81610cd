"""References in the form that sacreBLEU takes."""

from collections.abc import Sequence
from typing import Any


def streams(references: Sequence[Sequence[str]]) -> Any:
    """Stream i has the i-th reference of each sentence, or None; from the references of each sentence, at least one."""
    most = max(map(len, references))
    return [[row[i] if i < len(row) else None for row in references] for i in range(most)]
