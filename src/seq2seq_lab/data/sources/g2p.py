"""Words and their sounds: grapheme to phoneme, as in the shared tasks of SIGMORPHON."""

from dataclasses import dataclass
from typing import Literal

from seq2seq_lab.data.sources.parallel import ParallelCorpus
from seq2seq_lab.data.task import Task
from seq2seq_lab.data.units import Characters, Units


@dataclass(frozen=True, kw_only=True)
class G2pCorpus(ParallelCorpus):
    """Files with a word, a tab and its phones, with spaces between them, on each line: ``word TAB w ɜː d``.

    The source's symbols are the characters of the word, those of the target the phones; both are taken as they are. The
    other settings are those of `ParallelCorpus`.
    """

    normalise: Literal["seminar", "text", "none"] = "none"

    def task(self) -> Task:
        """Words and phones."""
        return Task(item="word", token="phone", graded=False)

    def source_units(self) -> Units:
        """Characters."""
        return Characters()
