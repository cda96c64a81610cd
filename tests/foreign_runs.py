"""Runs that somebody may have changed, the commands that read them, and how each of these may end."""

import contextlib
import signal
import time

import tiny
from seq2seq_lab.commands import main as cli

SENTENCE = "je suis grand ."
MODEL = ("model=attention", "split.test=0.2")
COMMANDS = {
    "translate": ["translate", "bad/seed-0", SENTENCE],
    "beam": ["translate", "bad/seed-0", SENTENCE, "--beam", "3", "--best"],
    "evaluate": ["evaluate", "bad/seed-0", "--max-pairs", "2", "--analyses", "none"],
    "page": ["page", "bad/seed-0"],
    "export": ["export", "bad/seed-0"],
    "train": ["train", "--config", "bad/seed-0"],
    "init_from": ["train", *tiny.SETTINGS, *tiny.LEAN, *MODEL, "init_from=bad/seed-0"],
    "compare": ["compare", "."],
    "runs": ["runs", "."],
}
OF_ALL = ("compare", "runs")  # leave out a run that cannot be read


def ends_well(name, capfd):
    """Run a command; it ends in one line, or in an answer. Returns its status and what it printed."""
    capfd.readouterr()
    status = cli.main(COMMANDS[name])
    printed = capfd.readouterr()
    assert status in (0, 1, 2)
    if status:
        assert 1 <= len(printed.err.splitlines()) <= 2, printed.err
        assert "Traceback" not in printed.err
    assert "\x1b" not in printed.out + printed.err
    return status, printed.out + printed.err


@contextlib.contextmanager
def in_time(seconds=60):
    """Stop what waits: this process gets no time of the processor, or as much as these seconds."""
    begun = last = time.process_time()

    def stop(*_):
        nonlocal last
        now = time.process_time()
        assert now - last > 0.01, "it waits"
        assert now - begun < seconds, "it does not end"
        last = now
        signal.alarm(seconds)

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
