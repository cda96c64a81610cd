"""Every measure of a trained model, literally from its formula, in plain Python.

It is slow on purpose. It shares no code with the package, so that the package can be compared with it on small cases.

A model is a function p(source, words fed) → {word: probability}, where the words fed are those after the first `<sos>`.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SOS, EOS = "<sos>", "<eos>"
Model = Callable[[str, tuple[str, ...]], Mapping[str, float]]


@dataclass(frozen=True)
class Case:
    """A model and pairs.

    Attributes:
        p: the model.
        words: its vocabulary, in the order of the ids.
        pairs: source and target.
        references: source → all its translations.
        max_length: positions of a hypothesis.
        by_source: whether each source counts once in scores of translations; else each pair.
        predict_sos: whether `<sos>` is the first word to predict.
        uniform: number of a pair and of a position → the random number in (0, 1) that chooses a word.
        truth: the distribution of the data, as a model; {} after a prefix of no translation.
        most: pairs of the analyses that take some of them.
    """

    p: Model
    words: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    references: Mapping[str, Sequence[str]]
    max_length: int
    by_source: bool
    predict_sos: bool
    uniform: Callable[[int, int], float]
    truth: Model
    most: int = 500

    @property
    def start(self) -> tuple[str, ...]:
        return (SOS,) if self.predict_sos else ()

    def wanted(self, pair: int) -> list[str]:
        """What is to be predicted."""
        return [*self.start, *self.pairs[pair][1].split(), EOS]

    def best(self, source: str, fed: Sequence[str]) -> str:
        """The most probable word; the first one of several."""
        probabilities = self.p(source, tuple(fed))
        return max(self.words, key=lambda word: probabilities.get(word, 0.0))  # the first one that is largest

    def continued(self, source: str, fed: Sequence[str], length: int) -> list[str]:
        """Greedy decoding after these words, to a number of words in all."""
        found = list(fed)
        while len(found) < length:
            found.append(self.best(source, found))
        return found

    def hypothesis(self, source: str) -> str:
        return text(self.continued(source, (), self.max_length))

    def loss(self, source: str, fed: Sequence[str], word: str) -> float:
        probability = self.p(source, tuple(fed)).get(word, 0.0)
        return -math.log(probability) if probability > 0 else math.inf


def text(words: Sequence[str]) -> str:
    """The sentence up to the first `<eos>`."""
    ended = words[: words.index(EOS)] if EOS in words else words
    return " ".join(word for word in ended if word != SOS)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def measures(case: Case) -> dict[str, float]:
    """All of them, by name."""
    return {
        **losses(case),
        **translations(case),
        **accuracy(case),
        **recovery(case),
        **prefix_bias(case),
        **repetition(case),
        **against_truth(case),
    }


def losses(case: Case) -> dict[str, float]:
    columns: dict[str, list[float]] = {}
    for pair, (source, target) in enumerate(case.pairs):
        wanted = case.wanted(pair)
        own = case.continued(source, (), len(wanted))
        gold_losses = [case.loss(source, wanted[:t], wanted[t]) for t in range(len(wanted))]
        own_losses = [case.loss(source, own[:t], wanted[t]) for t in range(len(wanted))]
        to_end = own.index(EOS) + 1 if EOS in own else len(own)
        words = len(target.split()) + 1
        characters = len(target.replace(" ", "")) + len(target.split()) + 1
        for name, each in (("loss_forced", gold_losses), ("loss_free", own_losses)):
            columns.setdefault(name, []).append(sum(each) / len(wanted))
            columns.setdefault(f"{name}_per_word", []).append(sum(each) / words)
            columns.setdefault(f"{name}_per_character", []).append(sum(each) / characters)
        columns.setdefault("exposure_gap_to_own_end", []).append(
            (sum(own_losses[:to_end]) - sum(gold_losses[:to_end])) / to_end
        )
    found = {name: mean(values) for name, values in columns.items()}
    return found | {"exposure_gap": found["loss_free"] - found["loss_forced"]}


def segments(case: Case) -> list[tuple[str, Sequence[str]]]:
    """The hypothesis and the references of what counts once; of equally near references chrF takes the first, which is
    the pair's own."""
    counted = dict(reversed(case.pairs)).items() if case.by_source else case.pairs
    return [(case.hypothesis(source), [own, *case.references[source]]) for source, own in counted]


def translations(case: Case) -> dict[str, float]:
    rows = segments(case)
    hypothesis_words, reference_words = lengths(rows)
    return {
        "bleu": bleu(rows),
        "chrf": chrf(rows),
        "exact_match": mean([float(hypothesis in references) for hypothesis, references in rows]),
        "length_ratio": hypothesis_words / reference_words,
        **errors(rows),
    }


def errors(rows: Sequence[tuple[str, Sequence[str]]]) -> dict[str, float]:
    """Edits to the nearest reference; of equally near ones, to the longest."""
    edits, symbols, wrong = [], 0, []
    for hypothesis, references in rows:
        said = hypothesis.split()
        fewest = min(edit_distance(said, each.split()) for each in references)
        nearest = [each.split() for each in references if edit_distance(said, each.split()) == fewest]
        edits.append(float(fewest))
        symbols += max(map(len, nearest))
        wrong.append(float(hypothesis not in references))
    return {
        "symbol_error_rate": sum(edits) / symbols,
        "sequence_error_rate": mean(wrong),
        "edit_distance": mean(edits),
    }


def lengths(rows: Sequence[tuple[str, Sequence[str]]]) -> tuple[int, int]:
    """Words of the hypotheses, and of the references that are closest in length, the shorter of two."""
    ours = theirs = 0
    for hypothesis, references in rows:
        length = len(hypothesis.split())
        ours += length
        theirs += min((abs(len(each.split()) - length), len(each.split())) for each in references)[1]
    return ours, theirs


def ngrams(items: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1))


def bleu(rows: Sequence[tuple[str, Sequence[str]]], *, only_those_there_are: bool = False) -> float:
    """Papineni et al. 2002; a precision of 0 is 1 / (2^k total) for the k-th such n."""
    logs, halvings, matched = [], 0, 0
    for n in range(1, 5):
        correct = total = 0
        for hypothesis, references in rows:
            found = ngrams(hypothesis.split(), n)
            most: Counter[tuple[str, ...]] = Counter()
            for each in references:
                most |= ngrams(each.split(), n)
            correct += sum((found & most).values())
            total += sum(found.values())
        matched += correct
        if total == 0:
            if only_those_there_are:
                break
            return 0.0
        if correct == 0:
            halvings += 1
        logs.append(math.log(correct / total if correct else 1 / (2**halvings * total)))
    ours, theirs = lengths(rows)
    if not matched or not ours:
        return 0.0
    return 100 * math.exp(min(0.0, 1 - theirs / ours) + mean(logs))


def chrf(rows: Sequence[tuple[str, Sequence[str]]]) -> float:
    """Popović 2015: n-grams of up to 6 characters without spaces, recall counts twice, the best reference of each."""

    def counts(hypothesis: str, reference: str) -> list[tuple[int, int, int]]:
        found = []
        for n in range(1, 7):
            ours, theirs = (ngrams(list(each.replace(" ", "")), n) for each in (hypothesis, reference))
            in_ours = sum(ours.values()) if theirs else 0
            found.append((in_ours, sum(theirs.values()), sum((ours & theirs).values())))
        return found

    def score(table: Sequence[tuple[int, int, int]]) -> float:
        there = [(match / ours, match / theirs) for ours, theirs, match in table if ours and theirs]
        if not there:
            return 0.0
        precision, recall = mean([a for a, _ in there]), mean([b for _, b in there])
        return 100 * 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0

    total = [(0, 0, 0)] * 6
    for hypothesis, references in rows:
        best = max((counts(hypothesis, each) for each in references), key=score)
        total = [(a + x, b + y, c + z) for (a, b, c), (x, y, z) in zip(total, best, strict=True)]
    return score(total)


def accuracy(case: Case) -> dict[str, float]:
    gold, own, gap_to_end = [], [], []
    for pair, (source, _) in enumerate(case.pairs):
        wanted = case.wanted(pair)
        said = case.continued(source, (), len(wanted))
        end = said.index(EOS) if EOS in said else len(said)
        for t, word in enumerate(wanted):
            gold.append(float(case.best(source, wanted[:t]) == word))
            own.append(float(said[t] == word and t <= end))
            if t <= end:
                gap_to_end.append(gold[-1] - own[-1])
    return {
        "accuracy_gold": mean(gold),
        "accuracy_own": mean(own),
        "accuracy_gap": mean(gold) - mean(own),
        "accuracy_gap_to_own_end": mean(gap_to_end),
    }


def some(case: Case) -> list[int]:
    """Pairs at equal distances, the first and the last included."""
    count = len(case.pairs)
    if count <= case.most:
        return list(range(count))
    return [int(i * (count - 1) / (case.most - 1)) for i in range(case.most)]


def recovery(case: Case) -> dict[str, float]:
    right: dict[str, list[float]] = {"random": [], "second_best": []}
    for pair in some(case):
        source, wanted = case.pairs[pair][0], case.wanted(pair)
        for t, word in enumerate(wanted):
            if word in (SOS, EOS):
                continue
            others = [each for each in case.words if each not in (SOS, EOS, word)]
            probabilities = case.p(source, tuple(wanted[:t]))
            chosen = {
                "random": others[int(case.uniform(pair, t) * len(others))],
                "second_best": max(others, key=lambda each: probabilities.get(each, 0.0)),
            }
            for kind, each in chosen.items():
                right[kind].append(float(case.best(source, [*wanted[:t], each]) == wanted[t + 1]))
    return {f"recovery_{kind}": mean(values) for kind, values in right.items()}


def prefix_bias(case: Case) -> dict[str, float]:
    """EB-M (He et al. 2021), weighted with the numbers of pairs."""
    totals = [0.0, 0.0]
    for words in range(1, 11):
        after: list[list[tuple[str, list[str]]]] = [[], []]
        for pair in some(case):
            source, target = case.pairs[pair]
            if len(target.split()) <= words:
                continue
            rest = [" ".join(e.split()[words:]) for e in case.references[source] if len(e.split()) > words]
            wanted = case.wanted(pair)
            given = wanted[: len(case.start) + words]
            length = max(case.max_length, len(wanted))
            for place, said in enumerate(
                (text(case.continued(source, given, length)), case.hypothesis(source))
            ):
                after[place].append((" ".join(said.split()[words:]), rest))
        for place, rows in enumerate(after):
            if rows:
                totals[place] += len(rows) * bleu(rows, only_those_there_are=True)
    return {"eb_m": totals[0] / totals[1]} if totals[1] else {}


def repetition(case: Case) -> dict[str, float]:
    found = {}
    for n in range(1, 5):
        counts = [ngrams(hypothesis.split(), n) for hypothesis, _ in segments(case)]
        shares = [1 - len(each) / sum(each.values()) for each in counts if each]
        if shares:
            found[f"repetition_{n}"] = mean(shares)
    return found


def against_truth(case: Case) -> dict[str, float]:
    """EB-C, excess error and outside, by going through all prefixes of words, of the data and of the model."""
    sources = list(dict.fromkeys(source for source, _ in case.pairs))
    words = [word for word in case.words if word not in (SOS, EOS)]
    # which → length → (probability, distance, divergence) of each prefix that has not ended; None: of no translation.
    rows: dict[str, list[list[tuple[float, float | None, float | None]]]] = {"data": [], "model": []}
    outside: list[float] = []
    longest = max(len(each.split()) for source in sources for each in case.references[source])
    living = {which: [(1.0, source, ()) for source in sources] for which in rows}
    lost = 0.0  # the probability of having left, summed over the sources
    for _ in range(longest + 1):
        outside.append(lost / len(sources))
        following: dict[str, list[tuple[float, str, tuple[str, ...]]]] = {"data": [], "model": []}
        for which, prefixes in living.items():
            measured = []
            for probability, source, prefix in prefixes:
                o, p = case.truth(source, prefix), case.p(source, (*case.start, *prefix))
                measured.append((probability, variation(o, p, case.words), divergence(o, p)))
                for word in words:
                    if word in o:
                        share = (o if which == "data" else p).get(word, 0.0)
                        following[which].append((probability * share, source, (*prefix, word)))
                if which == "model":
                    lost += probability * sum(share for word, share in p.items() if word not in o)
            rows[which].append(measured)
        living = following
    found = {"outside": lost / len(sources)}
    for suffix, left in (("", [each * len(sources) for each in outside]), ("_inside", [0.0] * len(outside))):
        distance = [averages(rows, left, length, 1, 1.0) for length in range(longest + 1)]
        weights = [sum(row[0] for row in rows["data"][length]) for length in range(1, longest + 1)]
        model, data = (
            sum(weight * each[which] for weight, each in zip(weights, distance[1:], strict=True))
            for which in (0, 1)
        )
        none = max(model, data) < 1e-9
        if none or data > 1e-3 * sum(weights):
            found[f"eb_c{suffix}"] = 1.0 if none else model / data
        largest = math.log(len(case.words))
        error = [averages(rows, left, length, 2, largest) for length in range(longest + 1)]
        own, gold = (sum(each[which] for each in error) for which in (0, 1))
        none = max(own, gold) < 1e-9
        if none or gold > 1e-9:
            found[f"excess_error{suffix}"] = 0.0 if none else 100 * (own - gold) / gold
    return found


def averages(
    rows: Mapping[str, Sequence[Sequence[Sequence[float]]]],
    outside: Sequence[float],
    length: int,
    column: int,
    largest: float,
) -> tuple[float, float]:
    """The mean over the model's prefixes of one length, those outside at the largest distance, and over the data's."""
    found = []
    for which, lost in (("model", outside[length]), ("data", 0.0)):
        # A model may give a prefix no probability at all; then its distance, which may be infinite, does not count.
        total = sum(row[0] * row[column] for row in rows[which][length] if row[0]) + lost * largest
        weight = sum(row[0] for row in rows[which][length]) + lost
        found.append(total / weight if weight else 0.0)
    return found[0], found[1]


def variation(o: Mapping[str, float], p: Mapping[str, float], words: Sequence[str]) -> float:
    return sum(abs(o.get(word, 0.0) - p.get(word, 0.0)) for word in words) / 2


def divergence(o: Mapping[str, float], p: Mapping[str, float]) -> float:
    return sum(q * (math.log(q / p[word]) if p.get(word) else math.inf) for word, q in o.items() if q)


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, row = row, [i]
        for j, b in enumerate(other, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def near_duplicate(pair: tuple[str, str], training: Sequence[tuple[str, str]]) -> bool:
    """Whether a training pair is within one word on both sides."""
    return any(
        all(edit_distance(a.split(), b.split()) <= 1 for a, b in zip(pair, each, strict=True))
        for each in training
    )
