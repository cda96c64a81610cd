"""A run that is killed at any of its writes, and started again, ends as an undisturbed one."""

import itertools
import os

import pytest

import kills
import tiny
from seq2seq_lab.runs.run import Run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of this process")

# Everything that is written: all checkpoints, samples, a test part; the first epoch is the best one.
SETTINGS = (
    "model=attention",
    "forcing=mixed",
    "forcing.unit=position",
    "loader.batch_size=8",
    "loader.updates_per_block=2",
    "optimizer=adam",
    "model.dropout=0.2",
    "monitor={metric: val/loss_forced, mode: max}",
    "split.test=0.1",
    "callbacks.translations.maps=0",
    "trainer.max_epochs=3",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return kills.outcome(tiny.train(tmp_path_factory.mktemp("undisturbed"), *SETTINGS, lean=False))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_it_ends_as_an_undisturbed_run_wherever_it_was_killed(tmp_path, undisturbed, after):
    step = 3 if after else 2
    for number in itertools.count(1, step):
        outputs = tmp_path / str(number)

        def train(outputs=outputs):
            return tiny.train(outputs, *SETTINGS, lean=False)

        killed = kills.train_until_write(number, after=after, train=train)
        if not killed:
            break
        folder = train()
        assert kills.different(kills.outcome(folder), undisturbed) == [], f"killed at write {number}"
    assert number > 20


def test_killed_again_and_again(tmp_path, undisturbed):
    def train():
        return tiny.train(tmp_path, *SETTINGS, lean=False)

    seconds = []
    for number in (14, 5, 3, 8, 4):
        assert kills.train_until_write(number, after=False, train=train)
        if (found := tiny.folders(tmp_path)) and "seconds" in Run(found[0]).summary():
            seconds.append(Run(found[0]).summary()["seconds"])
    folder = train()
    assert kills.different(kills.outcome(folder), undisturbed) == []
    assert seconds == sorted(seconds), "the time of a run that goes on is not lost"
    assert Run(folder).summary()["seconds"] > seconds[-1]
