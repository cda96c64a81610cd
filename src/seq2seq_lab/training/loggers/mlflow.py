"""MLflow."""

from pathlib import Path

from pytorch_lightning.loggers import MLFlowLogger

from seq2seq_lab.training.loggers.base import Facts, missing


class MLflow(MLFlowLogger):
    """Lightning's logger, with a name for each run of a sweep.

    Args:
        save_dir: the run's folder.
        facts: what names the run.
        experiment: the experiment that all runs belong to.
        tracking_uri: where MLflow stores runs; None: the variable MLFLOW_TRACKING_URI, or else `mlruns` beside the
            runs.

    Raises:
        UserError: MLflow is not installed.
    """

    def __init__(
        self, *, save_dir: str, facts: Facts, experiment: str = "seq2seq-lab", tracking_uri: str | None = None
    ) -> None:
        import os

        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        try:
            import mlflow  # noqa: F401
        except ImportError:
            raise missing("mlflow") from None
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        super().__init__(
            experiment_name=experiment,
            run_name=facts.name,
            tracking_uri=uri or (Path(facts.outputs).absolute() / "mlruns").as_uri(),
            tags={"group": facts.group, "folder": save_dir},
        )
