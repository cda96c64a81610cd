"""The translator page computes what the package computes: in Node, and in a browser."""

import html
import json
import re
import shutil
import subprocess
import urllib.parse

import pytest
import torch

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.text import PRESETS, Normalisation
from seq2seq_lab.data.units import Subwords
from seq2seq_lab.data.vocabulary import EOS, Vocabulary
from seq2seq_lab.decoding.beam import beam_search
from seq2seq_lab.decoding.unroll import Steps, encode
from seq2seq_lab.errors import UserError
from seq2seq_lab.page import bundle
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.load import load_model

MODELS = {
    "gru, dot": ("model=attention",),
    "lstm, additive, two layers, both directions, bridge": (
        "model=attention",
        "model/score=additive",
        "model/cell=lstm",
        "model.layers=2",
        "model.bidirectional=true",
        "model.bridge=true",
    ),
    "general, input feeding, tied, byte pairs": (
        "model=attention",
        "model/score=general",
        "model.input_feeding=true",
        "model.tie_embeddings=true",
        "model.embedding_relu=false",
        "+data.units=subwords",
        "+data.subword_size=60",
    ),
    "scaled dot, unigram": (
        "model=attention",
        "model/score=scaled_dot",
        "+data.units=subwords",
        "+data.subword_kind=unigram",
        "+data.subword_size=60",
    ),
    "no attention, characters": ("model=seq2seq", "model.layers=2", "+data.units=characters"),
    "transformer": ("model=transformer", "model.layers=2", "model.decoder_layers=1"),
    "transformer, not tied, byte pairs": (
        "model=transformer",
        "model.tie_embeddings=false",
        "+data.units=subwords",
        "+data.subword_size=60",
    ),
    "the seminar's padding": (
        "model=attention",
        "model.unmasked_positions=8",
        "split=none",
        "monitor.metric=train/bleu",
    ),
}
SENTENCES = (
    "je suis grand .",
    "Elle est si forte !",
    "tu es tres  fatigue",
    "nous sommes des ecrivains connus.",
    "il n'est pas la ?",
    "zzz",
    "hello world",
    "je suis l'xylophone de 10 €",
    "Я вижу",
    "...",
    '"Je suis grand."',
    "(tu es la)",
    "« elle est forte »",
)
CHECK = """
const { models, sentences, width } = given;
const run = new Translator(models[0]);
const { ids } = run.read(sentences[0]);
const steps = run.steps(ids).map((step) => step.probabilities);
const notes = sentences.map((each) => run.read(each).notes);
const translations = sentences.map((each) => run.translate(each, width));
const unused = Object.keys(models[0].weights).filter((name) => !run.network.used.has(name));
console.log(JSON.stringify({ translations, ids, steps, notes, unused }));
"""


def rounded(folder):
    """The model with the weights that the page has."""
    config, model, words = load_model(folder)
    model.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    return config, model, words


def in_python(model, words, sentence, width):
    ids = words.encode(sentence).ids
    if not ids:
        return ""
    found = beam_search(model, torch.tensor([[*ids, EOS]]), None, words.max_length, beam=width)
    return words.decode(found[0][0].words)


def in_script(script, **given):
    """What a script that uses the page's prints as JSON; `given` is there by its name."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node")
    begin = (
        "const { Translator, divide, normalise } = require(process.argv[1]);"
        "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
    )
    path = str(bundle._HERE / "translator.js")
    done = subprocess.run(
        [node, "-e", begin + script, path],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_node(models, sentences, width):
    return in_script(CHECK, models=models, sentences=sentences, width=width)


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, flags=re.DOTALL)[1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs by their settings."""
    made = {}

    def get(*settings):
        if settings not in made:
            quick = ("trainer.max_epochs=12", "optimizer=adam", "optimizer.lr=0.02", "loader.batch_size=4")
            made[settings] = tiny.train(
                tmp_path_factory.mktemp("run"), *quick, *settings, "callbacks=default", lean=False
            )
        return made[settings]

    return get


@pytest.mark.whole
@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
def test_translations_and_probabilities_are_those_of_the_package(trained, settings):
    folder = trained(*settings)
    _, model, words = rounded(folder)
    models = data_of(bundle.page([folder]))["models"]
    for width in (1, 3):
        found = in_node(models, SENTENCES, width)
        expected = [in_python(model, words, sentence, width) for sentence in SENTENCES]
        assert found["translations"] == expected
        assert any(expected)
        assert found["unused"] == []  # a part that the page does not know would be left out without a word
        assert found["notes"] == [words.encode(sentence).notes for sentence in SENTENCES]
        assert all(bool(said) for said, text in zip(found["notes"], expected, strict=True) if not text)
    ids = [*words.encode(SENTENCES[0]).ids, EOS]
    assert found["ids"] == ids
    with torch.no_grad():
        steps, word = Steps(model, encode(model, torch.tensor([ids]))), 0
        for theirs in found["steps"]:
            logits = steps.step(model.embed(torch.tensor([[word]]))).logits[0, 0]
            assert theirs == pytest.approx(logits.softmax(dim=0).tolist(), abs=1e-3)
            word = int(logits.argmax())


def test_sentences_are_normalised_as_in_the_package():
    sentences = [
        "Où est-ce que l’homme a mis 3,5 € ?",
        "«Ça alors!» dit-il...",
        "٣ ² ½ x_y 日本𠀀語 𝒳 \\ ^ ]",
        "Я вижу кота.",
        "ぎんこう、です。",
        "한국어 문장",
        "naïve  Éléphant\t x",
        "a-b -c 12:30 it's",
        "l&apos; ami &amp;quot;oui&#124; &#x41;&#10;&#xD800; &AMP; &lt",
        "3 ≠ 4 ≮ 5 ≯ 6 a\u0338 =\u0338 é≠\u0301",
        "ve\u200but wa\xadnt \u200fשלום\u202c \ufeffx \u200cq",
        "\ufeff \x85a\x1fb\u2028c\u3000",
        "می\u200cخواهم ฉัน\u200bดื่ม 👩\u200d🚀 ❤\ufe0f",
    ]
    script = "console.log(JSON.stringify(given.sentences.map((each) => normalise(given.settings, each))));"
    classes = (r"\w.!?", r"\d\-a-zé", r"^\]\S")
    others = [Normalisation(keep=None), *(Normalisation(strip_accents=False, keep=each) for each in classes)]
    for settings in (*PRESETS.values(), *others):
        found = in_script(script, settings=bundle._normalisation(settings), sentences=sentences)
        assert found == [settings(sentence) for sentence in sentences]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_words_are_divided_as_in_the_package(kind):
    corpus = [f"{a}{b} {b}{a}" for a in ("ab", "con", "to") for b in ("struct", "or", "string", "a")]
    units = Subwords(40, kind).fit(corpus)
    words = [
        "constructor",
        "toString",
        "__proto__",
        "abvalueOf",
        "hasOwnProperty",
        "zab",
        "xyz",
        "",
        "▁",
        "ab▁▁",
        "▁ab",
        "a▁▁b",
    ]
    side = bundle._vocabulary(Vocabulary(["<sos>", "<eos>"], units))
    model = {"settings": {"architecture": "recurrent"}, "source": side, "target": side}
    script = (
        "const { units } = new Translator(given.model).model.source;"
        "console.log(JSON.stringify(given.words.map((word) => divide(units, word))));"
    )
    assert in_script(script, model=model, words=words) == [units.divide(word) for word in words]


def in_browser(path, fragment=""):
    """The page's document after its scripts ran."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium")
    flags = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync "
        f"--user-data-dir={path.parent / 'profile'} --virtual-time-budget=5000 --dump-dom"
    )
    command = [browser, *flags.split(), f"{path.as_uri()}#{fragment}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_page_opens_in_a_browser_without_a_server(trained, tmp_path):
    folders = [trained(*MODELS["gru, dot"]), trained(*MODELS["no attention, characters"])]
    path = tmp_path / "page.html"
    assert cli.main(["page", *map(str, folders), "--output", str(path)]) == 0
    sentence = "je suis grand ."
    shown = in_browser(path, urllib.parse.urlencode({"sentence": sentence, "steps": 1}))
    found = re.findall(r'class="translation" data-run="\d">([^<]*)<', shown)
    expected = [in_python(*rounded(folder)[1:], sentence, 1) or "(nothing)" for folder in folders]
    assert [html.unescape(each) for each in found] == expected
    assert shown.count('<th scope="col">') == 5, "the attention of a sentence of four words"
    assert "http://" not in path.read_text(encoding="utf-8").replace("http://www.w3.org", "")
    assert "https://" not in path.read_text(encoding="utf-8")


PROBE = """
<script>
const seen = {}, active = () => document.activeElement;
const words = () => [...$("steps").children].map((each) => each.textContent);
const press = (key) => active().dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
$("sentence").value = data.examples[0].source;
translate();
const look = $("cards").children[0].querySelector("button");
look.focus();
look.click();
seen.start = state.shown;
seen.explained = !$("sos").hidden;
seen.words = words();
seen.focused = active().getAttribute("aria-pressed");
press("ArrowRight");
seen.right = [state.shown, active() === $("steps").children[state.shown]];
press("ArrowLeft");
press("ArrowLeft");
seen.left = state.shown;
const at = state.shown, other = [...$("candidates").children].find((each) => each.dataset.word !== words()[at]);
seen.chosen = other.dataset.word;
other.focus();
other.click();
seen.after = words();
seen.at = at;
seen.expected = state.steps.map((step) => label(runs[0].model.target.words[step.next]));
seen.kept = active() === $("steps").children[state.shown];
$("word").value = "xylophone";
$("word").dispatchEvent(new Event("change"));
seen.said = $("said").textContent;
$("gold").click();
seen.gold = words();
const reference = runs[0].targetIds(data.examples[0].references[0]).ids;
seen.reference = reference.map((id) => label(runs[0].model.target.words[id]));
seen.greedy = [$("greedy").hidden];
$("search").value = "5";
translate();
seen.greedy.push($("greedy").hidden);
$("sentence").value = "hello world";
translate();
seen.unknown = $("unknown").textContent;
document.body.append(element("pre", JSON.stringify(seen), { id: "seen" }));
</script>
"""


@pytest.mark.whole
@pytest.mark.parametrize("predict_sos", [False, True])
def test_the_page_is_used_by_keyboard_and_says_what_it_does(trained, tmp_path, predict_sos):
    folder = trained("model=attention", f"loader.predict_sos={str(predict_sos).lower()}")
    path = tmp_path / "page.html"
    path.write_text(bundle.page([folder]) + PROBE, encoding="utf-8")
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', in_browser(path))[1]))
    first = int(predict_sos)
    assert (seen["start"], seen["explained"]) == (first, predict_sos), (
        "the first step is a word of the translation"
    )
    assert seen["focused"] == "true", "the focus is on the word that is shown"
    assert len(seen["words"]) > first + 1, "all words are shown at once"
    assert seen["right"] == [first + 1, True]
    assert seen["left"] == max(0, first - 1)
    assert seen["after"][seen["at"]] == seen["chosen"]
    assert seen["after"] == seen["expected"], "what follows is shown"
    assert seen["kept"], "the keyboard goes on from there"
    assert seen["said"] == "words that this model never writes are fed as <unk>: 'xylophone'"
    assert seen["gold"][first:] == [*seen["reference"], "<eos>"]
    assert seen["greedy"] == [True, False], "what is shown step by step is not the beam's translation"
    assert "unknown words are <unk> for this model: 'hello', 'world'" in seen["unknown"]
    assert "no known word to translate" in seen["unknown"]


def test_an_example_that_is_too_long_for_a_run_has_no_translation_there(trained, tmp_path):
    folder = shutil.copytree(trained(*MODELS["the seminar's padding"]), tmp_path / "run")
    (folder / layout.TRANSLATIONS).write_text(
        json.dumps([{"source": each, "references": ["x"]} for each in ("je " * 20, SENTENCES[0])])
    )
    data = data_of(bundle.page([folder]))
    expected = in_node(data["models"], [each["source"] for each in data["examples"]], 1)["translations"]
    assert data["models"][0]["translations"] == expected
    assert expected[0] == ""
    assert expected[1]


def test_weights_that_are_too_large_for_the_page_are_named(trained):
    _, model, _ = load_model(trained(*MODELS["gru, dot"]))
    with torch.no_grad():
        next(model.parameters()).fill_(-7e4)
    with pytest.raises(UserError, match="a run: the page has no weights above 65,504"):
        bundle._weights(model, "a run")


def test_no_word_of_a_corpus_ends_the_script(trained):
    folder = trained(*MODELS["gru, dot"])
    text = bundle._json({"word": "</script><b>"})
    assert "</script>" not in text
    assert json.loads(text) == {"word": "</script><b>"}
    assert bundle.page([folder]).count("</script>") == 3


def test_what_is_no_run_is_named(tmp_path, capsys):
    assert cli.main(["page", str(tmp_path), "--output", str(tmp_path / "x.html")]) == 1
    assert "is not a run" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


def test_no_other_file_is_replaced_by_a_page(trained, tmp_path, capsys):
    mine = tmp_path / "pairs.tsv"
    mine.write_text("mine")
    assert cli.main(["page", str(trained(*MODELS["gru, dot"])), "--output", str(mine)]) == 1
    assert capsys.readouterr().err == f"--output: {mine} does not end in .html\n"
    assert mine.read_text() == "mine"


def test_a_page_is_no_folder(trained, tmp_path, capsys):
    (tmp_path / "x.html").mkdir()
    assert cli.main(["page", str(trained(*MODELS["gru, dot"])), "--output", str(tmp_path / "x.html")]) == 1
    assert "Is a directory" in capsys.readouterr().err


def test_an_export_replaces_no_file_of_another_run(trained, tmp_path, capsys):
    other = tiny.train(tmp_path / "other")
    before = (other / layout.VOCABULARIES).read_bytes()
    assert cli.main(["export", str(trained(*MODELS["gru, dot"])), "--output", str(other)]) == 1
    assert "is a run, whose vocabularies would be replaced; name another folder" in capsys.readouterr().err
    assert (other / layout.VOCABULARIES).read_bytes() == before
