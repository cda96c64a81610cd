"""TensorBoard runs of a comparison."""

import io

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from fake_runs import ENG_FRA, config, write_run, write_sweep
from seq2seq_lab.compare import compare
from seq2seq_lab.compare.presentation import Presentation, parse_group


def scalars(folder, tag):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {event.step: event.value for event in events.Scalars(tag)}


@pytest.mark.usefixtures("undrawn")
def test_a_group_has_a_run_with_mean_and_band_and_a_chart(tmp_path):
    comparison = compare([write_sweep(tmp_path, ratios=[0.5])], metrics=["val/bleu"], stream=io.StringIO())
    group = comparison.groups[0]
    folder = comparison.output / "tb" / group.settings["model"]
    for epoch, estimate in group.curve("val/bleu").items():
        assert scalars(folder, "val/bleu")[epoch] == pytest.approx(estimate.mean)
        assert scalars(folder, "~band/val/bleu/mean")[epoch] == pytest.approx(estimate.mean)
        assert scalars(folder, "~band/val/bleu/lower")[epoch] == pytest.approx(estimate.mean - estimate.sd)
        assert scalars(folder, "~band/val/bleu/upper")[epoch] == pytest.approx(estimate.mean + estimate.sd)
    events = EventAccumulator(str(folder))
    events.Reload()
    layout = layout_pb2.Layout()
    layout.ParseFromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: chart.margin.series[0] for part in layout.category for chart in part.chart}
    used = {tag for each in charts.values() for tag in (each.value, each.lower, each.upper)}
    assert used <= set(events.Tags()["scalars"])
    assert all(tag.startswith("~band/") for tag in used), (
        "TensorBoard names single runs that have only some of them"
    )


def test_a_group_has_its_own_label(tmp_path):
    presentation = Presentation([parse_group("model=seq2seq: 보통, <plain>")])
    root = write_sweep(tmp_path, ratios=[0.5])
    comparison = compare([root], presentation=presentation, stream=io.StringIO())
    names = {folder.name for folder in (comparison.output / "tb").iterdir()}
    assert names == {"보통, -plain-", "attention", "loss floor"}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("label", "name"), [("..", "-"), ("보" * 100, "보" * 50), ("half.", "half")])
def test_a_label_that_is_no_name_of_a_folder_has_one(tmp_path, label, name):
    presentation = Presentation([parse_group(f"model=seq2seq: {label}")])
    root = write_sweep(tmp_path, ratios=[0.5], epochs=2)
    folder = compare([root], presentation=presentation, stream=io.StringIO()).output
    assert not list(folder.glob("events*"))
    assert {each.name for each in (folder / "tb").iterdir()} == {name, "attention", "loss floor"}


@pytest.mark.usefixtures("undrawn")
def test_a_repeated_comparison_removes_groups_that_no_longer_exist(tmp_path):
    for name, size in (("small", 32), ("large", 64)):
        settings = config(ratio=0.5)
        settings["model"]["hidden_size"] = size
        write_run(tmp_path / name, settings)
    write_run(tmp_path / "few", config(ratio=0.25))
    first = compare([tmp_path], metrics=["train/loss"], stream=io.StringIO())
    own = first.output / "tb" / "notes.txt"
    own.write_text("mine")
    (tmp_path / "small" / "config.yaml").unlink()
    compare([tmp_path], metrics=["train/loss"], stream=io.StringIO())
    runs = {path.parent.name for path in first.output.rglob("events.out.tfevents*")}
    assert runs == {"ratio=0.25", "ratio=0.5", "loss floor"}
    assert not list(first.output.glob("sweep-hidden_size.*"))
    assert own.read_text() == "mine"


def tags(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return set(events.Tags()["scalars"])


@pytest.mark.usefixtures("undrawn")
def test_a_run_on_another_corpus_is_in_charts_of_its_own(tmp_path):
    write_sweep(tmp_path, ratios=[0.5])
    alone = compare([tmp_path], stream=io.StringIO()).output / "tb"
    before = {path.name: tags(path) for path in alone.iterdir()}
    write_run(tmp_path / "stray" / "seed-0", config(forcing="full"), corpus=ENG_FRA)
    compare([tmp_path], stream=io.StringIO())
    after = {path.name: tags(path) for path in alone.iterdir() if path.name in before}
    others = [path for path in alone.iterdir() if path.name not in before]
    assert all(path.name.endswith(" - toy e4f00000") for path in others), "named in the same way"
    strays = [*map(tags, others)]
    assert after == before
    assert len(strays) == 2, "its curves, and its loss floor"
    assert not set.union(*strays) & set.union(*before.values())
    assert all(" · toy e4f00000" in tag for tag in set.union(*strays))
