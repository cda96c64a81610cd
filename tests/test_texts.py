"""Paths and texts of the command line are read as typed; real lists of values stay lists."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from seq2seq_lab.config.compose import composed
from seq2seq_lab.config.texts import as_texts, escaped, is_plain, quoted, read_setting, read_value, unescaped
from seq2seq_lab.launch.launch import _output_dir

RUNS = ("outputs/a,lr=0.1/seed-0", "outputs/한국 어,b=2/seed-1", "outputs/plain/seed-0", "it's [a] (run)\\")


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in RUNS:
        (tmp_path / run).mkdir(parents=True)


def values(override, sweep=False):
    """What Hydra reads."""
    (given,) = as_texts([override], sweep=sweep)
    parsed = OverridesParser.create().parse_override(given)
    if parsed.is_sweep_override():
        return [
            OverridesParser.create().parse_override(f"k={each}").value()
            for each in parsed.sweep_string_iterator()
        ]
    return parsed.value()


@pytest.mark.parametrize("text", [*RUNS, "", "'", "a\\", "a\\'b", "\\\\", "null", "${x}", "a b"])
def test_a_quoted_text_is_read_as_it_is(text):
    assert OverridesParser.create().parse_override(f"key={quoted(text)}").value() == text


@pytest.mark.parametrize("text", ["${x}", r"\${x}", r"a\\\${x}${y}", r"\a$\{"])
def test_a_text_that_omegaconf_leaves_as_it_stands_is_that_text_again(text):
    assert OmegaConf.create({"key": escaped(text)}).key == text
    assert unescaped(escaped(text)) == text


@pytest.mark.parametrize("sweep", [False, True])
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("key", ["init_from", "+target.run", "data.archive"])
def test_the_path_of_something_is_one_text(key, run, sweep):
    assert values(f"{key}={run}", sweep) == run
    assert values(f"{key}={quoted(run)}", sweep) == run, "with quotation marks, as before"


def test_paths_with_commas_between_them_are_several():
    several = ["null", RUNS[0], RUNS[2], RUNS[1]]
    assert values(f"init_from={','.join(several)}", sweep=True) == [None, *several[1:]]


@pytest.mark.parametrize(
    "name", ["a,b", "한국어", "a=b", "my run", "é,b=1", "50 %", "2024", "1e3", "true", "-1"]
)
def test_a_name_is_any_text(name):
    assert values(f"name={name}") == name


@pytest.mark.parametrize("name", ["한국어,b", "a,b", "choice(a,b)"])
def test_in_a_sweep_a_name_has_several_values(name):
    assert len(values(f"name={name}", sweep=True)) == 2


def test_in_a_sweep_a_comma_before_a_space_belongs_to_a_name():
    assert values("name=my run, with spaces", sweep=True) == "my run, with spaces"
    assert values("name=a, b,2024", sweep=True) == ["a, b", "2024"]


def test_in_a_sweep_what_is_in_quotation_marks_is_one_text():
    assert values("name=plain,'a,b',c d,\"e,f\"", sweep=True) == ["plain", "a,b", "c d", "e,f"]
    assert values("name=it's,that's", sweep=True) == ["it's", "that's"]


@pytest.mark.parametrize("folder", ["it's", "a b", "2024", "a'b\\", "한국어", "a/b"])
def test_the_folder_of_a_sweep_is_read_as_the_jobs_read_it(folder, tmp_path):
    assert _output_dir(as_texts([f"output_dir={folder}"], sweep=True)) == tmp_path / folder
    assert _output_dir([f"output_dir={quoted(folder)}"]) == tmp_path / folder


@pytest.mark.parametrize("override", ["name=null", "name=", r"name=a\,b", "name='a, b'", "output_dir=out"])
@pytest.mark.parametrize("sweep", [False, True])
def test_what_hydra_reads_as_a_text_or_as_null_is_left_to_it(override, sweep):
    assert as_texts([override], sweep=sweep) == [override]


@pytest.mark.parametrize(
    "override",
    [
        "seed=0,1",
        "seed=range(3)",
        "model=seq2seq,attention",
        "callbacks=[default,early_stopping]",
        "name=${x}",
        "name=[1",
    ],
)
@pytest.mark.parametrize("sweep", [False, True])
def test_all_else_is_left_to_hydra(override, sweep):
    assert as_texts([override], sweep=sweep) == [override]


def test_every_command_that_composes_reads_paths():
    assert composed([f"init_from={RUNS[0]}"])["init_from"] == RUNS[0]


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a", True), ("a/b-1.5", True), ("2024", False), ("null", False), ("a,b", False), ("é", False)],
)
def test_what_needs_no_quotation_marks(text, plain):
    assert is_plain(text) is plain


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("1e3", 1000.0), ("2", 2), ("[a, 1]", ["a", 1]), ("", None), ("true", True)],
)
def test_a_value_that_is_typed_for_a_file_is_read_as_in_a_configuration(text, value):
    assert read_value(text) == value


@pytest.mark.parametrize("text", ["run #2", "a: b", "2024", "[a", "it's"])
def test_a_text_that_is_typed_for_a_file_stays_as_it_is(text):
    assert read_setting("name", text) == text
    assert read_setting("name", quoted(text).replace("\\'", "''")) == text
    assert read_setting("name", "null") is None


def test_a_value_that_cannot_be_read_is_an_error():
    with pytest.raises(ValueError, match=r"."):
        read_value("a: ")
