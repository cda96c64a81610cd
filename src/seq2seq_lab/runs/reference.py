"""Reference curves: external values, such as published losses, that are shown next to runs.

They are read from a CSV file with a column `epoch` and one column for each curve, with the name of the curve as its
heading. An empty cell is an epoch without a value.
"""

import csv
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import UserError
from seq2seq_lab.files import LARGEST
from seq2seq_lab.runs.read import LAST_EPOCH, Curve

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """A curve from another source.

    Attributes:
        name: name of the curve.
        metric: metric of its values, such as `train/loss`.
        values: epoch, counted from 1 → value.
    """

    name: str
    metric: str
    values: Curve

    def to_dict(self) -> dict[str, Any]:
        """The reference as plain data, for a run's summary."""
        return {
            "name": self.name,
            "metric": self.metric,
            "values": {str(e): v for e, v in self.values.items()},
        }

    @classmethod
    def from_dict(cls, data: Any) -> "Reference | None":
        """The inverse of `to_dict`; None for any other data, as the file may come from another user."""
        try:
            values = {int(epoch): float(value) for epoch, value in data["values"].items()}
            fit = all(abs(number) <= LARGEST for point in values.items() for number in point)
            return cls(str(data["name"]), str(data["metric"]), values) if values and fit else None
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return None


def read_reference(setting: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Read the reference in a run's configuration, as plain data for the run's summary.

    Args:
        setting: the key `reference` of the configuration: `file`, `curve` and `metric`; or None. The path
            of the file is relative to the working folder, or else to the root of the checkout.

    Returns:
        See `Reference.to_dict`. None if there is no setting, or if the file does not exist: an installed package does
        not contain the folder `experiments`.

    Raises:
        UserError: the file cannot be read, or does not contain the curve.
    """
    if setting is None:
        return None
    path = Path(setting["file"])
    places = (path, Path(__file__).parents[3] / path)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        _log.warning("reference.file: %s does not exist; the run continues without a reference", path)
        return None
    curves = {each.name: each for each in read_curves(found, setting["metric"])}
    if setting["curve"] not in curves:
        raise UserError(
            f"reference.curve: {path} has no column {setting['curve']}; it has {', '.join(curves)}"
        )
    return curves[setting["curve"]].to_dict()


def read_curves(path: Path, metric: str) -> list[Reference]:
    """Read all curves of a CSV file.

    Args:
        path: the file.
        metric: metric of its values.

    Raises:
        UserError: the file cannot be read, has no column `epoch` or no other column, or a cell is not a number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(line, row) for line, row in enumerate(csv.reader(file), start=1) if any(row)]
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give a CSV file of reference curves"
        ) from None
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path}: not a CSV file in UTF-8") from None
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    names = [name for name in header if name and name != "epoch"]
    if "epoch" not in header or not names:
        raise UserError(f"{path}: the first line must have a column `epoch` and one column for each curve")
    if len(set(header)) < len(header):
        raise UserError(f"{path}: two columns have the same name")
    curves: dict[str, dict[int, float]] = {name: {} for name in names}
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: {len(row)} cells, but the first line has {len(header)}")
        cells = dict(zip(header, map(str.strip, row), strict=True))
        epoch = _number(cells["epoch"], path, line)
        if not 1 <= epoch <= LAST_EPOCH or epoch != int(epoch):
            raise UserError(
                f"{path}, line {line}: {cells['epoch']} is not an epoch; epochs are counted from 1"
            )
        for name in names:
            if cells[name]:
                curves[name][int(epoch)] = _number(cells[name], path, line)
    if empty := [name for name, values in curves.items() if not values]:
        raise UserError(f"{path}: column {empty[0]} contains no value")
    return [Reference(name, metric, values) for name, values in curves.items()]


def _number(cell: str, path: Path, line: int) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{path}, line {line}: {cell!r} is not a number")
    return number
