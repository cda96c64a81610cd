"""Translating: one line of output per line of input, unknown words, and errors."""

import base64
import io
import json
import math
import re
import shutil
from unittest import mock

import pytest
import torch

from seq2seq_lab import load_run
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.runs import export, layout
from seq2seq_lab.runs.load import load_model

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def translate(attention_run, capsys, monkeypatch):
    """Status, standard output and standard error of `seq2seq-lab translate`."""

    def run(*arguments, folder=attention_run, stdin=None):
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        status = cli.main(["translate", str(folder), *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def sentences(attention_run):
    """Two sentences of known words."""
    corpus, words = ToyCorpus(pairs=40).load(), load_model(attention_run)[2]
    texts = dict.fromkeys(map(corpus.source_text, range(len(corpus))))
    return [text for text in texts if not words.encode(text).notes][:2]


def test_arguments_and_standard_input_give_the_same_output(translate, sentences):
    status, out, err = translate(*sentences)
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == len(sentences)
    assert translate(stdin="\n".join(sentences).encode()) == (status, out, err)


def test_raw_sentences_are_normalised_as_in_training(translate, sentences):
    plain = translate(sentences[0])
    raw = sentences[0].replace("e", "é").upper().replace(" .", ".")
    assert translate(f"  {raw} ") == plain
    assert translate(f"« {raw} »") == plain


def test_unknown_words_are_listed_and_translated_as_unk(translate, sentences, attention_run):
    status, out, err = translate(f"Xylophone {sentences[0]} quux")
    assert status == 0
    assert "unknown words are <unk> for this model: 'xylophone', 'quux'" in err
    assert len(err.splitlines()) == 1
    _, model, words = load_model(attention_run)
    ids = [words.source.unk, *words.encode(sentences[0]).ids, words.source.unk, 1]
    found = greedy(model, torch.tensor([ids]), None, words.max_length)
    assert out == words.decode(found.words[0].tolist()) + "\n"


def test_a_model_without_unk_skips_unknown_words(translate, run):
    folder = run("without-unk", "model=attention", "split=none", "monitor.metric=train/loss")
    known = load_model(folder)[2].source.words[2]
    status, out, err = translate(f"Xylophone {known} quux", folder=folder)
    assert status == 0
    assert out == translate(known, folder=folder)[1]
    assert "unknown words were skipped: 'xylophone', 'quux'" in err


@pytest.mark.parametrize("sentence", ["Я дома.", "日本語。", "ぎ"])
def test_a_sentence_of_which_nothing_is_left_is_not_translated(translate, sentence):
    status, out, err = translate(sentence)
    assert (status, out) == (1, "\n")
    assert "the normalisation removed" in err
    assert "no known word to translate" in err


def test_digits_and_symbols_that_the_normalisation_removes_are_named(translate, sentences):
    status, out, err = translate(f"10 € {sentences[0]}")
    assert (status, out) == (0, translate(f" {sentences[0]}")[1])
    assert "the normalisation removed '10', '€'" in err


def test_beam_search_and_n_best(translate, sentences):
    assert translate("--beam", 1, *sentences) == translate(*sentences)
    status, out, _ = translate("--beam", 4, "--n-best", 3, *sentences)
    assert status == 0
    blocks = out.rstrip("\n").split("\n\n")
    assert len(blocks) == len(sentences)
    for block in blocks:
        scores = [float(line.split("\t")[0]) for line in block.splitlines()]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
    best = [block.splitlines()[0].split("\t")[1] for block in blocks]
    assert translate("--beam", 4, *sentences)[1].splitlines() == best


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beam", 0], "--beam: 0 is less"),
        (["--beam", 2, "--n-best", 3], "--n-best: 3 is not between"),
        (["--length-penalty", "5000"], "--length-penalty: '5000' is not a number between -10 and 10"),
        (["--length-penalty", "0.5"], "--length-penalty: it is of a beam search; add --beam 5"),
        (["--length-penalty", "half"], "--length-penalty: 'half' is not a number between -10 and 10"),
    ],
)
def test_a_search_that_cannot_be_is_refused(translate, arguments, message):
    status, out, err = translate(*arguments, "je suis")
    assert (status, out) == (1, "")
    assert err.startswith(message)


def test_attention_to_padding_is_shown_and_rows_sum_to_one(run):
    arguments = ("model=attention", "model.unmasked_positions=8", "trainer.max_epochs=1")
    folder = run("padded", *arguments, lean=False)
    for sample in json.loads((folder / layout.TRANSLATIONS).read_text(encoding="utf-8")):
        short = len(sample["source"].split(" ")) + 1 < 8
        assert (sample["columns"][-1] == "(padding)") == short
        assert len(sample["rows"]) == len(sample["attention"])
        for row in sample["attention"]:
            assert len(row) == len(sample["columns"])
            assert sum(row) == pytest.approx(1, abs=1e-3)


def test_a_sentence_of_unknown_words_gives_an_empty_line_and_status_1(translate, sentences):
    status, out, err = translate("xylophone", sentences[0])
    assert status == 1
    assert out == "\n" + translate(sentences[0])[1]
    assert "'xylophone'" in err
    assert "no known word" in err


def test_an_empty_line_gives_an_empty_line(translate, sentences):
    status, out, err = translate(stdin=f"\n{sentences[0]}\n\n".encode())
    assert (status, err) == (0, "")
    assert [bool(line) for line in out.splitlines()] == [False, True, False]


@pytest.mark.parametrize("given", [{"stdin": b""}, {"stdin": b"\n \n"}])
def test_input_without_a_sentence_is_an_error(translate, given):
    status, _, err = translate(**given)
    assert status == 1
    assert err.startswith("no sentence to translate")


@pytest.mark.parametrize("given", [b"\xff\xfe\x00", b"je suis\ntr\xe8s\n"])
def test_input_that_is_not_text_is_an_error(translate, monkeypatch, given):
    """In a C locale, too, where Python takes such bytes for halves of characters."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8", "surrogateescape"))
    status, _, err = translate()
    assert status == 1
    assert err.startswith(f"standard input: not UTF-8 text, line {given.count(b'je') + 1}: ")
    assert len(err.splitlines()) == 1


def test_a_sentence_that_is_not_text_is_an_error(translate):
    assert translate("tr\udce8s") == (1, "", "'tr\\udce8s': not UTF-8 text\n")


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (b"%s\r\n%s\r\n", 2),
        (b"\xef\xbb\xbf%s\n%s", 2),
        (b"%s\r%s\r", 2),
        (b"\xef\xbb\xbf%s\n%s\r\n\n", 3),
        (b"%s\r%s\n", 1),
    ],
)
def test_lines_of_other_systems_are_those_of_a_corpus(translate, sentences, given, lines):
    """A carriage return alone is in a line, where others end by a line feed."""
    status, out, err = translate(stdin=given % (sentences[0].encode(), sentences[0].encode()))
    _, one, _ = translate(sentences[0])
    assert out.count("\n") == lines
    assert lines == 1 or (status, err, out.splitlines()[:2]) == (0, "", 2 * one.splitlines())


def test_the_message_about_a_folder_that_is_not_a_run_names_it(translate, tmp_path):
    for folder, message in ((tmp_path / "gone", "does not exist"), (tmp_path, "is not a run")):
        status, out, err = translate("je suis", folder=folder)
        assert (status, out) == (1, "")
        assert f"{folder} {message}" in err


def test_the_message_about_a_run_without_a_checkpoint_names_it(translate, attention_run, tmp_path):
    folder = shutil.copytree(attention_run, tmp_path / "copy")
    shutil.rmtree(folder / layout.CHECKPOINTS)
    status, _, err = translate("je suis", folder=folder)
    assert status == 1
    assert f"{folder} was trained without last.ckpt" in err


@pytest.mark.parametrize(("which", "name"), [("best", layout.BEST), ("last", layout.LAST)])
def test_the_message_about_a_damaged_checkpoint_names_it(translate, attention_run, tmp_path, which, name):
    folder = shutil.copytree(attention_run, tmp_path / "copy")
    path = folder / layout.CHECKPOINTS / name
    path.write_bytes(path.read_bytes()[:2000])
    status, _, err = translate("je suis", "--checkpoint", which, folder=folder)
    assert status == 1
    assert str(path) in err
    assert len(err.splitlines()) == 1


@pytest.fixture
def two_checkpoints(attention_run, tmp_path):
    """A run whose last checkpoint is trained, and whose best one is all zeros."""
    folder = shutil.copytree(attention_run, tmp_path / "copy")
    path = folder / layout.CHECKPOINTS / layout.BEST
    best = torch.load(path, weights_only=True)
    for weight in best["state_dict"].values():
        weight.zero_()
    torch.save(best, path)
    return folder


def is_zero(numbers):
    return not any(map(abs, numbers))


def loaded_by_page(folder, *flags):
    path = folder / "page.html"
    assert cli.main(["page", str(folder), "--output", str(path), *flags]) == 0
    model = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), flags=re.DOTALL)[1])[
        "models"
    ][0]
    return is_zero(base64.b64decode(model["contents"])), model["checkpoint"]


def loaded_by_evaluate(folder, *flags):
    assert cli.main(["evaluate", str(folder), "--split", "train", "--max-pairs", "2", *flags]) == 0
    results = json.loads((folder / layout.EVALUATION / "train.json").read_text())
    words = len(load_model(folder)[2].target)
    return results["measures"]["loss_forced"] == pytest.approx(math.log(words)), results["checkpoint"]


def loaded_by_export(folder, *flags):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    exported = []  # that an exported model has the weights of the given one is shown in test_export
    with mock.patch.object(export, "_export_parts", lambda model, _: (exported.append(model), ([], 0))[1]):
        assert cli.main(["export", str(folder), "--output", str(folder / "onnx"), *flags]) == 0
    weights = exported[0].encoder.embedding.weight.flatten().tolist()
    return is_zero(weights), json.loads((folder / "onnx" / "about.json").read_text())["checkpoint"]


def loaded_in_python(folder, *flags):
    run = load_run(folder, checkpoint=flags[1] if flags else None)
    return is_zero(run.model.encoder.embedding.weight.flatten().tolist()), run.checkpoint


def loaded_by_translate(folder, *flags):
    with mock.patch("sys.stderr", io.StringIO()) as said:
        said.isatty = lambda: True
        assert (
            cli.main(["translate", str(folder), "je suis grand .", "--n-best", "2", "--beam", "2", *flags])
            == 0
        )
    found = re.search(r": (best|last) checkpoint\n", said.getvalue())[1]
    return found == "best", found


@pytest.mark.parametrize(
    "loaded",
    [loaded_by_translate, loaded_by_page, loaded_by_evaluate, loaded_by_export, loaded_in_python],
    ids=lambda each: each.__name__,
)
def test_all_take_the_best_checkpoint_where_there_is_one_and_else_the_last(two_checkpoints, loaded):
    assert loaded(two_checkpoints) == (True, "best")
    assert loaded(two_checkpoints, "--checkpoint", "last") == (False, "last")
    (two_checkpoints / layout.CHECKPOINTS / layout.BEST).unlink()
    assert loaded(two_checkpoints) == (False, "last")


def test_the_translations_are_those_of_the_checkpoint(translate, two_checkpoints, sentences):
    last = translate("--checkpoint", "last", sentences[0], folder=two_checkpoints)
    assert last == translate("--checkpoint", "last", sentences[0])
    assert translate("--best", sentences[0], folder=two_checkpoints) == translate(
        sentences[0], folder=two_checkpoints
    )
    assert translate(sentences[0], folder=two_checkpoints)[1] != last[1]


def test_attention_weights_are_drawn(translate, sentences, tmp_path):
    path = tmp_path / "new" / "attention.png"
    assert translate(*sentences, "--attention", path)[0] == 0
    assert path.read_bytes().startswith(PNG)
    assert [file.name for file in path.parent.iterdir()] == ["attention.png"]


def test_a_model_that_gives_no_word_draws_nothing_and_many_sentences_a_part(
    translate, sentences, attention_run, tmp_path, monkeypatch, capsys
):
    from seq2seq_lab.commands import translate as command
    from seq2seq_lab.decoding import beam

    monkeypatch.setattr(command, "_MOST_DRAWN", 1)
    picture = tmp_path / "map.png"
    assert cli.main(["translate", str(attention_run), *sentences, "--attention", str(picture)]) == 0
    assert "the first 1 of 2 translations are drawn" in capsys.readouterr().err
    picture.unlink()
    nothing = [beam.Hypothesis([], -math.inf, -math.inf)]
    monkeypatch.setattr(beam, "best_hypotheses", lambda _, sources, *__, **___: [nothing for _ in sources])
    assert cli.main(["translate", str(attention_run), *sentences, "--attention", str(picture)]) == 0
    assert not picture.exists()


def test_drawing_without_attention_or_to_another_format_is_an_error(translate, plain_run, tmp_path):
    status, out, err = translate("je suis", "--attention", tmp_path / "a.png", folder=plain_run)
    assert (status, out) == (1, "")
    assert "has a model without attention" in err
    status, out, err = translate("je suis", "--attention", tmp_path / "a.jpg")
    assert (status, out) == (1, "")
    assert "does not end in .png" in err
    assert not list(tmp_path.glob("a.*"))


def test_a_sentence_that_is_too_long_is_reported_and_the_others_are_translated(run, capsys):
    arguments = ("model=attention", "model.unmasked_positions=8", "trainer.max_epochs=1")
    folder = run("a", *arguments)
    _, _, words = load_model(folder)
    word = words.source.words[3]
    capsys.readouterr()
    assert cli.main(["translate", str(folder), " ".join([word] * 9), word]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("\n")
    assert len(out.splitlines()) == 2
    assert "too long for this model" in err
