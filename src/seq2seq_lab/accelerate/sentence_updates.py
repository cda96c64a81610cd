"""Updates on single pairs with a compiled function: calls `sentence_kernel.py` with the parameters of a model.

Numba (https://numba.pydata.org) compiles the function at its first use on a machine; see `compiler.py`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seq2seq_lab.accelerate.compiler import update_block

Layer: TypeAlias = Sequence[Tensor]  # weight_ih [3H, in], weight_hh [3H, H], bias_ih [3H], bias_hh [3H]
_Ids: TypeAlias = NDArray[np.int64]


class DropoutMasks(NamedTuple):
    """Masks of N pairs, already divided by the probability of keeping a value; `None`: no dropout.

    Attributes:
        source: [N, S, E], for the embedded source words.
        encoder: [N, L - 1, S, H], between the layers of the encoder.
        target: [N, T, E], for the decoder's embedded words, after their ReLU.
        decoder: [N, L - 1, T, H], between the layers of the decoder.
    """

    source: ArrayLike | None = None
    encoder: ArrayLike | None = None
    target: ArrayLike | None = None
    decoder: ArrayLike | None = None


class SentenceUpdates:
    """Plain SGD steps on pairs of sentences, one after the other; the parameters are changed in place.

    Args:
        encoder_embedding: [Vs, Es].
        encoder_layers: layers of a GRU; each is `tuple(gru.parameters())` of a `torch.nn.GRU` with one layer.
        decoder_embedding: [Vt, Et].
        decoder_layers: the same number of layers.
        combine: weight [H, 2H] and bias [H] after dot attention; `None`: no attention.
        output: weight [Vt, H] and bias [Vt].
        positions: rows of the memory, zeros after the sentence; 0: the length of the sentence.

    Raises:
        ValueError: the parameters do not fit together, or are not float32 or float64, contiguous and on the CPU.
    """

    def __init__(
        self,
        *,
        encoder_embedding: Tensor,
        encoder_layers: Sequence[Layer],
        decoder_embedding: Tensor,
        decoder_layers: Sequence[Layer],
        combine: tuple[Tensor, Tensor] | None,
        output: tuple[Tensor, Tensor],
        positions: int = 0,
    ) -> None:
        layers, hidden = len(encoder_layers), output[0].shape[1]
        (source_words, source_width), (target_words, target_width) = (
            encoder_embedding.shape,
            decoder_embedding.shape,
        )
        expected: list[tuple[int, ...]] = [(source_words, source_width), (target_words, target_width)]
        expected += [(hidden, 2 * hidden), (hidden,)] if combine else []
        expected += [(target_words, hidden), (target_words,)]
        for width in (source_width, target_width):
            for inputs in (width, *[hidden] * (layers - 1)):
                expected += [(3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,)]
        self._parameters = [encoder_embedding, decoder_embedding, *(combine or ()), *output]
        self._parameters += [tensor for layer in (*encoder_layers, *decoder_layers) for tensor in layer]
        if [tuple(tensor.shape) for tensor in self._parameters] != expected or layers != len(decoder_layers):
            raise ValueError(
                "not the parameters of an encoder and a decoder with the same number of GRU layers"
            )
        self._attention, self._positions = combine is not None, positions
        self._sizes = (
            0,
            layers,
            source_width,
            target_width,
            hidden,
            source_words,
            target_words,
            int(self._attention),
        )
        self._pointers: list[int] = []
        self._find()

    def _find(self) -> None:
        """Store the addresses of the parameters."""
        dtype = self._parameters[0].dtype
        for tensor in self._parameters:
            if tensor.dtype != dtype or tensor.device.type != "cpu" or not tensor.is_contiguous():
                raise ValueError("parameters must be contiguous, on the CPU and of one type")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"parameters must be float32 or float64, not {dtype}")
        self._dtype: Any = np.float32 if dtype == torch.float32 else np.float64
        self._none = [np.empty((0,) * axes, self._dtype) for axes in range(5)]
        self._pointers = [tensor.data_ptr() for tensor in self._parameters]
        addresses = list(self._pointers)
        if not self._attention:
            addresses[2:2] = [0, 0]  # no `combine`
        self._addresses = np.array(addresses, np.int64)

    def block(
        self,
        source: ArrayLike,
        source_lengths: ArrayLike,
        target: ArrayLike,
        target_lengths: ArrayLike,
        words: ArrayLike,
        own: ArrayLike,
        *,
        lr: float,
        scale: float = 1.0,
        noise: ArrayLike | None = None,
        dropout: DropoutMasks | None = None,
    ) -> tuple[NDArray[np.float64], _Ids]:
        """Make one update for each of N pairs, in their order; values beyond a pair's lengths are not read.

        Args:
            source, source_lengths: [N, S] ids, [N].
            target, target_lengths: [N, T] ids, [N].
            words: [N, T] ids that the decoder is fed where they are known in advance; not read elsewhere.
            own: [N, T] whether it is fed its own choice at the previous position instead; not read at the first one.
            lr: the learning rate.
            scale, noise: its choice is the first v at which scale · logits[v] + noise[n, t, v] is largest;
                noise [N, T, Vt], or `None` for zeros.
            dropout: masks of the N pairs.

        Returns:
            The loss of each pair before its update, summed over its positions [N]; the words that the decoder was fed
            [N, T].

        Raises:
            ValueError: shapes do not fit together.
            IndexError: an id or a length is out of range; the pairs before it were updated.
        """
        if [tensor.data_ptr() for tensor in self._parameters] != self._pointers:
            self._find()
        source, target, fed = _ids(source), _ids(target), np.array(words, np.int64)
        source_lengths, target_lengths = _ids(source_lengths), _ids(target_lengths)
        own = np.ascontiguousarray(own, np.bool_)
        pairs, longest = target.shape
        masks = dropout or DropoutMasks()
        numbers = [
            self._numbers(values, axes) for values, axes in zip((noise, *masks), (3, 3, 4, 3, 4), strict=True)
        ]
        _, layers, source_width, target_width, hidden, _, target_words, _ = self._sizes
        shapes = [
            (pairs, longest, target_words),
            (pairs, source.shape[1], source_width),
            (pairs, layers - 1, source.shape[1], hidden),
            (pairs, longest, target_width),
            (pairs, layers - 1, longest, hidden),
        ]
        fits = all(not len(a) or a.shape == shape for a, shape in zip(numbers, shapes, strict=True))
        lengths_fit = source_lengths.shape == target_lengths.shape == (pairs,) == source.shape[:1]
        if not (fits and lengths_fit and fed.shape == own.shape == target.shape):
            raise ValueError("the arrays of a block do not fit together")
        losses = np.empty(pairs)
        failed = update_block(
            self._addresses, self._sizes, source, source_lengths, target, target_lengths, fed, own,
            self._positions, self._dtype(lr), self._dtype(scale), *numbers, losses
        )  # fmt: skip
        if failed >= 0:
            raise IndexError(f"pair {failed} of the block: an id or a length is out of range")
        return losses, fed

    def __call__(
        self,
        source: ArrayLike,
        target: ArrayLike,
        words: ArrayLike,
        own: ArrayLike,
        *,
        lr: float,
        scale: float = 1.0,
        noise: ArrayLike | None = None,
        dropout: DropoutMasks | None = None,
    ) -> float:
        """Make one update on one pair: as `block`, but without the first dimension, except in noise and masks."""
        source, target = _ids(source), _ids(target)
        losses, _ = self.block(
            source[None],
            (len(source),),
            target[None],
            (len(target),),
            np.asarray(words)[None],
            np.asarray(own)[None],
            lr=lr,
            scale=scale,
            noise=noise,
            dropout=dropout,
        )
        return float(losses[0])

    def _numbers(self, values: ArrayLike | None, axes: int) -> NDArray[Any]:
        return self._none[axes] if values is None else np.ascontiguousarray(values, self._dtype)


def _ids(values: ArrayLike) -> _Ids:
    return np.ascontiguousarray(values, np.int64)
