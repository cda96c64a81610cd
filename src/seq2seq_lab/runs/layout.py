"""The file names in the folder of a run and of a comparison. All code that reads or writes them uses these."""

from seq2seq_lab.config.schema import CODE as CODE
from seq2seq_lab.config.schema import GOLD as GOLD

CONFIG = "config.yaml"  # the whole resolved configuration; written last of what makes a folder a run
SUMMARY = "summary.json"  # what became of it, what it was made with, its last and best values; see `runs.run.Run.begin`
METRICS = "metrics.csv"  # a row an epoch; `epoch`, counted from 1, then the scalars of TensorBoard
TRANSLATIONS = "translations.json"  # sample translations at the end, with attention weights where there are
VOCABULARIES = "vocabularies.json"  # the words of both sides, in order of their ids
# What `seq2seq-lab evaluate` found, for each part of the data: PART.json, and a line for each pair in PART.jsonl.
EVALUATION = "evaluation"
PERFECT = "evaluation/perfect"  # the same of the perfect model of the run's data, PART.json
ANNOTATIONS = (
    "annotations.json"  # what `seq2seq-lab runs note` and `runs tag` write; no part of what the run is
)
OF_TRAINING = (CONFIG, SUMMARY, METRICS, TRANSLATIONS, VOCABULARIES)  # the files that `fresh=true` removes
CHECKPOINTS = "checkpoints"
LOCK = ".lock"  # locked by the process that trains
LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"  # what was the last checkpoint before the last one
BEST = "best.ckpt"
KEPT = "epoch-*.ckpt"  # the weights of earlier epochs, for averaging

NOTES = ".hydra/runs"  # below the output directory: the folder of each run, by what the run is
COMPARISON = "comparison"  # default folder of a comparison
REPORT = "report.html"
RESULTS = "results.csv"
TASKS = "tasks.csv"  # methods over several tasks
TENSORBOARD = "tb"  # short, as it is in the names of TensorBoard's runs

# Keys of the configuration that do not change the trained model: where it is stored, how fast it is trained, how it
# is shown, and what becomes of the other runs of its sweep.
INCIDENTAL = (
    *("output_dir", "threads", "name", "compare", "fresh", "logger", "accelerate", "reference"),
    "stop_after_failures",
    "notify",
)
