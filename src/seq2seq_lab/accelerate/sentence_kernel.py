"""One SGD step on one pair of sentences as one compiled function; the backward pass also updates the parameters.

The equations are those of `torch.nn.GRU`, of dot attention and of the cross-entropy. Shapes: S source and T target
positions, E embedding, H hidden, V target vocabulary, L layers, M positions of the memory (S, or more where padding
takes part in attention). The decoder runs in pieces, because a word that it chooses itself is known only after the
previous position; the backward pass is one piece. It reads no parameter after its update.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import carray

from seq2seq_lab.accelerate.kernels import ONE, Array, affine, choose, descend, entry, fast, softmax
from seq2seq_lab.accelerate.layer_kernels import (
    Layer,
    Trace,
    attend,
    attend_back,
    copy,
    embed,
    embed_back,
    multiply,
    new_trace,
    recur,
    recur_back,
    relu,
    relu_back,
)
from seq2seq_lab.accelerate.tiles import pointer

Weights: TypeAlias = tuple[Array, Array, Array, Array, Array, Array]  # see `weights_at`
Masks: TypeAlias = tuple[Array, Array, Array, Array]  # the `DropoutMasks` of one pair, or arrays without rows

# Indices of the parameters in the table of addresses. The layers follow: first those of the encoder, with four
# parameters each.
SOURCE_EMBEDDING, TARGET_EMBEDDING, COMBINE, COMBINE_BIAS, OUTPUT, OUTPUT_BIAS, LAYERS = range(7)


@fast
def weights_at(addresses: Array, sizes: tuple[int, ...], dtype: Any) -> Weights:
    """The parameters outside the layers; `combine` has no rows if there is no attention."""
    _, _, source_width, target_width, size, source_words, target_words, attention = sizes
    joined = size if attention else 0
    return (
        carray(pointer(addresses[SOURCE_EMBEDDING]), (source_words, source_width), dtype),
        carray(pointer(addresses[TARGET_EMBEDDING]), (target_words, target_width), dtype),
        carray(pointer(addresses[COMBINE]), (joined, 2 * size), dtype),
        carray(pointer(addresses[COMBINE_BIAS]), (joined,), dtype),
        carray(pointer(addresses[OUTPUT]), (target_words, size), dtype),
        carray(pointer(addresses[OUTPUT_BIAS]), (target_words,), dtype),
    )


@fast
def layer_at(addresses: Array, k: int, inputs: int, size: int, dtype: Any) -> Layer:
    """(weight_ih [3H, inputs], weight_hh [3H, H], bias_ih [3H], bias_hh [3H]) of the k-th layer in the table."""
    base = LAYERS + 4 * k
    return (
        carray(pointer(addresses[base]), (3 * size, inputs), dtype),
        carray(pointer(addresses[base + 1]), (3 * size, size), dtype),
        carray(pointer(addresses[base + 2]), (3 * size,), dtype),
        carray(pointer(addresses[base + 3]), (3 * size,), dtype),
    )


@fast
def advance(addresses: Array, first_layer: int, words: Array, masks: Array, start: int, trace: Trace) -> None:
    """Run all layers of the encoder (`first_layer` is 0) or the decoder, from position `start` on.

    words [T, E]: the embedded words from `start` on. masks: [L - 1, T, H] of all positions, or no rows.
    """
    inputs, sums, recurrent, states = trace
    stop = start + len(words)
    for k in range(len(states)):
        into = words if k == 0 else inputs[k, start:stop]
        if k:
            for t in range(start, stop):
                for i in range(into.shape[1]):
                    inputs[k, t, i] = states[k - 1, t + 1, i] * (masks[k - 1, t, i] if len(masks) else 1)
        layer = layer_at(addresses, first_layer + k, into.shape[1], states.shape[2], words.dtype)
        recur(layer, into, start, (sums[k], recurrent[k], states[k]), first_layer == 0)


@fast
def go_back(
    addresses: Array,
    first_layer: int,
    words: Array,
    masks: Array,
    trace: Trace,
    delta: Array,
    passed: Array,
    rate: float,
) -> Array:
    """The backward pass of all layers; returns the gradient of `words` [T, E].

    delta [T, H]: gradient of the top layer's outputs. passed [L, 1, H]: as in `recur_back`, for each layer.
    """
    inputs, sums, recurrent, states = trace
    for k in range(len(states) - 1, -1, -1):
        into = words if k == 0 else inputs[k]
        back = np.zeros_like(into)
        layer = layer_at(addresses, first_layer + k, into.shape[1], states.shape[2], words.dtype)
        recur_back(
            layer, into, (sums[k], recurrent[k], states[k]), delta, rate, first_layer == 0, passed[k], back
        )
        if k and len(masks):
            multiply(back, masks[k - 1])
        delta = back
    return delta


@fast
def decode(
    weights: Weights,
    addresses: Array,
    decoder_at: int,
    fed: Array,
    masks: Masks,
    decoder: Trace,
    attention: Trace,
    words: Array,
    own: Array,
    scale: float,
    noise: Array,
    logits: Array,
) -> None:
    """Run the decoder piece by piece; a piece ends before a position whose word it chooses itself.

    Writes the inputs of the GRU to fed [T, E], and the words that the decoder was fed to `words`. attention: memory,
    weights, joined and outputs, as in `attend`. logits [T, V].
    """
    _, embedding, combine, combine_bias, output, output_bias = weights
    memory, shares, joined, features = attention
    top, start = decoder[3][-1, 1:], 0
    while start < len(words):
        stop = start + 1
        while stop < len(words) and not own[stop]:
            stop += 1
        if start and own[start]:
            words[start] = choose(logits[start - 1], scale, noise[start:])
        piece = slice(start, stop)
        embed(embedding, words[piece], fed[piece])
        relu(fed[piece])
        multiply(fed[piece], masks[2][piece])
        advance(addresses, decoder_at, fed[piece], masks[3], start, decoder)
        if len(combine):
            attend(combine, combine_bias, top[piece], memory, shares[piece], joined[piece], features[piece])
        affine(output, output_bias, features[piece], logits[piece])
        start = stop


@fast
def cross_entropy(logits: Array, target: Array) -> float:
    """The cross-entropy, summed over positions; its gradient replaces the logits [T, V]."""
    loss = 0.0
    for t in range(len(target)):
        gold = logits[t, target[t]]
        loss += softmax(logits[t]) - gold
        logits[t, target[t]] -= ONE
    return loss


@fast
def update(
    addresses: Array,
    sizes: tuple[int, ...],
    source: Array,
    target: Array,
    words: Array,
    own: Array,
    positions: int,
    rate: float,
    scale: float,
    noise: Array,
    masks: Masks,
) -> float:
    """One SGD step on a pair; returns its loss, summed over target positions. Arguments as in `update_block`."""
    encoder_at, decoder_at, source_width, target_width, size = sizes[:5]
    dtype, layers, length = noise.dtype, decoder_at, len(target)
    weights = weights_at(addresses, sizes, dtype)
    source_embedding, target_embedding, combine, combine_bias, output, output_bias = weights
    encoder, decoder = new_trace(layers, len(source), size, dtype), new_trace(layers, length, size, dtype)
    # Forward
    read, fed = np.empty((len(source), source_width), dtype), np.empty((length, target_width), dtype)
    embed(source_embedding, source, read)
    multiply(read, masks[0])
    advance(addresses, encoder_at, read, masks[1], encoder_at, encoder)
    memory = np.zeros((max(positions, len(source)), size), dtype)
    copy(encoder[3][-1, 1:], memory)
    for k in range(layers):
        copy(encoder[3][k, len(source) :], decoder[3][k])
    states = decoder[3][-1, 1:]
    shares, joined = np.empty((length, len(memory)), dtype), np.empty((length, 2 * size), dtype)
    features = np.empty((length, size), dtype) if len(combine) else states
    logits = np.empty((length, len(output)), dtype)
    attention = memory, shares, joined, features
    decode(weights, addresses, decoder_at, fed, masks, decoder, attention, words, own, scale, noise, logits)
    loss = cross_entropy(logits, target)
    # Backward
    delta, of_memory = np.zeros((length, size), dtype), np.zeros_like(memory)
    passed = np.zeros((layers, 1, size), dtype)
    descend(output, output_bias, logits, features, rate, delta)
    if len(combine):
        attend_back(combine, combine_bias, states, memory, shares, joined, features, delta, rate, of_memory)
    of_fed = go_back(addresses, decoder_at, fed, masks[3], decoder, delta, passed, rate)
    of_read = go_back(addresses, encoder_at, read, masks[1], encoder, of_memory[: len(source)], passed, rate)
    relu_back(of_fed, fed)
    multiply(of_fed, masks[2])
    embed_back(target_embedding, words, of_fed, rate)
    multiply(of_read, masks[0])
    embed_back(source_embedding, source, of_read, rate)
    return loss


@fast
def in_range(ids: Array, stop: int) -> bool:
    """Whether there is at least one id, and all ids are from 0 to stop - 1."""
    for number in ids:
        if number < 0 or number >= stop:
            return False
    return len(ids) > 0


@entry
def update_block(
    addresses: Array,
    sizes: tuple[int, ...],
    source: Array,
    source_lengths: Array,
    target: Array,
    target_lengths: Array,
    words: Array,
    own: Array,
    positions: int,
    rate: float,
    scale: float,
    noise: Array,
    source_masks: Array,
    encoder_masks: Array,
    target_masks: Array,
    decoder_masks: Array,
    losses: Array,
) -> int:
    """One SGD step for each of N pairs, in their order.

    addresses: addresses of the parameters, in the order above. sizes: the index of the encoder's first layer and of
    the decoder's, the widths of the embeddings, H, the numbers of source and target words, and whether there is
    attention. positions: minimum number of rows of the memory. The other arguments are those of
    `SentenceUpdates.block`; noise and masks may have no rows.

    Writes the losses [N], and the words that the decoder chose into `words`. If a pair has an id or a length
    out of range, it stops before this pair and returns its index; otherwise it returns -1.
    """
    none2, none3 = np.empty((0, 0), noise.dtype), np.empty((0, 0, 0), noise.dtype)
    for n in range(len(source)):
        s, t = source_lengths[n], target_lengths[n]
        if s < 1 or t < 1 or s > source.shape[1] or t > target.shape[1]:
            return n
        for position in range(1, t):
            if own[n, position]:
                words[n, position] = 0  # until the decoder has chosen
        pair = source[n, :s], target[n, :t], words[n, :t]
        if not (in_range(pair[0], sizes[5]) and in_range(pair[1], sizes[6]) and in_range(pair[2], sizes[6])):
            return n
        masks = (
            source_masks[n] if len(source_masks) else none2,
            encoder_masks[n] if len(encoder_masks) else none3,
            target_masks[n] if len(target_masks) else none2,
            decoder_masks[n] if len(decoder_masks) else none3,
        )
        chance = noise[n] if len(noise) else none2
        losses[n] = update(addresses, sizes, *pair, own[n], positions, rate, scale, chance, masks)
    return -1
