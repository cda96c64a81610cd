"""Products, gates and softmax of one sentence as compiled functions; see `sentence_kernel.py` for what they are parts of."""

from typing import Any

import numpy as np
from numba import njit

from seq2seq_lab.accelerate.tiles import (
    MOST_PRODUCTS, MOST_STEPS, add_rows, keep_apart, products, step_rows, step_rows_and_back
)

compiled: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True}
entry = njit(fastmath=True, **compiled)  # the one that Python calls
compiled |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}
fast = njit(fastmath=True, **compiled)
inline = njit(fastmath=True, forceinline=True, **compiled)
exact = njit(fastmath={"contract", "nnan", "ninf", "nsz", "arcp"}, **compiled)  # sums keep their order


@fast
def affine(matrix, bias, rows, out):
    """out[t] = W rows[t] + b; W [O, I], b [O], rows [T, I], out [T, O]."""
    keep_apart()
    whole, length = len(matrix) // 8 * 8, len(rows)
    for o in range(0, whole, 8):
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
def add_transposed(matrix, factors, out):
    """out[t] += Wᵀ factors[t]; W [O, I], factors [T, O], out [T, I]."""
    keep_apart()
    whole = len(matrix) // 8 * 8
    for t in range(len(factors)):
        for o in range(0, whole, 8):
            add_rows(out, t, factors, matrix, o)
        for o in range(whole, len(matrix)):
            for i in range(matrix.shape[1]):
                out[t, i] += factors[t, o] * matrix[o, i]


@fast
def descend(matrix, bias, delta, inputs, rate, back):
    """Back through `affine` with its SGD step, in one reading of W from its last row to its first.

    back[t] += Wᵀ delta[t], then W -= rate · deltaᵀ inputs and b -= rate · Σ_t delta[t].

    W [O, I], b [O], delta [T, O], inputs [T, I]; back [T, I], or fewer rows where not all are wanted.
    """
    keep_apart()
    length, size = inputs.shape
    steps = np.empty((length, size), inputs.dtype)
    for t in range(length):
        for i in range(size):
            steps[t, i] = -rate * inputs[t, i]
        for o in range(len(matrix)):
            bias[o] -= rate * delta[t, o]
    whole, both = len(matrix) // 8 * 8, min(len(back), MOST_STEPS)
    for o in range(whole, len(matrix)):
        for t in range(len(back)):
            for i in range(size):
                back[t, i] += delta[t, o] * matrix[o, i]
        for t in range(length):
            for i in range(size):
                matrix[o, i] += delta[t, o] * steps[t, i]
    for o in range(whole - 8, -1, -8):
        for t in range(both, len(back)):
            add_rows(back, t, delta, matrix, o)
        step_rows_and_back(matrix, o, delta, 0, both, steps, back)
        for t in range(both, length, MOST_STEPS):
            step_rows(matrix, o, delta, t, min(MOST_STEPS, length - t), steps, back)


@exact
def exp(x):
    """e^x in double precision, of arithmetic alone, so that a loop over it becomes vector instructions."""
    x = -700.0 if x < -700.0 else x
    x = 700.0 if x > 700.0 else x
    shifted = x * 1.4426950408889634 + 6755399441055744.0  # its last bits are the nearest whole number
    n = shifted - 6755399441055744.0
    x = (x - n * 0.693145751953125) - n * 1.42860682030941723212e-6
    p = 1 / 6227020800
    for factor in (479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1):
        p = p * x + 1 / factor
    bits = (np.float64(shifted).view(np.int64) << 52) + np.float64(p).view(np.int64)
    return np.int64(bits).view(np.float64)


@exact
def sigmoid(x):
    return 1.0 / (1.0 + exp(-x))


@exact
def tanh(x):
    return 1.0 - 2.0 / (exp(2.0 * x) + 1.0)


@exact
def gates(t, sums, recurrent, states):
    """One step of a GRU: states[t + 1]; `sums` are replaced by r, z and n.

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
def gates_back(t, sums, recurrent, states, delta, passed, of_input, of_state):
    """Gradients of the sums of step t; `passed` [1, H] is what comes from step t + 1, and then z's share for t - 1."""
    size = states.shape[1]
    one = sums.dtype.type(1)
    for i in range(size):
        r, z, n = sums[t, i], sums[t, size + i], sums[t, 2 * size + i]
        error = delta[t, i] + passed[0, i]
        of_n = error * (one - z) * (one - n * n)
        of_r = of_n * recurrent[t, 2 * size + i] * r * (one - r)
        of_z = error * (states[t, i] - n) * z * (one - z)
        of_state[t, i], of_state[t, size + i], of_state[t, 2 * size + i] = of_r, of_z, of_n * r
        of_input[t, i], of_input[t, size + i], of_input[t, 2 * size + i] = of_r, of_z, of_n
        passed[0, i] = error * z


@fast
def largest(row):
    top = row[0]
    for value in row:
        top = max(top, value)
    return top


@exact
def exponentials(row, top):
    for i in range(len(row)):
        row[i] = exp(row[i] - top)


@fast
def softmax(row):
    """In place; returns the logarithm of the sum of the exponentials."""
    top, total = largest(row), row.dtype.type(0)
    exponentials(row, top)
    for value in row:
        total += value
    share = row.dtype.type(1) / total
    for i in range(len(row)):
        row[i] *= share
    return top + np.log(total)


@exact
def choose(logits, scale, noise):
    """The first v at which scale · logits[v] + noise[0, v] is largest; `noise` may have no rows."""
    values = np.empty_like(logits)
    for v in range(len(logits)):
        values[v] = logits[v] * scale
    for v in range(len(logits) if len(noise) else 0):
        values[v] += noise[0, v]
    top = largest(values)
    for v in range(len(values)):
        if values[v] == top:
            return v
    return 0
