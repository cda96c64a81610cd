"""The mode of a model: training, in which dropout draws, or evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def as_evaluated(model: nn.Module) -> Iterator[None]:
    """The model as it is in evaluation. Afterwards each of its modules has its own mode again: a callback may have set
    some of them to evaluation, such as an encoder that is not to change."""
    modes = {each: each.training for each in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for each, training in modes.items():
            each.training = training
