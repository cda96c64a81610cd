"""`python -m seq2seq_lab` is `seq2seq-lab`."""

import sys
from pathlib import Path

if not sys.flags.safe_path and sys.path[:1] in ([""], [str(Path.cwd())]):
    del sys.path[0]  # Python puts the working folder first, where a library would find modules of its name

from seq2seq_lab.commands.main import main

sys.exit(main())
