"""Groups: runs that differ only in the seed, named by the settings in which they differ."""

import random
from csv import DictReader
from io import StringIO

import pytest

from fake_runs import ENG_FRA, TOY, config, curves, write_run, write_sweep
from seq2seq_lab.compare import gather, grouping, naming
from seq2seq_lab.compare.corpora import by_corpus
from seq2seq_lab.compare.frame import load_runs
from seq2seq_lab.compare.listing import as_csv
from seq2seq_lab.compare.presentation import method
from seq2seq_lab.compare.report import page
from seq2seq_lab.compare.views import csv
from seq2seq_lab.compare.views.columns import setting
from seq2seq_lab.runs.select import select


def labels(path):
    return [group.label for group in gather([path]).groups]


def test_a_sweep_of_models_ratios_and_seeds_has_a_group_for_each_model_and_ratio(tmp_path):
    write_sweep(tmp_path)
    groups = gather([tmp_path]).groups
    assert [group.label for group in groups] == [
        f"model={model}, ratio={ratio}" for model in ("attention", "seq2seq") for ratio in (0.25, 0.5, 0.75)
    ]
    assert all([run.seed for run in group.runs] == [0, 1, 2] for group in groups)


def test_the_order_of_the_runs_changes_nothing(tmp_path):
    runs = list(gather([write_sweep(tmp_path)]).runs)
    expected = [(g.label, [r.name for r in g.runs]) for g in grouping.group(runs)[0]]
    for seed in range(5):
        random.Random(seed).shuffle(runs)
        assert [(g.label, [r.name for r in g.runs]) for g in grouping.group(runs)[0]] == expected


def test_keys_that_do_not_change_the_model_do_not_separate_runs(tmp_path):
    for seed in range(2):
        settings = config(seed=seed)
        folder = tmp_path / f"seed-{seed}"
        settings["logger"]["save_dir"] = f"{folder}/events"  # inside the run's own folder
        settings["logger"]["more"] = (
            f"{tmp_path.parent}/name {seed}/seed-{seed}"  # the path before the run was moved
        )
        settings["loader"]["seed"] = seed  # equal to the seed in every run
        settings["choices"]["experiment"] = f"number {seed}"
        write_run(folder, settings | {"threads": seed, "name": f"name {seed}", "fresh": bool(seed)})
    (group,) = gather([tmp_path]).groups
    assert (group.label, len(group.runs)) == ("all runs", 2)


@pytest.mark.parametrize("changed", [{"max_time": "00:04:00:00"}, {"devices": 4}])
def test_how_a_run_was_trained_does_not_separate_runs(tmp_path, changed):
    """What makes no other run for training makes no other group, but the number of epochs."""
    for seed in range(4):
        settings = config(seed=seed)
        settings["trainer"] |= {"strategy": "ddp", "devices": 2} | (changed if seed > 1 else {})
        write_run(tmp_path / f"seed-{seed}", settings)
    (group,) = gather([tmp_path]).groups
    assert len(group.runs) == 4
    settings["trainer"]["max_epochs"] = 16
    write_run(tmp_path / "longer" / "seed-0", settings)
    assert len(gather([tmp_path]).groups) == 2


def test_a_link_to_runs_is_named(tmp_path):
    """A folder may link to itself, so links are not followed."""
    write_run(tmp_path / "runs" / "seed-0", config())
    elsewhere = write_run(tmp_path / "elsewhere" / "seed-1", config(seed=1)).parent
    (tmp_path / "runs" / "linked").symlink_to(elsewhere)
    (tmp_path / "runs" / "again").symlink_to(tmp_path / "runs")
    comparison = gather([tmp_path / "runs"])
    assert len(comparison.runs) == 1
    (note,) = (each for each in comparison.notes if "linked" in each)
    assert "a link to runs, which is not followed; give it itself" in note
    assert len(gather([tmp_path / "runs", tmp_path / "runs" / "linked"]).runs) == 2


@pytest.mark.parametrize("node", ["data", "split"])
def test_seeds_with_data_or_splits_of_their_own_are_one_group_and_are_paired(tmp_path, node):
    """`data.seed=${seed}`: each seed has other training pairs, and methods share them seed by seed."""
    for forcing, seeds in (("full", (0, 1, 2)), ("free", (1, 2, 3))):
        for seed in seeds:
            settings = config(forcing=forcing, seed=seed)
            settings.setdefault(node, {"_target_": "seq2seq_lab.data.splits.BySource"})["seed"] = seed
            own = TOY | {"fingerprint": f"{seed}" * 64, "pairs": 190 + seed}
            write_run(tmp_path / forcing / f"seed-{seed}", settings, corpus=own)
    comparison = gather([tmp_path])
    assert [(group.label, len(group.runs)) for group in comparison.groups] == [
        ("forcing=free", 3),
        ("forcing=full", 3),
    ]
    pairs = [each for each in comparison.pairs if each.metric == "val/bleu"]
    assert [each.difference.n for each in pairs] == [2]
    write_run(tmp_path / "more" / "seed-0", config(seed=0), corpus=ENG_FRA)
    more = gather([tmp_path])
    assert len(more.groups) == 3
    assert [each.difference.n for each in more.pairs if each.metric == "val/bleu"] == [2]


def write_seeds(tmp_path, name, seeds, *, fingerprints, pairs=200, split=None, **choices):
    """Runs of some seeds, each with its own fingerprint; `split` is the seed of all splits, else each has its own."""
    for seed, fingerprint in zip(seeds, fingerprints, strict=True):
        settings = config(seed=seed, **choices)
        settings["data"]["pairs"] = pairs
        settings["split"] = {"seed": seed if split is None else split}
        corpus = TOY | {"fingerprint": fingerprint * 64}
        write_run(tmp_path / name / f"seed-{seed}", settings, corpus=corpus)


def test_corpora_of_one_seed_are_not_joined(tmp_path):
    """The files were changed between two methods: a seed has two corpora, and nothing is paired."""
    write_seeds(tmp_path, "full", (0, 1, 2), fingerprints="abc", forcing="full")
    write_seeds(tmp_path, "free", (0, 1, 2), fingerprints="def", forcing="free")
    comparison = gather([tmp_path])
    assert len(comparison.groups) == 6
    assert comparison.pairs == []


@pytest.mark.parametrize("forcing", ["full", "free"])
def test_two_corpora_of_the_default_seed_stay_apart(tmp_path, forcing):
    """Seed 0 and `split.seed=0` are equal by chance."""
    write_seeds(tmp_path, "a", (0,), fingerprints="a", forcing="full")
    write_seeds(tmp_path, "b", (0,), fingerprints="b", forcing=forcing)
    comparison = gather([tmp_path])
    assert [len(group.runs) for group in comparison.groups] == [1, 1]
    assert len(by_corpus(comparison.groups)) == 2
    assert comparison.notes == [] or not any("several runs" in note for note in comparison.notes)


def test_seeds_with_splits_of_their_own_stay_one_group_beside_another_task(tmp_path):
    write_seeds(tmp_path, "full", (0, 1, 2), fingerprints="abc", forcing="full")
    write_seeds(tmp_path, "free", (0, 1, 2), fingerprints="abc", forcing="free")
    write_seeds(tmp_path, "other", (0, 1, 2), fingerprints="ddd", pairs=100, split=0, forcing="free")
    comparison = gather([tmp_path])
    assert [len(group.runs) for group in comparison.groups] == [3, 3, 3]
    assert [each.difference.n for each in comparison.pairs if each.metric == "val/bleu"] == [3]


def test_another_seed_key_that_differs_from_the_seed_separates_runs(tmp_path):
    for seed, other in ((0, 0), (1, 0), (0, 5), (1, 5)):
        settings = config(seed=seed)
        settings["data"]["seed"] = other
        write_run(tmp_path / f"{seed}-{other}", settings)
    assert labels(tmp_path) == [
        "data.seed=0",
        "data.seed=5",
    ]  # because the tables already have a column `seed`


def test_an_option_replaces_the_keys_that_it_implies_and_other_keys_are_shown(tmp_path):
    write_run(tmp_path / "a", config(forcing="full"))
    write_run(tmp_path / "b", config(forcing="mixed", ratio=0.25))
    assert labels(tmp_path) == ["forcing=full", "forcing=mixed"]
    write_run(tmp_path / "c", config(forcing="mixed", ratio=0.75))
    assert labels(tmp_path) == ["forcing=full", "forcing=mixed, ratio=0.25", "forcing=mixed, ratio=0.75"]


def test_a_key_of_both_options_is_shown_if_it_differs(tmp_path):
    large = config(model="attention")
    large["model"]["hidden_size"] = 128
    write_run(tmp_path / "a", large)
    write_run(tmp_path / "b", config(model="seq2seq"))
    assert labels(tmp_path) == ["model=attention, hidden_size=128", "model=seq2seq, hidden_size=64"]


def test_keys_with_the_same_last_part_get_different_names(tmp_path):
    for n, (encoder, decoder) in enumerate([(1, 1), (1, 2), (2, 1)]):
        settings = config()
        settings["model"] |= {"encoder": {"layers": encoder}, "decoder": {"layers": decoder}}
        write_run(tmp_path / str(n), settings)
    assert labels(tmp_path)[0] == "encoder.layers=1, decoder.layers=1"


def test_without_choices_the_name_of_the_class_is_shown(tmp_path):
    for model in ("seq2seq", "attention"):
        settings = config(model=model)
        del settings["choices"]
        write_run(tmp_path / model, settings)
    assert labels(tmp_path) == ["model=attention_model", "model=seq2seq_model"]


def test_numbers_are_sorted_by_value_and_1_equals_1_0(tmp_path):
    for n, hidden in enumerate((256, 64, 64.0, 1024)):
        settings = config(seed=n)
        settings["model"]["hidden_size"] = hidden
        write_run(tmp_path / str(n), settings)
    assert labels(tmp_path) == ["hidden_size=64", "hidden_size=256", "hidden_size=1024"]


@pytest.mark.parametrize(("one", "other"), [(None, "null"), (1, "1"), (True, "true"), ([1, 2], "[1, 2]")])
def test_text_that_looks_like_a_value_is_not_equal_to_the_value(tmp_path, one, other):
    for name, value in (("a", one), ("b", other)):
        settings = config()
        settings["model"]["dropout"] = value
        write_run(tmp_path / name, settings)
    assert len(set(labels(tmp_path))) == 2


def test_numbers_that_are_nearly_equal_are_told_apart_wherever_they_are_shown(tmp_path):
    rates = (0.1, 0.1000001, 1 / 3)
    for n, rate in enumerate(rates):
        for seed in (0, 1):
            settings = config(seed=seed)
            settings["optimizer"]["lr"] = rate
            write_run(tmp_path / f"{n}" / f"seed-{seed}", settings)
    comparison = gather([tmp_path])
    names = ["lr=0.1", "lr=0.1000001", "lr=0.333333"]
    assert [each.label for each in comparison.groups] == [method(each) for each in comparison.groups] == names
    assert [setting(each, "lr") for each in comparison.groups] == ["0.1", "0.1000001", "0.333333"]
    assert "lr 0.1 → 0.1000001" in {pair.title for pair in comparison.pairs}
    assert [each["after"] for each in page._changes(*comparison.groups[:2])] == ["0.1000001"]


def test_long_values_are_told_apart_by_the_place_where_they_differ(tmp_path):
    for name in "ab":
        settings = config()
        settings["data"]["prefixes"] = [*map(str, range(40)), name, *map(str, range(40))]
        write_run(tmp_path / name, settings)
    first, second = gather([tmp_path]).groups
    assert first.label == 'prefixes=["0", "1", "…38", "39", "a", "0", "1", …'
    assert second.label == first.label.replace('"a"', '"b"')
    assert "corpus" not in first.settings


def test_long_values_that_differ_in_several_places_may_need_a_number(tmp_path):
    for name in ("aa", "ab", "ba"):
        settings = config()
        settings["data"]["prefixes"] = [
            *map(str, range(40)),
            name[0],
            *map(str, range(40)),
            name[1],
            *["end"] * 9,
        ]
        write_run(tmp_path / name, settings)
    first, second, third = (each.label for each in gather([tmp_path]).groups)
    assert second == f"{first} #2"
    assert third == first.replace('"a"', '"b"')


def test_runs_on_different_corpora_are_never_in_one_group(tmp_path):
    write_run(tmp_path / "a", config(seed=0), corpus=TOY)
    write_run(tmp_path / "b", config(seed=1), corpus=ENG_FRA)
    comparison = gather([tmp_path])
    assert [len(group.runs) for group in comparison.groups] == [1, 1]
    assert {group.label for group in comparison.groups} == {"corpus=70e00000", "corpus=e4f00000"}
    assert comparison.pairs == []


def test_a_different_corpus_is_shown_only_by_its_option(tmp_path):
    real = config()
    real["data"] = {
        "_target_": "seq2seq_lab.data.sources.archive.ArchiveCorpus",
        "max_words": 10,
        "prefixes": ["i am "],
    }
    real["choices"]["data"] = "eng_fra"
    write_run(tmp_path / "a", real, corpus=ENG_FRA)
    write_run(tmp_path / "b", config())
    assert sorted(labels(tmp_path)) == ["data=eng_fra", "data=toy"]


def test_an_unfinished_run_without_a_known_corpus_is_in_its_group(tmp_path):
    write_run(tmp_path / "a", config(seed=0))
    write_run(tmp_path / "b", config(seed=1), status="running", corpus={})
    (group,) = gather([tmp_path]).groups
    assert [run.seed for run in group.others] == [1]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (("finished", "2026-11-01T10:00:00"), ("finished", "2026-11-02T10:00:00"), "b"),
        (("finished", "2026-11-03T10:00:00"), ("finished", "2026-11-02T10:00:00"), "a"),
        (("finished", "2026-11-01T10:00:00"), ("running", "2026-11-02T10:00:00"), "a"),
        (("failed", "2026-11-01T10:00:00"), ("interrupted", "2026-11-02T10:00:00"), "b"),
    ],
)
def test_the_newest_finished_of_repeated_runs_is_used(tmp_path, first, second, kept):
    for name, (status, started) in (("a", first), ("b", second)):
        write_run(tmp_path / name, config(seed=3), status=status, started=started)
    write_run(tmp_path / "c", config(seed=4))
    comparison = gather([tmp_path])
    (group,) = comparison.groups
    assert {run.name for run in (*group.runs, *group.others)} == {kept, "c"}
    assert any("seed 3: a, b" in note and f"only {kept} is used" in note for note in comparison.notes)


def test_repeated_runs_have_the_settings_of_their_group(tmp_path):
    for name, ratio in (("a", 0.25), ("b", 0.5), ("c", 0.5)):
        write_run(tmp_path / name, config(ratio=ratio))
    comparison = gather([tmp_path])
    rows = [*DictReader(StringIO(csv.results(comparison.runs, comparison.groups, [])))]
    assert [(row["ratio"], row["group"], row["averaged"]) for row in rows] == [
        ("0.25", "ratio=0.25", "yes"),
        ("0.5", "ratio=0.5", "no"),
        ("0.5", "ratio=0.5", "yes"),
    ]
    rows = [*DictReader(StringIO(as_csv(select([tmp_path]))))]
    assert [row["ratio"] for row in rows] == ["0.25", "0.5", "0.5"]
    assert load_runs(tmp_path)["ratio"].tolist() == [0.25, 0.5, 0.5]


def test_a_setting_called_as_a_fact_of_a_run_has_a_column_of_its_own(tmp_path):
    for name in ("a", "b"):
        settings = config()
        settings["data"] |= {"path": f"{name}.tsv", "value": name}
        write_run(tmp_path / name, settings)
    rows = [*DictReader(StringIO(as_csv(select([tmp_path]))))]
    assert [row["path"] for row in rows] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert [(row["setting path"], row["setting value"]) for row in rows] == [("a.tsv", "a"), ("b.tsv", "b")]
    assert all(float(row["value"]) == float(row["last train/loss"]) for row in rows)


def test_a_key_that_only_one_version_has_separates_runs(tmp_path):
    old = config(seed=1)
    del old["loader"]["predict_sos"]
    write_run(tmp_path / "new", config(seed=0))
    write_run(tmp_path / "old", old)
    assert labels(tmp_path) == ["predict_sos=absent", "predict_sos=false"]


def test_a_group_with_a_diverged_run_has_no_finite_mean(tmp_path):
    write_run(tmp_path / "a", config(seed=0))
    rows = curves(config(seed=1), 8)
    rows[-1]["train/loss"] = float("nan")
    write_run(tmp_path / "b", config(seed=1), rows=rows)
    (group,) = gather([tmp_path]).groups
    estimate = group.last("train/loss")
    assert estimate.n == 2
    assert estimate.mean != estimate.mean


def test_runs_that_start_from_the_run_of_their_own_seed_are_one_group(tmp_path):
    for start in ("full", "free"):
        for seed in range(3):
            settings = config(seed=seed) | {"init_from": f"outputs/{start}/seed-{seed}"}
            write_run(tmp_path / start / f"seed-{seed}", settings)
    groups = gather([tmp_path]).groups
    assert [len(each.runs) for each in groups] == [3, 3]
    assert [each.label for each in groups] == ["init_from=outputs/free", "init_from=outputs/full"]


@pytest.mark.parametrize("key", ["init_from", "target.run"])
@pytest.mark.parametrize(
    ("named", "groups"),
    [
        ((0, 1, 2), [3]),  # the run of its own seed
        ((1, 2, 0), [3]),  # that of the next one
        ((0, 0, 0), [3]),  # the same one for all
        ((7, 7, 7), [3]),
        ((0, 0, 1), [1, 2]),  # neither
    ],
)
def test_the_run_that_a_run_starts_or_learns_from(tmp_path, key, named, groups):
    for seed, other in enumerate(named):
        node, _, last = key.partition(".")
        path = f"outputs/full/seed-{other}"
        settings = config(seed=seed) | {node: {"_target_": "a.Teacher", last: path} if last else path}
        write_run(tmp_path / "a" / f"seed-{seed}", settings)
    assert sorted(len(each.runs) for each in gather([tmp_path]).groups) == groups


def stray(folder):
    """Write a run on another corpus that differs in almost everything."""
    settings = config(model="attention", forcing="full", epochs=3)
    settings["data"] = {"_target_": "seq2seq_lab.data.sources.archive.ArchiveCorpus", "max_words": 10}
    settings["choices"]["data"] = "eng_fra"
    settings["model"]["hidden_size"] = 256
    settings["optimizer"]["lr"] = 0.5
    settings["loader"]["batch_size"] = 1
    return write_run(folder, settings, corpus=ENG_FRA)


def test_a_run_on_another_corpus_adds_no_setting_to_those_of_the_others(tmp_path):
    write_sweep(tmp_path / "sweep", seeds=[0, 1])
    alone = {group.label: dict(group.settings) for group in gather([tmp_path]).groups}
    stray(tmp_path / "stray" / "seed-0")
    groups = gather([tmp_path]).groups
    swept, (other,) = sorted(by_corpus(groups).values(), key=len, reverse=True)
    assert {group.label: dict(group.settings) for group in swept} == alone
    assert len({group.label for group in groups}) == len(groups)
    assert other.settings == {"data": "eng_fra", "model": "attention", "forcing": "full"}


def test_no_setting_is_the_same_in_all_groups_on_a_corpus(tmp_path):
    write_sweep(tmp_path / "sweep", ratios=[0.25, 0.5])
    stray(tmp_path / "stray" / "seed-0")
    for lr in (0.1, 0.2):
        settings = config(model="attention", epochs=3)
        settings["optimizer"]["lr"] = lr
        write_run(tmp_path / f"lr-{lr}" / "seed-0", settings, corpus=ENG_FRA)
    for on_corpus in by_corpus(gather([tmp_path]).groups).values():
        for key in {key for group in on_corpus for key in group.settings}:
            assert len({str(group.settings.get(key)) for group in on_corpus}) > 1, key


def test_a_corpus_is_named_by_what_tells_it_apart(tmp_path):
    def names():
        return set(by_corpus(gather([tmp_path]).groups))

    def write(folder, corpus, *, option="toy", pairs=200):
        settings = config()
        settings["choices"]["data"], settings["data"]["pairs"] = option, pairs
        write_run(tmp_path / folder / "seed-0", settings, corpus=corpus)

    other = {**TOY, "fingerprint": "abc" + "0" * 61}
    write("a", TOY)
    assert names() == {""}
    write("b", ENG_FRA, option="eng_fra")
    assert names() == {"toy", "eng_fra"}
    write("c", other)
    assert names() == {"toy 70e00000", "toy abc00000", "eng_fra"}
    write("c", other, pairs=99)
    assert names() == {"toy (pairs=200)", "toy (pairs=99)", "eng_fra"}


def test_corpora_of_one_option_are_named_by_their_code(tmp_path):
    for name, corpus in (("a", TOY), ("b", {**TOY, "fingerprint": "abc" + "0" * 61})):
        write_run(tmp_path / name, config(), corpus=corpus)
    assert sorted(labels(tmp_path)) == ["corpus=70e00000", "corpus=abc00000"]
    write_run(tmp_path / "old" / "seed-0", {**config(), "choices": None}, corpus=ENG_FRA)
    assert len(set(labels(tmp_path))) == 3


def test_the_source_of_own_modules_separates_runs_and_is_shown_where_nothing_else_does(tmp_path):
    own = config() | {"code": {"my_policy": "aaaa00000001"}}
    own["forcing"] = {"_target_": "my_policy.Mine"}
    own["choices"] = own["choices"] | {"forcing": "mine"}
    write_run(tmp_path / "a", own)
    write_run(tmp_path / "b", config())
    assert labels(tmp_path) == ["forcing=mine", "forcing=mixed"]
    write_run(tmp_path / "c", own | {"code": {"my_policy": "bbbb00000002"}})
    assert [label.partition(", ")[2] for label in labels(tmp_path)] == [
        "my_policy=aaaa00000001",
        "my_policy=bbbb00000002",
        "my_policy=absent",
    ]


def test_a_group_that_is_placed_elsewhere_is_shown_by_its_options_names(tmp_path):
    for option, decay in (("linear", "Linear"), ("inverse_sigmoid", "InverseSigmoid")):
        settings = config(seed=0)
        settings["target"] = {
            "_target_": "seq2seq_lab.targets.mixed.Mixed",
            "schedule": {"decay": {"_target_": f"seq2seq_lab.forcing.schedules.{decay}"}},
        }
        settings["choices"] = {**settings.get("choices", {}), "forcing/decay@target.schedule.decay": option}
        write_run(tmp_path / option, settings)
    assert sorted(labels(tmp_path)) == ["decay=inverse_sigmoid", "decay=linear"]


def test_no_setting_has_the_name_of_another_column():
    """`version` of a part stays beside the version of the package in results.csv."""
    for name in naming.RESERVED:
        configs = [{f"model.{name}": 1}, {f"model.{name}": 2}]
        found = naming.settings(configs, [{}, {}])
        assert found == [{f"model.{name}": 1}, {f"model.{name}": 2}]


def test_a_policy_of_your_own_is_compared_as_any_other_is(tmp_path):
    """A run with own code has the hash of its module beside the policy: this is no second difference."""
    for seed in range(2):
        write_run(tmp_path / "mixed" / f"{seed}", config(seed=seed))
        settings = config(seed=seed) | {
            "forcing": {"_target_": "my_policy.Mine"},
            "code": {"my_policy": "a" * 8},
        }
        settings["choices"] = settings["choices"] | {"forcing": "mine"}
        write_run(tmp_path / "mine" / f"{seed}", settings)
    assert {pair.title for pair in gather([tmp_path], metrics=["val/bleu"]).pairs} == {"forcing mine → mixed"}
