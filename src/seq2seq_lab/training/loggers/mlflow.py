"""MLflow."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import MLFlowLogger

from seq2seq_lab.training.loggers.base import Facts, missing

_IDENTITY = "identity"  # the tag by which a run that goes on is found


class MLflow(MLFlowLogger):
    """Lightning's logger, with a name for each run of a sweep; a run that goes on does so in MLflow too.

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
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise missing("mlflow") from None
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        uri = uri or (Path(facts.outputs).absolute() / "mlruns").as_uri()
        client = MlflowClient(uri)
        before = _find(client, experiment, facts.identity)
        self._logged = _last_steps(client, before) if before else {}
        super().__init__(
            experiment_name=experiment,
            run_name=facts.name,
            tracking_uri=uri,
            tags={"group": facts.group, "folder": save_dir, _IDENTITY: facts.identity},
            run_id=before,
        )

    def log_hyperparams(self, params: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Log settings; those of nested groups with dots, as `model.cell`.

        A store of files has a file for each name, and so no `model/cell` beside `model`; and MLflow takes only some
        characters.
        """
        super().log_hyperparams({re.sub(r"[^\w .:-]", ".", name): value for name, value in params.items()})

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log what MLflow does not have yet, as it cannot take back a value."""
        new = {name: value for name, value in metrics.items() if (step or 0) > self._logged.get(name, -1)}
        super().log_metrics(new, step)


def _find(client: Any, experiment: str, identity: str) -> str | None:
    """The id of MLflow's run of this run."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    runs = client.search_runs([found.experiment_id], f"tags.{_IDENTITY} = '{identity}'", max_results=1)
    if not runs:
        return None
    client.update_run(runs[0].info.run_id, status="RUNNING")
    return str(runs[0].info.run_id)


def _last_steps(client: Any, run: str) -> dict[str, int]:
    """The last step at which each metric was logged."""
    names = client.get_run(run).data.metrics
    return {name: max(point.step for point in client.get_metric_history(run, name)) for name in names}
