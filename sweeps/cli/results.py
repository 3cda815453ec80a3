"""The verbs that read a results folder: rates, figure, report, browse, export, watch, inspect."""

import argparse
import contextlib
import importlib
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.folder import as_place, read_manifest
from sweeps.cli.printing import failures, print_json, unfinished, warn
from sweeps.cli.starting import before_jax, reading
from sweeps.spec import SpecError

if TYPE_CHECKING:
    import pandas as pd


def rates(arguments: argparse.Namespace) -> int:
    import analysis
    from analysis.design import drawn_settings, is_adaptive, without_draws

    planned = _planned(arguments.folders)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        whole = reading(lambda: analysis.load(arguments.folders))
        df = reading(lambda: analysis.select(whole, _where(arguments.where)))
        drawn = [one for one in drawn_settings(df) if one not in (arguments.by or ())]
        by = df.attrs["factors"] if arguments.by is None else arguments.by
        df = without_draws(df, [one for one in drawn if one in by])
        if "share" not in {str(column).partition(".")[0] for column in df}:
            call = f"analysis.load({arguments.folders[0]!r})['return.evaluation']"
            raise SpecError(
                arguments.folders[0], f"its world has no goals, so no labels; its outcome is its return: {call}."
            )
        table = reading(lambda: analysis.rates(df, by=by, label=arguments.label, method=arguments.method))
    if arguments.json:
        print_json(table.to_dict(orient="records"))
    else:
        print(_as_text(table, by))
        stopped = is_adaptive(df) and arguments.method in (None, "sequence")
        kind = "confidence sequence" if stopped or arguments.method == "sequence" else "interval"
        print(f"share of seeds, and its 95% {kind} over seeds{', valid however seeds were added' * stopped}")
        if drawn:
            print(f"sampled, a value for each seed: {', '.join(drawn)}")
    warn(told)
    unfinished(len(whole), planned)
    return 0


def _planned(folders: list[str]) -> int:
    """The lanes that folders are to hold."""
    return reading(lambda: sum(read_manifest(folder).lanes for folder in folders))


def _where(given: list[str]) -> dict[str, list[str]]:
    """The values wanted of each column: KEY=VALUE, as often as needed."""
    wanted: dict[str, list[str]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise SpecError("--where", f"{text!r} is not KEY=VALUE; for example --where learner.discount=0.97.")
        wanted.setdefault(key, []).append(value)
    return wanted


def figure(arguments: argparse.Namespace) -> int:
    _draw_off_screen()
    import analysis

    pyplot = reading(lambda: importlib.import_module("matplotlib.pyplot"))
    folders, kind, where = arguments.folders, arguments.kind, _where(arguments.where)
    out = as_place(arguments.out) if arguments.out else as_place(folders[0]) / f"{kind}.png"
    asked = {name: getattr(arguments, name) for name in ("x", "by", "rows", "columns", "value")}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        picture = reading(lambda: analysis.figure(folders, kind, **asked, where=where))
        try:
            analysis.figures.save(picture, out)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise SpecError(out, f"cannot be written ({why}); give another --out.") from None
        finally:
            pyplot.close(picture)
    warn(told)
    print(out)
    return 0


def _draw_off_screen() -> None:
    """Whatever MPLBACKEND says; matplotlib would stop at one that it does not know."""
    before = os.environ.pop("MPLBACKEND", None)
    import matplotlib

    matplotlib.use("Agg")
    if before is not None:
        os.environ["MPLBACKEND"] = before


def report(arguments: argparse.Namespace) -> int:
    import analysis
    from sweeps.folder_status import status

    _draw_off_screen()
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


def browse(arguments: argparse.Namespace) -> int:
    before_jax(one_core=True)
    from sweeps.browsing import browse

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        found = reading(lambda: browse(arguments.folders, arguments.port, arguments.export))
    warn(told)
    if arguments.export is not None:
        print(found)
        return 0
    print(f"{found.url} shows {', '.join(arguments.folders)} to browsers on this machine, until Ctrl-C.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        found.serve()
    return 0


def export(arguments: argparse.Namespace) -> int:
    import analysis
    from sweeps.folder_status import status

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            out = reading(lambda: analysis.export(arguments.folder, arguments.to, arguments.out))
        except OSError as error:
            place = error.filename or arguments.out or arguments.folder
            raise SpecError(place, f"cannot be written ({error.strerror or error}); give another --out.") from None
    warn(told)
    lanes = reading(lambda: status(arguments.folder))["lanes"]
    unfinished(lanes["done"], lanes["planned"])
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


def inspect(arguments: argparse.Namespace) -> int:
    before_jax(one_core=arguments.executor == "inline")
    from sweeps.inspecting import inspect

    done = reading(
        lambda: inspect(arguments.folder, arguments.what, arguments.layer, arguments.workers, arguments.executor)
    )
    layers = f" ({', '.join(done.layers)})" if done.layers else ""
    print(f"{done.what}{layers}: analysed {done.policies:,} policies; {done.ready:,} were analysed before")
    print(f"  read them with analysis.load_internals({arguments.folder!r}, {done.what!r})")
    return failures(done.failed, done.lost)


def _as_text(rates: "pd.DataFrame", by: list[str]) -> str:
    """A row a group and a column a label: `rate [low, high]`."""
    from analysis.values import naming

    cells = [f"{one.rate:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in rates.itertuples()]
    labels = list(dict.fromkeys(rates["label"]))
    wide = rates.loc[:: len(labels), [*by, "n"]].rename(columns={"n": "seeds"})
    for column in by:
        wide[column] = wide[column].astype(object).map(naming(wide[column]))
    for place, label in enumerate(labels):
        wide[label] = cells[place :: len(labels)]
    return wide.to_string(index=False)
