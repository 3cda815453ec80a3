"""One run a condition in the experiment tracker of one's group, written from the tables when training is over."""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.export.summary import Summary
from analysis.figures import figure, save
from analysis.results import time_of
from analysis.values import condition_names

STATISTICS = ("mean", "quantile_10", "quantile_90")
MEANS = ("share", "undecided", "return", "return_mean", "success")
"""First words of the columns of policies whose means over seeds a run ends with."""
SWEEP = "sweep"
"""The run with what is of no condition alone: the figure."""
_AT_ONCE = 1000
"""Metrics that MLflow takes in a call."""


@dataclass(frozen=True)
class Run:
    """A condition: what it was set to, its curves over seeds, and what it came to."""

    name: str
    settings: dict[str, Any]
    curves: pd.DataFrame
    """Rows of `Summary.curves`."""
    time: str
    """Their column that counts steps in the tracker."""
    finals: dict[str, float]
    """`rate/LABEL`, with `.low` and `.high`; `seeds`; `mean/COLUMN`."""

    @cached_property
    def points(self) -> list[tuple[int, dict[str, float]]]:
        """(`time`, values by `MEASURE/STATISTIC`), in the order of training."""
        found: dict[int, dict[str, float]] = {}
        for row in self.curves.sort_values(self.time).to_dict("records"):
            values = found.setdefault(int(row[self.time]), {})
            values |= {f"{row['measure']}/{statistic}": float(row[statistic]) for statistic in STATISTICS}
        return list(found.items())

    @property
    def last(self) -> int:
        """The time of `finals`: that of the last point, 0 where no point has a number."""
        return self.points[-1][0] if self.points else 0


def runs(found: Summary) -> Iterator[Run]:
    """In the order of the factors."""
    columns = [name for name in found.policies if str(name).partition(".")[0] in MEANS]
    name = condition_names(found.conditions, found.factors)
    for condition, policies in found.policies.groupby("condition", sort=False):
        finals = {"seeds": float(len(policies))}
        for row in [] if found.rates is None else _rows(found.rates, condition).to_dict("records"):
            finals[f"rate/{row['label']}"] = float(row["rate"])
            finals |= {f"rate/{row['label']}.{end}": float(row[end]) for end in ("low", "high")}
        finals |= {f"mean/{column}": float(value) for column, value in policies[columns].mean().dropna().items()}
        values = re.sub(r"\s*([=,])\s*", r"\1", name(found.conditions.loc[str(condition)]))
        settings = {"condition": condition, **found.settings(str(condition))}
        called = "-".join(filter(None, [values, str(condition)]))
        yield Run(called, settings, _rows(found.curves, condition), time_of(found.curves), finals)


def _rows(df: pd.DataFrame, condition: Any) -> pd.DataFrame:
    return df[df["condition"] == condition]


def write_tensorboard(found: Summary, out: Path) -> None:
    from tensorboardX import SummaryWriter

    def plain(name: str, also: str) -> str:
        return re.sub(rf"[^-\w.{also}]+", "_", name)

    for run in runs(found):
        with SummaryWriter(str(out / plain(run.name, "=,"))) as writer:
            writer.add_text("settings", f"```\n{json.dumps(run.settings, indent=1, default=str)}\n```")
            for step, values in run.points:
                for name, value in values.items():
                    writer.add_scalar(plain(name, "/"), value, step)
            for name, value in run.finals.items():
                writer.add_scalar(plain(name, "/"), value, run.last)
    if (picture := _picture(found)) is not None:
        import matplotlib.image

        with SummaryWriter(str(out / SWEEP)) as writer, tempfile.TemporaryDirectory() as folder:
            (path := Path(folder) / "overview.png").write_bytes(picture)
            writer.add_image("overview", matplotlib.image.imread(path)[..., :3], dataformats="HWC")


def write_mlflow(found: Summary, out: Path | str) -> None:
    """Runs of an experiment that is called as the sweep; `out`: a folder, or the URI of a tracking server."""
    with _environment(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_ALLOW_FILE_STORE="true"):
        from mlflow.exceptions import MlflowException

        try:
            _write_mlflow(found, out)
        except (MlflowException, ImportError) as error:  # of a server, or what a store of this kind needs
            raise ValueError(f"{out}: {' '.join(str(error).split())}") from error


def _write_mlflow(found: Summary, out: Path | str) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(out if isinstance(out, str) else out.resolve().as_uri())
    there = client.get_experiment_by_name(found.name)
    if there is not None and client.search_runs([there.experiment_id], max_results=1):
        raise ValueError(f"{out}: has an experiment {found.name} with runs, and mlflow would add to it; remove it")
    experiment = there.experiment_id if there is not None else client.create_experiment(found.name)
    for run in runs(found):
        begun = client.create_run(experiment, run_name=run.name).info.run_id
        params = [Param(name, str(value)) for name, value in run.settings.items()]
        points = [*run.points, (run.last, run.finals)]
        metrics = [Metric(name, value, 0, step) for step, values in points for name, value in values.items()]
        for first in range(0, len(params), 100):
            client.log_batch(begun, params=params[first : first + 100])
        for first in range(0, len(metrics), _AT_ONCE):
            client.log_batch(begun, metrics=metrics[first : first + _AT_ONCE])
        client.set_terminated(begun)
    if (picture := _picture(found)) is not None:
        begun = client.create_run(experiment, run_name=SWEEP).info.run_id
        with tempfile.TemporaryDirectory() as folder:
            (path := Path(folder) / "overview.png").write_bytes(picture)
            client.log_artifact(begun, str(path))
        client.set_terminated(begun)


def write_wandb(found: Summary, out: Path) -> None:
    """Runs that wait in `out` for `wandb sync`."""
    with _environment(WANDB_ERROR_REPORTING="false"):
        _write_wandb(found, out)


def _write_wandb(found: Summary, out: Path) -> None:
    import wandb

    quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True)
    given: Any = {
        "project": found.name,
        "dir": str(out),
        "mode": "offline",
        "settings": quiet,
        "reinit": "finish_previous",
    }
    for run in runs(found):
        with wandb.init(name=run.name, config=run.settings, **given) as begun:
            for step, values in run.points:
                begun.log(values, step=step)
            begun.summary.update(run.finals)
    if (picture := _picture(found)) is not None:
        with tempfile.TemporaryDirectory() as folder, wandb.init(name=SWEEP, **given) as begun:
            (path := Path(folder) / "overview.png").write_bytes(picture)
            begun.log({"overview": wandb.Image(str(path))})


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Sets those that the user has not set, for as long as it lasts."""
    ours = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _picture(found: Summary) -> bytes | None:
    """The overview as PNG; None in a world without goals, or where nothing varies."""
    from matplotlib import pyplot

    if found.rates is None or not found.factors:
        return None
    drawn = figure(found.folder, "overview")
    with tempfile.TemporaryDirectory() as folder:
        save(drawn, Path(folder) / "overview.png")
        pyplot.close(drawn)
        return (Path(folder) / "overview.png").read_bytes()
