"""What each model promises: every option of the group, and one of a user's folder, the example of docs/extending.md."""

import functools
import itertools
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.build import build, call
from seq2seq_lab.config.options import options
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.beam import beam_search
from seq2seq_lab.decoding.greedy import before_end, greedy
from seq2seq_lab.decoding.unroll import encode, unroll
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Pairs
from seq2seq_lab.models import Model, transformer_model
from seq2seq_lab.models.interface import Described, HasHeads, gold_inputs, select
from seq2seq_lab.models.likelihood import position_losses
from seq2seq_lab.page import bundle
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.loaded import load_run

OWN = "convolutional"
MODELS = [*options("model"), OWN]
PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = {
    name: re.search(rf"^`{re.escape(name)}`\n\n```\w+\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)[1]
    for name in ("my_model.py", f"conf/model/{OWN}.yaml")
}
V = 11  # words of both sides
SOURCE = torch.tensor([[3, 4, 5, 6, 1], [7, 3, 1, 0, 0], [8, 9, 3, 1, 0]])
LENGTHS = torch.tensor([5, 3, 4])
TARGET = torch.tensor([[4, 5, 6, 3, 8, 1], [9, 1, 0, 0, 0, 0], [3, 3, 7, 1, 0, 0]])
DROPOUT = {OWN: ("model.dropout=0.4",)} | dict.fromkeys(options("model"), ("model.dropout=0.4",))
same = functools.partial(torch.testing.assert_close, rtol=0, atol=1e-12)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """The user's folder."""
    place = tmp_path_factory.mktemp("mine")
    for name, text in FILES.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "path", [*sys.path, str(place)])
        yield place
    sys.modules.pop("my_model", None)


def made(option, *overrides):
    """A model of small sizes, in double precision."""
    torch.manual_seed(0)
    if option == OWN:
        sizes = dict(each.removeprefix("model.").split("=") for each in overrides)
        node = {"_target_": "my_model.Convolutional", "_partial_": True, "hidden_size": 6}
        node |= {name: float(value) for name, value in sizes.items()}
    else:
        chosen = tiny.sized(*tiny.SMALL, f"model={option}", *overrides)
        node = tiny.configuration(*chosen)["model"]
    model = call(build(node, "model"), "model", source_vocabulary_size=V, target_vocabulary_size=V)
    return model.double().eval()


@pytest.fixture(params=MODELS)
def model(request):
    return made(request.param)


@pytest.fixture(params=MODELS)
def dropping(request):
    """In training mode, with dropout."""
    return made(request.param, "model.dropout=0.4").train()


def draws(rows=slice(None)):
    return Draws(3, 0, torch.tensor([5, 2, 9])[rows])


class TestNumbers:
    def test_steps_are_the_sequence(self, dropping):
        memory = dropping.encode(SOURCE, LENGTHS, draws())
        inputs = dropping.embed(gold_inputs(TARGET))
        whole, _ = dropping.decode(inputs, memory, dropping.first_state(memory), draws=draws())
        for sizes in ((1,) * 6, (2, 1, 3), (5, 1)):
            state, start, found = dropping.first_state(memory), 0, []
            for size in sizes:
                part = inputs[:, start : start + size]
                decoded, state = dropping.decode(part, memory, state, draws=draws(), first=start)
                found.append(decoded)
                start += size
            same(torch.cat([each.logits for each in found], dim=1), whole.logits)
            if dropping.has_attention:
                same(torch.cat([each.weights for each in found], dim=1), whole.weights)

    def test_a_pair_is_the_same_in_any_batch_with_any_padding(self, dropping):
        whole = dropping(SOURCE, TARGET, source_lengths=LENGTHS, draws=draws())
        longer = torch.nn.functional.pad(SOURCE, (0, 4), value=2)
        padded = dropping(longer, TARGET, source_lengths=LENGTHS, draws=draws())
        for row, (s, t) in enumerate(zip(LENGTHS.tolist(), (6, 2, 4), strict=True)):
            here = slice(row, row + 1)
            alone = dropping(SOURCE[here, :s], TARGET[here, :t], draws=draws(here))
            for other in (whole, padded):
                same(other.logits[here, :t], alone.logits)
                if alone.weights is not None:
                    same(other.weights[here, :t, :s], alone.weights)

    def test_weights_are_a_distribution_over_the_words_of_the_source(self, model):
        weights = model(SOURCE, TARGET, source_lengths=LENGTHS).weights
        assert (weights is not None) == model.has_attention
        if weights is not None:
            assert weights.shape == (*TARGET.shape, SOURCE.shape[1])
            same(weights.sum(dim=2), torch.ones(TARGET.shape, dtype=torch.float64))
            outside = torch.arange(SOURCE.shape[1]) >= LENGTHS.unsqueeze(1)
            assert not weights.transpose(1, 2)[outside].any()

    def test_a_mixture_of_one_word_is_that_word(self, model):
        one = torch.nn.functional.one_hot(TARGET, V).double()
        same(model.embed_mixture(one), model.embed(TARGET))
        two = (one + one.flip(1)) / 2
        assert model.embed_mixture(two).shape == model.embed(TARGET).shape
        assert model.target_vocabulary_size == V

    def test_rows_of_memory_and_state_can_be_chosen(self, model):
        memory = model.encode(SOURCE, LENGTHS)
        rows = torch.tensor([2, 0, 0, 1])
        inputs = model.embed(gold_inputs(TARGET))
        _, state = model.decode(inputs[:, :3], memory, model.first_state(memory))
        after, _ = model.decode(inputs[:, 3:], memory, state, first=3)
        chosen, _ = model.decode(inputs[rows, 3:], select(memory, rows), select(state, rows), first=3)
        same(chosen.logits, after.logits[rows])

    def test_gradients_reach_every_weight(self, model):
        model(SOURCE, TARGET, source_lengths=LENGTHS).logits.square().sum().backward()
        assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())

    def test_greedy_is_a_beam_of_one_and_what_it_was_fed(self, model):
        gold = torch.randint(1, TARGET.max() + 1, (len(SOURCE), 7))
        found = greedy(model, SOURCE, LENGTHS, 7, gold=gold)
        searched = beam_search(model, SOURCE, LENGTHS, 7, beam=1)
        for row, (best,) in enumerate(searched):
            assert best.words == found.words[row, : len(best.words)].tolist()
        fed = model.embed(gold_inputs(found.words))
        logits = model(SOURCE, found.words, source_lengths=LENGTHS, inputs=fed).logits
        assert torch.equal(found.words, logits.argmax(dim=2))
        same(position_losses(logits, gold), found.losses)
        wanted = torch.tensor([2, 5, 1])  # some positions of each, after which it leaves
        shorter = greedy(model, SOURCE, LENGTHS, 7, at_least=wanted, gold=gold)
        kept = torch.arange(shorter.words.shape[1]) < wanted.unsqueeze(1)
        kept |= before_end(shorter.words)
        same(shorter.losses[kept], found.losses[:, : kept.shape[1]][kept])

    def test_a_beam_finds_the_models_probabilities(self, model):
        for row, hypotheses in enumerate(beam_search(model, SOURCE, LENGTHS, 6, beam=4, n_best=4)):
            for one in hypotheses:
                ids = torch.tensor([one.words])
                log_p = model(SOURCE[row : row + 1, : LENGTHS[row]], ids).logits.log_softmax(dim=2)
                expected = log_p.gather(2, ids.unsqueeze(2)).sum().item()
                assert one.log_probability == pytest.approx(expected, abs=1e-9)


def test_positions_that_a_validation_computed_first_are_trained_with():
    model = made("transformer")
    source, target = (torch.full((1, 29), 3) for _ in range(2))  # more positions than other tests have
    with torch.inference_mode():
        found = model(source, target).logits
    logits = model(source, target).logits
    same(logits, found.clone())
    logits.sum().backward()


FEEDERS = options("forcing/feeder")
POLICIES = [
    ("free",),
    *itertools.product(("mixed",), FEEDERS),
    ("by_step",),
    ("scheduled",),
    *itertools.product(("two_pass", "confidence"), ("argmax", "sample", "soft")),
]


@pytest.mark.parametrize("chosen", POLICIES, ids="-".join)
def test_every_policy_and_feeder_feeds_each_pair_as_alone(dropping, chosen):
    overrides = [f"forcing={chosen[0]}", *(f"forcing/feeder={each}" for each in chosen[1:])]
    policy = build(tiny.configuration("data=toy", *overrides)["forcing"], "forcing")
    lengths = torch.tensor([6, 2, 4])
    pairs = Pairs(lengths, 6, draws(), torch.tensor([3, 4, 5]), 10, epoch=1, epochs=2)
    plan = policy.plan(pairs)
    given = {"source_lengths": LENGTHS, "target_lengths": lengths, "draws": draws()}
    found = follow(dropping, SOURCE, TARGET, plan, **given).decoded.logits
    assert torch.isfinite(found).all()
    for row, (s, t) in enumerate(zip(LENGTHS.tolist(), lengths.tolist(), strict=True)):
        here = slice(row, row + 1)
        one = plan.rows(here, t)
        alone = follow(dropping, SOURCE[here, :s], TARGET[here, :t], one, draws=draws(here)).decoded.logits
        torch.testing.assert_close(alone, found[here, :t], rtol=0, atol=1e-9)


def test_own_words_step_by_step_are_those_of_the_whole_sequence(dropping):
    encoded = encode(dropping, SOURCE, LENGTHS, draws())
    known = dropping.embed(gold_inputs(TARGET))
    own = torch.ones_like(TARGET, dtype=torch.bool)
    found = unroll(dropping, encoded, known, own, words=gold_inputs(TARGET), draws=draws())
    given = {"source_lengths": LENGTHS, "inputs": dropping.embed(found.words), "draws": draws()}
    same(dropping(SOURCE, TARGET, **given).logits, found.logits)


# Through the commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory, folder):
    """A run of each model: interrupted in its second block, and gone on with."""
    runs = {}

    def get(option):
        if option not in runs:
            outputs = tmp_path_factory.mktemp(option)
            own = ("model.hidden_size=8", "--config-dir", str(folder / "conf"))
            sizes = own if option == OWN else tiny.sized(*tiny.SETTINGS, f"model={option}")
            settings = [
                *(each for each in tiny.SETTINGS if not each.startswith(("model.", "split.test"))),
                *(each for each in sizes if each.startswith(("model.", "--", "/"))),
                f"model={option}",
                "split.test=0.2",
                "forcing=mixed",
                "model.dropout=0.2",
                "logger=none",
                "optimizer=adam",
                "loader.batch_size=2",
                *tiny.WITH_SAMPLES,
            ]
            runs[option] = settings, outputs
            for block, status in ((2, 130), (None, 0)):
                arguments = ["train", *settings, f"output_dir={outputs}"]
                if block:
                    with tiny.interrupted_in_block(block):
                        assert cli.main(arguments) == status
                else:
                    assert cli.main(arguments) == status
        (found,) = tiny.folders(runs[option][1])
        return found, runs[option][0]

    return get


@pytest.fixture(params=MODELS)
def run(request, trained):
    """A trained run, and what trusts it."""
    trust = ("--trust", "my_model") if request.param == OWN else ()
    return trained(request.param)[0], trust


@pytest.mark.parametrize("option", MODELS)
def test_a_resumed_run_is_an_uninterrupted_one(option, trained, tmp_path):
    one, settings = trained(option)
    assert cli.main(["train", *settings, f"output_dir={tmp_path}"]) == 0
    (other,) = tiny.folders(tmp_path)
    assert tiny.same_weights(one, other)


def test_it_translates_with_a_picture(run, tmp_path, capsys):
    path, trust = run
    sentence = load_run(path).config and "je suis grand ."
    assert cli.main(["translate", str(path), sentence, "--beam", "3", *trust]) == 0
    _, model, _ = load_model(path, trusted=trust[1:])
    picture = tmp_path / "attention.png"
    status = cli.main(["translate", str(path), sentence, "--attention", str(picture), *trust])
    assert (status, picture.exists()) == ((0, True) if model.has_attention else (1, False))
    status = cli.main(
        ["translate", str(path), sentence, "--attention", str(tmp_path / "one.png"), "--head", "1", *trust]
    )
    said = capsys.readouterr().err
    if isinstance(model, HasHeads):
        assert status == 0
    else:
        assert status == 1
        assert said.splitlines()[-1].startswith(("error: ", "--attention", str(path), "seq2seq-lab"))


@pytest.mark.usefixtures("undrawn")
def test_it_is_evaluated_with_every_analysis_and_compared(run, capsys):
    path, trust = run
    assert cli.main(["evaluate", str(path), "--beam", "1,2", "--max-pairs", "4", *trust]) == 0
    assert cli.main(["compare", str(path.parents[1])]) == 0


def test_the_page_computes_it_or_says_of_what_it_does_not(run, tmp_path, capsys):
    path, trust = run
    _, model, _ = load_model(path, trusted=trust[1:])
    status = cli.main(["page", str(path), "--output", str(tmp_path / "page.html"), *trust])
    if isinstance(model, Described):
        assert status == 0
        assert bundle.page([path])
        return
    assert status == 1
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith(f"{path}: the page does not compute models of {name}")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="the extra onnx is not installed")
def test_it_is_exported(run, tmp_path):
    path, trust = run
    assert cli.main(["export", str(path), "--output", str(tmp_path), *trust]) == 0
    assert (tmp_path / "decoder.onnx").exists()


def test_only_an_own_model_needs_trust(run, capsys):
    path, trust = run
    assert cli.main(["translate", str(path), "je suis grand ."]) == (1 if trust else 0)
    if trust:
        assert "--trust my_model" in capsys.readouterr().err


# Heads, lengths, and what is no model


def test_one_head_is_drawn_on_request(trained):
    run = load_run(trained("transformer")[0])
    heads = [run.attention("je suis grand .", head=number).to_numpy() for number in (1, 2)]
    mean = run.attention("je suis grand .").to_numpy()
    assert (heads[0] != heads[1]).any()
    assert sum(heads) / 2 == pytest.approx(mean, abs=2e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--head", "3"), "there is no head 3; its attention has the heads 1 to 2"),
        (("--head", "0"), "there is no head 0"),
    ],
)
def test_a_head_that_is_not_there_is_named(arguments, said, trained, tmp_path, capsys):
    path = trained("transformer")[0]
    picture = ("--attention", str(tmp_path / "x.png"))
    assert cli.main(["translate", str(path), "je suis grand .", *picture, *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_head_needs_a_picture(capsys):
    assert cli.main(["translate", "nowhere", "je suis grand .", "--head", "1"]) == 1
    assert capsys.readouterr().err.startswith("--head: it draws a head in --attention FILE")


class Short(Model):
    """A model for short sentences."""

    source_positions = 3
    target_positions = 4
    target_vocabulary_size = V
    encode = embed = embed_mixture = first_state = decode = None


def test_sentences_that_are_too_long_are_named():
    Short().check_lengths(source=3, target=4)
    for sizes, said in (({"source": 4}, "sources of at most 3"), ({"target": 5}, "targets of at most 4")):
        with pytest.raises(ValueError, match=f"it takes {said} positions, but one has"):
            Short().check_lengths(**sizes)


def test_a_model_that_lacks_a_method_cannot_be_made():
    class Half(Model):
        def encode(self, source, source_lengths=None, draws=None):
            return source

    with pytest.raises(TypeError, match="decode"):
        Half()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hidden_size": 6, "heads": 4}, "heads must divide hidden_size, which is 6, got 4"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"decoder_layers": -1}, "decoder_layers must be at least 1, got -1"),
        ({"dropout": 1.0}, "dropout must lie in"),
    ],
)
def test_sizes_that_cannot_be_are_named(given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        transformer_model(source_vocabulary_size=5, target_vocabulary_size=5, **given)


def test_more_weights_than_memory_are_named(outputs, capsys):
    size = 4 * 10**11
    given = ("model=transformer", f"model.feedforward_size={size}", "model.heads=2")
    assert cli.main(["train", *tiny.sized(*tiny.SETTINGS, *given)]) == 1
    assert "model: it needs more memory than this machine has" in capsys.readouterr().err
    assert not tiny.folders(outputs)


def test_what_is_no_model_is_named(folder, outputs, capsys):
    (folder / "no_model.py").write_text(
        "def nothing(*, source_vocabulary_size: int, target_vocabulary_size: int) -> int:\n    return 3\n"
    )
    (folder / "conf" / "model" / "nothing.yaml").write_text(
        "# Nothing.\n_target_: no_model.nothing\n_partial_: true\n"
    )
    settings = [each for each in tiny.SETTINGS if not each.startswith("model.")]
    assert cli.main(["train", *settings, "model=nothing", "--config-dir", str(folder / "conf")]) == 1
    assert "model: builtins.int is not a model" in capsys.readouterr().err
    assert not tiny.folders(outputs)


def test_no_room_but_the_accelerators_reaches_into_a_model():
    """They compute exact classes again, from their parts; everybody else asks for the interface."""
    package = Path(bundle.__file__).parents[1]
    parts = re.compile(r"model\.(encoder|decoder|output|rnn|attention)\b")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if parts.search(path.read_text(encoding="utf-8"))
    }
    assert {name.partition("/")[0] for name in found} <= {"models", "accelerate"}
