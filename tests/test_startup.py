"""The imports of a run: without what it does not use, and without harm to who does."""

import subprocess
import sys

SCRIPT = """
import gc, sys
from seq2seq_lab.launch import startup
with startup.imports():
    import seq2seq_lab.training.train
assert gc.isenabled() and gc.get_freeze_count()
assert not {"scipy", "matplotlib"} & set(sys.modules), "not needed before the first update"
import torch, torchmetrics
from torchmetrics.utilities.imports import _MATPLOTLIB_AVAILABLE, _SCIPY_AVAILABLE
assert _MATPLOTLIB_AVAILABLE and _SCIPY_AVAILABLE
metric = torchmetrics.MeanMetric()
metric.update(1.0)
figure, axes = metric.plot()
assert len(axes.lines) == 1
"""


def test_a_run_imports_no_library_of_plots_and_a_metric_can_still_be_plotted():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert not done.returncode, done.stderr
