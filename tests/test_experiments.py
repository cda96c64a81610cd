"""Every experiment file composes, documents its command, and can be trained."""

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.options import config_dir, options

EXPERIMENTS = options("experiment")
SEMINAR = {
    "seminar/seq2seq_full": ("seq2seq_model", "FullForcing"),
    "seminar/seq2seq_mixed": ("seq2seq_model", "MixedForcing"),
    "seminar/attention_mixed": ("attention_model", "MixedForcing"),
}


def test_the_three_experiments_of_the_seminar_exist():
    assert set(SEMINAR) <= set(EXPERIMENTS)


NEEDS_A_TEACHER = ("paper/agarwal2024_gkd", "paper/lin2020_imitkd")  # trained with one in test_papers


@pytest.mark.parametrize("experiment", [each for each in EXPERIMENTS if each not in NEEDS_A_TEACHER])
def test_an_experiment_can_be_trained(experiment, outputs):
    little = ["data=toy", "data.pairs=30", "model.hidden_size=8", "model.embedding_size=8", "threads=1"]
    little += ["trainer.max_epochs=1", *tiny.WITH_SAMPLES]
    little += ["init_from=null"] if experiment.endswith("_continued") else []
    little += ["~data.nodes"] if experiment.endswith(("/paths", "/forced", "/teacherless")) else []
    little += ["model.dropout=0.1"] if experiment == "paper/wu2021_r_drop" else []
    arguments = [f"experiment={experiment}", *tiny.sized_for(f"experiment={experiment}", *little)]
    assert cli.main(["train", *arguments]) == 0
    (folder,) = tiny.folders(outputs)
    name = folder.relative_to(outputs).as_posix()
    assert name.startswith(f"{experiment},")
    assert ",pairs=30," in name
    assert [row["epoch"] for row in tiny.rows(folder)] == ["1"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_comment_of_an_experiment_contains_its_command(experiment):
    text = (config_dir() / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    assert f"experiment={experiment}\n" in text


@pytest.mark.parametrize("experiment", SEMINAR)
def test_the_experiments_have_the_settings_of_the_seminar(experiment):
    config = tiny.configuration(f"experiment={experiment}")
    model, forcing = SEMINAR[experiment]
    assert config["name"] == experiment
    assert config["data"]["_target_"].endswith("ArchiveCorpus")
    assert config["data"]["max_words"] == 6
    assert len(config["data"]["prefixes"]) == 12
    assert config["model"]["_target_"].endswith(model)
    assert (config["model"]["hidden_size"], config["model"]["embedding_size"]) == (256, 256)
    assert (config["model"]["layers"], config["model"]["dropout"]) == (1, 0)
    assert config["model"].get("unmasked_positions") == (8 if model == "attention_model" else None)
    assert config["forcing"]["_target_"].endswith(forcing)
    assert config["forcing"].get("ratio", 0.5) == 0.5
    assert config["optimizer"] == {
        "_target_": "torch.optim.SGD",
        "_partial_": True,
        "lr": 0.01,
    }
    assert config["gradient_clip"] is None
    assert config["trainer"]["max_epochs"] == 40
    loader = config["loader"]
    assert (loader["batch_size"], loader["shuffle"]) == (1, False)
    assert loader["predict_sos"]
    assert config["split"] == {"_target_": "seq2seq_lab.data.splits.NoSplit"}


def test_the_seminars_quirks_are_off_by_default():
    config = tiny.configuration("model=attention")
    assert config["model"]["unmasked_positions"] is None
    assert not config["loader"]["predict_sos"]
    assert config["split"]["validation"] > 0
    assert config["split"]["test"] > 0
