"""What all objectives share: a model's limit, a value for each pair, and what has not to be a class."""

import copy

import pytest
import torch

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.decoding.unroll import argmax, encode
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models import attention_model
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.targets.optimal_completion import OptimalCompletion
from seq2seq_lab.training.objectives.minimum_risk import MinimumRisk
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.objectives.own_sentences import said
from seq2seq_lab.training.objectives.self_critical import SelfCritical
from seq2seq_lab.training.update import backward

CORPUS = tiny.lettered(6, seed=1)
(BLOCK,) = BlockLoader(CORPUS, torch.arange(6).numpy(), batch_size=6)
(BATCH,) = BLOCK
DRAWS = Draws(0, 0, torch.arange(6))
PLAN = Plan(torch.zeros(BATCH.target.shape, dtype=torch.bool))


@pytest.fixture
def model():
    torch.manual_seed(0)
    sizes = (len(CORPUS.source_vocabulary), len(CORPUS.target_vocabulary))
    return attention_model(
        hidden_size=6,
        embedding_size=5,
        cell=torch.nn.GRU,
        score=DotAttention,
        source_vocabulary_size=sizes[0],
        target_vocabulary_size=sizes[1],
    ).double()


def limited(model):
    """The same model, which takes no more positions than the longest reference has."""
    most = BATCH.target.shape[1]

    class Limited(type(model)):
        target_positions = most

        def decode(self, inputs, memory, state, *, draws=None, first=0):
            self.check_lengths(target=first + inputs.shape[1])
            return super().decode(inputs, memory, state, draws=draws, first=first)

    made = copy.deepcopy(model)
    made.__class__ = Limited
    return made


@pytest.mark.parametrize(
    ("objective", "target"),
    [
        (MinimumRisk(candidates=3, max_ratio=3.0), None),
        (SelfCritical(max_ratio=3.0), None),
        (NegativeLogLikelihood(), OptimalCompletion(max_ratio=3.0)),
    ],
    ids=["minimum_risk", "self_critical", "optimal_completion"],
)
def test_own_sentences_are_no_longer_than_a_model_takes(model, objective, target):
    chosen = {} if target is None else {"target": target}
    backward(model.train(), objective, BATCH, PLAN, DRAWS, **chosen)  # this one takes any length
    made = backward(limited(model).train(), objective, BATCH, PLAN, DRAWS, **chosen)
    assert made.losses.shape == (6,)


def test_the_last_word_is_said_by_the_last_position(model):
    """A literal loop: feed what was said, take the best word, keep the first gold words."""
    kept = torch.tensor([0, 1, 2, 0, 4, 1])
    limits = torch.tensor([4, 3, 4, 1, 4, 2])
    model.eval()
    found = said(
        model,
        encode(model, BATCH.source, BATCH.source_lengths),
        BATCH.target,
        limits,
        argmax,
        None,
        kept=kept,
    )
    for row in range(6):
        source = BATCH.source[row : row + 1]
        if BATCH.source_lengths is not None:
            source = source[:, : BATCH.source_lengths[row]]
        words = [SOS]
        for t in range(4):
            logits = model(source, torch.tensor([[*words[1:], 0]])).logits[0, -1]
            words.append(int(BATCH.target[row, t]) if t < kept[row] else int(logits.argmax()))
        assert found.words[row].tolist() == words[1:]


def test_an_objective_gives_a_value_for_each_pair(model):
    class Mean(NegativeLogLikelihood):
        def __call__(self, outcome):
            return outcome.losses.mean()

    with pytest.raises(
        UserError, match=r"^objective: .*each pair, a tensor of shape \(6,\) \[B\], not \(\)$"
    ):
        backward(model, Mean(), BATCH, PLAN, DRAWS)


def test_a_function_is_an_objective(tmp_path, outputs, monkeypatch):
    """Trained by the command: with half of the loss, the weights are those of half the learning rate."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_half.py").write_text("def half(outcome):\n    return outcome.losses / 2\n")
    (tmp_path / "conf" / "objective").mkdir(parents=True)
    option = "# Half of it.\n_target_: my_half.half\n_partial_: true\n"
    (tmp_path / "conf" / "objective" / "half.yaml").write_text(option)
    settings = tiny.sized(*tiny.SETTINGS, "accelerate=off", "trainer.max_epochs=1")
    given = ("objective=half", "optimizer.lr=0.02", "name=half", "--config-dir", str(tmp_path / "conf"))
    assert cli.main(["train", *settings, *given]) == 0
    assert cli.main(["train", *settings, "optimizer.lr=0.01", "name=whole"]) == 0
    half, whole = (next(outputs.glob(f"{name}*/seed-0")) for name in ("half", "whole"))
    assert tiny.same_weights(half, whole)
