"""The registry of analyses: adding one is a class in a file of its own, and a line here."""

from collections.abc import Mapping

from seq2seq_lab.evaluation.analysis import Analysis
from seq2seq_lab.evaluation.grammar import AgainstGrammar
from seq2seq_lab.evaluation.groups import ByForm, BySourceLength, ByTargetLength, ByUnknownWords
from seq2seq_lab.evaluation.positions import Positions
from seq2seq_lab.evaluation.prefixes import PrefixBias
from seq2seq_lab.evaluation.recovery import Recovery
from seq2seq_lab.evaluation.repetition import Repetition

_REGISTRY: tuple[Analysis, ...] = (
    Positions(),
    Recovery(),
    PrefixBias(),
    Repetition(),
    BySourceLength(),
    ByTargetLength(),
    ByForm(),
    ByUnknownWords(),
    AgainstGrammar(),
)
ANALYSES: Mapping[str, Analysis] = {each.name: each for each in _REGISTRY}
