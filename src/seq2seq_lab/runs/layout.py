"""What lies where in a run's folder. Whoever writes or reads a run takes the names from here."""

CONFIG = "config.yaml"  # the whole resolved configuration; written last of what makes a folder a run
SUMMARY = "summary.json"  # status, metrics, seconds, version, commit, machine, command, corpus
METRICS = "metrics.csv"  # a row an epoch; `epoch`, counted from 1, then the scalars of TensorBoard
TRANSLATIONS = "translations.json"  # sample translations at the end, with attention weights where there are
VOCABULARIES = "vocabularies.json"  # the words of both sides, in order of their ids
CHECKPOINTS = "checkpoints"
LOCK = ".lock"  # held by the process that trains
LAST = "last.ckpt"
BEST = "best.ckpt"

# Keys of the configuration that say where or how fast a run is made, not what it is.
INCIDENTAL = ("output_dir", "threads", "name", "compare", "fresh", "logger", "accelerate")
