"""Writes a results folder in the form that other people's tools read."""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from analysis.export.summary import Summary
from analysis.export.tables import foreign
from analysis.folder import Place, as_place
from analysis.names import check_name


class Form(NamedTuple):
    """How one kind of export is written."""

    module: str
    """Of this package; it has `write_FORM`."""
    client: str = ""
    """What has to be installed for it: a module, of the extra that is called as the form."""


FORMS = {
    "csv": Form("tables"),
    "huggingface": Form("tables"),
    "tensorboard": Form("trackers", "tensorboardX"),
    "mlflow": Form("trackers", "mlflow"),
    "wandb": Form("trackers", "wandb"),
}


def export(directory: str | Place, to: str, out: str | Path | None = None) -> Path | str:
    """Writes results in the format of another tool. Nothing leaves this machine, except to an MLflow server.

    Args:
      directory: a results folder.
      to: `csv`, policies.csv, rates.csv and curves.csv; `huggingface`, a data set of the same tables in parquet with
        its card, README.md, as `datasets.load_dataset` reads it; or a tracker, `tensorboard`, `mlflow` or `wandb`, with
        a run for each condition, its curves over seeds and its rates, and the overview in a run called sweep.
      out: a folder; by default that of this name in `directory`. For `mlflow` also the URI of a tracking server.
    Returns:
      the folder, or the URI.
    Raises:
      ValueError: as `load`; or there is no such form, its client is not installed or reports an error, or there is
        something already that would be added to or overwritten (tables replace an earlier export of them); one line.
      OSError: it cannot be written.
    """
    check_name("form", to, FORMS)
    form, folder = FORMS[to], as_place(directory)
    if form.client and find_spec(form.client) is None:
        raise ValueError(f"{to}: needs {form.client}, which is not installed; pip install 'chisel-rl[{to}]'")
    served = to == "mlflow" and "://" in str(out)
    there = folder if served or out is None else as_place(out)
    if not served and not isinstance(there, Path):
        raise ValueError(f"{there}: an export is written to this machine; give a folder for it (--out)")
    write: Callable[[Summary, Any], None] = getattr(
        importlib.import_module(f"analysis.export.{form.module}"), f"write_{to}"
    )
    found = Summary(folder)
    _ = found.policies, found.rates, found.curves  # whatever is wrong with the folder, before anything is written
    if served:
        write(found, str(out))
        return str(out)
    place = Path(str(there)) if out is not None else Path(str(there)) / to
    inside = [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []
    if form.module == "trackers" and inside:
        raise ValueError(f"{place}: is not empty, and {to} would add to it; remove it, or give another folder (--out)")
    if others := foreign(inside, to):
        raise ValueError(f"{place}: has {others[0]}, which no earlier export wrote; give another folder (--out)")
    place.mkdir(parents=True, exist_ok=True)
    write(found, place)
    return place
