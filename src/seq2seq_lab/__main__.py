"""`python -m seq2seq_lab` is `seq2seq-lab`."""

import sys

from seq2seq_lab.commands.main import main

sys.exit(main())
