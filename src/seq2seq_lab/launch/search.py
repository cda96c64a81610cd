"""A search: Optuna chooses the values of each trial, whose runs are those of any sweep."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from seq2seq_lab.config.misuse import no_such_option
from seq2seq_lab.errors import UserError, counted, first_line
from seq2seq_lab.launch.job import TaskFunction
from seq2seq_lab.launch.plan import Shown, checked_spec, refusal
from seq2seq_lab.launch.register import FAILED, FINISHED, PRUNED, Entry
from seq2seq_lab.launch.space import check_settings, parsed_space, written
from seq2seq_lab.launch.spec import job_key
from seq2seq_lab.launch.study import Pruning, existing, fixed, note_fixed, storage_of
from seq2seq_lab.runs.layout import INCIDENTAL
from seq2seq_lab.runs.lock import has_ended, this_process
from seq2seq_lab.runs.place import RunSpec

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from optuna import Study, Trial

_OWNER = "process"


@dataclass
class Search:
    """A study, and the jobs of its trials.

    Args:
        job: trains a run.
        arguments: overrides; those with several values are searched over.
        parse: Hydra's parser of overrides.
        compose: gives the configuration of a job.
        launch: trains jobs; takes their overrides and the number of the first one.
        settings: those of `conf/hydra/sweeper/optuna.yaml`.
    """

    job: TaskFunction
    arguments: Sequence[str]
    parse: Callable[[list[str]], Sequence[Any]]
    compose: Callable[[Sequence[str]], "DictConfig"]
    launch: Callable[[Sequence[Sequence[str]], int], Sequence[Any]]
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        try:
            import optuna
        except ImportError:
            raise UserError(no_such_option("hydra/sweeper", "optuna")) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        check_settings(self.settings)
        self.fixed, self.space = parsed_space(self.parse(list(self.arguments)))
        if "seed" in self.space:
            raise UserError(
                "seed: it is not searched over, as the best trial would be that of the luckiest seed; "
                "hydra.sweeper.seeds=[0,1,2] trains each trial with these, and takes their mean"
            )
        if self.settings["seeds"] and (own := [each for each in self.fixed if each.startswith("seed=")]):
            raise UserError(
                f"{own[-1]}: hydra.sweeper.seeds has the seeds of each trial; leave one of them out"
            )
        self.seeds = self.settings["seeds"] or [None]
        self.number = 0  # of jobs so far
        self.error: Exception | None = None  # the first one that is no fault of the user
        first = {key: each.first for key, each in self.space.items()}
        config = checked_spec(self.job, self.compose(self._overrides(first, self.seeds[0])), 0).config
        self.limit: int | None = config["stop_after_failures"]
        self.metric: str = config["monitor"]["metric"]
        direction = "maximize" if config["monitor"]["mode"] == "max" else "minimize"
        if self.settings["direction"] not in (None, direction):
            raise UserError(
                f"hydra.sweeper.direction={self.settings['direction']}: monitor.mode={config['monitor']['mode']} says "
                f"{direction}; monitor is what is searched for"
            )
        self.study = self._study(Path(str(config["output_dir"])), direction)
        if config["fresh"] and self.study.trials:
            raise UserError(
                f"fresh=true: the search {self.study.study_name} has trials, which stay; leave it out to go on, or "
                "begin another search with hydra.sweeper.study_name=NAME"
            )
        note_fixed(self.study, fixed(config, self.space, self.settings["seeds"]), write=not self.job.dry_run)

    def _study(self, outputs: Path, direction: str) -> "Study":
        import optuna
        from hydra.utils import instantiate

        which: Any = direction
        told = [each for each in self.arguments if re.split("[=.]", each.lstrip("+~"))[0] not in INCIDENTAL]
        text = "\n".join([*sorted(told), *map(str, self.seeds)])
        name = self.settings["study_name"] or f"search-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        storage = self.settings["storage"] or str(outputs / ".hydra" / f"{name}.optuna")
        self.storage = storage
        try:
            if self.job.dry_run:
                study = self._existing(name, storage)
            else:
                if "://" not in storage:
                    Path(storage).parent.mkdir(parents=True, exist_ok=True)
                study = optuna.create_study(
                    study_name=name, storage=storage_of(storage), direction=which, load_if_exists=True
                )
        except Shown:
            raise
        except Exception as error:  # of the file, or of whatever library reads such an address
            raise UserError(f"hydra.sweeper.storage: {storage}: {first_line(error)}") from error
        ended = [each for each in study.trials if each.state.is_finished() and each.params]
        if other := next((each for each in ended if set(each.params) != set(self.space)), None):
            raise UserError(
                f"hydra.sweeper.study_name: {name} searches over {', '.join(other.params)}; "
                "give this search another name"
            )
        sampler = dict(self.settings["sampler"])
        if sampler.get("seed") is not None:  # a study that goes on does not draw the same values again
            sampler["seed"] += len(study.trials)
        study.sampler = instantiate(sampler)
        pruner = dict(self.settings["pruner"])
        if not str(pruner["_target_"]).endswith("NopPruner"):
            self.job.pruning = Pruning(storage, name, self.metric, pruner)
        return study

    def _existing(self, name: str, storage: str) -> "Study":
        """The study, if it has begun; else that is said, and nothing is written."""
        import optuna

        if (there := existing(storage)) and name in optuna.get_all_study_names(there):
            return optuna.load_study(study_name=name, storage=there)
        print(
            f"a new search of {counted(self.settings['n_trials'], 'trial')}; nothing was trained or written"
        )
        raise Shown

    def run(self) -> None:
        """Train what is left of the trials, and say which is the best."""
        self.job.swept = [*self.space, *(["seed"] if self.settings["seeds"] else [])]
        left = [each for each in self.study.trials if not each.state.is_finished()]
        whole = [
            each for each in left if set(each.params) == set(self.space)
        ]  # not those that were being drawn
        waiting = [each for each in whole if _is_free(each.user_attrs.get(_OWNER, {}))]
        total = max(self.settings["n_trials"], len(self.study.trials))
        new = total - len(self.study.trials)
        done = len(self.study.trials) - len(left)
        print(f"a search of {counted(total, 'trial')}, {done} of them ended: {self.storage}", flush=True)
        if len(waiting) < len(whole):
            numbers = ", ".join(str(each.number) for each in whole if each not in waiting)
            print(
                f"trials of processes that may be alive, here or on another machine, are left to them: {numbers}"
            )
        if self.job.dry_run or not (waiting or new):
            self._show_best()
            raise Shown
        self.job.register.expect((len(waiting) + new) * len(self.seeds))
        while waiting or new:
            batch = [self._again(each) for each in waiting[: self.settings["n_jobs"]]]
            waiting = waiting[len(batch) :]
            asked = min(new, self.settings["n_jobs"] - len(batch))
            new -= asked
            batch += [self._ask() for _ in range(asked)]
            if not self._train(batch):
                break
        self._show_best()
        if self.error:
            raise self.error

    def _ask(self) -> "Trial":
        try:
            return self._own(self.study.ask({key: each.distribution for key, each in self.space.items()}))
        except ValueError as error:
            raise UserError(
                f"hydra.sweeper.study_name: {self.study.study_name} has trials of other values ({first_line(error)}); "
                "give this search another name"
            ) from error

    def _again(self, trial: Any) -> "Trial":
        """A trial whose process has ended before it was told a value; its runs go on."""
        import optuna

        return self._own(optuna.Trial(self.study, trial._trial_id))

    @staticmethod
    def _own(trial: "Trial") -> "Trial":
        trial.set_user_attr(_OWNER, this_process())
        return trial

    def _overrides(self, params: Mapping[str, Any], seed: int | None) -> list[str]:
        values = [f"{key}={written(params[key])}" for key in self.space]
        return [*self.fixed, *values, *([] if seed is None else [f"seed={seed}"])]

    def _train(self, trials: Sequence["Trial"]) -> bool:
        """Train the runs of some trials, the first seed of each first; whether the search goes on."""
        values: dict[int, list[float]] = {trial.number: [] for trial in trials}
        folders: dict[int, list[str]] = {trial.number: [] for trial in trials}
        ended: set[int] = set()
        for seed in self.seeds:
            jobs: dict[tuple[str, ...], tuple[list[str], list[Trial]]] = {}  # of equal trials one
            for trial in (each for each in trials if each.number not in ended):
                overrides = self._overrides(trial.params, seed)
                spec = self._checked(overrides)
                if spec is None:
                    self._tell(trial, FAILED)
                    ended.add(trial.number)
                    continue
                folders[trial.number].append(str(spec.folder.absolute()))
                if seed == self.seeds[0]:
                    overrides.append(f"hydra.sweeper.trial={trial.number}")
                jobs.setdefault(job_key(spec.config), (overrides, []))[1].append(trial)
            returns = self.launch([each for each, _ in jobs.values()], self.number) if jobs else []
            self.number += len(jobs)
            for (_, alike), each in zip(jobs.values(), returns, strict=True):
                value, result = self._ended(each, folders[alike[0].number][-1])
                for trial in alike:
                    if value is not None:
                        values[trial.number].append(value)
                        continue
                    ended.add(trial.number)
                    self._tell(trial, result)
        for trial in trials:
            if trial.number not in ended:
                trial.set_user_attr("folders", folders[trial.number])
                trial.set_user_attr("values", values[trial.number])
                self.study.tell(trial, fmean(values[trial.number]))
                print(f"trial {trial.number}: {self._said(self.study.trials[trial.number])}\n", flush=True)
        register = self.job.register
        return not register.stopped and not (self.limit and register.failures() >= self.limit)

    def _checked(self, overrides: Sequence[str]) -> RunSpec | None:
        """What a job is; None, and the register knows why, if it cannot be."""
        try:
            return checked_spec(self.job, self.compose(overrides), self.number)
        except Exception as error:
            if (why := refusal(error, overrides, self.job)) is None:
                raise
            message = f"{why}\n  in the job {' '.join(overrides)}"
            print(message, flush=True)
            self.job.register.add(Entry(None, False, FAILED, message, shown=True))
            return None

    def _ended(self, returned: Any, folder: str) -> tuple[float | None, str]:
        """The value of a job, and its result."""
        try:
            value: float | None = returned.return_value
        except Exception as error:  # a bug: the other trials are trained, as the other runs of a sweep are
            self.error = self.error or error
            return None, FAILED
        return value, next((each.result for each in self.job.register.entries() if each.folder == folder), "")

    def _tell(self, trial: "Trial", result: str) -> None:
        """Tell the study of a trial without a value; one that was interrupted stays open, and goes on next time."""
        from optuna.trial import TrialState

        if result == FINISHED:
            print(f"trial {trial.number} failed: its run has no finite value of monitor.metric={self.metric}")
        state = {FAILED: TrialState.FAIL, FINISHED: TrialState.FAIL, PRUNED: TrialState.PRUNED}.get(result)
        if state is not None:
            self.study.tell(trial, state=state)

    def _said(self, trial: Any) -> str:
        several = trial.user_attrs["values"]
        of = f", the mean of {', '.join(f'{each:.4g}' for each in several)}" if len(several) > 1 else ""
        chosen = ", ".join(f"{key}={written(trial.params[key])}" for key in self.space)
        return f"{self.metric} {trial.value:.4g}{of} ({chosen})"

    def _show_best(self) -> None:
        complete = [each for each in self.study.trials if "values" in each.user_attrs]
        if not complete:
            print("no trial has a value yet", flush=True)
            return
        best = self.study.best_trial
        print(f"the best of {counted(len(complete), 'trial')} is trial {best.number}: {self._said(best)}")
        for folder in best.user_attrs["folders"]:
            print(f"  {folder}")
        if len(self.seeds) == 1:
            print(
                "Caution: each trial has one seed, so the best one is partly the luckiest: train it with other seeds, "
                "or search with hydra.sweeper.seeds=[0,1,2]"
            )
        print(flush=True)


def _is_free(owner: Mapping[str, Any]) -> bool:
    """Whether no other process trains a trial; one of another machine is taken for alive."""
    return owner == this_process() or has_ended(owner, silent=0.0)
