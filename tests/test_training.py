"""Training: the same seed gives the same run, and the files of a run are complete and consistent."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import tiny
from seq2seq_lab import __version__
from seq2seq_lab.commands import main as cli
from seq2seq_lab.commands.translate import translate
from seq2seq_lab.config.check import check
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.splits import BySource
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import tensorboard_tag
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.naming import derived_name, run_folder
from seq2seq_lab.runs.provenance import commit
from seq2seq_lab.training.parts.data import make_data
from seq2seq_lab.training.parts.module import make_module
from seq2seq_lab.training.seeds import owner_seed

MIXED = ("model=attention", "forcing=mixed", "model.dropout=0.3")


class TestReproducibility:
    @pytest.mark.parametrize("settings", [("seed=3",), ("loader.batch_size=8", "optimizer=adam")])
    def test_the_same_seed_gives_the_same_weights_and_curves_bit_for_bit(self, run, settings):
        one = run("one", *MIXED, *settings)
        torch.manual_seed(99)
        np.random.seed(99)
        other = run("other", *MIXED, *settings)
        assert tiny.same_weights(one, other)
        assert tiny.curves(one) == tiny.curves(other)

    def test_seed_zero_is_valid_and_differs_from_other_seeds(self, run):
        zero, again, one = (
            tiny.curves(run(name, f"seed={seed}", "trainer.max_epochs=1"))
            for name, seed in (("zero", 0), ("again", 0), ("one", 1))
        )
        assert zero == again
        assert zero != one

    def test_updates_per_block_does_not_change_the_results(self, run):
        one = run("one", *MIXED, "loader.updates_per_block=1", "trainer.max_epochs=1")
        many = run("many", *MIXED, "loader.updates_per_block=128", "trainer.max_epochs=1")
        assert tiny.same_weights(one, many)
        for row, other in zip(tiny.curves(one), tiny.curves(many), strict=True):
            assert {k: float(v) for k, v in row.items()} == pytest.approx(
                {k: float(v) for k, v in other.items()}, rel=1e-12
            )

    def test_without_shuffling_the_seed_does_not_change_the_order(self):
        assert orders("loader.shuffle=false", "seed=0") == orders("loader.shuffle=false", "seed=1")
        assert orders("seed=0") != orders("seed=1")


def made(*overrides: str):
    """The data and the module of a run, without training."""
    settings = () if any(each.startswith("data=") for each in overrides) else tiny.SETTINGS
    config = tiny.configuration(*settings, *overrides) | {"choices": tiny.DEFAULTS}
    check(config)
    data = make_data(config)
    return data, make_module(config, data)


def orders(*overrides: str) -> list[list[int]]:
    data, _ = made(*overrides)
    blocks = data.train_dataloader()
    return [np.concatenate([block.indices for block in blocks]).tolist() for _ in range(2)]


def test_validation_cuts_no_hypothesis_that_could_be_right(tmp_path):
    for name, length in (("train", 3), ("validation", 9)):
        (tmp_path / f"{name}.tsv").write_text(f"un mot\t{'word ' * length}\n", encoding="utf-8")
    files = (f"data.{name}={tmp_path / name}.tsv" for name in ("train", "validation"))
    data, module = made("data=parallel", *files)
    assert (data.max_length, module.max_length) == (3 + 1, 9 + 1)


class TestRandomness:
    """Initial weights, order of the data and forcing coins do not depend on other settings."""

    @pytest.mark.parametrize(
        "change",
        [
            "forcing=mixed",
            "optimizer=adam",
            "loader.batch_size=4",
            "loader.shuffle=false",
            "model.dropout=0.5",
            "trainer.max_epochs=9",
        ],
    )
    def test_initial_weights_depend_only_on_the_seed(self, change):
        one, other = (module.model.state_dict() for _, module in (made(), made(change)))
        assert all(torch.equal(one[name], other[name]) for name in one)

    @pytest.mark.parametrize("change", ["forcing=mixed", "model=attention", "model.hidden_size=16"])
    def test_the_order_of_the_data_depends_only_on_the_seed(self, change):
        assert orders() == orders(change)

    def test_random_draws_of_training_depend_only_on_the_seed(self):
        one, other = (
            module.seed
            for _, module in (made(), made("model=attention", "data.pairs=80", "loader.batch_size=4"))
        )
        assert one == other

    def test_another_seed_changes_weights_order_and_draws(self):
        (one_data, one), (other_data, other) = made("seed=0"), made("seed=1")
        assert one.seed != other.seed
        assert one_data.seed != other_data.seed
        name, weight = next(iter(one.model.state_dict().items()))
        assert not torch.equal(weight, other.model.state_dict()[name])

    def test_every_use_and_every_seed_has_its_own_generator_seed(self):
        seeds = {owner_seed(seed, owner) for seed in range(50) for owner in ("weights", "order", "draws")}
        assert len(seeds) == 150


class TestForcing:
    def test_the_ratio_is_the_measured_share_and_ratio_one_is_full_forcing(self, run):
        free, forced, full = (
            run(name, *settings, "trainer.max_epochs=1")
            for name, settings in (
                ("free", ("forcing=mixed", "forcing.ratio=0")),
                ("forced", ("forcing=mixed", "forcing.ratio=1")),
                ("full", ()),
            )
        )
        shares = [float(tiny.rows(folder)[0]["train/forced_share"]) for folder in (free, forced, full)]
        assert shares == [0, 1, 1]
        assert tiny.same_weights(forced, full)
        assert not tiny.same_weights(free, full)

    def test_the_loss_decreases(self, run):
        losses = [float(row["train/loss"]) for row in tiny.rows(run("a", "trainer.max_epochs=3"))]
        assert losses == sorted(losses, reverse=True)


def scalars_of(folder):
    (path,) = folder.glob("events.out.tfevents.*")
    events = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    return events.Reload()


class TestRunFolder:
    def test_the_folder_of_a_run_contains_all_files(self, attention_run):
        names = {path.relative_to(attention_run).as_posix() for path in attention_run.rglob("*")}
        assert names >= {
            layout.CONFIG,
            layout.SUMMARY,
            layout.METRICS,
            layout.TRANSLATIONS,
            layout.VOCABULARIES,
            f"{layout.CHECKPOINTS}/{layout.LAST}",
            f"{layout.CHECKPOINTS}/{layout.BEST}",
        }
        assert not [name for name in names if name.endswith(".tmp")]

    def test_the_configuration_of_a_run_is_resolved_and_contains_the_choices(self, attention_run):
        text = (attention_run / layout.CONFIG).read_text(encoding="utf-8")
        config = yaml.safe_load(text)
        assert "${" not in text
        assert config["model"]["hidden_size"] == 8
        assert config["choices"]["model"] == "attention"
        assert config["choices"]["data"] == "toy"
        assert config["callbacks"]["best_checkpoint"]["monitor"] == config["monitor"]["metric"]
        assert config["seed"] == 0

    def test_the_summary_of_a_run_contains_its_results(self, attention_run):
        summary = json.loads((attention_run / layout.SUMMARY).read_text(encoding="utf-8"))
        assert summary["status"] == "finished"
        assert summary["epochs"] == 6
        assert summary["version"] == __version__
        assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?|None", str(summary["commit"]))
        assert summary["seconds"] > 0
        assert summary["corpus"]["pairs"] == 40
        corpus = ToyCorpus(pairs=40).load()
        parts = BySource(test=0).split(corpus)
        assert summary["corpus"]["fingerprint"] == corpus.numbered(parts.train, unknown=True).fingerprint
        rows = tiny.rows(attention_run)
        assert summary["last"] == {k: float(v) for k, v in rows[-1].items() if k != "epoch"}
        best = min(rows, key=lambda row: float(row["val/loss_free"]))
        assert summary["best"]["val/loss_free"] == {
            "value": float(best["val/loss_free"]),
            "epoch": int(best["epoch"]),
        }

    def test_metrics_csv_has_one_row_per_epoch_and_registered_names(self, attention_run):
        rows = tiny.rows(attention_run)
        assert [row["epoch"] for row in rows] == list("123456")
        assert set(rows[0]) == {
            "epoch",
            "train/loss",
            "train/forced_share",
            "train/forcing_ratio",
            "train/lr",
            "val/loss_forced",
            "val/loss_free",
            "val/loss_forced_per_word",
            "val/loss_free_per_word",
            "val/loss_forced_per_character",
            "val/loss_free_per_character",
            "val/exposure_gap",
            "val/exposure_gap_to_own_end",
            "val/bleu",
            "val/chrf",
            "val/exact_match",
            "perf/sentences_per_second",
            "perf/epoch_seconds",
        }
        for row in rows:
            assert all(math.isfinite(float(value)) for value in row.values())
            gap = float(row["val/loss_free"]) - float(row["val/loss_forced"])
            assert float(row["val/exposure_gap"]) == pytest.approx(gap)

    def test_tensorboard_has_the_same_scalars_with_epochs_as_steps(self, attention_run):
        events, rows = scalars_of(attention_run), tiny.rows(attention_run)
        names = {name for name in rows[0] if name != "epoch"}
        assert {tensorboard_tag(name) for name in names} <= set(events.Tags()["scalars"])
        for name in names:
            found = [(event.step, event.value) for event in events.Scalars(tensorboard_tag(name))]
            assert found == [
                (int(row["epoch"]), pytest.approx(float(row[name]), rel=1e-6, abs=1e-7)) for row in rows
            ]

    def test_tensorboard_has_the_translations_as_text(self, attention_run):
        events = scalars_of(attention_run)
        (tag,) = [tag for tag in events.Tags()["tensors"] if tag.startswith("translations")]
        last = events.Tensors(tag)[-1]
        text = last.tensor_proto.string_val[0].decode()
        samples = json.loads((attention_run / layout.TRANSLATIONS).read_text(encoding="utf-8"))
        assert last.step == 6
        for sample in samples:
            assert f"| {sample['source']} | {' / '.join(sample['references'])} |" in text

    def test_tensorboard_has_heat_maps_only_for_models_with_attention(self, attention_run, plain_run):
        assert scalars_of(attention_run).Tags()["images"] == ["~attention/0"]
        assert scalars_of(plain_run).Tags()["images"] == []

    def test_tensorboard_has_hyperparameters(self, attention_run):
        events = scalars_of(attention_run)
        (start,) = [
            HParamsPluginData.FromString(content).session_start_info
            for tag, content in events.PluginTagToContent("hparams").items()
            if tag.endswith("session_start_info")
        ]
        values = {key: getattr(value, value.WhichOneof("kind")) for key, value in start.hparams.items()}
        assert values["model"] == "attention"
        assert values["forcing.ratio"] == 0.5
        assert "seed" not in values
        name = attention_run.parent.name
        assert start.group_name.startswith(f"{name} ~"), (
            "runs that differ only in their seed have a readable name"
        )

    def test_tensorboard_sorts_the_single_values_of_the_test_part_after_the_curves(self, run):
        events = EventAccumulator(str(run("with-test", "split.test=0.2", lean=False))).Reload()
        parts = list(dict.fromkeys(tag.partition("/")[0] for tag in sorted(events.Tags()["scalars"])))
        assert parts == ["train", "val", "~perf", "~test"]

    def test_checkpoints_contain_only_plain_containers(self, attention_run):
        for name in (layout.LAST, layout.BEST):
            assert tiny.checkpoint(attention_run, name)["state_dict"]

    def test_the_best_checkpoint_is_of_the_best_epoch(self, run):
        folder = run("a", "monitor={metric: val/loss_free, mode: max}", lean=False)
        assert tiny.checkpoint(folder, layout.LAST)["epoch"] == 1
        assert tiny.checkpoint(folder, layout.BEST)["epoch"] == 0, "the first loss is the greater one"

    @pytest.mark.parametrize("which", ["attention_run", "plain_run"])
    def test_a_loaded_run_gives_the_same_translations(self, request, capsys, which):
        folder = request.getfixturevalue(which)
        samples = json.loads((folder / layout.TRANSLATIONS).read_text(encoding="utf-8"))
        assert translate(str(folder), [sample["source"] for sample in samples]) == 0
        assert capsys.readouterr().out.splitlines() == [sample["hypothesis"] for sample in samples]
        _, model, words = load_model(folder)
        assert not model.training
        corpus = ToyCorpus(pairs=40).load()
        parts = BySource(test=0).split(corpus)
        assert words.source.words == corpus.numbered(parts.train, unknown=True).source_vocabulary.words

    def test_attention_weights_of_the_samples_are_distributions(self, attention_run, plain_run):
        samples = json.loads((attention_run / layout.TRANSLATIONS).read_text(encoding="utf-8"))
        for sample in samples:
            words = sample["source"].split(" ")
            assert sample["attention"], "a row for each word of the hypothesis"
            for weights in sample["attention"]:
                assert len(weights) == len(words) + 1
                assert sum(weights) == pytest.approx(1, abs=1e-3)
        plain = json.loads((plain_run / layout.TRANSLATIONS).read_text(encoding="utf-8"))
        assert all("attention" not in sample for sample in plain)

    def test_the_output_of_a_run_contains_its_folder_and_ten_sentences(self, run, capsys):
        folder = run("a", "trainer.max_epochs=1", "data.pairs=160")
        out, err = capsys.readouterr()
        assert not err
        assert out.splitlines()[0] == f"training {folder}"
        assert len(re.findall(r"^  .* → .* → .*$", out, flags=re.MULTILINE)) == 10
        assert re.search(rf"^{re.escape(str(folder))}: train/loss [\d.]+ after 1 epoch, ", out, re.MULTILINE)
        assert re.search(r"epoch 1/1  .*train/loss ", out)


class TestNames:
    """The path of a run describes it."""

    @pytest.mark.whole
    def test_the_folders_of_a_sweep_are_named_by_the_swept_keys(self, tmp_path):
        sweep = ["-m", "model=seq2seq,attention", "forcing=mixed", "forcing.ratio=0.5", "seed=0,1"]
        arguments = ["train", *sweep, *tiny.SETTINGS, *tiny.LEAN, f"output_dir={tmp_path}"]
        assert cli.main([*arguments, "trainer.max_epochs=1"]) == 0
        names = [folder.relative_to(tmp_path) for folder in tiny.folders(tmp_path)]
        assert [(name.parts[0].partition(",")[0], name.name) for name in names] == [
            ("attention-mixed-0.5", "seed-0"),
            ("attention-mixed-0.5", "seed-1"),
            ("seq2seq-mixed-0.5", "seed-0"),
            ("seq2seq-mixed-0.5", "seed-1"),
        ]

    @pytest.mark.whole
    def test_seeds_added_to_a_sweep_are_compared_with_the_others(self, tmp_path, capsys):
        arguments = [
            "train",
            "-m",
            *tiny.SETTINGS,
            *tiny.LEAN,
            f"output_dir={tmp_path}",
            "trainer.max_epochs=1",
        ]
        for seeds in ("seed=0", "seed=1,2"):
            assert cli.main([*arguments, "compare=true", seeds]) == 0
        (report,) = tmp_path.rglob("results.csv")
        assert len(report.read_text().splitlines()) == 1 + 3
        assert not list(tmp_path.rglob("sweep-*"))

    @pytest.mark.whole
    def test_a_comparison_of_some_runs_does_not_replace_that_of_all(self, tmp_path, capsys):
        arguments = ["train", "-m", *tiny.SETTINGS, *tiny.LEAN, f"output_dir={tmp_path}", "compare=true"]
        assert cli.main([*arguments, "trainer.max_epochs=1", "optimizer.lr=0.01,0.02,0.03", "seed=0,1"]) == 0
        before = (tmp_path / "comparison" / "results.csv").read_text()
        assert len(before.splitlines()) == 1 + 6
        assert cli.main([*arguments, "trainer.max_epochs=1", "optimizer.lr=0.01,0.02", "seed=2"]) == 0
        assert (tmp_path / "comparison" / "results.csv").read_text() == before
        (some,) = tmp_path.glob("comparison~*/results.csv")
        assert len(some.read_text().splitlines()) == 1 + 6

    @pytest.mark.parametrize(
        ("overrides", "expected"),
        [
            ([], "seq2seq-full/seed-0"),
            (["seed=2", "threads=1", "trainer=default"], "seq2seq-full/seed-2"),
            (["forcing=mixed", "model=attention"], "attention-mixed-0.5/seed-0"),
            (["forcing=mixed", "forcing.ratio=0.25"], "seq2seq-mixed-0.25/seed-0"),
            (["optimizer=adam", "optimizer.lr=1e-2"], "seq2seq-full,optimizer=adam,lr=0.01/seed-0"),
            (["optimizer.lr=.01"], "seq2seq-full,lr=0.01/seed-0"),
            (["loader.shuffle=False"], "seq2seq-full,shuffle=false/seed-0"),
            (["data=toy", "trainer.max_epochs=3"], "seq2seq-full,toy/seed-0"),
            (["data=toy", "optimizer.lr=0.1"], "seq2seq-full,lr=0.1,toy/seed-0"),
            (["data.prefixes=[i am, he s]"], "seq2seq-full,prefixes=_i_am,_he_s_~e8e9273f/seed-0"),
            (["name=my/study", "model=attention"], "my/study/seed-0"),
            (["experiment=seminar/attention_mixed"], "seminar/attention_mixed/seed-0"),
            (
                ["experiment=seminar/seq2seq_mixed", "forcing.ratio=1", "seed=4"],
                "seminar/seq2seq_mixed,ratio=1/seed-4",
            ),
        ],
    )
    def test_the_path_of_a_run_contains_every_override(self, overrides, expected):
        config = tiny.configuration(*overrides)
        named = config["name"] is not None
        if not named:
            chosen = dict(override.split("=", 1) for override in overrides)
            choices = {"model": "seq2seq", "forcing": "full"} | chosen
            config["name"] = derived_name(choices, config)
        assert run_folder(config, overrides, named) == Path(config["output_dir"]) / expected


class TestTrainersOwnSettings:
    """Settings of Lightning's Trainer have their effect, or are refused."""

    @pytest.mark.parametrize("batch_size", [1, 4])
    def test_a_run_in_double_precision(self, run, batch_size):
        folder = run("double", "+trainer.precision=64-true", f"loader.batch_size={batch_size}")
        assert all(weight.dtype == torch.float64 for weight in tiny.weights(folder).values())
        _, model, _ = load_model(folder)
        assert next(model.parameters()).dtype == torch.float64

    def test_an_epoch_stopped_by_max_steps_is_logged(self, run):
        rows = tiny.rows(run("steps", "+trainer.max_steps=40"))  # an epoch has 36 updates
        assert [float(row["train/loss"]) > 0 for row in rows] == [True, True]

    def test_every_epoch_with_limited_batches_is_logged(self, run):
        rows = tiny.rows(run("few", "+trainer.limit_train_batches=2", "trainer.max_epochs=4"))
        assert [float(row["train/loss"]) > 0 for row in rows] == [True] * 4

    @pytest.mark.parametrize("devices", ["2", "auto", "-1", "[0,1]"])
    def test_several_devices_are_refused(self, run, devices):
        with pytest.raises(UserError, match=r"trainer\.devices: .* a run trains on one device"):
            run("devices", f"trainer.devices={devices}")


def test_without_git_the_commit_is_none(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert commit.__wrapped__() is None  # which is asked once in a process


@pytest.mark.whole
def test_characters_that_the_terminal_cannot_encode_are_replaced(tmp_path):
    arguments = ["train", *tiny.SETTINGS, *tiny.LEAN, f"output_dir={tmp_path}"]
    answer = subprocess.run(
        [sys.executable, "-m", "seq2seq_lab", *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert b"source ? reference ? hypothesis" in answer.stdout


class TestUpdatesInTheSummary:
    """The summary shows how updates are made; with `-v` or another `accelerate`, the terminal too."""

    ARGUMENTS = ("train", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")

    @pytest.mark.parametrize(
        ("more", "name", "line"),
        [
            ([], "compiled_sentence", ""),
            (["-v"], "compiled_sentence", "updates: compiled_sentence\n"),
            (["accelerate=off"], "eager", "updates: eager\n"),
            (
                ["-v", "loader.batch_size=4"],
                "fused_parts",
                "updates: fused_parts, parts draws, loss, optimizer, recurrent (not compiled_sentence: only single "
                "sentences are supported, not loader.batch_size=4)\n",
            ),
        ],
    )
    def test_the_implementation_of_updates_is_in_the_summary_and_printed(
        self, more, name, line, outputs, capsys
    ):
        assert cli.main([*self.ARGUMENTS, *more]) == 0
        (folder,) = tiny.folders(outputs)
        summary = json.loads((folder / layout.SUMMARY).read_text(encoding="utf-8"))
        assert summary["accelerate"]["updates"] == name
        printed = [
            each for each in capsys.readouterr().out.splitlines(keepends=True) if each.startswith("updates:")
        ]
        assert "".join(printed) == line

    def test_the_implementation_of_updates_does_not_change_the_folder(self, run):
        one, other = run("one"), run("one", "accelerate=off")
        assert one == other

    def test_compiled_and_eager_runs_have_equal_weights(self, run):
        settings = ("model=attention", "forcing=mixed", "model.dropout=0.2", "+trainer.precision=64-true")
        one, other = (tiny.weights(run(name, *settings, f"accelerate={name}")) for name in ("auto", "off"))
        for name, weight in one.items():
            torch.testing.assert_close(weight, other[name], rtol=1e-9, atol=1e-9)


class TestProgress:
    """What a run prints while it trains."""

    def test_a_log_has_one_short_line_for_each_epoch(self, run, capsys):
        run("a", "name=" + "a-very-long-name/" * 8)
        lines = [line for line in capsys.readouterr().out.splitlines() if " epoch " in line]
        assert len(lines) == 2
        for epoch, line in enumerate(lines, start=1):
            assert len(line) <= 110
            assert f"/seed-0 epoch {epoch}/2  val/bleu " in line
            assert line.index("train/loss") == lines[0].index("train/loss"), "the same place in every epoch"
            assert line.endswith(" s")

    def test_a_terminal_shows_a_bar_with_the_measures(self, run, capsys, monkeypatch):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        run("a")
        shown = capsys.readouterr().out
        assert re.search(r"epoch 2/2: +100%", shown)
        assert "train/loss " in shown
        assert "val/bleu " in shown
