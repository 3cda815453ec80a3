"""The verbs that read a results folder: rates, figure, report, watch."""

import argparse
import functools
import inspect
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.folder import Place, Remote, as_place, read_manifest, sizes
from sweeps.cli.printing import SHOWN, print_json, unfinished, warn
from sweeps.cli.starting import before_jax, reading
from sweeps.spec import SpecError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def rates(arguments: argparse.Namespace) -> int:
    import analysis

    whole = reading(lambda: analysis.load(arguments.folders))
    planned = _planned(arguments.folders)
    df = _where(whole, arguments.where)
    by = df.attrs["factors"] if arguments.by is None else arguments.by
    if "share" not in {str(column).partition(".")[0] for column in df}:
        call = f"analysis.load({arguments.folders[0]!r})['return.evaluation']"
        raise SpecError(arguments.folders[0], f"its world has no goals to label; its outcome is its return: {call}.")
    with warnings.catch_warnings(record=True) as pooled:
        warnings.simplefilter("always")
        table = reading(lambda: analysis.rates(df, by=by, label=arguments.label, method=arguments.method))
    if arguments.json:
        print_json(table.to_dict(orient="records"))
    else:
        print(_as_text(table, by))
        stopped = df.attrs["adaptive"] and arguments.method in (None, "sequence")
        kind = "confidence sequence" if stopped or arguments.method == "sequence" else "interval"
        print(f"share of seeds, and its 95% {kind} over seeds{', valid however seeds were added' * stopped}")
    warn(pooled)
    unfinished(len(whole), planned)
    return 0


def _planned(folders: list[str]) -> int:
    """The lanes that folders are to hold."""
    layers = reading(lambda: [layer for folder in folders for layer in read_manifest(as_place(folder)) or ()])
    return sum(sum(sizes(layer)) for layer in layers)


def _where(df: "pd.DataFrame", given: list[str]) -> "pd.DataFrame":
    """The rows that have one of the values given for each column: KEY=VALUE, as often as needed."""
    from analysis.names import check_name

    wanted: dict[str, list[Any]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise SpecError("--where", f"{text!r} is not KEY=VALUE; for example --where learner.discount=0.97.")
        reading(functools.partial(check_name, "column", key, df.columns))
        number, there = _as_number(value), df[key].unique().tolist()
        same = [one for one in there if str(one) == value or (number is not None and _as_number(one) == number)]
        if not same and number is None:
            reading(functools.partial(check_name, f"value of {key}", value, there))
        if not same:
            shown = ", ".join(map(str, there[:SHOWN])) + (", …" if len(there) > SHOWN else "")
            raise SpecError("--where", f"no lane has {text}; its values: {shown}.")
        wanted.setdefault(key, []).extend(same)
    for key, some in wanted.items():
        df = df[df[key].isin(some)]
    if df.empty:
        raise SpecError("--where", f"no lane has {' and '.join(given)}.")
    return df


def _as_number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def figure(arguments: argparse.Namespace) -> int:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from analysis.figures import KINDS

    kind, folders = arguments.kind, arguments.folders
    given = {name: getattr(arguments, name) for name in ("x", "by", "rows", "columns", "value")}
    given = {name: value for name, value in given.items() if value is not None}
    takes = {name: [*inspect.signature(draw).parameters, "rows", "columns"] for name, draw in KINDS.items()}
    takes["overview"] = ["x"]
    for name in given:
        if name not in takes[kind]:
            kinds = ", ".join(one for one, names in takes.items() if name in names)
            raise SpecError(f"--{name}", f"a figure of kind {kind} takes no --{name}; kinds that do: {kinds}.")
    places = [value for name, value in given.items() if name != "value"]
    for key in places:
        if places.count(key) > 1:
            raise SpecError(folders[0], f"{key} is given twice; a column has one place in a figure.")
    out = as_place(arguments.out) if arguments.out else as_place(folders[0]) / f"{kind}.png"
    try:
        with warnings.catch_warnings(record=True) as pooled:
            warnings.simplefilter("always")
            figure, lanes = reading(lambda: _drawn(folders, kind, given, arguments.where))
        planned = _planned(folders)
        _save(figure, out)
        pyplot.close(figure)
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            out, f"cannot be written ({getattr(error, 'strerror', None) or error}); give another --out."
        ) from None
    warn(pooled)
    unfinished(lanes, planned)
    print(out)
    return 0


def _save(figure: "Figure", out: Place) -> None:
    if isinstance(out, Remote):
        content = io.BytesIO()
        figure.savefig(content, dpi=150, format=out.suffix[1:] or "png")
        out.write_bytes(content.getvalue())
    else:
        figure.savefig(out, dpi=150)


def _drawn(folders: list[str], kind: str, given: dict[str, Any], where: list[str]) -> tuple["Figure", int]:
    """The figure, with what it needs and was not given chosen; and how many lanes the folders hold."""
    import analysis
    from analysis.figures import KINDS, curves_by_label, facets, goals_of, overview, through_training, varied

    df = analysis.load(folders)
    lanes, goals = len(df), goals_of(df)
    keys = {*(text.partition("=")[0] for text in where), *(key for name, key in given.items() if name != "value")}
    if kind == "training":
        df = curves_by_label(folders)
    elif "sampled" in keys and kind == "contingency":
        if len(folders) > 1:
            raise SpecError("sampled", "sampled and greedy labels are compared within one folder; give one.")
        df = analysis.load_labels(folders[0])
    elif keys & {"checkpoint", "env_steps"} or kind == "lines":
        if kind not in KINDS:
            raise SpecError(
                "checkpoint", f"an overview shows the end of training; kinds that show it: {', '.join(KINDS)}."
            )
        df = through_training(folders)
    for name, key in given.items():
        if name != "value" and "," in key:
            df = varied(df, key.split(","))
            given[name] = " or ".join(key.split(","))
    df = _where(df, where)
    free = [factor for factor in df.attrs["factors"] if factor not in given.values() and factor != "checkpoint"]
    needed = ["x"]
    if kind in KINDS:
        parameters = inspect.signature(KINDS[kind]).parameters.values()
        needed = [one.name for one in parameters if one.default is one.empty and one.name in ("x", "by", "value")]
    for name in needed:
        choice = goals[:2][-1:] if name == "value" else free
        if name not in given and not choice:
            what = (
                "world has no goals; give the column to draw"
                if name == "value"
                else "sweep has no factor left; give a column"
            )
            raise SpecError(folders[0], f"its {what} with --{name} KEY.")
        if name not in given:
            given[name] = choice.pop(0)
    if kind == "overview":
        return overview(df, given["x"]), lanes
    return facets(KINDS[kind], df, **given), lanes


def report(arguments: argparse.Namespace) -> int:
    import analysis
    from sweeps.folder_status import status

    out = reading(lambda: as_place(arguments.out or as_place(arguments.folder) / "report.html"))
    found = reading(lambda: status(arguments.folder))
    page = reading(lambda: analysis.report(arguments.folder, found))
    try:
        out.write_bytes(page.encode())
    except OSError as error:
        raise SpecError(out, f"cannot be written ({error.strerror or error}); give another --out.") from None
    unfinished(found["lanes"]["done"], found["lanes"]["planned"])
    print(out)
    return 0


def watch(arguments: argparse.Namespace) -> int:
    before_jax(one_core=True)
    from sweeps.watching import watch

    asked = {name: getattr(arguments, name) for name in ("condition", "seed", "probe", "greedy", "typical", "outlier")}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            rollouts = reading(
                lambda: watch(arguments.folder, episodes=arguments.episode, count=arguments.count, **asked)
            )
        except OSError as error:
            place = Path(arguments.folder) / "rollouts"
            raise SpecError(place, f"cannot be written ({error.strerror or error}).") from None
    for one in rollouts:
        print(f"{one.caption}\n  {one.png}\n  {one.gif}")
    warn(told)
    return 0


def _as_text(rates: "pd.DataFrame", by: list[str]) -> str:
    """A row a group and a column a label: `rate [low, high]`."""
    cells = [f"{one.rate:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in rates.itertuples()]
    labels = list(dict.fromkeys(rates["label"]))
    wide = rates.loc[:: len(labels), [*by, "n"]].rename(columns={"n": "seeds"})
    for place, label in enumerate(labels):
        wide[label] = cells[place :: len(labels)]
    return wide.to_string(index=False, float_format="{:.4g}".format)
