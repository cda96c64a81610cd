"""EB-M: translations that continue a gold prefix, and translations that continue the model's own prefix."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.vocabulary import EOS
from seq2seq_lab.decoding.unroll import encode, unroll
from seq2seq_lab.evaluation.analysis import Subject, some_pairs
from seq2seq_lab.evaluation.positions import positions
from seq2seq_lab.evaluation.references import streams
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Model, gold_inputs


class PrefixBias:
    """EB-M for prefixes of 1, 2, … words; see `eb_m`.

    Args:
        words: of the longest prefix.
        pairs: of more pairs, this many are analysed, at equal distances.
    """

    name = "eb_m"

    def __init__(self, *, words: int = 10, pairs: int = 500) -> None:
        self.words = words
        self.pairs = pairs

    def __call__(self, subject: Subject) -> dict[str, Any]:
        if not subject.task.graded:  # BLEU says nothing there
            return {}
        decode = subject.vocabulary.text
        after_gold: list[list[str]] = [[] for _ in range(self.words)]
        rows: list[int] = []
        for batch, places in subject.few(self.pairs):
            rows += places.tolist()
            ends = [ends_of_words(ids, decode) for ids in batch.target.tolist()]
            length = max(subject.max_length, batch.target.shape[1])
            limits = positions(batch).sum(dim=1).clamp(min=subject.max_length).tolist()  # whatever the batch
            for words, texts in enumerate(after_gold, start=1):
                found = [""] * len(ends)
                longer = [row for row, each in enumerate(ends) if len(each) > words]
                if longer:
                    given = torch.tensor([ends[row][words - 1] for row in longer])
                    part = some_pairs(batch, torch.tensor(longer))
                    for row, ids in zip(longer, continued(subject.model, part, given, length), strict=True):
                        found[row] = decode(ids[: limits[row]])
                texts += found
        hypotheses = [subject.greedy[row] for row in rows]
        references = [subject.references[row] for row in rows]
        return eb_m(after_gold, hypotheses, references, continuation_bleu)


@torch.no_grad()
def continued(model: Model, batch: Batch, given: Tensor, length: int) -> list[list[int]]:
    """Greedy decoding after the first positions of each target: the ids [B][length], these positions included.

    Args:
        given: positions of each target that are fed, [B]; the model's own words are fed after them.
        length: positions in all.
    """
    target = torch.nn.functional.pad(batch.target, (0, max(0, length - batch.target.shape[1])))[:, :length]
    place, given = torch.arange(length, device=target.device), given.to(target.device)[:, None]
    known = model.embed(gold_inputs(target))
    encoded = encode(model, batch.source, batch.source_lengths)
    # The input of a position is the word before it.
    found = best_word(unroll(model, encoded, known, place > given).logits)
    return torch.where(place < given, target, found).tolist()


def ends_of_words(ids: Sequence[int], to_text: Callable[[list[int]], str]) -> list[int]:
    """The number of ids of the prefix of 1, 2, … words; the same as the number of words where each is one id."""
    ids = list(ids[: ids.index(EOS)] if EOS in ids else ids)
    ends: dict[int, int] = {}
    before = ""
    for n in range(1, len(ids) + 1):
        text = to_text(ids[:n])
        if text != before:  # else the symbol is the start of the next word alone
            ends[len(text.split())] = n
        before = text
    return [n for count, n in ends.items() if count > 0]


Bleu = Callable[[Sequence[str], Sequence[Sequence[str]]], float]


def eb_m(
    after_gold: Sequence[Sequence[str]],
    own: Sequence[str],
    references: Sequence[Sequence[str]],
    bleu: Bleu,
) -> dict[str, Any]:
    """EB-M(l) = BLEU(continuations after a gold prefix of l words) / BLEU(continuations after the model's own prefix).

    After He et al. 2021 (https://arxiv.org/abs/1905.10617), which samples the model's prefixes; here they
    are those of greedy decoding, as in a translation, and f is corpus BLEU. 1: no bias; above 1: the model continues
    gold prefixes better than its own.

    A continuation is what follows the first l words. Its references are what follows the first l words of
    each reference of the pair that is longer than l words: the same for both prefixes, so that only the continuations
    differ. Of a pair whose own target has no word after its first l, there is nothing to continue: the pair is left
    out of EB-M(l), for both prefixes. A hypothesis of at most l words has an empty continuation, which BLEU punishes
    as too short.

    Args:
        after_gold: l − 1 → for each pair, the translation with the gold prefix of l words, prefix included.
        own: for each pair, the greedy translation.
        references: of each pair, its own target first.
        bleu: corpus BLEU of hypotheses, and references of each.

    Returns:
        "prefix" l = 1 …, as far as there are pairs, "sentences": their numbers, "gold", "own": BLEU, "eb_m": their
        ratio, null where BLEU after the own prefix is 0; "measures": the ratio of their means over l, weighted with the
        numbers of pairs.
    """
    rows = []
    for words, forced in enumerate(after_gold, start=1):
        pairs = [row for row, each in enumerate(references) if len(each[0].split()) > words]
        if not pairs:
            break
        rest = [[part for text in references[row] if (part := _after(text, words))] for row in pairs]
        gold, free = (bleu([_after(texts[row], words) for row in pairs], rest) for texts in (forced, own))
        rows.append((words, len(pairs), gold, free, gold / free if free else None))
    names = ("prefix", "sentences", "gold", "own", "eb_m")
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    after_gold_mean, after_own_mean = (
        sum(n * row[which] for n, row in zip(columns[1], rows, strict=True)) for which in (2, 3)
    )
    measures = {"eb_m": after_gold_mean / after_own_mean} if after_own_mean else {}
    return {**dict(zip(names, columns, strict=True)), "measures": measures}


def continuation_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU with the n-grams that there are, as continuations may all be shorter than four words."""
    import sacrebleu

    return sacrebleu.corpus_bleu(
        hypotheses, streams(references), tokenize="none", force=True, use_effective_order=True
    ).score


def _after(sentence: str, words: int) -> str:
    return " ".join(sentence.split()[words:])
