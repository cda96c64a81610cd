"""Matrix products, GRU gates, softmax and arg-max as compiled functions, used by `sentence_kernel.py`.

An update on one pair of sentences multiplies large matrices, which do not fit into the first caches, by a few rows.
So its cost is that of reading the matrices. In the forward pass, `affine` reads a matrix once for all known rows. In
the backward pass, `descend` reads it once to compute the gradient of the inputs and to make the SGD step; the gradient
of a matrix is never stored.
"""

from math import factorial
from typing import Any, TypeAlias

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

from seq2seq_lab.accelerate.tiles import (
    HEIGHT,
    MOST_PRODUCTS,
    MOST_STEPS,
    add_rows,
    back_and_step_rows,
    back_rows,
    never_inline,
    products,
    step_rows,
)

Array: TypeAlias = NDArray[Any]

_options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
entry = njit(
    fastmath=True, cache=True, **_options
)  # called from Python; cached with all functions that it calls
_options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}
fast = njit(fastmath=True, **_options)
_flags = {"contract", "nsz", "arcp"}
exact = njit(fastmath=_flags, **_options)  # keeps the order of sums, infinities and NaN
ONE: Any = np.float32(1)  # as a float32, so that float32 expressions are not promoted
TWO: Any = np.float32(2)


@fast
def affine(matrix: Array, bias: Array, rows: Array, out: Array) -> None:
    """out[t] = W rows[t] + b; W [O, I], b [O], rows [T, I], out [T, O]."""
    never_inline()
    whole, length = len(matrix) // HEIGHT * HEIGHT, len(rows)
    for o in range(0, whole, HEIGHT):
        t = 0
        while t < length:
            count = length - t if length - t <= MOST_PRODUCTS else (MOST_PRODUCTS + 2) // 2
            products(matrix, o, rows, t, count, bias, out)
            t += count
    for o in range(whole, len(matrix)):
        for t in range(length):
            total = bias[o]
            for i in range(matrix.shape[1]):
                total += matrix[o, i] * rows[t, i]
            out[t, o] = total


@fast
def add_transposed(matrix: Array, factors: Array, out: Array) -> None:
    """out[t] += Wᵀ factors[t]; W [O, I], factors [T, O], out [T, I]."""
    never_inline()
    whole = len(matrix) // HEIGHT * HEIGHT
    for t in range(len(factors)):
        for o in range(0, whole, HEIGHT):
            add_rows(out, t, factors, matrix, o)
        for o in range(whole, len(matrix)):
            for i in range(matrix.shape[1]):
                out[t, i] += factors[t, o] * matrix[o, i]


@fast
def descend(matrix: Array, bias: Array, delta: Array, inputs: Array, rate: float, back: Array) -> None:
    """The backward pass of `affine`, with its SGD step.

    back[t] += Wᵀ delta[t], then W -= rate · deltaᵀ inputs and b -= rate · Σ_t delta[t]. The rows of W are
    processed from the last to the first, as the last ones are still in the cache from the forward pass.

    W [O, I], b [O], delta [T, O], inputs [T, I]; back [T, I], or fewer rows if not all are needed.
    """
    never_inline()
    length, size = inputs.shape
    steps = np.empty((length, size), inputs.dtype)
    for t in range(length):
        for i in range(size):
            steps[t, i] = -rate * inputs[t, i]
        for o in range(len(matrix)):
            bias[o] -= rate * delta[t, o]
    whole = len(matrix) // HEIGHT * HEIGHT
    for o in range(whole, len(matrix)):
        for t in range(len(back)):
            for i in range(size):
                back[t, i] += delta[t, o] * matrix[o, i]
        for t in range(length):
            for i in range(size):
                matrix[o, i] += delta[t, o] * steps[t, i]
    first, rest = positions_at_once(len(back)), positions_at_once(length - len(back))
    for o in range(whole - HEIGHT, -1, -HEIGHT):
        t = 0
        while t + first < len(back):
            back_rows(matrix, o, delta, t, first, steps, back)
            t += first
        back_and_step_rows(matrix, o, delta, t, len(back) - t, steps, back)
        while t > 0:
            t -= first
            step_rows(matrix, o, delta, t, first, steps, back)
        for t in range(len(back), length, rest):
            step_rows(matrix, o, delta, t, min(rest, length - t), steps, back)


@fast
def positions_at_once(length: int) -> int:
    """Number of positions in a tile: at most MOST_STEPS, and so that all tiles have about the same size."""
    tiles = max(1, -(-length // MOST_STEPS))
    return max(1, -(-length // tiles))


def exp(x: float) -> float:
    """e^x without a library call, so that LLVM can vectorise a loop over it; relative error about two units in the
    last place."""
    raise NotImplementedError


# e^x = 2^n e^r, where x = n · log 2 + r. Adding `shift` leaves n in the last bits; log 2 is subtracted in two
# parts; e^r is its Taylor series. The constants: bounds of x, 1 / log 2, shift, the two parts of log 2.
_DOUBLE = (
    -700.0,
    700.0,
    1.4426950408889634,
    6755399441055744.0,
    0.693145751953125,
    1.42860682030941723212e-6,
)
_SINGLE = (-87.0, 88.0, 1.4426950408889634, 12582912.0, 0.693359375, -2.12194440e-4)


@overload(exp, jit_options={"fastmath": _flags})
def _exp(x: Any) -> Any:
    single = x == types.float32
    number: Any = np.float32 if single else np.float64
    whole: Any = np.int32 if single else np.int64
    bits, terms = (23, 8) if single else (52, 14)  # bits of the fraction, terms of the series
    low, high, scale, shift, log2, log2_rest = (number(c) for c in (_SINGLE if single else _DOUBLE))
    first, *others = (number(1 / factorial(n)) for n in reversed(range(terms)))
    series = tuple(others)

    def value(x: Any) -> Any:
        x = low if x < low else x
        x = high if x > high else x
        shifted = x * scale + shift
        n = shifted - shift
        x = (x - n * log2) - n * log2_rest
        p = first
        for factor in series:
            p = p * x + factor
        raised = whole((number(shifted).view(whole) << bits) + number(p).view(whole))
        return whole(raised).view(number)

    return value


@exact
def sigmoid(x: float) -> float:
    """1 / (1 + e^-x)."""
    return ONE / (ONE + exp(-x))


@exact
def tanh(x: float) -> float:
    """1 - 2 / (e^2x + 1)."""
    return ONE - TWO / (exp(TWO * x) + ONE)


@exact
def gates(t: int, sums: Array, recurrent: Array, states: Array) -> None:
    """One step of a GRU: writes states[t + 1], and replaces `sums` by r, z and n.

    r = σ(sums_r + recurrent_r), z = σ(sums_z + recurrent_z), n = tanh(sums_n + r · recurrent_n),
    states[t + 1] = n + z · (states[t] - n); sums, recurrent [T, 3H], states [T + 1, H].
    """
    size = states.shape[1]
    for i in range(size):
        r = sigmoid(sums[t, i] + recurrent[t, i])
        z = sigmoid(sums[t, size + i] + recurrent[t, size + i])
        n = tanh(sums[t, 2 * size + i] + r * recurrent[t, 2 * size + i])
        sums[t, i], sums[t, size + i], sums[t, 2 * size + i] = r, z, n
        states[t + 1, i] = n + z * (states[t, i] - n)


@fast
def gates_back(
    t: int,
    sums: Array,
    recurrent: Array,
    states: Array,
    delta: Array,
    passed: Array,
    of_input: Array,
    of_state: Array,
) -> None:
    """The backward pass of `gates`: the gradients of `sums` and of `recurrent`, [T, 3H], at position t.

    passed [1, H] is the gradient of states[t + 1] from position t + 1; it is replaced by the part of the gradient of
    states[t] that passes through z.
    """
    size = states.shape[1]
    for i in range(size):
        r, z, n = sums[t, i], sums[t, size + i], sums[t, 2 * size + i]
        error = delta[t, i] + passed[0, i]
        of_n = error * (ONE - z) * (ONE - n * n)
        of_r = of_n * recurrent[t, 2 * size + i] * r * (ONE - r)
        of_z = error * (states[t, i] - n) * z * (ONE - z)
        of_state[t, i], of_state[t, size + i], of_state[t, 2 * size + i] = of_r, of_z, of_n * r
        of_input[t, i], of_input[t, size + i], of_input[t, 2 * size + i] = of_r, of_z, of_n
        passed[0, i] = error * z


@fast
def largest(row: Array) -> float:
    """The maximum of a row. It keeps eight partial maxima, so that a comparison need not wait for the previous one."""
    a = b = c = d = e = f = g = h = row[0]
    whole = len(row) // 8 * 8
    for i in range(0, whole, 8):
        a, b, c, d = max(a, row[i]), max(b, row[i + 1]), max(c, row[i + 2]), max(d, row[i + 3])
        e, f, g, h = max(e, row[i + 4]), max(f, row[i + 5]), max(g, row[i + 6]), max(h, row[i + 7])
    for i in range(whole, len(row)):
        a = max(a, row[i])
    return max(max(a, b, c, d), max(e, f, g, h))


@exact
def exponentials(row: Array, top: float) -> None:
    """row = e^(row - top)."""
    for i in range(len(row)):
        row[i] = exp(row[i] - top)


@fast
def softmax(row: Array) -> float:
    """Softmax in place; returns the logarithm of the sum of the exponentials."""
    top, total = largest(row), row.dtype.type(0)
    exponentials(row, top)
    for i in range(len(row)):
        total += row[i]
    share = ONE / total
    for i in range(len(row)):
        row[i] *= share
    return top + np.log(total)


@exact
def choose(logits: Array, scale: float, noise: Array) -> int:
    """The first v at which scale · logits[v] + noise[0, v] is largest; `noise` may have no rows."""
    values = np.empty_like(logits)
    for v in range(len(logits)):
        values[v] = logits[v] * scale
    if len(noise):
        for v in range(len(logits)):
            values[v] += noise[0, v]
    top = largest(values)
    for v in range(len(values)):
        if values[v] == top:
            return v
    return 0
