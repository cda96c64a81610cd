"""Parts that files give: they are what a run is, and filters do not empty or shorten them in silence."""

from itertools import islice

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.sources.parallel import ParallelCorpus
from seq2seq_lab.errors import UserError

LETTERS = "abcdefgh"
PAIRS = [(f"{one} {other}", f"{other} {one}") for one in LETTERS for other in LETTERS]


def cut(folder, train, validation, test):
    """Write the pairs as three files of these numbers of pairs; returns the settings that name them."""
    rest, settings = iter(PAIRS), {}
    for part, number in (("train", train), ("validation", validation), ("test", test)):
        path = folder / f"{part}.tsv"
        path.write_text("".join(f"{one}\t{other}\n" for one, other in islice(rest, number)))
        settings[part] = str(path)
    return settings


def test_a_run_is_not_evaluated_or_trained_on_other_parts_of_the_same_pairs(tmp_path, capsys):
    settings = cut(tmp_path, 40, 10, 14)
    command = ["data=parallel", *(f"data.{part}={path}" for part, path in settings.items()), *SIZES]
    command += [f"output_dir={tmp_path / 'runs'}", "name=a", "trainer.max_epochs=1"]
    assert cli.main(["train", *command]) == 0
    (folder,) = tiny.folders(tmp_path / "runs")
    assert cli.main(["evaluate", str(folder), "--analyses", "none"]) == 0
    cut(tmp_path, 30, 10, 24)
    capsys.readouterr()
    assert cli.main(["evaluate", str(folder), "--analyses", "none"]) == 1
    assert "its data has changed since it was trained" in capsys.readouterr().err
    assert cli.main(["train", *command[:-1], "trainer.max_epochs=2"]) == 1
    assert "was started on different pairs" in capsys.readouterr().err


SIZES = [each for each in tiny.SETTINGS if not each.startswith(("data", "split", "trainer"))] + [*tiny.LEAN]


def test_the_most_pairs_are_those_of_the_training_part(tmp_path):
    settings = cut(tmp_path, 40, 10, 14)
    corpus = ParallelCorpus(**settings, max_pairs=15).load()
    assert [int((corpus.given == part).sum()) for part in range(3)] == [15, 10, 14]


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_part_that_the_filters_empty_is_named(tmp_path, part):
    settings = cut(tmp_path, 40, 10, 14)
    (tmp_path / f"{part}.tsv").write_text("one two three\tfour\n" * 5)
    with pytest.raises(UserError, match=rf"no pair of the part {part} is kept:\n  5 with more"):
        ParallelCorpus(**settings, max_words=2).load()


@pytest.mark.parametrize(("parts", "said"), [(("train", "validation", "test"), True), (("train",), False)])
def test_a_seed_of_the_split_that_changes_nothing_is_said(tmp_path, capsys, parts, said):
    settings = cut(tmp_path, 40, 10, 14)
    files = [f"data.{part}={settings[part]}" for part in parts]
    command = ["train", "data=parallel", *files, *SIZES, "split=row", "split.seed=1", "trainer.max_epochs=1"]
    assert cli.main([*command, f"output_dir={tmp_path / 'runs'}", "name=a"]) == 0
    assert ("split.seed=1 changes nothing, as the parts" in capsys.readouterr().err) is said
