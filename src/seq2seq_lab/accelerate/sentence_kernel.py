"""One SGD step on one pair of sentences as one compiled function: forward, back, and the step within the backward pass.

The equations are those of `torch.nn.GRU`, of dot attention and of the cross-entropy. Shapes: S source and T target
positions, E embedding, H hidden, V target vocabulary, L layers, M positions of the memory (S, or more where padding
takes part in attention). A sentence advances in pieces, since a word that the decoder chooses itself is known only when the
position before is done; it goes back at once. In the backward pass no parameter is read after its step.
"""

import numpy as np
from numba import carray

from seq2seq_lab.accelerate.kernels import (
    add_transposed,
    affine,
    choose,
    descend,
    entry,
    exact,
    fast,
    gates,
    gates_back,
    softmax,
    tanh,
)
from seq2seq_lab.accelerate.tiles import pointer

# Where the parameters are in the table of addresses; the layers follow, the encoder's first, four parameters each.
SOURCE_EMBEDDING, TARGET_EMBEDDING, COMBINE, COMBINE_BIAS, OUTPUT, OUTPUT_BIAS, LAYERS = range(7)


@fast
def layer_at(addresses, k, inputs, size, dtype):
    """(weight_ih [3H, inputs], weight_hh [3H, H], bias_ih [3H], bias_hh [3H]) of the k-th layer in the table."""
    base = LAYERS + 4 * k
    return (
        carray(pointer(addresses[base]), (3 * size, inputs), dtype),
        carray(pointer(addresses[base + 1]), (3 * size, size), dtype),
        carray(pointer(addresses[base + 2]), (3 * size,), dtype),
        carray(pointer(addresses[base + 3]), (3 * size,), dtype),
    )


@fast
def recur(layer, inputs, start, trace, from_zero):
    """A layer from position `start` on; inputs [T, E], its trace as in `new_trace`; `from_zero`: its first state is zeros."""
    weight_ih, weight_hh, bias_ih, bias_hh = layer
    sums, recurrent, states = trace
    affine(weight_ih, bias_ih, inputs, sums[start:])
    for t in range(start, start + len(inputs)):
        if t == 0 and from_zero:
            for i in range(len(bias_hh)):
                recurrent[t, i] = bias_hh[i]
        else:
            affine(weight_hh, bias_hh, states[t : t + 1], recurrent[t:])
        gates(t, sums, recurrent, states)


@fast
def recur_back(layer, inputs, trace, delta, rate, from_zero, passed, back):
    """Back through a layer, with its SGD step.

    delta [T, H]: of the states. passed [1, H]: what the last state gets besides, afterwards the gradient of the first state,
    unless that is zeros. The gradient of the inputs is added to back [T, E].
    """
    weight_ih, weight_hh, bias_ih, bias_hh = layer
    sums, recurrent, states = trace
    length = len(delta)
    of_input, of_state = np.empty_like(sums), np.empty_like(sums)
    first = 1 if from_zero else 0  # where the state before it is not zeros
    for t in range(length - 1, -1, -1):
        gates_back(t, sums, recurrent, states, delta, passed, of_input, of_state)
        if t > first:
            add_transposed(weight_hh, of_state[t : t + 1], passed)
        elif t == first:
            descend(weight_hh, bias_hh, of_state[t:], states[t:length], rate, passed)
    if from_zero:
        for i in range(len(bias_hh)):
            bias_hh[i] -= rate * of_state[0, i]
    descend(weight_ih, bias_ih, of_input, inputs, rate, back)


@fast
def advance(addresses, first_layer, words, masks, start, trace):
    """All layers of the encoder (`first_layer` is 0) or the decoder, from position `start` on.

    words [T, E]: the embedded words from there on. masks: [L - 1, T, H] of all positions, or no rows.
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
def go_back(addresses, first_layer, words, masks, trace, delta, passed, rate):
    """Back through all layers; returns the gradient of `words` [T, E].

    delta [T, H]: of the top layer's outputs. passed [L, 1, H]: as in `recur_back`, for each layer.
    """
    inputs, sums, recurrent, states = trace
    for k in range(len(states) - 1, -1, -1):
        into = words if k == 0 else inputs[k]
        back = np.zeros_like(into)
        layer = layer_at(addresses, first_layer + k, into.shape[1], states.shape[2], words.dtype)
        recur_back(layer, into, (sums[k], recurrent[k], states[k]), delta, rate, first_layer == 0, passed[k], back)
        if k and len(masks):
            multiply(back, masks[k - 1])
        delta = back
    return delta


@fast
def multiply(rows, mask):
    """rows *= mask, where the mask has rows."""
    for t in range(len(rows) if len(mask) else 0):
        for i in range(rows.shape[1]):
            rows[t, i] *= mask[t, i]


@exact
def tanh_all(rows):
    for t in range(len(rows)):
        for i in range(rows.shape[1]):
            rows[t, i] = tanh(rows[t, i])


@fast
def attend(combine, bias, states, memory, weights, joined, out):
    """out = tanh(W [value; state] + b), where value = softmax(memory · state) memory.

    W [H, 2H]; states, out [T, H]; memory [M, H]; weights [T, M]; joined [T, 2H].
    """
    size, value = memory.shape[1], np.zeros_like(states)
    affine(memory, np.zeros(len(memory), memory.dtype), states, weights)
    for t in range(len(states)):
        softmax(weights[t])
    add_transposed(memory, weights, value)
    for t in range(len(states)):
        for i in range(size):
            joined[t, i], joined[t, size + i] = value[t, i], states[t, i]
    affine(combine, bias, joined, out)
    tanh_all(out)


@fast
def attend_back(combine, bias, states, memory, weights, joined, out, delta, rate, of_memory):
    """delta [T, H] of the outputs becomes that of the states; that of the memory is added to of_memory [M, H]."""
    size, of_value = memory.shape[1], np.empty_like(states)
    of_joined, scores = np.zeros_like(joined), np.empty_like(weights)
    for t in range(len(states)):
        for i in range(size):
            delta[t, i] *= 1 - out[t, i] * out[t, i]
    descend(combine, bias, delta, joined, rate, of_joined)
    for t in range(len(states)):
        for i in range(size):
            of_value[t, i], delta[t, i] = of_joined[t, i], of_joined[t, size + i]
    affine(memory, np.zeros(len(memory), memory.dtype), of_value, scores)
    for t in range(len(states)):
        mean = memory.dtype.type(0)
        for s in range(len(memory)):
            mean += scores[t, s] * weights[t, s]
        for s in range(len(memory)):
            scores[t, s] = weights[t, s] * (scores[t, s] - mean)
            for i in range(size):
                of_memory[s, i] += weights[t, s] * of_value[t, i] + scores[t, s] * states[t, i]
    add_transposed(memory, scores, delta)


@fast
def new_trace(layers, length, size, dtype):
    """What a backward pass needs of each layer: its inputs (not the first one's), r, z and n, the recurrent sums, states."""
    return (
        np.empty((layers, length, size), dtype),
        np.empty((layers, length, 3 * size), dtype),
        np.empty((layers, length, 3 * size), dtype),
        np.zeros((layers, length + 1, size), dtype),
    )


@fast
def embed(embedding, words, out):
    """out[t] = embedding[words[t]]."""
    for t in range(len(words)):
        for i in range(out.shape[1]):
            out[t, i] = embedding[words[t], i]


@fast
def embed_back(embedding, words, delta, rate):
    """The SGD step of the rows of `words`; the row of a word that comes twice moves twice."""
    for t in range(len(words)):
        for i in range(delta.shape[1]):
            embedding[words[t], i] -= rate * delta[t, i]


@fast
def relu(rows):
    for t in range(len(rows)):
        for i in range(rows.shape[1]):
            rows[t, i] = max(rows[t, i], rows.dtype.type(0))


@fast
def relu_back(delta, rows):
    """delta = 0 where `rows`, behind the ReLU and a mask, are 0."""
    for t in range(len(rows)):
        for i in range(rows.shape[1]):
            if rows[t, i] <= 0:
                delta[t, i] = 0


@fast
def update(addresses, sizes, source, target, words, own, positions, rate, scale, noise, masks):
    """One SGD step on a pair; returns its loss, summed over the target's positions. Arguments as in `update_block`."""
    encoder_at, decoder_at, source_width, target_width, size, source_words, target_words, attention = sizes
    dtype, length, layers = noise.dtype, len(target), decoder_at
    source_mask, encoder_masks, target_mask, decoder_masks = masks
    # Encoder
    source_embedding = carray(pointer(addresses[SOURCE_EMBEDDING]), (source_words, source_width), dtype)
    read = np.empty((len(source), source_width), dtype)
    embed(source_embedding, source, read)
    multiply(read, source_mask)
    encoder, decoder = new_trace(layers, len(source), size, dtype), new_trace(layers, length, size, dtype)
    start = encoder_at
    advance(addresses, encoder_at, read, encoder_masks, start, encoder)
    memory = np.zeros((max(positions, len(source)), size), dtype)
    embed(encoder[3][-1, 1:], np.arange(len(source)), memory)
    for k in range(layers):
        embed(encoder[3][k, len(source):], np.zeros(1, np.int64), decoder[3][k, :1])
    # Decoder
    target_embedding = carray(pointer(addresses[TARGET_EMBEDDING]), (target_words, target_width), dtype)
    combine = carray(pointer(addresses[COMBINE]), (size, 2 * size), dtype)
    combine_bias = carray(pointer(addresses[COMBINE_BIAS]), (size,), dtype)
    output = carray(pointer(addresses[OUTPUT]), (target_words, size), dtype)
    output_bias = carray(pointer(addresses[OUTPUT_BIAS]), (target_words,), dtype)
    fed = np.empty((length, target_width), dtype)
    top = decoder[3][-1, 1:]
    weights, joined = np.empty((length, len(memory)), dtype), np.empty((length, 2 * size), dtype)
    features = np.empty((length, size), dtype) if attention else top
    logits = np.empty((length, target_words), dtype)
    while start < length:
        stop = start + 1
        while stop < length and not own[stop]:
            stop += 1
        if start and own[start]:
            words[start] = choose(logits[start - 1], scale, noise[start:])
        piece = slice(start, stop)
        embed(target_embedding, words[piece], fed[piece])
        relu(fed[piece])
        multiply(fed[piece], target_mask[piece])
        advance(addresses, decoder_at, fed[piece], decoder_masks, start, decoder)
        if attention:
            attend(combine, combine_bias, top[piece], memory, weights[piece], joined[piece], features[piece])
        affine(output, output_bias, features[piece], logits[piece])
        start = stop
    # The loss, and its gradient in the place of the logits
    loss = 0.0
    for t in range(length):
        gold = logits[t, target[t]]
        loss += softmax(logits[t]) - gold
        logits[t, target[t]] -= 1
    # Back
    delta, of_memory = np.zeros((length, size), dtype), np.zeros_like(memory)
    descend(output, output_bias, logits, features, rate, delta)
    if attention:
        attend_back(combine, combine_bias, top, memory, weights, joined, features, delta, rate, of_memory)
    passed = np.zeros((layers, 1, size), dtype)
    of_fed = go_back(addresses, decoder_at, fed, decoder_masks, decoder, delta, passed, rate)
    of_read = go_back(addresses, encoder_at, read, encoder_masks, encoder, of_memory[: len(source)], passed, rate)
    relu_back(of_fed, fed)
    multiply(of_fed, target_mask)
    embed_back(target_embedding, words, of_fed, rate)
    multiply(of_read, source_mask)
    embed_back(source_embedding, source, of_read, rate)
    return loss


@fast
def in_range(ids, stop):
    """Whether there are ids, and all of them are from 0 to stop - 1."""
    for number in ids:
        if number < 0 or number >= stop:
            return False
    return len(ids) > 0


@entry
def update_block(
    addresses, sizes, source, source_lengths, target, target_lengths, words, own,
    positions, rate, scale, noise, source_masks, encoder_masks, target_masks, decoder_masks, losses
):  # fmt: skip
    """One SGD step for each of N pairs, in their order.

    addresses: of the parameters, in the order above. sizes: the number of the encoder's first layer and of the decoder's,
    widths of the embeddings, H, source and target words, and whether there is attention. positions: rows of the memory
    at least. The other arguments are those of `SentenceUpdates.block`; an array of numbers may have no rows.

    Writes the losses [N], and into `words` what the decoder chose. Returns the number of the first pair with an id or a
    length out of range, where it stops, or -1.
    """
    none2, none3 = np.empty((0, 0), noise.dtype), np.empty((0, 0, 0), noise.dtype)
    for n in range(len(source)):
        s, t = source_lengths[n], target_lengths[n]
        if s < 1 or t < 1 or s > source.shape[1] or t > target.shape[1]:
            return n
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
