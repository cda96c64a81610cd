"use strict";
// Computes what the Python package computes: normalisation, units, encoder, attention, decoder, greedy and beam search.

const SOS = 0, EOS = 1;

// Weights -------------------------------------------------------------------------------------------------------------

function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function numbers(base64) {
  const text = atob(base64), out = new Float32Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = fromHalf(text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8));
  return out;
}

// Normalisation -------------------------------------------------------------------------------------------------------

// White space as in Python: JavaScript's \s has a byte-order mark too, and lacks some separators.
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";

function normalise(settings, sentence) {
  if (settings.unescape) sentence = unescaped(sentence);
  if (settings.strip_invisible) sentence = visible(sentence);
  if (settings.lowercase) sentence = sentence.toLowerCase();
  sentence = sentence.replace(new RegExp(`^${SPACE}|${SPACE}$`, "g"), "");
  if (settings.strip_accents) sentence = withoutMarks(sentence);
  if (settings.compose) sentence = sentence.normalize("NFC").replaceAll("\u2019", "'");
  for (const mark of new Set(settings.space_before)) sentence = sentence.replaceAll(mark, " " + mark);
  if (settings.separate) sentence = separated(sentence);
  if (settings.keep) sentence = sentence.replace(new RegExp(`[^${settings.keep}]+`, "gu"), " ");
  return settings.collapse ? sentence.split(new RegExp(SPACE)).filter(Boolean).join(" ") : sentence;
}

function unescaped(text) {
  const named = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };
  const entity = /&(?:amp;)*(?:(amp|lt|gt|quot|apos|nbsp)|#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6}));/g;
  return text.replace(entity, (found, name, decimal, hexadecimal) => {
    if (name) return named[name];
    const code = decimal ? parseInt(decimal, 10) : parseInt(hexadecimal, 16);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return found;
    return code > 0x20 ? String.fromCodePoint(code) : " ";
  });
}

function visible(text) {
  const divider = /(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b/gu;
  const alone = /[\u00ad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u{e0000}-\u{e01ef}]/u;
  const invisible = new RegExp(`${alone.source}|(?<![\\u0590-\\u1fff])[\\u200c\\u200d]`, "gu");
  return text.replace(divider, " ").replace(invisible, "");
}

function withoutMarks(text) { // ASCII characters apart: "≠" is "=" with a mark, which is no letter and keeps it
  return text.replace(/[^\x00-\x7f]+/gu, (run) => {
    let latin = true, out = "";
    for (const character of run.normalize("NFD")) {
      if (/\p{Mn}/u.test(character)) { if (latin) continue; } else latin = /\p{Script=Latin}/u.test(character);
      out += character;
    }
    return out.normalize("NFC");
  });
}

function separated(text) {
  const isDigit = (c) => /\p{Nd}/u.test(c ?? ""), isWord = (c) => /[\p{L}\p{N}\p{M}]/u.test(c ?? "");
  const characters = [...text];
  return characters.map((mark, at) => {
    if (!/[\p{P}\p{S}]/u.test(mark)) return mark;
    const before = characters[at - 1], after = characters[at + 1];
    if (".,:".includes(mark) && isDigit(before) && isDigit(after)) return mark;
    if (mark === "-" && isWord(before) && isWord(after)) return mark;
    if (mark === "'" && isWord(before)) return "' ";
    return ` ${mark} `;
  }).join("");
}

// Units ---------------------------------------------------------------------------------------------------------------

function divide(units, word) {
  if (units.name === "words") return [word];
  if (units.name === "characters") return word ? ["▁", ...word] : [];
  word = word.replace(/▁+$/u, ""); // which SentencePiece takes for spaces
  if (word === "") return [];
  return units.kind === "bpe" ? merged(units.pieces, "▁" + word) : likeliest(units.pieces, "▁" + word);
}

function merged(pieces, word) { // byte-pair encoding: the best pair first, the left one of equal ones
  let parts = [...word];
  for (;;) {
    let best = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const score = pieces.get(parts[i] + parts[i + 1]);
      if (score !== undefined && (best < 0 || score > pieces.get(parts[best] + parts[best + 1]))) best = i;
    }
    if (best < 0) return joinedUnknown(pieces, parts);
    parts.splice(best, 2, parts[best] + parts[best + 1]);
  }
}

function likeliest(pieces, word) { // the unigram model: the division with the largest sum of scores
  const letters = [...word], unknown = Math.min(...pieces.values()) - 10;
  const best = [{ score: 0, from: 0 }];
  for (let end = 1; end <= letters.length; end++) {
    for (let start = 0; start < end; start++) {
      const piece = letters.slice(start, end).join("");
      const score = pieces.get(piece) ?? (end - start === 1 ? unknown : undefined);
      if (score === undefined) continue;
      const total = best[start].score + score;
      if (!best[end] || total > best[end].score) best[end] = { score: total, from: start };
    }
  }
  const parts = [];
  for (let end = letters.length; end > 0; end = best[end].from) parts.unshift(letters.slice(best[end].from, end).join(""));
  return joinedUnknown(pieces, parts);
}

function joinedUnknown(pieces, parts) { // neighbouring unknown characters are one unknown piece
  const out = [];
  let previous = false;
  for (const part of parts) {
    const unknown = !pieces.has(part);
    if (unknown && previous) out[out.length - 1] += part; else out.push(part);
    previous = unknown;
  }
  return out;
}

// Models --------------------------------------------------------------------------------------------------------------

class Network {
  constructor(model) {
    this.model = model;
    this.settings = model.settings;
    this.numbers = null;
    this.used = new Set(); // names of weights, so that a test can see whether all of them count
  }

  weight(name) {
    this.numbers ??= numbers(this.model.contents);
    this.used.add(name);
    const { shape, start } = this.model.weights[name];
    return this.numbers.subarray(start, start + shape.reduce((a, b) => a * b, 1));
  }

  has(name) { return name in this.model.weights; }

  embed(side, id) {
    const name = `${side}.embedding.weight`, size = this.model.weights[name].shape[1];
    return this.weight(name).slice(id * size, (id + 1) * size);
  }

  linear(name, x) {
    const [rows, columns] = this.model.weights[`${name}.weight`].shape;
    const bias = this.has(`${name}.bias`) ? this.weight(`${name}.bias`) : null;
    return product(this.weight(`${name}.weight`), rows, columns, x, bias);
  }
}

class Recurrent extends Network {
  cell(prefix, suffix, x, state) {
    const of = (name) => (this.has(`${prefix}.${name}_l0${suffix}`) ? this.weight(`${prefix}.${name}_l0${suffix}`) : null);
    const size = state[0].length, rows = (this.settings.cell === "gru" ? 3 : 4) * size;
    const a = product(of("weight_ih"), rows, x.length, x, of("bias_ih"));
    const b = product(of("weight_hh"), rows, size, state[0], of("bias_hh"));
    const h = new Float32Array(size);
    if (this.settings.cell === "gru") {
      for (let i = 0; i < size; i++) {
        const r = sigmoid(a[i] + b[i]), z = sigmoid(a[size + i] + b[size + i]);
        h[i] = (1 - z) * Math.tanh(a[2 * size + i] + r * b[2 * size + i]) + z * state[0][i];
      }
      return [h];
    }
    const c = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const input = sigmoid(a[i] + b[i]), forget = sigmoid(a[size + i] + b[size + i]);
      c[i] = forget * state[1][i] + input * Math.tanh(a[2 * size + i] + b[2 * size + i]);
      h[i] = sigmoid(a[3 * size + i] + b[3 * size + i]) * Math.tanh(c[i]);
    }
    return [h, c];
  }

  encode(ids) {
    const { layers, hidden, bidirectional, cell, bridge, unmasked_positions: padded } = this.settings;
    const size = bidirectional ? hidden / 2 : hidden, tensors = cell === "gru" ? 1 : 2;
    let inputs = ids.map((id) => this.embed("encoder", id));
    const state = [];
    for (let layer = 0; layer < layers; layer++) {
      const prefix = `encoder.rnn.layers.${layer}`;
      const run = (suffix, order) => {
        let before = Array.from({ length: tensors }, () => new Float32Array(size));
        const outputs = [];
        for (const at of order) { before = this.cell(prefix, suffix, inputs[at], before); outputs[at] = before[0]; }
        return { outputs, last: before };
      };
      const order = inputs.map((_, at) => at), forward = run("", order);
      if (bidirectional) {
        const back = run("_reverse", [...order].reverse());
        inputs = forward.outputs.map((output, at) => joined(output, back.outputs[at]));
        state.push(...forward.last.map((tensor, n) => joined(tensor, back.last[n])));
      } else {
        inputs = forward.outputs;
        state.push(...forward.last);
      }
    }
    const outputs = [...inputs];
    while (padded !== null && outputs.length < padded) outputs.push(new Float32Array(hidden));
    let first = bridge ? state.map((tensor, n) => this.linear(`encoder.bridge.linears.${n}`, tensor).map(Math.tanh)) : state;
    if (this.settings.input_feeding) first = [...first, new Float32Array(hidden)];
    return { outputs, length: ids.length, state: first, keys: this.keys(outputs) };
  }

  keys(outputs) { // what of a score does not depend on the decoder
    if (this.settings.score === "general") return outputs.map((output) => this.linear("decoder.attention.project", output));
    if (this.settings.score === "additive") return outputs.map((output) => this.linear("decoder.attention.of_output", output));
    return outputs;
  }

  attend(state, memory) {
    const { score } = this.settings;
    let scores;
    if (score === "additive") {
      const query = this.linear("decoder.attention.of_state", state), vector = this.weight("decoder.attention.vector.weight");
      scores = memory.keys.map((key) => key.reduce((sum, value, i) => sum + vector[i] * Math.tanh(value + query[i]), 0));
    } else {
      const scale = score === "scaled_dot" ? state.length ** -0.5 : 1;
      scores = memory.keys.map((key) => key.reduce((sum, value, i) => sum + value * state[i] * scale, 0));
    }
    const weights = softmax(scores), value = new Float32Array(state.length);
    memory.outputs.forEach((output, s) => { for (let i = 0; i < value.length; i++) value[i] += weights[s] * output[i]; });
    return { output: this.linear("decoder.attention.combine", joined(value, state)).map(Math.tanh), weights };
  }

  // Feed a word: the probabilities of the next word, the attention weights and the state after it.
  step(word, state, memory) {
    const { layers, cell, input_feeding: feeds, relu, score } = this.settings, tensors = cell === "gru" ? 1 : 2;
    let x = this.embed("decoder", word);
    if (relu) x = x.map((value) => Math.max(0, value));
    let recurrent = state;
    if (feeds) { x = joined(x, state[state.length - 1]); recurrent = state.slice(0, -1); }
    const after = [];
    for (let layer = 0; layer < layers; layer++) {
      const before = recurrent.slice(layer * tensors, (layer + 1) * tensors);
      const next = this.cell(`decoder.rnn.layers.${layer}`, "", x, before);
      after.push(...next);
      x = next[0];
    }
    let output = x, weights = null;
    if (score !== null) ({ output, weights } = this.attend(x, memory));
    if (feeds) after.push(output);
    return { logits: this.linear("decoder.output", output), weights, state: after };
  }
}

class Transformer extends Network {
  // The input of a position: the embedded word, and sines and cosines of the position.
  input(side, id, position) {
    const { hidden } = this.settings, embedded = this.embed(side, id);
    return embedded.map((value, i) => {
      const angle = position * 10000 ** (-(i - (i % 2)) / hidden);
      return value * Math.sqrt(hidden) + (i % 2 ? Math.cos(angle) : Math.sin(angle));
    });
  }

  norm(name, x) {
    const weight = this.weight(`${name}.weight`), bias = this.weight(`${name}.bias`);
    const mean = x.reduce((a, b) => a + b, 0) / x.length;
    const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length + 1e-5);
    return x.map((value, i) => (value - mean) * scale * weight[i] + bias[i]);
  }

  feedforward(layer, norm, x) {
    const inner = this.linear(`${layer}.feedforward.inner`, this.norm(norm, x)).map((value) => Math.max(0, value));
    return sum(x, this.linear(`${layer}.feedforward.outer`, inner));
  }

  keysValues(name, xs) { // of positions; [position][H] each
    return { keys: xs.map((x) => this.linear(`${name}.key`, x)), values: xs.map((x) => this.linear(`${name}.value`, x)) };
  }

  // Attention of one position: its output, and the mean of the heads' weights.
  attend(name, x, { keys, values }) {
    const { heads } = this.settings, query = this.linear(`${name}.query`, x), size = query.length / heads;
    const found = new Float32Array(query.length), mean = new Array(keys.length).fill(0);
    for (let start = 0; start < query.length; start += size) {
      const weights = softmax(keys.map((key) => {
        let score = 0;
        for (let i = start; i < start + size; i++) score += query[i] * key[i];
        return score / Math.sqrt(size);
      }));
      weights.forEach((weight, s) => {
        for (let i = start; i < start + size; i++) found[i] += weight * values[s][i];
        mean[s] += weight / heads;
      });
    }
    return { output: this.linear(`${name}.output`, found), weights: mean };
  }

  encode(ids) {
    const { encoder_layers: count, decoder_layers: below } = this.settings;
    let xs = ids.map((id, position) => this.input("encoder", id, position));
    for (let number = 0; number < count; number++) {
      const layer = `encoder.layers.${number}`, normed = xs.map((x) => this.norm(`${layer}.norms.0`, x));
      const memory = this.keysValues(`${layer}.attention`, normed);
      xs = xs.map((x, at) => sum(x, this.attend(`${layer}.attention`, normed[at], memory).output));
      xs = xs.map((x) => this.feedforward(layer, `${layer}.norms.1`, x));
    }
    xs = xs.map((x) => this.norm("encoder.norm", x));
    const layers = Array.from({ length: below }, (_, number) => this.keysValues(`decoder.layers.${number}.attention`, xs));
    return { layers, length: ids.length, state: layers.map(() => ({ keys: [], values: [] })) };
  }

  step(word, state, memory) {
    let x = this.input("decoder", word, state[0].keys.length), weights = null;
    const after = memory.layers.map((source, number) => {
      const layer = `decoder.layers.${number}`, normed = this.norm(`${layer}.norms.0`, x);
      const { keys, values } = this.keysValues(`${layer}.self_attention`, [normed]);
      const kept = { keys: [...state[number].keys, ...keys], values: [...state[number].values, ...values] };
      x = sum(x, this.attend(`${layer}.self_attention`, normed, kept).output);
      const attended = this.attend(`${layer}.attention`, this.norm(`${layer}.norms.1`, x), source);
      ({ weights } = attended);
      x = this.feedforward(layer, `${layer}.norms.2`, sum(x, attended.output));
      return kept;
    });
    return { logits: this.linear("output", this.norm("decoder.norm", x)), weights, state: after };
  }
}

const NETWORKS = { recurrent: Recurrent, transformer: Transformer };

// A run ---------------------------------------------------------------------------------------------------------------

class Translator {
  constructor(model) {
    this.model = model;
    this.settings = model.settings;
    this.network = new NETWORKS[model.settings.architecture](model);
    this.ids = { source: new Map(), target: new Map() };
    for (const side of ["source", "target"]) {
      const { words, units } = model[side];
      words.forEach((word, id) => this.ids[side].set(word, id));
      if (units.pieces) units.pieces = new Map(units.pieces); // no object, whose prototype has words such as "constructor"
    }
  }

  // ids of a raw sentence with <eos>, their labels, and what `translate` would say of it; no ids: no known word is left
  read(sentence) {
    const { source, normalise: settings } = this.model, text = normalise(settings, sentence);
    const unknown = [], kept = [], ids = [], notes = [];
    for (const word of text.split(" ")) {
      const symbols = divide(source.units, word).map((symbol) => this.ids.source.get(symbol) ?? source.unk);
      const strange = divide(source.units, word).some((symbol) => !this.ids.source.has(symbol));
      if (strange && word && !unknown.includes(word)) unknown.push(word);
      if (!strange || (source.unk !== null && word)) { ids.push(...symbols); kept.push(word); }
    }
    const removed = (c) => /[\p{L}\p{N}\p{Sc}\p{So}]/u.test(c) && !normalise(settings, c).trim();
    const dropped = sentence.split(/\s+/u).map((word) => [...word].filter(removed).join("")).filter(Boolean);
    if (dropped.length) notes.push(`the normalisation removed ${quoted(dropped)}`);
    const replaced = source.unk === null ? "were skipped" : "are <unk> for this model";
    if (unknown.length) notes.push(`unknown words ${replaced}: ${quoted(unknown)}`);
    const letter = /\p{L}/u, lost = letter.test(sentence) && !letter.test(text);
    if (lost || !kept.some(Boolean) || ids.every((id) => id === source.unk)) {
      return { ids: [], labels: [], notes: [...notes, "no known word to translate"] };
    }
    ids.push(EOS);
    const most = this.settings.unmasked_positions, size = ids.length; // of recurrent models
    if (this.tooLong(ids)) notes.push(`too long for this model: unmasked_positions is ${most}, but a source has ${size} positions`);
    return { ids, labels: ids.map((id) => source.words[id]), notes };
  }

  text(ids) {
    const end = ids.indexOf(EOS), kept = (end < 0 ? ids : ids.slice(0, end)).filter((id) => id !== SOS);
    const words = kept.map((id) => this.model.target.words[id]);
    if (this.model.target.units.name === "words") return words.join(" ");
    return words.join("").split("▁").filter(Boolean).join(" "); // an empty word is none
  }

  // ids of a translation, to feed it, and what to say of its unknown words, which are <unk>, or left out without <unk>
  targetIds(sentence) {
    const { target, normalise: settings } = this.model, words = normalise(settings, sentence).split(" ").filter(Boolean);
    const isKnown = (symbol) => this.ids.target.has(symbol);
    const unknown = [...new Set(words.filter((word) => !divide(target.units, word).every(isKnown)))];
    const kept = target.unk === null ? words.filter((word) => !unknown.includes(word)) : words;
    const ids = kept.flatMap((word) => divide(target.units, word)).map((symbol) => this.ids.target.get(symbol) ?? target.unk);
    const replaced = target.unk === null ? "were skipped" : "are fed as <unk>";
    return { ids, note: unknown.length ? `${this.model.token}s that this model never writes ${replaced}: ${quoted(unknown)}` : "" };
  }

  tooLong(ids) { return ids.length > (this.settings.unmasked_positions ?? Infinity); }

  // Greedy decoding; `forced` gives the word that is fed after a position instead of the likeliest one.
  steps(ids, forced = new Map()) {
    const memory = this.network.encode(ids), found = [];
    let word = SOS, state = memory.state;
    for (let t = 0; t < this.model.max_length; t++) {
      const step = this.network.step(word, state, memory), probabilities = softmax(step.logits), own = largest(step.logits);
      const next = forced.has(t) ? forced.get(t) : own;
      found.push({ fed: word, probabilities, own, next, forced: forced.has(t), weights: step.weights, length: memory.length });
      ({ state } = step);
      word = next;
      if (word === EOS) break;
    }
    return found;
  }

  greedy(ids) { return this.steps(ids).map((step) => step.next); }

  beam(ids, width, alpha = 1) {
    const memory = this.network.encode(ids), found = [];
    let beam = [{ words: [SOS], score: 0, state: memory.state }];
    for (let length = 1; length <= this.model.max_length && beam.length && found.length < width; length++) {
      const continued = [];
      for (const one of beam) {
        const { logits, state } = this.network.step(one.words[one.words.length - 1], one.state, memory);
        logSoftmax(logits).forEach((value, word) => continued.push({ one, word, score: one.score + value, state }));
      }
      continued.sort((a, b) => b.score - a.score);
      beam = [];
      for (const { one, word, score, state } of continued.slice(0, width - found.length)) {
        const words = [...one.words, word];
        if (word === EOS || length === this.model.max_length) found.push({ words: words.slice(1), score: score / ((5 + length) / 6) ** alpha });
        else beam.push({ words, score, state });
      }
    }
    return found.sort((a, b) => b.score - a.score)[0].words;
  }

  translate(sentence, width = 1) {
    const { ids } = this.read(sentence);
    if (!ids.length || this.tooLong(ids)) return "";
    return this.text(width > 1 ? this.beam(ids, width) : this.greedy(ids));
  }
}

function quoted(words) { return words.map((word) => (word.includes("'") ? `"${word}"` : `'${word}'`)).join(", "); }

function product(matrix, rows, columns, x, bias) {
  const out = new Float32Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = bias ? bias[row] : 0;
    for (let column = 0; column < columns; column++, at++) sum += matrix[at] * x[column];
    out[row] = sum;
  }
  return out;
}

function joined(a, b) {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

function sum(a, b) { return a.map((value, i) => value + b[i]); }

function sigmoid(x) { return 1 / (1 + Math.exp(-x)); }

function softmax(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b)), all = Array.from(scores, (score) => Math.exp(score - most));
  const sum = all.reduce((a, b) => a + b);
  return all.map((value) => value / sum);
}

function logSoftmax(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b));
  const sum = Math.log(scores.reduce((total, score) => total + Math.exp(score - most), 0));
  return Array.from(scores, (score) => score - most - sum);
}

function largest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

if (typeof module !== "undefined") module.exports = { Translator, divide, normalise };
