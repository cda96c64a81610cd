"""seq2seq-lab: change how a sequence-to-sequence decoder is fed while it learns, and see what that did.

Tensors are batch-first. One legend for the shapes in every docstring:

    B  sentences of a batch
    S  source positions
    T  target positions
    E  embedding size
    H  hidden size
    V  words of a vocabulary
"""

__version__ = "0.2.0"
