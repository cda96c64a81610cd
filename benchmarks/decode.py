"""Greedy decoding and beam search of a baseline beside those of version 0.2, in turns, and an evaluation."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks.table import ARCHIVE, module_of, show, single_thread
from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.decoding.beam import beam_search
from seq2seq_lab.decoding.unroll import Steps, encode
from seq2seq_lab.evaluation.evaluate import Evaluator
from seq2seq_lab.models.attention.general import GeneralAttention
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import position_losses
from seq2seq_lab.training.update import EagerUpdates

EXPERIMENT, UPDATES, TURNS = "baseline/attention", 400, 8


class OfOutputs(GeneralAttention):
    """The score as it was: all outputs are projected at each step."""

    def score(self, states: Tensor, outputs: Tensor) -> Tensor:
        return states @ self.project(outputs).transpose(1, 2)  # type: ignore[no-any-return]


@torch.no_grad()
def search(model: Model, batch: Batch, longest: int, beam: int) -> list[list[int]]:
    """Beam search as it was: all sentences and rows go on until the last one has ended."""
    sentences = len(batch.source)
    decoding = Steps(model, encode(model, batch.source, batch.source_lengths))
    scores, words = torch.zeros(sentences, 1, dtype=torch.float64), torch.full((sentences, 1, 1), SOS)
    found: list[list[tuple[float, list[int]]]] = [[] for _ in range(sentences)]
    rows = torch.arange(sentences).unsqueeze(1)
    for length in range(1, longest + 1):
        logits = decoding.step(model.embed(words[:, :, -1].reshape(-1, 1))).logits
        continued = scores.unsqueeze(2) + logits.double().log_softmax(dim=-1).view(*scores.shape, -1)
        flat = continued.flatten(1)
        width = min(beam, flat.shape[1])
        scores, place = flat.topk(width, dim=1) if width > 1 else flat.max(dim=1, keepdim=True)
        free = beam - torch.tensor([len(each) for each in found])
        scores = scores.masked_fill(torch.arange(width) >= free.unsqueeze(1), -torch.inf)
        parents, last = place // continued.shape[2], place % continued.shape[2]
        words = torch.cat((words[rows, parents], last.unsqueeze(2)), dim=2)
        ended = ((last == EOS) | (length == longest)) & scores.isfinite()
        for sentence, slot in ended.nonzero().tolist():
            score = float(scores[sentence, slot]) / ((5 + length) / 6)
            found[sentence].append((score, words[sentence, slot, 1:].tolist()))
        scores = scores.masked_fill(ended, -torch.inf)
        if not scores.isfinite().any():
            break
        chosen = (rows * continued.shape[1] + parents).flatten()
        decoding.encoded = decoding.encoded.select(chosen)  # which `Steps` does only where sentences change
        decoding.sentences = decoding.sentences[chosen]
        again = torch.arange(len(chosen))
        decoding.state = tuple(each[chosen] for each in decoding.state)
        decoding.select(again)
    return [max(each, key=lambda one: one[0])[1] for each in found]


@torch.no_grad()
def evaluated(model: Model, batch: Batch, longest: int) -> list[str]:
    """An evaluation as it was: each pass encodes the sources, no sentence leaves the batch, and all scores are kept."""
    source, lengths, target = batch.source, batch.source_lengths, batch.target
    position_losses(model(source, target, source_lengths=lengths).logits, target)
    decoding = Steps(model, encode(model, source, lengths))
    word = source.new_full((len(source), 1), SOS)
    ended, words, logits = torch.zeros_like(word, dtype=torch.bool), list[Tensor](), list[Tensor]()
    while len(words) < max(longest, target.shape[1]) and (len(words) < target.shape[1] or not ended.all()):
        logits.append(decoding.step(model.embed(word)).logits)
        word = logits[-1].argmax(dim=2)
        words.append(word)
        ended |= word == EOS
    position_losses(torch.cat(logits, dim=1)[:, : target.shape[1]], target)
    return [str(ids) for ids in torch.cat(words, dim=1).tolist()]


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def trained() -> tuple[Model, list[Batch], int]:
    """A model after some updates, the batches that it is evaluated on, and the longest translation."""
    module, data = module_of(EXPERIMENT)
    updates = EagerUpdates(module.job(module.optimizer(module.model.parameters())))
    made = 0
    while made < UPDATES:
        block: Block
        for block in data.train_dataloader():
            pairs = module.pairs(block, 0, 1)
            updates(block, module.plan(pairs), pairs.draws)
            made += len(block.shapes)
    return module.model.eval(), [batch for block in data.val_dataloader() for batch in block], data.max_length


@torch.no_grad()
def main() -> None:
    """Print the table."""
    if not ARCHIVE:
        print("\nDecoding of a baseline: skipped, as there is no archive")
        return
    single_thread()
    with torch.enable_grad():
        model, batches, longest = trained()
    attention = model.decoder.attention

    def as_it_was(work: Callable[[], object]) -> float:
        attention.__class__ = OfOutputs
        try:
            return seconds(work)
        finally:
            attention.__class__ = GeneralAttention

    rows = []
    for name, beam in (("greedy (beam 1)", 1), ("beam 5", 5), ("evaluation", 0)):
        times = []
        for turn in range(TURNS + 1):
            batch = batches[turn % len(batches)]
            theirs: Callable[[], object]
            ours: Callable[[], object]
            if beam:
                theirs = lambda batch=batch, beam=beam: search(model, batch, longest, beam)  # noqa: E731
                ours = lambda batch=batch, beam=beam: beam_search(  # noqa: E731
                    model, batch.source, batch.source_lengths, longest, beam=beam
                )
            else:
                theirs = lambda batch=batch: evaluated(model, batch, longest)  # noqa: E731
                ours = lambda batch=batch: Evaluator(str, longest).add(model, batch)  # noqa: E731
            times.append([each / len(batch.source) for each in (as_it_was(theirs), seconds(ours))])
        before, now = (median(column) for column in zip(*times[1:], strict=True))
        ratio = median(one / other for one, other in times[1:])
        rows.append((name, f"{before * 1e3:.2f}", f"{now * 1e3:.2f}", f"{ratio:.2f}"))
    header = ("decoding", "0.2 ms per sentence", "ms per sentence", "ratio")
    show(f"{EXPERIMENT} after {UPDATES} updates, processor time in turns, 1 thread", header, rows)
