"""Tasks that are not translation: SCAN, words and their sounds, path-star graphs."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fake_runs
import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare import gather
from seq2seq_lab.data.sources.g2p import G2pCorpus
from seq2seq_lab.data.sources.path_star import PathStarCorpus
from seq2seq_lab.data.sources.scan import ScanCorpus, commands, form
from seq2seq_lab.data.splits import ByComponent, ByRow, NoSplit, parts_of
from seq2seq_lab.data.task import with_article
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measure import in_words
from seq2seq_lab.evaluation.measures import REGISTRY

SIZES = {  # of Lake & Baroni 2018
    "simple": (16728, 4182),
    "length": (16990, 3920),
    "jump": (14670, 7706),
    "turn_left": (21890, 1208),
}
# SHA-256 of the sorted lines of the published files, https://github.com/brendenlake/SCAN.
PUBLISHED = {
    ("length", 0): "114e6bdb1575f27d8d6d4449081970cef4846b2ec89b260dc2a0e5297c3e75d5",
    ("length", 2): "45bb5e5f0e0678da016725d880ba4349267b93262762a2c66f9b51b04535a2ce",
    ("jump", 0): "1e5ab3357dc958267480a6012d3970953f35bb098a115b1754a1ad36d371b7cb",
    ("jump", 2): "48956239771e67ded4d090164919ab79d21756218a3e94f9abc2cbe346c0cd1c",
    ("turn_left", 0): "4f1ccb48ec39aed79ac69c8da9d2c8061b1bb8ea8199ab8931b6939068a3b626",
    ("turn_left", 2): "81acae1af5137165debf8630986733b2581aea19cb98e32f4026bccce8042b09",
}
TURN = {"left": ["I_TURN_LEFT"], "right": ["I_TURN_RIGHT"]}


def meaning(command):
    """The actions of a command, read from its words: conjunctions first, then repetitions, then directions."""
    for word, in_order in (("and", True), ("after", False)):
        if word in command:
            at = command.index(word)
            one, other = meaning(command[:at]), meaning(command[at + 1 :])
            return one + other if in_order else other + one
    if command[-1] in ("twice", "thrice"):
        return meaning(command[:-1]) * (2 if command[-1] == "twice" else 3)
    act = [] if command[0] == "turn" else [f"I_{command[0].upper()}"]
    match command[1:]:
        case []:
            return act
        case [direction]:
            return TURN[direction] + act
        case ["opposite", direction]:
            return TURN[direction] * 2 + act
        case ["around", direction]:
            return (TURN[direction] + act) * 4
    raise AssertionError(command)


class TestScan:
    def test_there_are_20910_commands_and_each_means_its_actions(self):
        every = commands()
        assert len({command for command, _ in every}) == len(every) == 20910
        assert all(meaning(command.split()) == actions.split() for command, actions in every)
        assert max(len(actions.split()) for _, actions in every) == 48

    @pytest.mark.parametrize("name", SIZES)
    def test_the_parts_have_the_sizes_of_the_paper_and_share_no_command(self, name):
        raw = ScanCorpus(split_name=name).read()
        rows = list(zip(raw.sources, raw.targets, raw.parts, strict=True))
        train, test = ([row[:2] for row in rows if row[2] == part] for part in (0, 2))
        assert (len(train), len(test)) == SIZES[name]
        assert not {command for command, _ in train} & {command for command, _ in test}
        assert {*train, *test} == {*commands()}

    @pytest.mark.parametrize(("name", "part"), PUBLISHED)
    def test_the_pairs_are_the_published_ones(self, name, part):
        raw = ScanCorpus(split_name=name).read()
        rows = zip(raw.sources, raw.targets, raw.parts, strict=True)
        lines = sorted(f"IN: {source} OUT: {target}" for source, target, own in rows if own == part)
        assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PUBLISHED[name, part]

    def test_what_each_split_holds_out(self):
        def sides(name):
            raw = ScanCorpus(split_name=name).read()
            rows = list(zip(raw.sources, raw.targets, raw.parts, strict=True))
            return [[row for row in rows if row[2] == part] for part in (0, 2)]

        short, long = sides("length")
        assert max(len(target.split()) for _, target, _ in short) == 22
        assert min(len(target.split()) for _, target, _ in long) == 24
        for name, held_out, copies in (("jump", "jump", 1467), ("turn_left", "turn left", 2189)):
            train, test = sides(name)
            assert all(held_out in source and source != held_out for source, *_ in test)
            assert Counter(source for source, *_ in train if held_out in source) == {held_out: copies}

    def test_another_seed_gives_another_simple_split_and_no_other_length_split(self):
        parts = {
            (name, seed): ScanCorpus(split_name=name, seed=seed).read().sources
            for name in ("simple", "length")
            for seed in (0, 1)
        }
        assert parts["simple", 0] != parts["simple", 1]
        assert parts["length", 0] == parts["length", 1]

    def test_repeated_commands_stay_in_training(self):
        corpus = ScanCorpus(split_name="jump").load()
        for split in (ByRow(), ByComponent()):
            parts = parts_of(corpus, split)
            assert sorted(np.concatenate(parts).tolist()) == list(range(len(corpus)))
            assert len(parts.train) + len(parts.validation) == 14670
            assert len(parts.validation) == pytest.approx(0.1 * (14670 - 1467), abs=2)
            assert "jump" not in {corpus.source_text(i) for i in parts.validation.tolist()}

    def test_without_a_split_all_commands_of_the_training_part_are_trained_on(self):
        corpus = ScanCorpus(split_name="length").load()
        parts = parts_of(corpus, NoSplit())
        assert len(parts.train) == 16990
        assert np.array_equal(parts.validation, parts.train)
        assert len(parts.test) == 3920

    def test_the_form_of_a_command_is_what_composes_it(self):
        assert form("jump around left twice and walk") == "and around twice"
        assert form("turn opposite left after run thrice") == "after opposite thrice"
        assert form("look left") == "none of these"

    def test_an_unknown_split_is_an_error(self):
        with pytest.raises(UserError, match=r"data\.split_name=lenght: it must be one of simple, length"):
            ScanCorpus(split_name="lenght")


class TestPathStar:
    SMALL = PathStarCorpus(degree=3, length=4, nodes=12, graphs=200, held_out=50)

    def test_the_target_is_the_only_path_from_the_start_to_the_goal(self):
        raw = self.SMALL.read()
        assert [raw.parts.count(part) for part in range(3)] == [200, 50, 50]
        for source, target in zip(raw.sources, raw.targets, strict=True):
            edges, _, question = source.partition(" / ")
            start, goal = question.split()
            following = {}
            for edge in edges.split(" | "):
                one, other = edge.split()
                following.setdefault(one, []).append(other)
            assert len(following[start]) == 3
            assert sum(map(len, following.values())) == 9
            assert all(len(after) == 1 for node, after in following.items() if node != start)
            paths = []
            for node in following[start]:
                path = [start, node]
                while path[-1] in following:
                    path += following[path[-1]]
                paths.append(path)
            assert len({node for path in paths for node in path}) == 10
            assert [path for path in paths if path[-1] == goal] == [target.split()]
            assert len(target.split()) == 4

    def test_nothing_but_the_goal_tells_the_path(self):
        """The place of its first edge among the edges of the start, and the order of its edges, are random."""
        raw = PathStarCorpus(graphs=2000, held_out=1).read()
        first = 0
        for source, target in zip(raw.sources, raw.targets, strict=True):
            start, second = target.split()[:2]
            edges = source.partition(" / ")[0].split(" | ")
            first += next(edge for edge in edges if edge.startswith(f"{start} ")) == f"{start} {second}"
        assert first == pytest.approx(1000, abs=120)

    def test_the_graphs_depend_on_the_settings_and_the_seed_alone(self):
        one, same, other = (PathStarCorpus(graphs=20, seed=seed).read().sources for seed in (0, 0, 1))
        assert one == same != other
        more = PathStarCorpus(graphs=30).read()
        held_out = [row for row, part in zip(more.sources, more.parts, strict=True) if part]
        assert held_out == one[20:]  # the test part does not depend on the size of the training part
        assert not set(held_out) & set(more.sources[:30])

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"length": 1}, r"data\.length=1: .* at least 2"),
            ({"nodes": 8}, r"data\.nodes=8: a graph has 9 nodes"),
            ({"degree": 0}, r"data\.degree=0"),
        ],
    )
    def test_a_graph_that_cannot_be_is_an_error(self, settings, message):
        with pytest.raises(UserError, match=message):
            PathStarCorpus(**settings)


class TestG2p:
    LINES = ("chat\tʃ a", "eau\to", "Élan\te l ɑ̃", "l'eau\tl o")

    @pytest.fixture
    def files(self, tmp_path):
        for name in ("train", "dev", "test"):
            (tmp_path / f"{name}.tsv").write_text("\n".join(self.LINES) + "\n", encoding="utf-8")
        return {
            "train": str(tmp_path / "train.tsv"),
            "validation": str(tmp_path / "dev.tsv"),
            "test": str(tmp_path / "test.tsv"),
        }

    def test_the_symbols_are_the_characters_and_the_phones_as_given(self, files):
        complete = G2pCorpus(**files).load()
        corpus = complete.numbered(np.arange(4), unknown=True)
        assert [corpus.source_text(i) for i in range(4)] == ["chat", "eau", "Élan", "l'eau"]
        assert corpus.source_vocabulary.decode(corpus.source[2]) == ["▁", "É", "l", "a", "n"]
        assert corpus.target_vocabulary.decode(corpus.target[2]) == ["e", "l", "ɑ̃"]
        assert corpus.target_vocabulary.text(corpus.target[2]) == "e l ɑ̃"

    def test_given_parts_are_used_as_they_are(self, files):
        parts = parts_of(G2pCorpus(**files).load(), ByRow())
        assert [len(part) for part in parts] == [4, 4, 4]

    def test_a_run_takes_words_and_says_phones(self, files, outputs, capsys):
        data = [f"data.{name}={path}" for name, path in files.items()]
        sizes = ["model.hidden_size=8", "model.embedding_size=8", "trainer.max_epochs=2", "threads=1"]
        assert cli.main(["train", *data, "experiment=g2p/attention", *sizes, "logger=none"]) == 0
        said = capsys.readouterr().out
        assert "some held-out words: source → reference → hypothesis" in said
        assert "bleu" not in said.lower()
        (folder,) = tiny.folders(outputs)
        assert cli.main(["translate", str(folder), "chat"]) == 0
        assert set(capsys.readouterr().out.split()) <= {*" ".join(self.LINES).split(), "<unk>"}
        assert cli.main(["evaluate", str(folder), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert "bleu" not in found
        assert not [name for name in found if name.endswith(("per_word", "per_character"))]
        assert found["sequence_error_rate"] == 1 - found["exact_match"]
        assert found["symbol_error_rate"] >= 0
        assert sum(found["analyses"]["by_target_length"]["sentences"]) == 4
        assert cli.main(["compare", str(outputs)]) == 0
        shown = capsys.readouterr().out
        assert "symbol_error_rate" in shown
        assert "bleu" not in shown
        report = (outputs / "comparison" / "report.html").read_text(encoding="utf-8")
        assert "<h2>The same words</h2>" in report
        assert "nats per phone" in report
        assert cli.main(["page", str(folder), "--output", str(outputs / "page.html")]) == 0
        page = (outputs / "page.html").read_text(encoding="utf-8")
        assert ">Word</label>" in page
        assert 'placeholder="Type a word"' in page
        assert "<h2>Phone by phone: " in page
        assert 'placeholder="a phone of yours"' in page
        assert cli.main(["translate", str(folder), ""]) == 1
        assert capsys.readouterr().err.startswith("no word to translate; give words as arguments")

    @pytest.mark.skipif(not os.environ.get("G2P_FOLDER"), reason="$G2P_FOLDER is not set")
    def test_the_french_words_of_the_shared_task(self):
        folder = Path(os.environ["G2P_FOLDER"])
        files = {
            part: str(folder / f"fre_{name}.tsv")
            for part, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        }
        complete = G2pCorpus(**files).load()
        parts = parts_of(complete, ByRow())
        assert [len(part) for part in parts] == [3600, 450, 450]
        assert not complete.cautions
        corpus = complete.numbered(parts.train, unknown=True)
        lines = [
            line.split("\t") for path in files.values() for line in Path(path).read_text("utf-8").splitlines()
        ]
        assert [[corpus.source_text(i), corpus.target_text(i)] for i in range(4500)] == lines
        for word in (0, 4000):
            assert corpus.source_vocabulary.decode(corpus.source[word])[1:] == list(lines[word][0])


class TestData:
    def test_the_sizes_of_given_parts(self, capsys):
        assert cli.main(["data", "data=scan", "data.split_name=jump", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["given"] == {"train": 14670, "test": 7706}
        assert found["parts"]["train"] + found["parts"]["validation"] == 14670
        assert found["parts"]["test"] == 7706
        assert found["near_duplicates"] == {}

    def test_a_word_of_known_characters_is_not_unknown(self, tmp_path, capsys):
        lines = {"train": "abba\ta b\nbab\tb", "validation": "aab\ta", "test": "bca\tb"}
        for part, text in lines.items():
            (tmp_path / part).write_text(text, encoding="utf-8")
        files = [f"data.{part}={tmp_path / part}" for part in lines]
        assert cli.main(["data", "data=g2p", *files]) == 0
        assert "such words of the source: bca\n" in capsys.readouterr().out

    def test_commands_are_shown_as_sentences_are(self, capsys):
        assert cli.main(["data", "data=scan", "data.max_words=4", "split=none"]) == 0
        said = capsys.readouterr().out
        assert "walk twice → I_WALK I_WALK" in said
        assert "whose command is also in train" in said
        assert "sentence" not in said


class TestWords:
    """What a reader sees has the words of the task; the keys of measures are those of all tasks."""

    @pytest.mark.parametrize(
        ("name", "label", "unit"),
        [
            ("perf/sentences_per_second", "speed", "commands per second"),
            ("val/loss_forced", "teacher-forced loss", "nats per action"),
            ("val/loss_free_per_word", "free-running loss per action", "nats per action"),
            ("test/accuracy_own", "accuracy under own actions", "share of actions"),
            ("test/length_ratio", "length ratio", "actions of hypotheses / of references"),
            ("test/symbol_error_rate", "symbol error rate", "edits per symbol of the text"),
        ],
    )
    def test_measures(self, tmp_path, name, label, unit):
        corpus = {**fake_runs.TOY, "item": "command", "token": "action", "graded": False}
        fake_runs.write_run(tmp_path / "a" / "seed-0", fake_runs.config(), corpus=corpus)
        found = gather([tmp_path]).groups[0].measure(name)
        assert (found.name, found.label, found.unit) == (name.rpartition("/")[2], label, unit)

    def test_a_test_over_sentences_that_there_is_not_is_explained(self, tmp_path):
        corpus = {**fake_runs.TOY, "item": "command", "token": "action", "graded": False}
        for ratio in (0.25, 0.5, 0.75):
            fake_runs.write_run(
                tmp_path / f"{ratio}" / "seed-0", fake_runs.config(ratio=ratio), corpus=corpus
            )
        (said,) = [note for note in gather([tmp_path], significance=True).notes if "BLEU" in note]
        assert said.startswith("no test over commands: ")
        assert "evaluate" not in said

    def test_no_label_speaks_of_sentences_where_there_are_none(self):
        for facts in REGISTRY.values():
            said = in_words(facts, item="graph", token="node").axis
            assert "sentence" not in said
            assert "word" not in said
            assert in_words(facts, item="sentence", token="word") == facts

    def test_articles(self):
        assert [with_article(noun) for noun in ("action", "word", "utterance")] == [
            "an action",
            "a word",
            "an utterance",
        ]


class TestPresets:
    @pytest.mark.parametrize("split", SIZES)
    def test_the_recipe_of_the_paper_on_scan(self, split):
        config = tiny.configuration("experiment=scan/lake2018", f"data.split_name={split}")
        model, forcing, trainer = config["model"], config["forcing"], config["trainer"]
        assert model["_target_"].endswith("seq2seq_model")
        assert model["cell"]["_target_"] == "torch.nn.LSTM"
        assert (model["layers"], model["hidden_size"], model["dropout"]) == (2, 200, 0.5)
        assert forcing["_target_"].endswith("MixedForcing")
        assert (forcing["ratio"], forcing["unit"]) == (0.5, "sentence")
        assert config["optimizer"]["_target_"] == "torch.optim.Adam"
        assert (config["optimizer"]["lr"], config["gradient_clip"]) == (0.001, 5)
        assert config["loader"]["batch_size"] == 1
        assert trainer["max_steps"] == 100_000 <= trainer["max_epochs"] * SIZES[split][0]
        assert config["split"]["_target_"].endswith("NoSplit")

    def test_teacherless_differs_from_forced_in_what_is_fed(self):
        forced, teacherless = (
            tiny.configuration(f"experiment=path_star/{name}") for name in ("forced", "teacherless")
        )
        assert teacherless["forcing"]["ratio"] == 0
        assert teacherless["forcing"]["feeder"]["_target_"].endswith("Zero")
        own = ("name", "forcing", "output_dir")
        assert {k: v for k, v in forced.items() if k not in own} == {
            k: v for k, v in teacherless.items() if k not in own
        }

    def test_none_measures_bleu(self):
        for name in ("scan/lake2018", "scan/attention", "g2p/attention", "path_star/forced"):
            assert not {"bleu", "chrf"} & set(tiny.configuration(f"experiment={name}")["measures"])
