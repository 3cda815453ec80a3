"""Trains a sweep of which nothing stays but a frame."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.running import run

if TYPE_CHECKING:
    import pandas as pd


def train(
    spec: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    workers: int | None = None,
    executor_name: str = "processes",
    quiet: bool = False,
    **thresholds: Any,
) -> "pd.DataFrame":
    """Trains a sweep without a results folder: it uses a temporary one and removes it.

    Args:
      spec, overrides, workers, executor_name, quiet: as for `run`.
      thresholds: as for `analysis.load`.
    Returns:
      the frame of `analysis.load`: one row a policy, label included.
    Raises:
      SpecError, Interrupted: as `run`.
      ValueError: a threshold that does not exist or is out of range, before anything is trained.
      RuntimeError: some of it could not be trained; one line with the reason.
    """
    import analysis
    from analysis.labels import thresholds_of

    thresholds_of(thresholds)
    with tempfile.TemporaryDirectory(prefix="chisel-") as folder:
        done = run(spec, folder, overrides, workers, executor_name, quiet)
        if done.failed:
            raise RuntimeError(f"{len(done.failed)} shards failed, the first: {next(iter(done.failed.values()))}")
        return analysis.load(folder, **thresholds)
