"""A trained run in Python: its results, its translations, its attention."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.errors import UserError, are_texts, as_list, is_path, is_whole, require
from seq2seq_lab.runs.at_checkpoint import AtCheckpoint
from seq2seq_lab.runs.chosen import Which, check_which, name_of
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

    from seq2seq_lab.models.interface import Model
    from seq2seq_lab.runs.load import Vocabularies


def load_run(
    path: str | Path, *, checkpoint: Which | None = None, trusted: Sequence[str] = ()
) -> "LoadedRun":
    """Open a run's folder.

    Args:
        path: the folder, such as `outputs/demo/attention_mixed/seed-0`.
        checkpoint: "best" or "last"; None: the best where there is one, else the last, as for every command.
        trusted: modules whose code the run may name, such as one with a model of your own.

    Raises:
        UserError: the folder is not a run, there is no such kind of checkpoint, or an argument is of another type.
    """
    check_which(checkpoint)
    require(is_path(path), "path", path, "the folder of a run, such as outputs/demo/attention_mixed/seed-0")
    require(are_texts(trusted), "trusted", trusted, 'a list of modules, such as ["my_score"]')
    run = Run(Path(path))
    if not run.exists():
        raise UserError(
            f"{path} is not a run: it has no config.yaml; see `seq2seq-lab runs` for those that there are"
        )
    return LoadedRun(run, checkpoint=checkpoint, trusted=trusted)


class LoadedRun:
    """A run. Its files are read, and its model is loaded, when they are first needed.

    Args:
        run: the run on disk.
        checkpoint: "best" or "last"; None: the best where there is one, else the last, as for every command.
        trusted: modules whose code the run may name.
    """

    def __init__(self, run: Run, *, checkpoint: Which | None = None, trusted: Sequence[str] = ()) -> None:
        self.run = run
        self._which = checkpoint
        self._trusted = trusted

    def __repr__(self) -> str:
        return f"<run {self.run.folder}: {self.run.status}>"

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return self.run.config()

    @property
    def summary(self) -> dict[str, Any]:
        """Status, epochs, last and best values, seconds, version, machine."""
        return self.run.summary()

    @property
    def metrics(self) -> "pd.DataFrame":
        """A row for each epoch, a column for each metric; the index is the epoch, counted from 1."""
        pandas = import_pandas()
        return pandas.DataFrame(dict(self.run.curves())).rename_axis("epoch").sort_index()

    @property
    def test(self) -> Mapping[str, float]:
        """The values of the trained model on the parts that it was evaluated on, such as `test/bleu`.

        Those of the checkpoint that was asked for; of none, those that were evaluated last.
        """
        return (AtCheckpoint(self.run, self._which) if self._which else self.run).evaluated

    @property
    def checkpoint(self) -> Which:
        """Whether the model is that of the best or of the last checkpoint."""
        return name_of(self.run.folder, self._which)

    @property
    def model(self) -> "Model":
        """The model, in evaluation mode."""
        return self._loaded[0]

    @property
    def vocabularies(self) -> "Vocabularies":
        """What turns sentences into ids and back."""
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> "tuple[Model, Vocabularies]":
        _, model, words = load_model(self.run.folder, checkpoint=self._which, trusted=self._trusted)
        return model, words

    def _check_length(self, symbols: int) -> None:
        """Refuse a sentence with more symbols than the model takes beside `<eos>`."""
        try:
            self.model.check_lengths(source=symbols + 1)
        except ValueError as error:
            raise UserError(f"{self.run.folder}: {error}") from None

    def translate(
        self, sentences: str | Sequence[str], *, beam: int = 1, length_penalty: float = 1.0
    ) -> list[str]:
        """A translation of each sentence; an empty one where nothing of a sentence can be translated.

        Args:
            sentences: raw sentences; they are normalised as in training. A single one is taken too.
            beam: hypotheses of beam search; 1 is greedy.
            length_penalty: of beam search (Wu et al. 2016, https://arxiv.org/abs/1609.08144).

        Raises:
            UserError: `beam` is no whole number of at least 1, `length_penalty` is not between −10 and 10, or a
                sentence is no text or longer than the model takes.
        """
        from seq2seq_lab.decoding.beam import best_hypotheses, check_search

        try:
            check_search(beam=beam, alpha=length_penalty)
        except ValueError as error:
            raise UserError(str(error)) from None
        given = as_list(sentences)
        require(
            are_texts(given),
            "sentences",
            sentences,
            'a text or a list of texts, such as ["je suis triste ."]',
        )
        ids = [self.vocabularies.encode(each).ids for each in given]
        self._check_length(max((len(each) for each in ids), default=0))
        longest = self.vocabularies.max_length
        found = best_hypotheses(self.model, ids, longest, beam=beam, alpha=length_penalty)
        return [self.vocabularies.decode(several[0].words) if several else "" for several in found]

    def attention(self, sentence: str, *, head: int | None = None) -> "pd.DataFrame":
        """The attention weights of a greedy translation: a row for each word of it, a column for each source word.

        Args:
            sentence: a raw sentence; it is normalised as in training.
            head: of the last layer, counted from 1; None: the mean of all heads.

        Raises:
            UserError: the model has no attention or no such head, nothing of the sentence can be translated, or an
                argument is of another type.
        """
        require(isinstance(sentence, str), "sentence", sentence, 'a text, such as "je suis triste ."')
        require(head is None or is_whole(head), "head", head, "the number of a head, such as 1")
        import torch

        from seq2seq_lab.data.vocabulary import EOS
        from seq2seq_lab.decoding.greedy import greedy
        from seq2seq_lab.evaluation.attention import attention_table, attention_weights, check_head

        if not self.model.has_attention:
            raise UserError(f"{self.run.folder} has a model without attention")
        ids = self.vocabularies.encode(sentence).ids
        if not ids:
            raise UserError(f"{sentence!r}: nothing of it can be translated")
        self._check_length(len(ids))
        source = torch.tensor([[*ids, EOS]])
        steps = greedy(self.model, source, None, self.vocabularies.max_length, at_least=0)
        assert steps.weights is not None
        weights = steps.weights[0]
        if head is not None:
            check_head(self.model, head, self.run.folder)
            weights = attention_weights(self.model, source[0], steps.words[0], head)
        table = attention_table(
            steps.words[0],
            weights,
            source[0],
            source_vocabulary=self.vocabularies.source,
            target_vocabulary=self.vocabularies.target,
        )
        return import_pandas().DataFrame(table["attention"], index=table["rows"], columns=table["columns"])


def import_pandas() -> Any:
    """The library pandas, which is no dependency.

    Raises:
        UserError: it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("this needs pandas: pip install 'seq2seq-lab[notebook]'") from None
    return pandas
