"""Runs set beside each other: from folders to a table, plots, a report and TensorBoard runs."""

from seq2seq_lab.compare.comparison import Comparison, compare, gather

__all__ = ["Comparison", "compare", "gather"]
