"""The reference curves that are shown with the groups."""

from collections.abc import Iterable
from dataclasses import replace

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.runs.reference import Reference
from seq2seq_lab.runs.run import Run


def of_runs(runs: Iterable[Run]) -> list[Reference]:
    """The references that the runs name, each once."""
    found: list[Reference] = []
    for run in runs:
        if (reference := run.reference) is not None and reference not in found:
            found.append(reference)
    return found


def with_own_names(references: Iterable[Reference]) -> list[Reference]:
    """The distinct references; if two different ones have the same name, the second gets a number."""
    distinct: list[Reference] = []
    named: list[Reference] = []
    for reference in references:
        if reference in distinct:
            continue
        distinct.append(reference)
        name, number = reference.name, 1
        while any(each.name == name for each in named):
            number += 1
            name = f"{reference.name} #{number}"
        named.append(replace(reference, name=name))
    return named


def named_by(reference: Reference, groups: Iterable[Group]) -> list[Group]:
    """The groups with a run whose configuration names the reference."""

    def same(other: Reference | None) -> bool:
        return other is not None and (other.metric, other.values) == (reference.metric, reference.values)

    return [each for each in groups if any(same(run.reference) for run in (*each.runs, *each.others))]
