"""The test part: the best checkpoint of a finished run is evaluated on it once."""

import copy

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.data.near_duplicates import near_duplicates
from seq2seq_lab.data.splits import components_of
from seq2seq_lab.evaluation.measures import TEST, tensorboard_tag
from seq2seq_lab.evaluation.part import Part, evaluate_part, limit
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.checkpoint import epoch_of, read_weights
from seq2seq_lab.runs.evaluations import contents_of, write_evaluation
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.module import TranslationModule


def evaluate_test(
    run: Run, data: TranslationDataModule, module: TranslationModule, trainer: pl.Trainer, *, segments: str
) -> dict[str, float]:
    """Evaluate the checkpoint that the validation part selects, greedily, and log `test/*`; returns what is logged.

    The summary gets the epoch of that checkpoint. Nothing is done if there is no test part. A run that was killed after
    its last epoch is evaluated when it is started again.

    Args:
        segments: what counts once in scores of translations, each `source` or each `pair`.
    """
    if not len(data.test):
        return {}
    checkpoint = run.best_checkpoint if run.best_checkpoint.exists() else run.last_checkpoint
    model = copy.deepcopy(module.model).eval()
    epoch: int | None = trainer.current_epoch
    if checkpoint.exists():
        model.load_state_dict(read_weights(checkpoint))
        epoch = epoch_of(checkpoint)
    model.to(trainer.strategy.root_device)  # Lightning leaves what it has trained on the CPU
    name = "best" if checkpoint.name == layout.BEST else "last"
    corpus = data.corpus.select(data.test)
    components = components_of(data.corpus, data.test, data.split)
    part = Part(
        corpus=corpus,
        references=data.references(data.test),
        predict_sos=data.predict_sos,
        max_length=limit(data.max_length, corpus, predict_sos=data.predict_sos),
        segments=data.segments(data.test, segments),
        near_duplicates=near_duplicates(corpus, data.corpus.select(data.training)).tolist()
        if corpus.task.graded
        else None,
    )
    results = evaluate_part(model, part, measures=module.measures)
    contents = contents_of(part, results, name=TEST, checkpoint=name, epoch=epoch, segments=segments)
    write_evaluation(
        run.folder,
        TEST,
        contents,
        sources=part.sources(),
        references=part.references,
        hypotheses=results.hypotheses,
        components=None if components is None else components.tolist(),
    )
    run.write_summary(tested={"checkpoint": name, "epoch": epoch})
    logged = {f"{TEST}/{name}": value for name, value in results.measures.items()}
    tagged = {tensorboard_tag(name): value for name, value in logged.items()}
    for logger in trainer.loggers:
        on_tensorboard = isinstance(logger, TensorBoardLogger)
        logger.log_metrics(tagged if on_tensorboard else logged, step=trainer.current_epoch)
        logger.finalize("success")
    return logged
