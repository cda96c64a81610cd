"""Draw what each policy feeds, as docs/forcing/*.png: `python docs/draw_forcing.py [FOLDER]`.

A row is a sentence, the first of training at the top; a column is the position of a word that is fed. What is drawn is
the plan that the policy itself makes for these sentences. Where a policy decides by the scores of a model, a small one
is trained.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import colors
from matplotlib import pyplot as plt

from seq2seq_lab.config.build import build
from seq2seq_lab.config.compose import composed
from seq2seq_lab.data.batches import Block, BlockLoader, Shape
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.forcing.plan import Pairs, Plan, Revised
from seq2seq_lab.models import attention_model
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.targets.edits import prefix_distances
from seq2seq_lab.targets.optimal_completion import optimal
from seq2seq_lab.targets.reward_sampled import RewardSampled
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import EagerUpdates, Job

# Picture → the settings that make its policy.
PICTURES: dict[str, tuple[str, ...]] = {
    "full": ("forcing=full",),
    "free": ("forcing=free",),
    "mixed": ("forcing=mixed",),
    "mixed_position": ("forcing=mixed", "forcing.unit=position"),
    "mixed_prefix": ("forcing=mixed", "forcing.unit=prefix"),
    "scheduled": ("forcing=scheduled",),
    "scheduled_linear": ("forcing=scheduled", "forcing/decay=linear"),
    "scheduled_exponential": ("forcing=scheduled", "forcing/decay=exponential"),
    "scheduled_increasing": ("forcing=scheduled", "forcing/decay=linear", "forcing.start=0", "forcing.end=1"),
    "scheduled_prefix": (
        "forcing=scheduled",
        "forcing/decay=linear",
        "forcing.start=0",
        "forcing.end=1",
        "forcing.over=epochs",
        "forcing.unit=prefix",
    ),
    "by_step": ("forcing=by_step", "forcing/decay=linear"),
    "by_step_joint": ("forcing=by_step", "forcing/decay=linear", "forcing/schedule=inverse_sigmoid"),
    "by_step_product": (
        "forcing=by_step",
        "forcing/decay=linear",
        "forcing/schedule=inverse_sigmoid",
        "forcing.joint=product",
    ),
    "two_pass": ("forcing=two_pass",),
    "confidence": ("forcing=confidence",),
    "word_dropout": ("forcing=word_dropout",),
    "uniform": ("forcing=uniform",),
}
OTHER = {"two_pass": "word of the pass before", "word_dropout": "zeros", "uniform": "random word"}
OTHER["confidence"] = "own or random word"
EPOCHS, UPDATES = 20, 7  # of one sentence each
SHORTEST, LONGEST = 5, 12  # target positions
OUTSIDE, OWN, GOLD = 0, 1, 2


def fed(overrides: tuple[str, ...]) -> np.ndarray:
    """What sentences are fed during training, in order: OUTSIDE, OWN or GOLD, [sentences, positions]."""
    policy = build(composed(["data=toy", *overrides])["forcing"], "forcing")
    shown: list[np.ndarray] = []
    for epoch in range(EPOCHS):
        pairs = _pairs(epoch)
        plan = policy.plan(pairs)
        if plan.revise is not None:
            return _fed_by_a_model(policy)
        inside = torch.arange(pairs.positions) < pairs.lengths.unsqueeze(1)
        shown.append(_coded(plan.own, inside))
    return np.concatenate(shown)


def _pairs(epoch: int) -> Pairs:
    numbers = torch.arange(UPDATES)
    draws = Draws(0, epoch, numbers)
    lengths = SHORTEST + (draws.uniform("docs/length") * (LONGEST + 1 - SHORTEST)).long()
    return Pairs(lengths, LONGEST, draws, epoch * UPDATES + numbers, EPOCHS * UPDATES, epoch, EPOCHS)


def _coded(own: torch.Tensor, inside: torch.Tensor) -> np.ndarray:
    return torch.where(inside, torch.where(own, OWN, GOLD), OUTSIDE).numpy()


class _Recorded:
    """A policy, and where the first pair of each update was fed the gold word."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.shown: list[np.ndarray] = []

    def plan(self, pairs: Pairs) -> Plan:
        plan: Plan = self.policy.plan(pairs)
        return plan._replace(revise=partial(self._revise, plan.revise))

    def _revise(self, revise: Any, logits: Any, target: Any, lengths: Any, plan: Any, draws: Any) -> Revised:
        revised: Revised = revise(logits, target, lengths, plan, draws)
        inside = torch.arange(LONGEST) < lengths[:1].unsqueeze(1)
        own = torch.nn.functional.pad(~revised.gold[:1], (0, LONGEST - target.shape[1]))
        self.shown.append(_coded(own, inside))
        return revised


def _fed_by_a_model(policy: Any) -> np.ndarray:
    """The same while a small model is trained on the embedded corpus."""
    torch.manual_seed(0)
    corpus, batch = ToyCorpus(pairs=UPDATES * 32).load(), 32
    sizes = {
        "source_vocabulary_size": len(corpus.source_vocabulary),
        "target_vocabulary_size": len(corpus.target_vocabulary),
    }
    model = attention_model(**sizes, hidden_size=48, embedding_size=48)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    recorded = _Recorded(policy)
    job = Job(model, optimizer, NegativeLogLikelihood(), None, batch, recorded.plan(_pairs(0)))
    updates = EagerUpdates(job)
    rows = np.arange(len(corpus))
    for epoch in range(EPOCHS):
        for block in BlockLoader(corpus, rows, batch_size=batch, updates_per_block=UPDATES, shuffle=False):
            draws = Draws(0, epoch, torch.from_numpy(block.indices))
            update = epoch * UPDATES + block.update_numbers
            lengths, positions = block.target_lengths, block.target.shape[1]
            pairs = Pairs(lengths, positions, draws, update, EPOCHS * UPDATES, epoch, EPOCHS)
            updates(block, recorded.plan(pairs), draws)
    return np.concatenate(recorded.shown)


def draw(folder: Path) -> list[Path]:
    """Draw all pictures into a folder; their paths."""
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, overrides in PICTURES.items():
        shown = fed(overrides)
        figure, axes = plt.subplots(figsize=(3.6, 3.0), layout="constrained")
        palette = colors.ListedColormap(["white", "#d1603d", "#2b4c7e"])
        axes.imshow(shown[:, 1:], cmap=palette, vmin=0, vmax=2, aspect="auto", interpolation="nearest")
        axes.set_xlabel("position t of the word that is fed")
        axes.set_ylabel("sentences, first to last")
        axes.set_xticks(range(0, LONGEST - 1, 2), [str(t) for t in range(1, LONGEST, 2)])
        axes.set_yticks([])
        handles = [mpl.patches.Patch(color="#2b4c7e", label="gold word")]
        if (shown == OWN).any():
            handles.append(mpl.patches.Patch(color="#d1603d", label=OTHER.get(name, "own word")))
        figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize="small", frameon=False)
        paths.append(_saved(figure, folder / f"{name}.png"))
    return [*paths, _draw_optimal(folder), _draw_sampled(folder)]


REFERENCE, SAID = ["i", "am", "so", "tired", "today", ".", "<eos>"], ["i", "was", "so", "so", "tired", "."]


def optimal_words() -> np.ndarray:
    """Which words of the reference are to be predicted at each position, [words, positions]."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*REFERENCE, *SAID]), start=2)}
    target = torch.tensor([[numbers[word] for word in REFERENCE]])
    words = torch.tensor([[0, *(numbers[word] for word in SAID)]])
    members = optimal(prefix_distances(words, target), target, torch.tensor([len(REFERENCE)]))
    return members[0].T.numpy()


def sampled_positions() -> np.ndarray:
    """What sentences have in the place of their reference: OUTSIDE, OWN where it is another word, or GOLD."""
    target = RewardSampled(tau=0.85, distance="hamming")
    words = {side: Vocabulary(["<sos>", "<eos>", *map(str, range(2000))]) for side in ("source", "target")}
    target.load(words, load_model)
    pairs = _pairs(0)
    inside = torch.arange(LONGEST) < pairs.lengths.unsqueeze(1)
    gold = torch.where(torch.arange(LONGEST) == pairs.lengths.unsqueeze(1) - 1, 1, 7)
    rows = []
    for epoch in range(EPOCHS):
        shapes = [Shape(slice(0, UPDATES), (1, LONGEST), (1, LONGEST))]
        block = Block(np.arange(UPDATES), gold, pairs.lengths, gold, pairs.lengths, shapes)
        sampled, _ = target.prepare(block, Draws(0, epoch, torch.arange(UPDATES)))
        found = torch.nn.functional.pad(sampled.target, (0, LONGEST - sampled.target.shape[1]))
        rows.append(_coded(found != gold, inside))
    return np.concatenate(rows)


def _draw_optimal(folder: Path) -> Path:
    figure, axes = plt.subplots(figsize=(3.6, 3.0), layout="constrained")
    axes.imshow(
        optimal_words(), cmap=colors.ListedColormap(["white", "#2b4c7e"]), vmin=0, vmax=1, aspect="auto"
    )
    axes.set_xticks(range(len(SAID) + 1), ["<sos>", *SAID], fontsize="small")
    axes.set_yticks(range(len(REFERENCE)), REFERENCE, fontsize="small")
    axes.set_xlabel("own word that is fed")
    axes.set_ylabel("word to predict")
    return _saved(figure, folder / "target_optimal_completion.png")


def _draw_sampled(folder: Path) -> Path:
    figure, axes = plt.subplots(figsize=(3.6, 3.0), layout="constrained")
    palette = colors.ListedColormap(["white", "#d1603d", "#2b4c7e"])
    axes.imshow(sampled_positions(), cmap=palette, vmin=0, vmax=2, aspect="auto", interpolation="nearest")
    axes.set_xlabel("position that is learnt")
    axes.set_ylabel("sampled references")
    axes.set_yticks([])
    named = {"#2b4c7e": "gold word", "#d1603d": "random word"}
    handles = [mpl.patches.Patch(color=colour, label=label) for colour, label in named.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize="small", frameon=False)
    return _saved(figure, folder / "target_reward_sampled.png")


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
    return path


if __name__ == "__main__":
    for path in draw(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "forcing"):
        print(path)
