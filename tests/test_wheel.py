"""The built wheel works without the checkout and contains the configuration."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An empty folder into which the wheel was unpacked."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed, folder, *arguments):
    """The standard output of the program, run from the wheel and not from the checkout."""
    command = [sys.executable, "-m", "seq2seq_lab", *arguments]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.slow
def test_the_installed_package_finds_its_configuration(installed, tmp_path):
    assert "seminar/attention_mixed" in run(installed, tmp_path, "train", "--help")
    shown = run(installed, tmp_path, "train", "model=attention", "--cfg", "job")
    assert "seq2seq_lab.models.attention_model" in shown


@pytest.mark.slow
def test_the_installed_package_shows_data_and_trains(installed, tmp_path):
    assert json.loads(run(installed, tmp_path, "data", "data=toy", "--json"))["pairs"] == 2000
    little = ["data=toy", "data.pairs=30", "model.hidden_size=8", "trainer.max_epochs=1", "output_dir=out"]
    assert "train/loss" in run(installed, tmp_path, "train", *little)
    (summary,) = (tmp_path / "out").rglob("summary.json")
    written = json.loads(summary.read_text(encoding="utf-8"))
    assert written["status"] == "finished"
    assert written["commit"] is None, "the package does not run from the checkout"
    run(installed, tmp_path, "compare", "out")
    assert "loss floor" in (tmp_path / "out" / "comparison" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_wheel_contains_only_the_package(installed):
    top = {path.relative_to(installed).parts[0] for path in installed.rglob("*") if path.is_file()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"seq2seq_lab", "hydra_plugins"}
