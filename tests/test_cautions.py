"""What is probably wrong with sentences: said in one line with the first line and the remedy, or handled."""

import json
from pathlib import Path

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.sources.columns import read_columns
from seq2seq_lab.data.sources.parallel import ParallelCorpus
from seq2seq_lab.errors import UserError

PAIRS = [(f"Je vois {letter}.", f"I see {letter}.") for letter in "abcdefghijklmnopqrst"]


def table(pairs, *, before=(), after=()):
    return "".join("\t".join([*before, one, *after, other]) + "\n" for one, other in pairs)


@pytest.fixture
def read(tmp_path):
    """The corpus of a file with this content."""

    def run(content, **settings):
        path = tmp_path / "pairs.tsv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return ParallelCorpus(train=str(path), **{"normalise": "text", **settings}).load()

    return run


def sentences(corpus):
    return [(corpus.source_text(row), corpus.target_text(row)) for row in range(len(corpus))]


def test_plain_sentences_give_no_caution(read):
    for normalise in ("seminar", "text", "none"):
        corpus = read(table(PAIRS), normalise=normalise)
        assert list(corpus.cautions) == []
        assert {each.share for each in corpus.removed.values()} == {0.0}


SUSPICIOUS = {  # what is in line 3, and what is said of it
    "a tab": ("Je\tvois.", "text", "line 3: 3 columns, where most lines have 2, as in 1 of 21 lines"),
    "an entity": ("l&apos;ami", "seminar", "line 3: an entity of HTML or Moses &apos;:"),
    "a numeric entity": ("a &#39; b", "none", "data.normalise=text resolves such entities"),
    "a zero-width space": (
        "ve\u200but",
        "seminar",
        "line 3: an invisible character U+200B (zero width space)",
    ),
    "a soft hyphen": ("ve\u00adut", "none", "data.normalise=text removes such characters"),
    "a byte-order mark": ("\ufeffJe vois", "seminar", "line 3: an invisible character U+FEFF"),
    "a directional mark": ("Je\u200e vois", "none", "U+200E (left-to-right mark)"),
    "a tag": ("<i>Je</i> vois", "text", "line 3: a tag of HTML <i>"),
    "a wrong encoding": (
        "Je vois le th\u00c3\u00a9",
        "text",
        "line 3: text that was read in a wrong encoding",
    ),
    "a replacement character": ("Je vois le th\ufffd", "text", "in UTF-8"),
    "a control character": ("J\x92ai", "text", "line 3: a control character U+0092"),
    "a carriage return": ("Je\rvois", "text", "line 3: a carriage return inside a sentence"),
    "a lost letter": ("Ma s\u0153ur", "seminar", "line 3: 'Ma s\u0153ur', normalised 'ma s ur'"),
    "a name alone": ("Ann \u0441\u043b\u044b\u0448\u0438\u0442.", "seminar", "normalised 'ann .'"),
}


@pytest.mark.parametrize("case", SUSPICIOUS)
def test_what_is_probably_wrong_is_said_with_its_line(case, read):
    sentence, normalise, said = SUSPICIOUS[case]
    content = table([*PAIRS[:2], (sentence, "I see you."), *PAIRS[2:]])
    for corpus in (read(content, normalise=normalise), read(content, normalise=normalise)):  # and cached
        (caution,) = corpus.cautions
        assert "line 3" in caution
        assert said in caution
        assert "\n" not in caution


def test_a_sentence_many_times_as_long_as_the_others_is_said(read):
    long = "la " * 150
    corpus = read(table([*PAIRS[:2], (long, "so much"), *PAIRS * 5]))
    usual = max(len(text.split()) for pair in PAIRS for text in pair) + 1  # the stop is a word of its own
    (caution,) = corpus.cautions
    assert f"line 3: a sentence of 150 words, in 1 of 103 pairs, where 99 % have at most {usual};" in caution
    assert f"data.max_words={usual} leaves out" in caution
    assert len(read(table([(long, "so much"), *PAIRS * 5]), max_words=usual)) == 100
    of_few = "la " * 90
    assert list(read(table([(of_few, "so much"), *PAIRS * 5])).cautions) == []


@pytest.mark.parametrize("letter", "\u00df\u0153\u00f8\u00e6\u0142\u0111\u0131")
def test_a_letter_without_a_base_form_is_said_under_seminar_and_kept_by_text(letter, read):
    content = table([(f"a{letter}b", "x"), *PAIRS])
    corpus = read(content, normalise="seminar", max_words=None)
    assert (
        f"the source loses letters ({letter}), in 1 of 21 pairs; data.normalise=text keeps them"
        in corpus.cautions[0]
    )
    assert corpus.removed["source"].characters == {letter: 1}
    assert corpus.removed["source"].sentences == 1
    kept = read(content)
    assert (list(kept.cautions), sentences(kept)[0]) == ([], (f"a{letter}b", "x"))


def test_few_lost_letters_are_counted_but_not_said_as_in_the_seminars_corpus(read):
    corpus = read(table([*PAIRS * 5, ("Ma s\u0153ur", "x")]), normalise="seminar")
    assert list(corpus.cautions) == []
    assert corpus.removed["source"].sentences == 1
    assert "line 101: 'Ma s\u0153ur', normalised 'ma s ur'" in corpus.removed["source"].example


def test_a_script_of_which_only_names_survive_is_said(read):
    names = [
        ("Ann \u0441\u043b\u044b\u0448\u0438\u0442.", "Ann hears."),
        ("\u042f \u0432\u0438\u0436\u0443.", "I see."),
    ]
    corpus = read(table(names * 3), normalise="seminar")
    assert len(corpus) == 3
    assert [each.split(": ", 1)[0].rpartition(" ")[2] for each in corpus.cautions[:2]] == ["2", "1"]
    assert (
        "3 pairs are dropped with a side that loses all its letters; use data.normalise=text"
        in corpus.cautions[0]
    )
    assert corpus.cautions[2].startswith("the normalisation removes 60% of the source's characters")


def test_accents_and_spaces_are_not_removed_characters(read):
    for form in ("th\u00e9 \u00e0", "the\u0301 a\u0300"):
        corpus = read(table([(form, "tea")]), normalise="seminar")
        assert corpus.removed["source"].characters == {}
        assert corpus.removed["source"].of == 4


def test_the_share_of_removed_characters_is_exact(read):
    corpus = read(table([("a, b, c!", "ab"), ("d;", "abcd,")]), normalise="seminar")
    source, target = corpus.removed["source"], corpus.removed["target"]
    assert (source.of, source.characters, source.share) == (8, {",": 2, ";": 1}, 3 / 8)
    assert (target.of, target.characters, target.share) == (7, {",": 1}, 1 / 7)


class TestColumns:
    def test_a_column_of_numbers_is_said_with_the_columns_to_choose(self, read):
        content = "".join(f"{row}\t{one}\t{row + 9}\t{other}\n" for row, (one, other) in enumerate(PAIRS))
        (caution,) = read(content).cautions
        assert "column 1, of the source, contains only numbers" in caution
        assert (
            "(line 1: '0'); columns 2 and 4 contain text: set data.source_column=2 data.target_column=4"
            in caution
        )
        right = read(content, source_column=2, target_column=4)
        assert (list(right.cautions), sentences(right)) == ([], sentences(read(table(PAIRS))))
        with pytest.raises(UserError, match=r"data\.source_column=4 data\.target_column=2"):
            read(content, normalise="seminar", source_column=2, target_column=1)

    def test_an_empty_column_is_said_with_the_columns_to_choose(self, read):
        with pytest.raises(UserError, match=r"column 2, of the target, is empty .*data\.target_column=3"):
            read(table(PAIRS, after=[""]))

    def test_the_first_line_that_is_not_blank_is_named(self, read):
        plain = table(PAIRS, before=["1"])
        for content in (plain, plain.replace("Je vois a.", quoted('Je "vois"'))):
            assert "(line 3: '1')" in read(f"\n\n{content}").cautions[0]

    def test_a_column_that_is_always_the_same_is_said(self, read):
        (caution,) = read(table(PAIRS, before=["fra"])).cautions
        assert "column 1, of the source, is the same in each line (line 1: 'fra')" in caution

    def test_pairs_of_numbers_and_words_are_said_but_read(self, read):
        corpus = read("".join(f"{row}\tnumber {row} .\n" for row in range(12)))
        assert (len(corpus), len(corpus.cautions)) == (12, 1)

    @pytest.mark.parametrize(
        ("separator", "named"),
        [(",", "not by commas"), (";", "not by semicolons"), (" ||| ", r"not by \|\|\|")],
    )
    def test_other_separators_are_refused_by_name(self, separator, named, read):
        with pytest.raises(UserError, match=f"line 1: no tab; .*{named}"):
            read(table(PAIRS).replace("\t", separator))

    def test_text_with_nul_characters_is_refused(self, read):
        with pytest.raises(UserError, match=r"line 21: a NUL character"):
            read(table(PAIRS) + "a\0b\tc\n")

    def test_a_header_that_is_repeated_is_dropped(self, read):
        corpus = read("french\tenglish\n" + table(PAIRS) + "french\tenglish\n")
        assert sentences(corpus) == sentences(read(table(PAIRS)))
        assert [each.pairs for each in corpus.dropped.values()] == [2]


def quoted(field):
    return '"' + field.replace('"', '""') + '"'


class TestQuoted:
    FIELDS = (('say "yes"', "a"), ('"oui"', 'b"'), ("plain", "c, d"))

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_a_table_of_a_spreadsheet_is_read_as_the_spreadsheet_does(self, end):
        everything = end.join("\t".join(map(quoted, row)) for row in self.FIELDS)
        needed = end.join("\t".join(quoted(f) if '"' in f else f for f in row) for row in self.FIELDS)
        for text in (everything, needed, needed + end, end.join([needed, "", needed])):
            found = read_columns(text, "pairs", [1, 2])
            rows = [row for row in zip(*found.fields, strict=True) if any(row)]
            assert rows == list(self.FIELDS) * (len(rows) // 3)
            assert (len(rows) % 3, found.cautions) == (0, [])

    def test_line_ends_and_tabs_in_a_field_are_spaces_and_lines_are_counted(self, read):
        content = 'a\t"b\nc"\n"d\te"\tf\n\u0153 <b>\tg\n'
        assert read_columns(content, "pairs", [1, 2]).fields == [
            ["a", "d e", "\u0153 <b>"],
            ["b c", "f", "g"],
        ]
        assert "line 4: a tag of HTML" in read(content).cautions[0]

    @pytest.mark.parametrize(
        "text",
        [
            '"Oui."\t"Yes."\nJe vois.\tI see.\n',  # some sentences are quotations
            '"Oui."\t"Yes."\nIl dit "oui".\tI see.\n',
            '"Oui.\t"Yes.\nNon."\tNo."\n',  # a quotation of two lines
            'a\t"b\nc\td"\n',
            '"Oui. ""\tYes.\n',
        ],
    )
    def test_quotation_marks_of_the_sentences_stay(self, text):
        lines = [line.split("\t") for line in text.splitlines()]
        assert read_columns(text, "pairs", [1, 2]).fields == [list(each) for each in zip(*lines, strict=True)]

    def test_quotes_that_could_not_be_read_are_said(self, read):
        content = table([(quoted(f'"{one}"'), other) for one, other in PAIRS]) + 'a "b"\tc\n'
        (caution,) = read(content).cautions
        assert "line 1: the quotes of a spreadsheet" in caution

    def test_a_text_of_many_quotation_marks_is_read_in_linear_time(self):
        text = '"' * 100_001 + "\tb\n" + "a\tb\n" * 3
        with pytest.raises(UserError, match="line 1: 100,003 characters"):
            read_columns(text, "pairs", [1, 2])


def test_data_shows_cautions_and_removed_characters(tmp_path, capsys):
    path = tmp_path / "pairs.tsv"
    path.write_text(table([("Ma s\u0153ur, l\u00e0\u2026", "My sister."), *PAIRS]), encoding="utf-8")
    arguments = ["data", "data=parallel", f"data.train={path}", "data.normalise=seminar"]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert f"caution: {path} line 1: 'Ma s\u0153ur, l\u00e0\u2026', normalised 'ma s ur la '" in shown.err
    assert (
        "characters of the source that the normalisation removes: 1.76% (, 1  \u0153 1  \u2026 1)"
        in shown.out
    )
    assert cli.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["removed"]["source"]["characters"] == {"\u0153": 1, ",": 1, "\u2026": 1}
    assert found["removed"]["target"]["share"] == 0
    assert len(found["cautions"]) == 1


def test_train_says_the_first_caution_in_one_line(tmp_path, outputs, capsys):
    path = Path(tmp_path, "pairs.tsv")
    path.write_text(table([("<i>Ma</i> &amp; s\u0153ur", "My sister."), *PAIRS]), encoding="utf-8")
    little = [
        "trainer.max_epochs=1",
        "model.hidden_size=4",
        "model.embedding_size=4",
        "callbacks=none",
        "logger=none",
    ]
    data = ["data=parallel", f"data.train={path}", "data.normalise=seminar"]
    assert cli.main(["train", *data, *little]) == 0
    cautions = [line for line in capsys.readouterr().err.splitlines() if "caution" in line]
    (caution,) = cautions
    assert caution.startswith(f"caution: {path} line 1: an entity of HTML or Moses &amp;")
    assert caution.endswith("(2 more: seq2seq-lab data)")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "data=scan data.max_words=4",
            "monitor.metric=val/bleu says little of actions; measures=errors selects by",
        ),
        ("data=scan data.max_words=4 measures=errors", ""),
        ("data=toy data.pairs=40 objective=self_critical", "the model's own outputs alone"),
        ("data=toy data.pairs=40 objective=self_critical objective.mix=0.5", ""),
        (
            "data=toy data.pairs=40 +data.units=subwords +data.subword_size=60 objective=self_critical "
            "objective.mix=0.5 objective.reward=exact_match",
            "objective.reward=exact_match compares subwords: a right sentence that is divided into others",
        ),
        (
            "data=toy data.pairs=40 forcing=confidence forcing/feeder=soft",
            "forcing.feeder.gradient=true changes nothing with forcing=confidence",
        ),
        (
            "data=toy data.pairs=40 forcing=confidence forcing/feeder=soft forcing.feeder.gradient=false",
            "",
        ),
    ],
)
def test_a_choice_that_tells_nothing_is_said_before_training(given, said, outputs, capsys):
    settings = [each for each in tiny.SETTINGS if not each.startswith("data") and each != "split=source"]
    assert cli.main(["train", *settings, "trainer.max_epochs=1", *given.split()]) == 0
    lines = [each for each in capsys.readouterr().err.splitlines() if each.startswith("caution: ")]
    assert len(lines) == bool(said)
    assert said in "".join(lines)


def test_measures_of_errors_select_by_exact_match():
    config = tiny.configuration("data=scan", "measures=errors")
    assert config["monitor"] == {"metric": "val/exact_match", "mode": "max"}
    assert (
        tiny.configuration("measures=errors", "monitor.metric=train/loss")["monitor"]["metric"]
        == "train/loss"
    )
