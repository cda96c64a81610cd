"""Print all tables, or those given as arguments."""

import argparse

from benchmarks import batches, data, decode, decoding, joeynmt, minibatches, startup, sweep, targets, updates
from benchmarks.table import ARCHIVE, machine

TABLES = {
    "updates": updates.main,
    "batches": batches.main,
    "minibatches": minibatches.main,
    "decode": decode.main,
    "decoding": decoding.main,
    "joeynmt": joeynmt.main,
    "targets": targets.main,
    "data": data.main,
    "startup": startup.main,
    "sweep": sweep.main,
}

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("tables", nargs="*", metavar="table", help=f"{', '.join(TABLES)}; all by default")
chosen = parser.parse_args().tables or list(TABLES)
if unknown := [name for name in chosen if name not in TABLES]:
    parser.error(f"no table named {', '.join(unknown)}; there are {', '.join(TABLES)}")
print(machine())
print(f"corpus: {ARCHIVE or 'the embedded one (set ENG_FRA_ARCHIVE for the real one)'}")
for name in chosen:
    TABLES[name]()
