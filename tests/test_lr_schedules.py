"""Learning-rate schedules: their formulas, and that they depend on nothing but the updates and epochs made."""

import json
import math

import pytest
import torch

import tiny
from seq2seq_lab.config.options import options
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.runs import layout
from seq2seq_lab.training.lr_schedules import Cosine, InverseSqrt, Plateau

BLOCKS = 5  # an epoch
# Changes within a few epochs of a tiny run.
QUICK = {
    "inverse_sqrt": ("lr_schedule.warm_up=20",),
    "plateau": ("lr_schedule.patience=0", "lr_schedule.factor=0.3"),
}
SCHEDULES = [(f"lr_schedule={option}", *QUICK.get(option, ())) for option in options("lr_schedule")]


def rates(schedule, steps, values=None, lr=0.5):
    """The learning rate of `steps` steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = schedule.scheduler(optimizer)
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([] if values is None else [values[step]]))
    return found


def logged(folder):
    return [float(row["train/lr"]) for row in tiny.rows(folder)]


class TestFormulas:
    def test_cosine(self):
        expected = [0.1 + 0.4 * (1 + math.cos(math.pi * epoch / 8)) / 2 for epoch in range(8)]
        assert rates(Cosine(epochs=8, min_lr=0.1), 8) == pytest.approx(expected)
        assert rates(Cosine(epochs=8, min_lr=0.1), 20) == pytest.approx([*expected, *[0.1] * 12])

    def test_inverse_sqrt(self):
        found = rates(InverseSqrt(warm_up=10), 40)
        assert found[:10] == pytest.approx([0.05 * update for update in range(1, 11)])
        assert found[9:] == pytest.approx([0.5 * math.sqrt(10 / update) for update in range(10, 41)])

    def test_plateau(self):
        values = [1, 2, 2, 1, 3, 3, 3, 3]
        found = rates(Plateau(metric="val/bleu", mode="max", factor=0.1, patience=1), 8, values)
        assert found == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005])

    def test_plateau_stops_at_the_smallest_rate(self):
        found = rates(Plateau(metric="a", patience=0, min_lr=0.2), 5, [1] * 5)
        assert found == pytest.approx([0.5, 0.5, 0.25, 0.2, 0.2])


class TestRuns:
    @pytest.mark.parametrize("settings", SCHEDULES, ids=lambda settings: settings[0])
    def test_results_do_not_depend_on_blocks(self, run, settings):
        one, many = (run(str(size), *settings, f"loader.updates_per_block={size}") for size in (1, 128))
        assert tiny.same_weights(one, many)
        assert logged(one) == logged(many)

    def test_nor_do_those_of_batches(self, run):
        settings = (
            "lr_schedule=inverse_sqrt",
            "lr_schedule.warm_up=5",
            "loader.batch_size=4",
            "optimizer=adam",
        )
        one, many = (run(str(size), *settings, f"loader.updates_per_block={size}") for size in (1, 128))
        assert tiny.same_weights(one, many)

    @pytest.mark.parametrize("settings", SCHEDULES, ids=lambda settings: settings[0])
    def test_compiled_and_eager_runs_agree(self, run, settings):
        how = (*settings, "forcing=mixed", "+trainer.precision=64-true")
        one, other = (tiny.weights(run(name, *how, f"accelerate={name}")) for name in ("auto", "off"))
        for name, weight in one.items():
            torch.testing.assert_close(weight, other[name], rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("block", [3, BLOCKS], ids=["mid-epoch", "epoch's end"])
    @pytest.mark.parametrize("settings", SCHEDULES, ids=lambda settings: settings[0])
    def test_a_resumed_run_ends_as_if_it_had_not_been_interrupted(self, run, tmp_path, settings, block):
        settings = (*settings, "trainer.max_epochs=3")
        whole = run("whole", *settings)
        tiny.stop(tmp_path / "stopped", *settings, block=block)
        resumed = run("stopped", *settings)
        assert tiny.same_weights(whole, resumed)
        assert tiny.curves(whole) == tiny.curves(resumed)
        assert tiny.checkpoint(whole)["lr_schedulers"] == tiny.checkpoint(resumed)["lr_schedulers"]

    def test_the_rate_of_each_epoch_is_logged(self, run):
        assert logged(run("constant")) == [0.01, 0.01]
        cosine = logged(run("cosine", "lr_schedule=cosine", "trainer.max_epochs=4"))
        assert cosine == pytest.approx([0.005 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(4)])
        by_update = logged(
            run("by update", "lr_schedule=inverse_sqrt", "lr_schedule.warm_up=40")
        )  # 36 an epoch
        assert by_update == pytest.approx([0.01 * 36 / 40, 0.01 * math.sqrt(40 / 72)])

    def test_a_plateau_counts_evaluations(self, run):
        settings = ("lr_schedule=plateau", "lr_schedule.patience=0", "trainer.check_val_every_n_epoch=2")
        metric = ("lr_schedule.metric=val/loss_free", "lr_schedule.mode=max", "trainer.max_epochs=6")
        assert logged(run("a", *settings, *metric)) == [0.01] * 4 + [0.005] * 2

    def test_a_plateau_of_the_training_loss(self, run):
        metric = ("lr_schedule.metric=train/loss", "lr_schedule.mode=max", "trainer.max_epochs=3")
        found = logged(run("a", "lr_schedule=plateau", "lr_schedule.patience=0", *metric))
        assert found == [0.01, 0.01, 0.005]

    def test_a_schedule_is_part_of_what_a_run_is(self, run):
        folder = run("a", "lr_schedule=cosine")
        config = json.loads(json.dumps(tiny.configuration(*tiny.SETTINGS, "lr_schedule=cosine")))
        assert config["lr_schedule"]["epochs"] == 2
        assert "lr_schedule" in (folder / layout.CONFIG).read_text(encoding="utf-8")

    def test_adamw_trains(self, run):
        losses = [float(row["train/loss"]) for row in tiny.rows(run("a", "optimizer=adamw"))]
        assert losses[1] < losses[0]


def test_the_parts_of_a_block_are_its_batches():
    corpus = tiny.lettered(11)
    (block,) = BlockLoader(corpus, torch.arange(11).numpy(), batch_size=4, updates_per_block=9, shuffle=True)
    parts = list(block.split())
    assert sorted(len(part) for part in parts) == [3, 4, 4]
    assert torch.equal(torch.cat([part.update_numbers for part in parts]), block.update_numbers)
    for whole, part in zip(block, parts, strict=True):
        (batch,) = part
        for one, other in zip(whole[:4], batch[:4], strict=True):
            assert (one is None and other is None) or torch.equal(one, other)
        assert (part.indices == block.indices[whole.rows]).all()
        assert part.updates == block.updates
