"""Decoding: greedy, and beam search."""

LARGEST_ALPHA = 10  # of the length penalty of beam search; the penalty of much more is no number
