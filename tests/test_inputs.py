"""Files as people have them: other scripts, encodings, header rows, empty columns, zips, and hostile ones."""

import json
import os
import unicodedata
import zipfile

import pytest

from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.sources import tsv
from seq2seq_lab.data.sources.archive import ArchiveCorpus
from seq2seq_lab.data.sources.parallel import ParallelCorpus
from seq2seq_lab.data.splits import ByComponent, parts_of
from seq2seq_lab.errors import UserError

PAIRS = [
    ("I see the cat.", "Je vois le chat."),
    ("We love tea.", "Nous aimons le thé."),
    ("She sings!", "Elle chante !"),
]
TEXT = "".join(f"{one}\t{other}\n" for one, other in PAIRS)
FRENCH = ["je vois le chat .", "nous aimons le thé .", "elle chante !"]


def sides(corpus):
    return [corpus.source_text(i) for i in range(len(corpus))], [
        corpus.target_text(i) for i in range(len(corpus))
    ]


@pytest.fixture
def read(tmp_path):
    """The corpus of a file with this content, French to English, or of this content in a zip."""

    def run(content, name="pairs.txt", **settings):
        path = tmp_path / name
        if isinstance(content, dict):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for member, text in content.items():
                    archive.writestr(member, text)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return ArchiveCorpus(archive=str(path), **{"normalise": "text", **settings}).load()

    return run


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end(read, end):
    assert sides(read(TEXT.replace("\n", end)))[0] == FRENCH


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_with_and_without_a_mark(read, encoding):
    assert sides(read(TEXT.encode(encoding)))[0] == FRENCH
    assert sides(read({"pairs.txt": TEXT.encode(encoding)}))[0] == FRENCH


@pytest.mark.parametrize(
    "members",
    [
        {"FRA.TXT": TEXT},
        {"pairs.tsv": TEXT},
        {"fra.txt": TEXT, "__MACOSX/._fra.txt": "a\tb" * 9999},
        {"fra.txt": TEXT, "._fra.txt": "a\tb" * 9999},
        {"README": "no tab", "a.en": "".join(f"{e}\n" for e, _ in PAIRS), "a.fr": "".join(f"{f}\n" for _, f in PAIRS)},
        {"../../fra.txt": TEXT},
    ],
    ids=lambda members: " ".join(members),
)  # fmt: skip
def test_zips(read, members, tmp_path):
    assert sides(read(members, "pairs.zip"))[0] == FRENCH
    assert {path.name for path in tmp_path.iterdir()} <= {"pairs.zip", "cache"}


def test_two_files_in_a_zip_with_different_numbers_of_lines_are_refused(read):
    with pytest.raises(UserError, match=r"as many lines: a\.en has 2 lines and a\.fr has 1 lines"):
        read({"a.en": "one\ntwo\n", "a.fr": "un\n"}, "pairs.zip")


def test_an_encrypted_zip_is_named_as_such(read, tmp_path):
    path = tmp_path / "pairs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fra.txt", TEXT)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption, in both headers
    content[6] |= 1
    with pytest.raises(UserError, match=r"fra\.txt is encrypted; unpack it"):
        read(bytes(content), "locked.zip")


def test_empty_columns_are_dropped_and_the_first_line_is_named(read):
    corpus = read("I see.\t\nWe love tea.\tNous aimons le thé.\n\tElle chante.\n\n" + TEXT)
    assert sides(corpus)[0] == ["nous aimons le thé .", *FRENCH]
    (dropped,) = corpus.dropped.values()
    assert (dropped.pairs, "pairs.txt line 1: '' → 'I see.'" in dropped.example) == (3, True)


def test_a_column_that_is_always_empty_is_named_by_the_reason(read):
    with pytest.raises(UserError, match=r"2 with an empty side: .* line 1: '' → 'I see.'"):
        read("I see.\t\tJe vois.\nYou see.\t\tTu vois.\n")


@pytest.mark.parametrize("header", ["english\tfrench", "Source\tTarget", "en\tfr"])
def test_a_header_row_is_dropped(read, header):
    corpus = read(f"{header}\n{TEXT}")
    assert sides(corpus)[0] == FRENCH
    assert [reason for reason in corpus.dropped if "header" in reason]


def test_a_first_sentence_that_is_the_same_on_both_sides_is_no_header(read):
    assert sides(read(f"No\tno\n{TEXT}"))[0] == ["no", *FRENCH]


def test_a_pair_of_names_that_is_not_the_first_one_is_kept(read):
    assert sides(read(f"{TEXT}English\tFrench\n"))[0][-1] == "french"


SCRIPTS = {
    "Russian": "Я вижу кота.",
    "Chinese": "我喝茶。",
    "Japanese": "かぎがある。",
    "Hindi": "मैं पानी पीता हूँ।",
    "Korean": "나는 밥을 좋아한다.",
    "Arabic": "أنا أشرب الماء.",
    "Thai": "ฉันดื่มน้ำ",
    "Hebrew": "אני שותה מים.",
    "Greek": "Πίνω νερό.",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_other_scripts_are_kept_by_text_and_refused_by_seminar(read, script):
    sentence = SCRIPTS[script]
    for form in ("NFC", "NFD"):
        text = f"I see.\t{unicodedata.normalize(form, sentence)}\n"
        kept = sides(read(text))[0][0]
        assert kept.replace(" ", "") == unicodedata.normalize("NFC", sentence).lower().replace(" ", "")
        assert kept == unicodedata.normalize("NFC", kept)
        with pytest.raises(UserError, match=r"loses all its letters; use data\.normalise=text") as error:
            read(text, normalise="seminar")
        assert "normalised" in str(error.value)


def test_without_a_class_of_characters_marks_of_other_scripts_stay(read):
    text = "I have a key.\tかぎがある。\nI drink.\tमैं पीता हूँ।\nI.\t나는\nHe.\tй\n"
    sources = sides(read(text, normalise="seminar", keep=None))[0]
    assert sources == ["かぎがある。", "मैं पीता हूँ।", "나는", "й"]
    assert sides(read("Tea.\tThé à ŝ\n", normalise="seminar", keep=None))[0] == ["the a s"]


@pytest.mark.parametrize(
    ("raw", "normalised"),
    [
        ("Ça coûte 10 €.", "ça coûte 10 € ."),
        ("L’œuvre d'art, peut-être ?", "l' œuvre d' art , peut-être ?"),
        ("Die Straße ist groß!", "die straße ist groß !"),
        ("3,50 or 1.000: «so»", "3,50 or 1.000 : « so »"),
        ("a\u00a0b\u2009c\u3000d", "a b c d"),
        ("well-known - no", "well-known - no"),
        ("<eos> is <unk>", "< eos > is < unk >"),
    ],
)
def test_text_keeps_letters_digits_and_punctuation(read, raw, normalised):
    assert sides(read(f"I see.\t{raw}\n"))[0] == [normalised]


def test_none_only_splits_at_white_space(read):
    assert sides(read("A  B\tL’Œuvre ,  été!\n", normalise="none")) == (["L’Œuvre , été!"], ["A B"])


def test_the_credit_is_for_the_known_file_only(read):
    assert "CC BY" not in read(TEXT, credit="CC BY", sha256="0" * 64).origin


class TestHostile:
    def test_devices_fifos_and_folders_are_refused(self, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        for path in ("/dev/zero", str(tmp_path / "fifo")):
            with pytest.raises(UserError, match="not a regular file"):
                ArchiveCorpus(archive=path).load()

    def test_a_file_over_the_limit_is_refused_without_reading_it(self, tmp_path):
        path = tmp_path / "large.txt"
        with path.open("wb") as file:
            file.write(b"a\tb\n")
            file.truncate(100 << 30)
        with pytest.raises(UserError, match=r"107,374,182,400 bytes; a file has at most"):
            ArchiveCorpus(archive=str(path)).load()

    def test_a_member_that_unpacks_to_more_than_the_limit_is_refused(self, read, monkeypatch):
        monkeypatch.setattr(tsv, "LARGEST", 1 << 20)
        with pytest.raises(UserError, match=r"a\.txt is of more than 1,048,576 bytes"):
            read({"a.txt": TEXT + "a\tb\n" * (1 << 19)}, "bomb.zip")

    def test_a_very_long_line_is_refused(self, read):
        with pytest.raises(UserError, match=r"line 2: 200,003 characters; a line has at most"):
            read(f"a\tb\na\t{'b' * 200_001}\nc\td\n")

    def test_control_characters_in_names_do_not_reach_the_terminal(self, read):
        with pytest.raises(UserError) as error:
            read({"\x1b[31mred.txt": "one\n", "b.txt": "one\ntwo\n"}, "pairs.zip")
        assert "\x1b" not in str(error.value)
        assert "\\u001b[31mred.txt" in str(error.value)


class TestParallel:
    @pytest.fixture
    def files(self, tmp_path):
        names = {}
        for part, words in {"train": "abcdef", "validation": "gh", "test": "ix"}.items():
            pairs = [(f"source {word}", f"target {word} .") for word in words]
            names[part] = tmp_path / f"{part}.tsv"
            names[part].write_text("".join(f"{one}\t{other}\n" for one, other in pairs))
            for side, lines in zip(("fr", "en"), zip(*pairs, strict=True), strict=True):
                (tmp_path / f"{part}.{side}").write_text("".join(f"{line}\n" for line in lines))
        return tmp_path

    def test_given_parts_are_used_as_they_are(self, files):
        names = {part: str(files / f"{part}.tsv") for part in ("train", "validation", "test")}
        corpus = ParallelCorpus(**names, normalise="text").load()
        again = ParallelCorpus(**names, normalise="text").load()  # from the cache
        for each in (corpus, again):
            parts = parts_of(each, ByComponent())
            assert [part.tolist() for part in parts] == [[*range(6)], [6, 7], [8, 9]]

    def test_two_files_a_part_give_the_same(self, files):
        one = ParallelCorpus(train=str(files / "train.tsv"), validation=str(files / "test.tsv")).load()
        two = ParallelCorpus(
            train=[str(files / f"train.{side}") for side in ("fr", "en")],
            validation=[str(files / f"test.{side}") for side in ("fr", "en")],
        ).load()
        assert sides(one) == sides(two)
        assert one.given.tolist() == two.given.tolist() == [0] * 6 + [1] * 2

    def test_a_training_part_alone_is_split(self, files):
        corpus = ParallelCorpus(train=str(files / "train.tsv")).load()
        parts = parts_of(corpus, ByComponent(validation=0.2, test=0.2))
        assert [len(part) for part in parts] == [4, 1, 1]

    def test_unknown_words_of_the_test_part_are_unk(self, files, capsys):
        arguments = [f"data.{part}={files / f'{part}.tsv'}" for part in ("train", "validation", "test")]
        assert cli.main(["data", "data=parallel", *arguments, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["parts"] == {"train": 6, "validation": 2, "test": 2}
        assert shown["unknown_rate"]["test"] == pytest.approx({"source": 1 / 2, "target": 1 / 3})

    def test_parts_are_written_for_others(self, files, capsys):
        out = files / "parts.tsv"
        arguments = [f"data.train={files / 'train.tsv'}", "split.validation=0.2", "split.test=0.2"]
        assert cli.main(["data", "data=parallel", *arguments, "--parts", str(out)]) == 0
        lines = [line.split("\t") for line in out.read_text(encoding="utf-8").splitlines()]
        assert lines[0] == ["part", "source", "target"]
        assert sorted(line[0] for line in lines[1:]) == ["test", *["train"] * 4, "validation"]

    @pytest.mark.parametrize("given", ["{0}", "[{0},{0}]"])
    def test_the_parts_do_not_replace_the_file_that_they_are_made_of(self, files, capsys, given):
        file = files / "train.tsv"
        before = file.read_bytes()
        arguments = [f"data.train={given.format(file)}", "split.validation=0.2", "split.test=0.2"]
        other = files / ".." / files.name / "train.tsv"
        assert cli.main(["data", "data=parallel", *arguments, "--parts", str(other)]) == 1
        assert "the pairs are read from it (data.train" in capsys.readouterr().err
        assert file.read_bytes() == before

    def test_an_empty_line_at_the_end_is_a_line_where_the_other_file_has_one(self, files):
        (files / "train.en").write_text("one\n" * 5 + "\n")
        names = [str(files / f"train.{side}") for side in ("fr", "en")]
        assert len(ParallelCorpus(train=names).load()) == 5

    @pytest.mark.parametrize("content", ["\ufeff", "\n\n", "\u3000\n\u00a0\n"])
    def test_a_file_of_nothing_is_named(self, files, content):
        (files / "train.tsv").write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=r"train\.tsv: empty; it must contain one pair per line"):
            ParallelCorpus(train=str(files / "train.tsv")).load()

    def test_files_of_different_lengths_are_refused(self, files):
        (files / "train.en").write_text("one\n")
        with pytest.raises(UserError, match=r"train\.fr has 6 lines, but .*train\.en has 1"):
            ParallelCorpus(train=[str(files / "train.fr"), str(files / "train.en")]).load()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, "data.train: name your file"),
            ({"train": "a", "test": "b"}, "data.test: a test part needs data.validation"),
            ({"train": ["a"]}, r"data.train=\['a'\]: give one file"),
            ({"train": "a", "target_column": 1}, "data.source_column=1: data.target_column"),
            ({"train": "a", "units": "letters"}, "data.units=letters: it must be one of words, characters"),
            ({"train": "a", "normalise": "nfc"}, "data.normalise=nfc: it must be one of"),
        ],
    )
    def test_the_message_names_the_key(self, settings, message):
        with pytest.raises(UserError, match=message):
            ParallelCorpus(**settings)
