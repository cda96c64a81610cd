"""The README's commands, run as they stand there, but on little data."""

import io
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from seq2seq_lab.commands.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
IN_TEXT = re.findall(r"`(seq2seq-lab \w+ [^`]+)`", README)
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines()] + IN_TEXT
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
    if stdin:
        monkeypatch.setattr("sys.stdin", io.StringIO(Path(stdin).read_text(encoding="utf-8")))
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
    for command in COMMANDS:
        unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
        assert not re.search(r"[\[\]*?~!]", unquoted), command


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
@pytest.mark.parametrize("command", COMMANDS)
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


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "README.ko.md", "CONTRIBUTING.md", "CHANGELOG.md"),
        *("docs/extending.md", "docs/promises.md", "docs/cluster.md", "docs/tutorial.ipynb"),
        *("experiments/baselines/README.md", "experiments/forcing_ratio/README.md"),
    ],
)
def test_what_a_page_links_to_exists(page):
    path = ROOT / page
    links = re.findall(r"\]\((?!http)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
