"""Training and decoding beside JoeyNMT (Kreutzer et al. 2019, https://arxiv.org/abs/1907.12484), in turns.

Both have the same model with the same weights, the same batches and the same optimizer; the table is printed only if
their losses and their translations agree. How JoeyNMT is set up: experiments/speed/README.md.
"""

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks.decode import trained
from benchmarks.table import ARCHIVE, module_of, show, single_thread
from seq2seq_lab.accelerate.fused_parts import FusedParts
from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.vocabulary import EOS
from seq2seq_lab.decoding.beam import beam_search
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import position_losses, sum_of_first
from seq2seq_lab.training.accelerator import Updates, select
from seq2seq_lab.training.module import TranslationModule

EXPERIMENT, UPDATES, TURNS = "baseline/attention", 8, 10
DROPOUT, SMOOTHING, CLIP, LR = 0.4, 0.1, 5.0, 0.002  # those of the experiment
UNK, PAD, BOS, END = range(4)  # of JoeyNMT
SHIFT = 2  # our ids begin with <sos>, <eos>, theirs with the four above


def joey_model(ours: Model) -> Any:
    """JoeyNMT's model of the same sizes, with our weights; it has no bias of the output layer."""
    from joeynmt.model import build_model
    from joeynmt.vocabulary import Vocabulary

    special = SimpleNamespace(
        unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None, lang_tags=[]
    )
    special.unk_id, special.pad_id, special.bos_id, special.eos_id = UNK, PAD, BOS, END
    weights = dict(ours.named_parameters())
    words = [len(weights[f"{part}.embedding.weight"]) - SHIFT for part in ("encoder", "decoder")]
    vocabularies = [Vocabulary([f"w{number}" for number in range(count)], special) for count in words]
    size = weights["decoder.embedding.weight"].shape[1]
    embeddings = {"embedding_dim": size, "dropout": DROPOUT}
    common = {"type": "recurrent", "rnn_type": "gru", "num_layers": 1, "embeddings": embeddings}
    encoder = common | {"hidden_size": size // 2, "bidirectional": True}
    decoder = common | {"hidden_size": size, "attention": "luong", "init_hidden": "bridge"}
    decoder |= {"input_feeding": False, "hidden_dropout": DROPOUT}
    config = {"encoder": encoder, "decoder": decoder, "tied_softmax": True, "initializer": "xavier_uniform"}
    config |= {"embed_initializer": "xavier_uniform", "bias_initializer": "zeros"}
    model = build_model(config, *vocabularies)
    with torch.no_grad():
        for part, table in (("encoder", model.src_embed), ("decoder", model.trg_embed)):
            theirs, mine = table.lut.weight, weights[f"{part}.embedding.weight"]
            theirs[2 * SHIFT :] = mine[SHIFT:]
            theirs[BOS], theirs[END] = mine[0], mine[1]
        for part, rnn in (("encoder", model.encoder.rnn), ("decoder", model.decoder.rnn)):
            for name, value in rnn.named_parameters():
                value.copy_(weights[f"{part}.rnn.layers.0.{name}"])
        for kind in ("weight", "bias"):
            bridge = getattr(model.decoder.bridge_layer, kind)
            bridge.copy_(weights[f"encoder.bridge.linears.0.{kind}"])
        model.decoder.attention.key_layer.weight.copy_(weights["decoder.attention.project.weight"])
        context, state = weights["decoder.attention.combine.weight"].chunk(2, dim=1)
        model.decoder.att_vector_layer.weight.copy_(torch.cat((state, context), dim=1))
        model.decoder.att_vector_layer.bias.copy_(weights["decoder.attention.combine.bias"])
    model.loss_function = ("crossentropy", 0.0)
    return model


def padded(ids: Tensor, lengths: Tensor | None) -> Tensor:
    """Our padded ids as JoeyNMT's."""
    shifted = torch.where(ids > 1, ids + SHIFT, END)
    if lengths is None:
        return shifted
    return shifted.masked_fill(torch.arange(ids.shape[1]) >= lengths.unsqueeze(1), PAD)


def joey_batch(batch: Batch) -> Any:
    """JoeyNMT's batch of the same pairs, its sources in descending order of length, as it needs them."""
    from joeynmt.batch import Batch as JoeyBatch

    count = len(batch.source)
    lengths = batch.source_lengths
    lengths = torch.full((count,), batch.source.shape[1]) if lengths is None else lengths
    target = torch.cat((torch.full((count, 1), BOS), padded(batch.target, batch.target_lengths)), dim=1)
    made = JoeyBatch(
        src=padded(batch.source, batch.source_lengths),
        src_length=lengths,
        src_prompt_mask=None,
        trg=target,
        trg_prompt_mask=None,
        indices=torch.arange(count),
        device=torch.device("cpu"),
        pad_index=PAD,
        eos_index=END,
    )
    made.sort_by_src_length()
    return made


@torch.no_grad()
def check_losses(ours: Model, theirs: Any, batch: Batch) -> None:
    """Raise an error unless both give a batch the same teacher-forced loss, without their two extra words."""
    logits = ours.eval()(batch.source, batch.target, source_lengths=batch.source_lengths).logits
    losses = position_losses(logits, batch.target)
    lengths = batch.target_lengths
    mine = float(losses.sum() if lengths is None else sum_of_first(losses, lengths).sum())
    pairs = joey_batch(batch)
    scores = theirs.eval()._encode_decode(**vars(pairs))[0]
    scores[..., [UNK, PAD]] = -torch.inf
    chances = scores.log_softmax(dim=2).gather(2, pairs.trg.unsqueeze(2)).squeeze(2)
    other = -float(chances[pairs.trg != PAD].sum())
    if abs(other / mine - 1) > 1e-5:
        raise RuntimeError(f"the models differ: a loss of {mine} here, of {other} there")


def joey_updates(model: Any, optimizer: torch.optim.Optimizer, batches: Sequence[Any]) -> None:
    """Updates as those of JoeyNMT's `TrainManager` on one CPU."""
    for batch in batches:
        model.train()
        loss, _, _, correct = model(return_type="loss", **vars(batch))
        mean = batch.normalize(loss, normalization="tokens", n_gpu=0, n_accumulation=1)
        mean.backward()
        mean.item(), batch.normalize(correct, "sum", 0).item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=CLIP)
        optimizer.step()
        optimizer.zero_grad()


def our_updates(module: TranslationModule, updates: Updates, block: Block) -> None:
    """The same number of our updates."""
    pairs = module.pairs(block, 0, 1)
    updates(block, module.plan(pairs), pairs.draws)


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def row(name: str, turns: Sequence[tuple[float, float]], each: int) -> tuple[str, ...]:
    """A row of the table from the seconds of the turns; the first one is to get ready."""
    theirs, ours = (median(column) / each * 1e3 for column in zip(*turns[1:], strict=True))
    ratios = [one / other for one, other in turns[1:]]
    return (
        name,
        f"{theirs:.2f}",
        f"{ours:.2f}",
        f"{median(ratios):.2f}",
        f"{min(ratios):.2f}–{max(ratios):.2f}",
    )


def training() -> tuple[str, ...]:
    """The row of updates."""
    module, data = module_of(EXPERIMENT, f"loader.updates_per_block={UPDATES}")
    with torch.no_grad():
        module.model.decoder.output.bias.zero_()
    other = joey_model(module.model)
    check_losses(module.model, other, next(batch for block in data.val_dataloader() for batch in block))
    module.model.train()
    other.loss_function = ("crossentropy", SMOOTHING)
    optimizer = torch.optim.Adam(other.parameters(), lr=LR)
    updates = select(
        {"fused_parts": FusedParts()}, module.job(module.optimizer(module.model.parameters()))
    ).updates
    turns = []
    for _, block in zip(range(TURNS + 1), data.train_dataloader(), strict=False):
        batches = [joey_batch(batch) for batch in block]
        theirs = seconds(lambda batches=batches: joey_updates(other, optimizer, batches))
        turns.append((theirs, seconds(lambda block=block: our_updates(module, updates, block))))
    return row("ms an update", turns, UPDATES)


def words_of(ids: Sequence[int]) -> list[int]:
    """The words of a translation of JoeyNMT, as our ids."""
    ids = list(ids)
    return [word - SHIFT for word in ids[: ids.index(END) if END in ids else None]]


@torch.no_grad()
def decoding() -> list[tuple[str, ...]]:
    """The rows of greedy decoding and beam search."""
    from joeynmt.search import search

    with torch.enable_grad():
        model, batches, longest = trained()
    model.decoder.output.bias.zero_()
    other = joey_model(model).eval()
    rows = []
    for name, beam in (("greedy", 1), ("beam 5", 5)):
        turns, same, total = [], 0, 0
        for turn in range(TURNS + 1):
            batch = batches[turn % len(batches)]
            theirs, found = joey_batch(batch), {}

            def joey(beam: int = beam, batch: Any = theirs, found: dict[str, Any] = found) -> None:
                found["theirs"] = search(other, batch, longest, beam, 1.0)[0]

            def ours(beam: int = beam, batch: Batch = batch, found: dict[str, Any] = found) -> None:
                if beam == 1:
                    words = greedy(model, batch.source, batch.source_lengths, longest, at_least=0).words
                    found["ours"] = words.tolist()
                else:
                    best = beam_search(model, batch.source, batch.source_lengths, longest, beam=beam)
                    found["ours"] = [each[0].words for each in best]

            turns.append(tuple(each / len(batch.source) for each in (seconds(joey), seconds(ours))))
            order = theirs.indices.tolist()
            for place, ids in zip(order, found["theirs"].tolist(), strict=True):
                total += 1
                mine = found["ours"][place]
                same += words_of(ids) == mine[: mine.index(EOS) if EOS in mine else None]
        rows.append((*row(f"ms a sentence, {name}", turns, 1), f"{same / total:.3f}"))
    return rows


def main() -> None:
    """Print the table."""
    if find_spec("joeynmt") is None or not ARCHIVE:
        print("\nBeside JoeyNMT: skipped, as it is not installed or there is no archive")
        return
    single_thread()
    rows = [(*training(), ""), *decoding()]
    header = ("", "JoeyNMT", "seq2seq-lab", "ratio", "least–most", "same translations")
    show(f"{EXPERIMENT}, processor time in turns, 1 thread", header, rows)
