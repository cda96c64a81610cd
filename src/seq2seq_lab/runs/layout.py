"""The file names in the folder of a run and of a comparison. All code that reads or writes them uses these."""

CONFIG = "config.yaml"  # the resolved configuration; written last, so that a folder that has it is a run
SUMMARY = (
    "summary.json"  # status, metrics, seconds, version, commit, machine, command, corpus, measures, reference
)
METRICS = "metrics.csv"  # one row per epoch: `epoch`, counted from 1, then the same scalars as in TensorBoard
TRANSLATIONS = "translations.json"  # sample translations, with attention weights if the model has attention
VOCABULARIES = "vocabularies.json"  # the source and target words, in the order of their ids
CHECKPOINTS = "checkpoints"
LOCK = ".lock"  # locked by the process that trains
LAST = "last.ckpt"
BEST = "best.ckpt"

COMPARISON = "comparison"  # default folder of a comparison
REPORT = "report.html"
RESULTS = "results.csv"
TENSORBOARD = "tensorboard"

# Keys of the configuration that do not change the trained model: where it is stored, how fast it is trained, and
# how it is shown.
INCIDENTAL = ("output_dir", "threads", "name", "compare", "fresh", "logger", "accelerate", "reference")
