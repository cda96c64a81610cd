"""What a mini-batch update does number by number, as compiled functions; matrix products stay PyTorch's.

Each function reads and writes every number once. Arrays are contiguous: rows [N, …] of positions, in any order.
"""

from typing import Any

import numpy as np

from seq2seq_lab.accelerate.kernels import ONE, Array, entry, exact, exp, fast, largest, sigmoid, tanh

GOLDEN, FIRST, SECOND = (
    np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


@exact
def mixed(x: Any) -> Any:
    """SplitMix64's hash, as `data.draws._mix`."""
    x = (x ^ (x >> _SHIFTS[0])) * FIRST
    x = (x ^ (x >> _SHIFTS[1])) * SECOND
    return x ^ (x >> _SHIFTS[2])


@entry
def draw(pairs: Array, base: int, first: int, least: Any, scale: float, out: Array) -> None:
    """Random numbers of N pairs: `data.draws.Draws.kept`, or `uniform` where `scale` is 0; out [N, T, F].

    Args:
        pairs: indices of the pairs, uint64 [N].
        base: key of seed, purpose and epoch, uint64.
        first: index of the first position.
        least: hashes from this one on are kept, uint64.
        scale: what is written there; 0 elsewhere.
        out: float32.
    """
    for n in range(len(pairs)):
        key = mixed(pairs[n] + base)
        for t in range(out.shape[1]):
            here = mixed(key + np.uint64(first + t + 1) * GOLDEN)
            row = out[n, t]
            if scale == 0:
                for i in range(len(row)):
                    bits = mixed(here + np.uint64(i + 1) * GOLDEN) >> np.uint64(41)
                    row[i] = (np.float32(np.int64(bits)) + np.float32(0.5)) * np.float32(2.0**-23)
            else:
                for i in range(len(row)):
                    row[i] = scale if mixed(here + np.uint64(i + 1) * GOLDEN) >= least else np.float32(0)


@fast
def sums(row: Array, top: float) -> tuple[float, float]:
    """Σ e^(row - top) and Σ row."""
    total = added = row.dtype.type(0)
    for i in range(len(row)):
        total += exp(row[i] - top)
        added += row[i]
    return total, added


@fast
def softmax_back(row: Array, normaliser: float, share: float, rest: float, out: Array) -> None:
    """out = share · softmax(row) - rest."""
    for i in range(len(row)):
        out[i] = share * exp(row[i] - normaliser) - rest


@entry
def losses(scores: Array, words: Array, normalisers: Array, gold: Array, uniform: Array) -> None:
    """Of each row of scores [N, V]: log Σ e^score, −log p(word), and the mean of −log p over all words, [N] each."""
    for n in range(len(scores)):
        row = scores[n]
        top = largest(row)
        total, all_scores = sums(row, top)
        normaliser = top + np.log(total)
        normalisers[n] = normaliser
        gold[n] = normaliser - row[words[n]]
        uniform[n] = normaliser - all_scores / len(row)


@entry
def losses_back(
    scores: Array, words: Array, normalisers: Array, of_gold: Array, of_uniform: Array, back: Array
) -> None:
    """The gradient of the scores, [N, V], from those of the two losses, [N] each."""
    for n in range(len(scores)):
        row, out = scores[n], back[n]
        share, rest = of_gold[n] + of_uniform[n], of_uniform[n] / len(row)
        if share == 0 and rest == 0:
            out[:] = 0
        else:
            softmax_back(row, normalisers[n], share, rest, out)
            out[words[n]] -= of_gold[n]


# LLVM vectorises a loop over few arrays only, since it checks at run time that they do not overlap: so the loops below
# are short, over rows that are in the first cache.


@fast
def gru_row(
    gates: Array, recurrent: Array, bias: Array, state: Array, out: Array, column: int,
    before: Array, candidate: Array,
) -> None:  # fmt: skip
    """`gru` for one sentence."""
    size = len(state)
    for i in range(2 * size):
        gates[i] = sigmoid(gates[i] + recurrent[i])
    for i in range(size):
        candidate[i] = recurrent[2 * size + i] + bias[i]
    for i in range(size):
        gates[2 * size + i] = tanh(gates[2 * size + i] + gates[i] * candidate[i])
    for i in range(size):
        before[i] = state[i]
    for i in range(size):
        n = gates[2 * size + i]
        state[i] = n + gates[size + i] * (state[i] - n)
    for i in range(size):
        out[column + i] = state[i]


@fast
def gru_row_back(
    gates: Array, before: Array, candidate: Array, of_out: Array, column: int,
    of_state: Array, of_inputs: Array, of_recurrent: Array,
) -> None:  # fmt: skip
    """`gru_back` for one sentence."""
    size = len(of_state)
    for i in range(size):
        of_state[i] += of_out[column + i]
    for i in range(size):
        z, n = gates[size + i], gates[2 * size + i]
        of_inputs[2 * size + i] = of_state[i] * (ONE - z) * (ONE - n * n)
    for i in range(size):
        r = gates[i]
        of_recurrent[i] = of_inputs[2 * size + i] * candidate[i] * r * (ONE - r)
    for i in range(size):
        of_recurrent[2 * size + i] = of_inputs[2 * size + i] * gates[i]
    for i in range(size):  # before - n, for the next loop
        of_recurrent[size + i] = before[i] - gates[2 * size + i]
    for i in range(size):
        z = gates[size + i]
        of_recurrent[size + i] *= of_state[i] * z * (ONE - z)
    for i in range(size):
        of_state[i] *= gates[size + i]
    for i in range(2 * size):
        of_inputs[i] = of_recurrent[i]


@entry
def gru(
    place: Array, where: Array, inputs: Array, recurrent: Array, bias: Array, column: int,
    state: Array, out: Array, before: Array, candidate: Array,
) -> None:  # fmt: skip
    """One step of a GRU for n sentences; see `fused_rnn` for the order of rows.

    Args:
        place: rows of the step in `inputs`, [n].
        where: its rows in `out`, [n].
        inputs: W x + b, [N, 3H]; replaced by r, z and n.
        recurrent: U h, [n, 3H].
        bias: of U h in n, [H].
        column: first column in `out`.
        state: h, [B, H]; its first n rows are replaced.
        out: h after the step is written there, [M, F].
        before: h before the step is written there, [n, H].
        candidate: U h + bias in n is written there, [n, H].
    """
    for i in range(len(place)):
        gates = inputs[place[i]]
        gru_row(gates, recurrent[i], bias, state[i], out[where[i]], column, before[i], candidate[i])


@entry
def gru_back(
    place: Array, where: Array, gates: Array, before: Array, candidate: Array, column: int,
    of_out: Array, of_state: Array, of_inputs: Array, of_recurrent: Array,
) -> None:  # fmt: skip
    """Its gradients: of inputs [N, 3H] and recurrent [n, 3H], and the part of that of the state that passes z."""
    for i in range(len(place)):
        gru_row_back(
            gates[place[i]], before[i], candidate[i], of_out[where[i]], column,
            of_state[i], of_inputs[place[i]], of_recurrent[i],
        )  # fmt: skip
