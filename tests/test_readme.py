"""The commands of the README and of the guide's pages, run as they stand there, but on little data."""

import io
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from fake_runs import config, curves, write_run
from seq2seq_lab.commands.main import main
from seq2seq_lab.runs.annotations import Annotations, write_annotations

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = [
    ROOT / "docs" / f"{name}.md" for name in ("data", "training", "sweeps", "tensorboard", "translating")
]
TEXT = "\n".join([README, *(page.read_text(encoding="utf-8") for page in GUIDE)])
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
IN_TEXT = re.findall(r"`(seq2seq-lab \w+ [^`]+)`", TEXT)
LINES = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]
COMMANDS = list(dict.fromkeys([*LINES, *IN_TEXT]))  # each once
ON_WINDOWS = ".venv\\Scripts\\"  # before a command, until it is on the PATH
LITTLE = [
    "data=toy",
    "data.pairs=40",
    "trainer.max_epochs=1",
    "model.hidden_size=8",
    "model.embedding_size=8",
    "callbacks=none",
]
SENTENCES = "Je suis fatigué.\nElle est contente.\n"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with what the commands need: a demo run, an archive, files of sentences and of a published curve."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SEQ2SEQ_LAB_CACHE", str(folder / "cache"))
        patch.delenv("SEQ2SEQ_LAB_OUTPUTS", raising=False)
        with zipfile.ZipFile("deu-eng.zip", "w") as archive:
            pairs = [f"See {letter}.\tSieh {letter}.\tsomeone\n" for letter in "abcdefghij"]
            archive.writestr("deu.txt", "".join(pairs))
        Path("sentences.txt").write_text(SENTENCES, encoding="utf-8")
        for name in ("train", "dev", "test"):
            Path(f"{name}.tsv").write_text("".join(f"je vois {c} .\ti see {c} .\n" for c in "abcdefgh"))
        Path("published.csv").write_text("epoch,published\n1,2.5\n", encoding="utf-8")
        demo = ["train", "experiment=demo/attention_mixed", "trainer.max_epochs=1", "model.hidden_size=8"]
        assert main([*demo, "data.pairs=400"]) == 0
        (trained,) = (path.parent for path in Path("outputs").rglob("config.yaml"))
        Path("outputs/demo/attention_mixed").mkdir(parents=True)
        trained.rename("outputs/demo/attention_mixed/seed-0")
        yield folder


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status of `seq2seq-lab …`, training scaled down."""
    command, _, stdin = command.partition(" < ")
    arguments = shlex.split(command)[1:]
    if arguments[0] == "train" and "--help" not in arguments:
        arguments += [word for word in LITTLE if word.split("=")[0] not in command]
    if "data=scan" in arguments:
        arguments[arguments.index("data.pairs=40")] = "data.max_words=4"
    if stdin:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path(stdin).read_bytes()), "utf-8"))
    return main(arguments)


@pytest.mark.parametrize(
    "command",
    [each for line in COMMANDS if (each := line.removeprefix(ON_WINDOWS)).startswith("seq2seq-lab")],
)
def test_a_command_of_the_readme_runs(command, workplace, monkeypatch, request):
    if command.startswith("seq2seq-lab data") and "data.archive" not in command:
        request.getfixturevalue("real_archive")  # it would be downloaded
    monkeypatch.chdir(workplace)
    monkeypatch.delenv("SEQ2SEQ_LAB_OUTPUTS", raising=False)
    if "data=parallel" in command:
        monkeypatch.setattr("test_readme.LITTLE", [each for each in LITTLE if not each.startswith("data")])
    assert run(command, monkeypatch) == 0


ON_RUNS = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
OF_RUNS = re.findall(r"^seq2seq-lab .*", ON_RUNS, flags=re.MULTILINE)


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Runs that the commands of the page on runs choose."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQ2SEQ_LAB_OUTPUTS", raising=False)
    high = {"optimizer": {**config()["optimizer"], "lr": 0.2}}
    for name, settings, status in (
        ("attention-mixed-0.5,toy", config(model="attention"), "finished"),
        ("full", config(model="attention", forcing="full"), "finished"),
        ("high", config() | high, "failed"),
    ):
        rows = [row | {"val/bleu": 31.0} for row in curves(settings, 2)]
        run = write_run(tmp_path / "outputs" / name / "seed-0", settings, rows=rows, status=status)
        write_annotations(run, Annotations("", ("paper",)))
    return tmp_path / "outputs"


def interrupted(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("command", OF_RUNS)
def test_a_command_of_the_page_on_runs_runs(command, listed, monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(
        "seq2seq_lab.launch.config_file.train_file", lambda path, *_, **__: trained.append(path)
    )
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    watched = "--watch" in command
    if watched:
        monkeypatch.setattr("seq2seq_lab.commands.runs.sleep", interrupted)
    assert main(shlex.split(command)[1:]) == (130 if watched else 0)
    assert capsys.readouterr().out
    failed = Path("outputs/high/seed-0")
    assert [path.resolve() for path in trained] == ([failed.resolve()] if "retry" in command else [])
    assert failed.exists() != (" rm " in command)


def test_the_readme_names_targets_that_exist():
    targets = set(re.findall(r"\bmake ([a-z-]+)", README))
    subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)


def test_the_readme_loads_a_run_from_python(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    (code,) = [block for kind, block in BLOCKS if kind == "python"]
    names: dict[str, object] = {}
    exec(code, names)
    assert "run" in names


def test_the_commands_are_quoted_for_zsh():
    """In zsh a pattern that matches no file is an error."""
    for command in [*COMMANDS, *OF_RUNS]:
        unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
        assert not re.search(r"[\[\]*?~!]", unquoted), command


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
@pytest.mark.parametrize("command", [*COMMANDS, *OF_RUNS])
def test_zsh_reads_a_command_as_bash_does(command, tmp_path):
    """What the shell passes on is printed instead of run."""
    (tmp_path / "sentences.txt").write_text("")
    program = f"show() {{ printf '%s\\n' \"$@\"; }}\nshow {command}"
    read = [
        subprocess.run([shell, flag, "-c", program], capture_output=True, cwd=tmp_path, check=True).stdout
        for shell, flag in (("zsh", "-f"), ("bash", "--norc"))
    ]
    assert read[0] == read[1] != b""


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 160


def test_its_python_runs(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    (program,) = (block for kind, block in BLOCKS if kind == "python")
    names: dict[str, object] = {}
    exec(program, names)
    assert "run" in names


PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "experiments").rglob("*.md")]
)


def links(page):
    """The files that a page links to."""
    return re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_exists(page):
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_every_page_is_reached_from_the_readme():
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md" and page.is_file():
            reached.add(page)
            ahead += [(page.parent / link).resolve() for link in links(page)]
    assert set(PAGES) - reached == set()


def test_the_korean_readme_has_the_same_commands_and_figures():
    korean = (ROOT / "README.ko.md").read_text(encoding="utf-8")
    blocks = [
        re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL) for text in (README, korean)
    ]
    assert blocks[0] == blocks[1]
    rows = [
        [line.split("|")[2:4] for line in text.splitlines() if line.startswith("| [")]
        for text in (README, korean)
    ]
    figures = [[re.findall(r"[\d.]+", "".join(row)) for row in table] for table in rows]
    assert figures[0] == figures[1] != []
