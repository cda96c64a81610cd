"""`seq2seq-lab evaluate`: scores that sacreBLEU alone gives too, parts, beams, averaging, other pairs, and errors."""

import json
import re
import shutil

import numpy as np
import pytest
import sacrebleu
import torch

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.near_duplicates import near_duplicates
from seq2seq_lab.data.sources import toy
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.splits import ByComponent, BySource
from seq2seq_lab.evaluation.groups import length_group
from seq2seq_lab.evaluation.repetition import repetition
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.checkpoint import averaged_weights, read_weights
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.run import Run

SPLIT = ("split.test=0.2", "split.validation=0.2")
KEEP = ("callbacks=[default,keep_last]", "callbacks.kept_checkpoints.save_top_k=3")


@pytest.fixture(scope="session")
def tested(tmp_path_factory):
    """A finished run of three epochs with a test part; tests must not change it."""
    overrides = ("model=attention", "optimizer.lr=0.1", "trainer.max_epochs=3", *SPLIT, *KEEP)
    return tiny.train(tmp_path_factory.mktemp("tested"), *overrides, lean=False)


@pytest.fixture
def folder(tested, tmp_path):
    return shutil.copytree(tested, tmp_path / "run")


@pytest.fixture
def evaluate(capsys):
    """Status, standard output and standard error of `seq2seq-lab evaluate`."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["evaluate", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def found(evaluate, *arguments):
    status, out, err = evaluate(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def rows(folder, part="test"):
    lines = (folder / "evaluation" / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_scores_are_those_of_sacrebleu_alone(folder, evaluate):
    result = found(evaluate, folder, "--beam", "3")
    written = rows(folder)
    written = list({row["source"]: row for row in reversed(written)}.values())  # each source once
    hypotheses = [row["hypothesis"] for row in written]
    most = max(len(row["references"]) for row in written)
    streams = [[(row["references"] + [None] * most)[i] for row in written] for i in range(most)]
    bleu = sacrebleu.BLEU(tokenize="none", force=True)
    assert result["bleu"] == pytest.approx(bleu.corpus_score(hypotheses, streams).score)
    assert result["signature"]["bleu"] == str(bleu.get_signature())
    assert result["chrf"] == pytest.approx(sacrebleu.CHRF().corpus_score(hypotheses, streams).score)
    right = [row["hypothesis"] in row["references"] for row in written]
    assert result["exact_match"] == sum(right) / len(right)


def test_the_pairs_are_those_of_the_test_part_with_all_their_references(folder, evaluate):
    corpus = ToyCorpus(pairs=40).load()
    parts = BySource(validation=0.2, test=0.2).split(corpus)
    for part, indices in (("test", parts.test), ("validation", parts.validation), ("train", parts.train)):
        assert found(evaluate, folder, "--split", part)["pairs"] == len(indices)
        written = rows(folder, part)
        assert [row["source"] for row in written] == [corpus.source_text(i) for i in indices]
        for row, index in zip(written, indices, strict=True):
            assert row["references"][0] == corpus.target_text(index)
            assert set(row["references"]) == set(ToyCorpus().distribution().translations(row["source"]))


def test_the_pairs_of_a_split_by_component_have_the_numbers_of_their_components(evaluate, tmp_path):
    split = ByComponent(validation=0.2, test=0.2)
    run = tiny.train(
        tmp_path, "data.pairs=100", "split=component", "loader.batch_size=8", *SPLIT, "trainer.max_epochs=1"
    )
    corpus = ToyCorpus(pairs=100).load()
    component, test = split.groups(corpus), split.split(corpus).test

    def same(of, several):
        return [[of(a) == of(b) for a in several] for b in several]

    wanted = same(component.__getitem__, test)
    assert same(lambda row: row["component"], rows(run)) == wanted  # at the end of training
    last = (run, "--analyses", "none", "--checkpoint", "last")
    found(evaluate, *last)
    assert same(lambda row: row["component"], rows(run)) == wanted
    assert len({row["component"] for row in rows(run)}) < len(test)
    found(evaluate, *last, "--max-pairs", "18")
    some = test[np.linspace(0, len(test) - 1, 18).astype(int)]
    assert [row["source"] for row in rows(run)] == [corpus.source_text(index) for index in some]
    assert same(lambda row: row["component"], rows(run)) == same(component.__getitem__, some)


def test_pairs_of_another_split_and_other_pairs_have_no_components(tested, folder, evaluate):
    found(evaluate, folder, "--analyses", "none", "--data", "data.pairs=60")
    for each in (*rows(tested), *rows(folder, "shifted")):
        assert "component" not in each


def test_a_run_evaluates_its_best_checkpoint_on_the_test_part_at_its_end(tested, evaluate, tmp_path):
    at_the_end = json.loads((tested / "evaluation" / "test.json").read_text())
    folder = shutil.copytree(tested, tmp_path / "again")
    again = found(evaluate, folder, "--analyses", "none")
    assert at_the_end["checkpoint"] == "best"
    assert {name: again[name] for name in at_the_end["measures"]} == pytest.approx(at_the_end["measures"])
    assert Run(tested).last("test/bleu") == at_the_end["measures"]["bleu"]


def test_a_checkpoint_that_is_replaced_meanwhile_is_read_again(folder, evaluate, monkeypatch):
    """What a run that is being trained does: the epoch that is written is that of the weights."""
    from seq2seq_lab.runs import evaluate as of_runs

    best, last = Run(folder).best_checkpoint, Run(folder).last_checkpoint
    contents = torch.load(best, weights_only=True)
    torch.save(contents | {"epoch": 0}, best)
    loaded = []

    def replaced(*arguments, **how):
        loaded.append(load_model(*arguments, **how))
        shutil.copyfile(last, best)
        return loaded[-1]

    monkeypatch.setattr(of_runs, "load_model", replaced)
    result = found(evaluate, folder, "--analyses", "none")
    monkeypatch.undo()
    assert len(loaded) == 2
    assert result["epoch"] == 3
    at_last = found(evaluate, folder, "--analyses", "none", "--checkpoint", "last")
    assert result["loss_forced"] == at_last["loss_forced"]


def test_the_validation_part_gives_the_validation_metrics_of_training(folder, evaluate):
    result = found(evaluate, folder, "--split", "validation", "--checkpoint", "last", "--analyses", "none")
    last = tiny.rows(folder)[-1]
    for name in ("bleu", "chrf", "exact_match", "loss_forced", "loss_free", "exposure_gap"):
        assert result[name] == pytest.approx(float(last[f"val/{name}"]))


def test_each_beam_has_its_scores_and_the_first_one_is_at_the_top(folder, evaluate):
    result = found(evaluate, folder, "--beam", "2,1,4", "--analyses", "none")
    assert list(result["beams"]) == ["2", "1", "4"]
    assert result["analyses"]["beams"]["beam"] == [2, 1, 4]
    assert result["bleu"] == result["beams"]["2"]["bleu"]
    greedy = found(evaluate, folder, "--analyses", "none")
    assert greedy["beams"]["1"] == result["beams"]["1"]


def test_what_analyses_say_of_translations_is_of_the_first_beam(folder, evaluate):
    """As the scores above them; by lengths from the translations that are written, literally."""
    result = found(evaluate, folder, "--beam", "5,1", "--analyses", "by_source_length,repetition")
    written = rows(folder)
    ours = [each["hypothesis"] for each in written]
    assert result["analyses"]["repetition"]["hypotheses"] == repetition(ours, ours)["hypotheses"]
    assert (
        found(evaluate, folder, "--analyses", "repetition")["analyses"]["repetition"]["hypotheses"]
        != (result["analyses"]["repetition"]["hypotheses"])
    )
    table = result["analyses"]["by_source_length"]
    lengths = [length_group(len(each["source"].split())) for each in written]
    for group, right in zip(table["group"], table["exact_match"], strict=True):
        of_group = [each for each, its in zip(written, lengths, strict=True) if its == group]
        assert right == pytest.approx(
            sum(each["hypothesis"] in each["references"] for each in of_group) / len(of_group)
        )


def test_several_runs_are_a_table_or_a_list(folder, evaluate):
    status, out, _ = evaluate(folder, folder, "--analyses", "none")
    assert status == 0
    scores = out.partition("\n\n")[0]
    assert len([line for line in scores.splitlines() if line.startswith(str(folder))]) == 2
    assert len(found(evaluate, folder, folder, "--analyses", "none")) == 2


def test_what_is_not_the_same_of_all_runs_is_said_of_each(tested, evaluate, tmp_path):
    runs = [shutil.copytree(tested, tmp_path / name) for name in ("a", "b")]
    (runs[1] / "checkpoints" / "best.ckpt").unlink()
    _, out, _ = evaluate(*runs, "--analyses", "none")
    for each, which in zip(runs, ("best", "last"), strict=True):
        assert re.search(rf"^{re.escape(str(each))}:\n.* pairs of test, checkpoint: {which}$", out, re.M)
    assert evaluate(runs[0], runs[0], "--analyses", "none")[1].count("checkpoint: best") == 1


def test_analyses_are_written_where_they_are_asked_for(folder, evaluate):
    result = found(evaluate, folder, "--analyses", "positions,repetition")
    assert set(result["analyses"]) == {"positions", "repetition", "by_near_duplicates"}  # the last one always
    assert "grammar" in found(evaluate, folder)["analyses"]
    assert Run(folder).evaluations["test"].analyses["grammar"]


def test_averaged_weights_are_the_mean_of_the_last_kept_ones(folder, evaluate):
    run = Run(folder)
    assert [path.name for path in run.kept_checkpoints] == [f"epoch-000{i}.ckpt" for i in range(3)]
    wanted = [read_weights(path) for path in run.kept_checkpoints[-2:]]
    for name, value in averaged_weights(run, 2).items():
        torch.testing.assert_close(value, (wanted[0][name] + wanted[1][name]) / 2)
    _, model, _ = load_model(folder, averaged=2)
    torch.testing.assert_close(dict(model.state_dict()), averaged_weights(run, 2))
    assert found(evaluate, folder, "--average", "2", "--analyses", "none")["averaged"] == 2


def test_other_pairs_have_no_pair_of_the_corpus_and_no_sentence_of_the_training_part(folder, evaluate):
    own, larger = (ToyCorpus(pairs=count).load() for count in (40, 120))
    training = own.select(BySource(validation=0.2, test=0.2).split(own).train)
    texts = [[(c.source_text(i), c.target_text(i)) for i in range(len(c))] for c in (own, training, larger)]
    sources, targets = map(set, zip(*texts[1], strict=True))
    others = [pair for pair in texts[2] if pair not in texts[0]]
    left = [pair for pair in others if pair[0] not in sources and pair[1] not in targets]
    assert 0 < len(left) < len(others) < len(texts[2])
    status, out, _ = evaluate(folder, "--data", "data.pairs=120", "--analyses", "none")
    assert status == 0
    assert f"{len(left)} pairs of shifted" in out
    assert f"left out: {len(texts[2]) - len(others)} pairs of the run's own corpus, and " in out
    assert f" and {len(others) - len(left)} with a source or a target of its training part" in out
    assert [(row["source"], row["references"][0]) for row in rows(folder, "shifted")] == left
    limited = found(evaluate, folder, "--data", "pairs=120", "--max-pairs", "5", "--analyses", "none")
    assert limited["pairs"] == 5


def test_other_pairs_have_a_name_of_their_own(folder, evaluate):
    """Each name keeps its results, and is a part of its metrics."""
    others = ("--data", "pairs=120", "--max-pairs", "5", "--analyses", "none")
    result = found(evaluate, folder, *others, "--name", "more_pairs")
    assert result["part"] == "more_pairs"
    assert Run(folder).evaluated["more_pairs/bleu"] == result["bleu"]
    found(evaluate, folder, *others)
    assert {"more_pairs", "shifted"} <= set(Run(folder).evaluations)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "longer"), "--data, which is not given"),
        (("--data", "pairs=120", "--name", "test"), "--name test: not a name of other pairs"),
        (
            ("--data", "pairs=120", "--name", "val"),
            "--name val: not a name of other pairs",
        ),  # its val/bleu is training's
        (("--data", "pairs=120", "--name", "../x"), "--name ../x: not a name of other pairs"),
        (("--data", "pairs=120", "--name", ""), "not a name of other pairs"),
    ],
)
def test_a_name_that_cannot_be_one_is_an_error(folder, evaluate, options, said):
    status, _, err = evaluate(folder, *options)
    assert status != 0
    assert said in err
    assert "Traceback" not in err


def test_hypotheses_of_longer_pairs_than_those_of_training_are_not_cut(evaluate, tmp_path):
    """A model that has learned nothing goes on to the limit."""
    overrides = ("data=grammar", "data.longest=5", "optimizer.lr=1e-9", "trainer.max_epochs=1")
    run = tiny.train(tmp_path, *overrides)
    longer = ("--data", "longest=12", "--data", "pairs=60", "--analyses", "none")
    found(evaluate, run, *longer)
    written = rows(run, "shifted")
    longest = max(len(row["references"][0].split()) for row in written)
    assert longest > 5
    assert max(len(row["hypothesis"].split()) for row in written) == longest + 1


def test_the_segments_are_sources_or_pairs(folder, evaluate):
    others = ("--data", "data.pairs=1500", "--analyses", "none")
    result = found(evaluate, folder, *others)
    written = rows(folder, "shifted")
    sources = {row["source"] for row in written}
    assert len(sources) < len(written)
    assert (result["segments"], result["segment_count"]) == ("source", len(sources))
    assert Run(folder).evaluations["shifted"].segments == "source"
    status, out, _ = evaluate(folder, *others, "--segments", "pair")
    assert status == 0
    assert f"each pair is one segment, {len(written):,} in all" in out
    as_before = json.loads((folder / "evaluation" / "shifted.json").read_text())
    assert (as_before["segments"], as_before["segment_count"]) == ("pair", len(written))
    assert Run(folder).evaluations["shifted"].segments == "pair"
    for name in ("loss_forced", "loss_free"):  # of targets, each of which is one
        assert result[name] == as_before["measures"][name]
    assert result["bleu"] != as_before["measures"]["bleu"]


def test_near_duplicates_of_training_pairs_and_the_others_are_two_rows(folder, evaluate):
    corpus = ToyCorpus(pairs=40).load()
    parts = BySource(validation=0.2, test=0.2).split(corpus)
    near = near_duplicates(corpus.select(parts.test), corpus.select(parts.train))
    table = json.loads((folder / "evaluation" / "test.json").read_text())["analyses"]["by_near_duplicates"]
    assert table["group"] == ["near-duplicates", "others"]
    assert table["sentences"] == [near.sum(), (~near).sum()]
    status, out, _ = evaluate(folder, "--analyses", "none")
    assert status == 0
    lines = [line.split() for line in out.splitlines() if "near-duplicates " in line or "others " in line]
    assert [line[1:3] for line in lines] == [
        ["near-duplicates", str(near.sum())],
        ["others", str((~near).sum())],
    ]


def test_the_perfect_model_of_a_run_is_right_and_leaves_the_runs_results_alone(folder, evaluate):
    before = {path: path.read_bytes() for path in (folder / "evaluation").glob("*")}
    result = found(evaluate, folder, "--perfect")
    assert (result["model"], result["exact_match"], result["bleu"]) == ("perfect", 1, pytest.approx(100))
    assert (result["eb_c"], result["excess_error"], result["outside"]) == (1, 0, pytest.approx(0, abs=1e-9))
    assert {path: path.read_bytes() for path in before} == before
    written = json.loads((folder / "evaluation" / "perfect" / "test.json").read_text())
    assert written["measures"]["exact_match"] == 1
    assert set(Run(folder).evaluations) == {"test"}
    out = evaluate(folder, "--perfect")[1]
    assert f"{folder} (perfect)" in out
    assert "the perfect model of its data" in out
    assert str(folder / "evaluation" / "perfect") in out


def test_a_perfect_model_predicts_sos_where_its_run_does(run, evaluate):
    folder = run("sos", *SPLIT, "loader.predict_sos=true")
    result = found(evaluate, folder, "--perfect", "--beam", "1,3")
    assert [each["exact_match"] for each in result["beams"].values()] == [1, 1]
    assert (result["eb_c"], result["eb_m"]) == (1, 1)


def test_without_a_known_distribution_there_is_no_perfect_model(folder, evaluate, monkeypatch):
    monkeypatch.setattr(ToyCorpus, "distribution", lambda self: None)
    toy._LAST.clear()  # a corpus keeps its distribution
    status, out, err = evaluate(folder, "--perfect")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert (
        "--perfect: the distribution of its data is not known; those of data=toy and data=grammar are" in err
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beam", "two"], "--beam: 'two' is not numbers"),
        (["--beam", "0"], "--beam: 0: a beam is at least 1"),
        (["--length-penalty", "nan"], "--length-penalty: 'nan' is not a number between -10 and 10"),
        (["--length-penalty", "0"], "--length-penalty: it is of a beam search; add --beam 5"),
        (["--analyses", "position"], "--analyses: position: no such analysis; did you mean positions?"),
        (["--average", "9"], "cannot average 9 checkpoints, as 3 are kept"),
        (["--data", "pairs"], "--data: 'pairs' is not of the form data.KEY=VALUE"),
        (["--data", "data.pairs=40"], "--data gives no pair that the run's own corpus lacks"),
        (["--data", "+data.pairs=40"], "--data gives no pair that the run's own corpus lacks"),
        (
            ["--data", "data.paris=40"],
            "/run: --data: data.paris: seq2seq_lab.data.sources.toy.ToyCorpus takes no",
        ),
        (["--max-pairs", "0"], "--max-pairs: 0 is less than 1"),
        (["--average", "2", "--checkpoint", "last"], "--average and --checkpoint: each names another model"),
        (["--perfect", "--average", "2"], "--perfect and --average: each names another model"),
        (["--perfect", "--best"], "--perfect and --checkpoint: each names another model"),
        (["--average", "-1"], "--average: -1 is less than 1"),
        (["--split", "train", "--data", "pairs=120"], "--split train: a part of the run's own pairs"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(folder, evaluate, arguments, message):
    status, out, err = evaluate(folder, *arguments)
    assert (status, out) == (1, "")
    assert message in err
    assert len(err.splitlines()) <= 2


def test_a_folder_that_is_not_a_run_leaves_the_others(folder, evaluate, tmp_path):
    status, out, err = evaluate(tmp_path / "gone", folder, "--analyses", "none")
    assert status == 1
    assert f"{tmp_path / 'gone'} does not exist" in err
    assert str(folder) in out


def test_a_run_without_a_test_part_says_so(plain_run, evaluate):
    status, _, err = evaluate(plain_run)
    assert status == 1
    assert f"{plain_run} has no test part (split=source)" in err


def test_a_run_that_is_stopped_before_the_test_is_tested_when_it_goes_on(run):
    overrides = ("model=attention", *SPLIT)
    whole = run("whole", *overrides)
    stopped = run("stopped", *overrides)
    shutil.rmtree(stopped / layout.EVALUATION)
    Run(stopped).write_summary(status="running")
    run("stopped", *overrides)
    assert (stopped / "evaluation" / "test.json").read_text() == (
        whole / "evaluation" / "test.json"
    ).read_text()


def test_an_extended_run_is_tested_again(run):
    overrides = ("model=attention", *SPLIT)
    folder = run("run", *overrides)
    before = (folder / "evaluation" / "test.json").stat().st_mtime_ns
    run("run", *overrides, "fresh=true")
    assert (folder / "evaluation" / "test.json").stat().st_mtime_ns > before
