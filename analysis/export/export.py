"""Writes a results folder in the form that other people's tools read."""

from pathlib import Path

from analysis.export.summary import Summary
from analysis.export.tables import write_csv, write_huggingface
from analysis.folder import Place, as_place
from analysis.names import check_name

FORMS = {"csv": write_csv, "huggingface": write_huggingface}


def export(directory: str | Place, to: str, out: str | Path | None = None) -> Path:
    """Writes what a sweep found in a form of other people's.

    Args:
      directory: a results folder.
      to: `csv`, policies.csv, rates.csv and curves.csv; or `huggingface`, a data set of the same tables in parquet with
        its card, README.md, as `datasets.load_dataset` reads it.
      out: a folder; by default that of this name in `directory`.
    Returns:
      the folder.
    Raises:
      ValueError: as `load`; or there is no such form; one line.
      OSError: it cannot be written.
    """
    check_name("form", to, FORMS)
    folder = as_place(directory)
    if out is None and not isinstance(folder, Path):
        raise ValueError(f"{folder}: an export is written to this machine; give a folder for it (--out)")
    place = Path(out) if out is not None else Path(str(folder)) / to
    found = Summary(folder)
    _ = found.policies, found.rates, found.curves  # whatever is wrong with the folder, before anything is written
    place.mkdir(parents=True, exist_ok=True)
    FORMS[to](found, place)
    return place
