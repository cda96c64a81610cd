"""The corpora, or tasks, of the compared runs: groups on the same one, and names that tell them apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seq2seq_lab.compare.naming import ABSENT, show

if TYPE_CHECKING:
    from seq2seq_lab.compare.grouping import Group

_LONG = 40  # characters of settings, such as the paths of files, that are no name


def by_corpus(groups: "Sequence[Group]") -> "dict[str, list[Group]]":
    """The groups on each corpus, by its name; the name is empty if there is only one corpus."""
    together: dict[str | None, list[Group]] = {}
    for group in groups:
        together.setdefault(group.corpus.fingerprint, []).append(group)
    found = list(together.values())
    names = [""] if len(found) == 1 else _names([its[0] for its in found])
    return dict(zip(names, found, strict=True))


def titled(text: str, corpus: str) -> str:
    """A title, and the corpus that it is about, if there are several."""
    return f"{text} · {corpus}" if corpus else text


def corpus_name(group: "Group", groups: "Sequence[Group]") -> str:
    """The option `data` where each corpus has its own, else the beginning of the corpus' fingerprint."""
    option_of: dict[str | None, set[str]] = {}
    for each in groups:
        option_of.setdefault(each.corpus.fingerprint, set()).add(str(each.choices.get("data")))
    options = [option for several in option_of.values() for option in several]
    told_apart = len(set(options)) == len(options) == len(option_of) and all(each.choices for each in groups)
    return f"data={group.choices['data']}" if told_apart else f"corpus={group.corpus.code}"


def _names(groups: "Sequence[Group]") -> list[str]:
    """The option of `data` of each corpus, its settings where several have the same option, or else its code."""
    options = [each.choices.get("data", "corpus") for each in groups]
    names = []
    for group, option in zip(groups, options, strict=True):
        same = [each.config for each, its in zip(groups, options, strict=True) if its == option]
        keys = [key for key in group.config if key.startswith("data.")]
        differing = [key for key in keys if len({show(each.get(key, ABSENT)) for each in same}) > 1]
        settings = ", ".join(f"{key.removeprefix('data.')}={show(group.config[key])}" for key in differing)
        names.append(f"{option} ({settings})" if settings and len(settings) <= _LONG else option)
    return [
        f"{name} {group.corpus.code}" if name == "corpus" or names.count(name) > 1 else name
        for name, group in zip(names, groups, strict=True)
    ]
