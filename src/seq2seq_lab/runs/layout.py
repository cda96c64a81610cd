"""The file names of a run's folder, and of a comparison's. Every reader and writer takes them from here."""

CONFIG = "config.yaml"  # the whole resolved configuration; written last of what makes a folder a run
# Status, why it stopped, metrics, seconds, version, commit, machine, command, corpus, measures, reference, init_from.
SUMMARY = "summary.json"
METRICS = "metrics.csv"  # a row an epoch; `epoch`, counted from 1, then the scalars of TensorBoard
TRANSLATIONS = "translations.json"  # sample translations at the end, with attention weights where there are
VOCABULARIES = "vocabularies.json"  # the words of both sides, in order of their ids
CHECKPOINTS = "checkpoints"
LOCK = ".lock"  # held by the process that trains
LAST = "last.ckpt"
BEST = "best.ckpt"

COMPARISON = "comparison"  # the folder that a comparison is written to by default
REPORT = "report.html"
RESULTS = "results.csv"
TENSORBOARD = "tensorboard"

# Keys of the configuration that do not decide what is learnt, but where and how fast, and what it is shown with.
INCIDENTAL = ("output_dir", "threads", "name", "compare", "fresh", "logger", "accelerate", "reference")
