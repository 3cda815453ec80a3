"""The `chisel` command: every verb is one public Python call, and prints what it returns.

Exit codes: 0 done; 1 the doctor found something, or a check failed; 2 a mistake of the user's, told in one line;
3 interrupted; 4 some shards failed.
"""

import argparse
import functools
import inspect
import io
import json
import math
import os
import shlex
import sys
import textwrap
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from folders import Place, Remote, RemoteError, as_place
from sweeps.spec import SpecError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EXIT_USER, EXIT_INTERRUPTED, EXIT_FAILED, EXIT_CLOSED_PIPE = 2, 3, 4, 141
KINDS = (
    "overview", "share", "stack", "dose", "phase", "scatter", "histogram", "lines", "training", "contingency",
)  # fmt: skip
"""Of figures; kept here too, because importing them takes a second."""
SHOWN = 20
"""Conditions and programs that `plan` prints before it says how many more there are."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    try:
        arguments = parser().parse_args(argv)
        code = arguments.verb(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (SpecError, RemoteError) as error:
        print(error, file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt as interrupt:
        print(f"chisel: interrupted. {interrupt}".rstrip(), file=sys.stderr)
        sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)  # what jax does at the end, and a picture in the making, can take many seconds
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_CLOSED_PIPE


def _plan(arguments: argparse.Namespace) -> int:
    _before_jax(one_core=False)
    from sweeps.inspecting import describe_plan

    plan = describe_plan(arguments.spec, arguments.set)
    if arguments.json:
        _print_json(plan)
        return 0
    spec, conditions, programs, memory = plan["spec"], plan["conditions"], plan["programs"], plan["memory"]
    workers, seeds = _count(plan["workers"], "worker"), _count(spec["seeds"], "seed")
    print(f"{spec['name']}: {spec['learner']} on {spec['world']}, {plan['platform']}, {workers}")
    print(f"  {_count(len(conditions), 'condition')} x {seeds} = {plan['lanes']:,} lanes")
    for one in conditions[:SHOWN]:
        print(f"    {one['id']}  {', '.join(f'{key} = {value}' for key, value in one['factors'].items())}".rstrip())
    _more(conditions)
    print(f"  {_count(len(programs), 'program')}, {_count(plan['shards'], 'shard')}, chunks of {plan['chunk']} lanes")
    for one in programs[:SHOWN]:
        steps = f", {one['env_steps']:,} env-steps each" if one["env_steps"] else ""
        print(f"    {one['id']}  {one['lanes']:,} lanes x {one['updates']:,} updates{steps}")
    _more(programs)
    lane, temporary, device = (_bytes(memory[part]) for part in ("per_lane", "temporary", "device"))
    print(f"  memory (first program): {lane} a lane, {temporary} temporary, {device} on each device")
    compiling = f"and {_count(len(programs), 'compilation')} of some 10 s"
    gpu = f"; on one GPU about {_duration(plan['seconds_on_a_gpu'])}" if plan["platform"] == "cpu" else ""
    print(f"  time: about {_duration(plan['seconds'])} {compiling}{gpu} (assumed speeds, not measured)")
    half, rounds = plan["half_width"], plan["rounds"]
    if rounds is None:
        print(f"  precision: {seeds} a condition give a rate near one half to +-{half:.2f} (95% interval)")
        _print_comparisons(plan["found"], spec["keys"])
        print(
            f"  rare outcomes: at a rate of {plan['rarest']:.2g} some seed of a condition has one with probability 0.95"
        )
        return 0
    print(
        f"  this is the first round; more follow until every label's rate is known to +-{rounds['precision']:g} (95%)"
    )
    print(f"  at most {rounds['max_seeds']:,} seeds a condition, {rounds['lanes']:,} lanes; expected (simulated):")
    for one in rounds["expected"]:
        saved = 1 - one["seeds"] / rounds["max_seeds"]
        there = f"; {one['share']:.0%} of conditions get there" * (one["share"] < 1)
        print(f"    at a rate of {one['rate']:<5g}  {one['seeds']:>7,.0f} seeds a condition, {saved:.0%} saved{there}")
    return 0


def _print_comparisons(found: dict[str, Any], keys: str) -> None:
    if not found["pairs"]:
        return

    def told(difference: float | None) -> str:
        if difference is None:
            return "nothing, not even 0 against 1"
        return f"{0.5 - difference / 2:.2f} against {0.5 + difference / 2:.2f}"

    family = f"; among all {found['pairs']:,} pairs (Holm) {told(found['with_holm'])}" * (found["pairs"] > 1)
    kind = " (of independent seeds)" * (keys == "paired")
    print(f"  comparisons: two conditions{kind} show {told(found['difference'])} with a power of 0.8{family}")


def _run(arguments: argparse.Namespace) -> int:
    _before_jax(one_core=arguments.executor == "inline")
    from sweeps.running import run

    done = run(
        arguments.spec, arguments.out, arguments.set, arguments.workers, arguments.executor, arguments.quiet,
        arguments.shards, arguments.checkpoint_every,
    )  # fmt: skip
    number, of = arguments.shards
    where = f"{f'part {number}/{of} of ' * (of > 1)}{done.folder}"
    there = done.ready + done.trained
    if done.ready == done.lanes:
        more = f", which has {done.others:,} that this spec has not" * (done.others > 0)
        print(f"Complete already: {done.lanes:,} of {done.lanes:,} lanes in {where}{more}")
    else:
        print(f"{there:,} of {done.lanes:,} lanes in {where}, {done.trained:,} of them trained now")
        if done.resumed:
            print(f"  {done.resumed:,} of their updates came from checkpoints")
    if done.too_wide:
        print(f"  {_count(done.too_wide, 'condition')} at max_seeds, with rates that are not known to the precision")
    print(f"  tables: {done.folder / 'outcomes'}, probes, curves, levels, baselines (parquet)")
    shown = str(done.folder)
    if _has_goals(done.folder):
        print(f"  next:   chisel rates {shlex.quote(shown)}\n          chisel figure {shlex.quote(shown)}")
    else:
        print(f"  next:   in Python, analysis.load({shown!r})['return.evaluation'].describe()")
    if done.failed:
        print(f"chisel: {_count(len(done.failed), 'shard')} failed; run again to try once more.", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from sweeps.inspecting import status

    found = _reading(lambda: status(arguments.folder, arguments.verify))
    if arguments.json:
        _print_json(found)
        return 0
    lanes, rate, left = found["lanes"], found["lanes_per_second"], found["seconds_left"]
    print(f"{found['name']} ({found['world']}) in {found['folder']}")
    rest = f"{lanes['missing']:,} missing, {lanes['diverged']:,} diverged, {lanes['failed']:,} failed"
    print(f"  lanes: {lanes['done']:,} of {lanes['planned']:,} done, {rest}")
    if len(found["layers"]) > 1:
        print(f"  grew: {' + '.join(f'{n:,}' for n in found['layers'])} lanes")
    if found["rounds"] is not None:
        half, most, conditions = (found["rounds"][key] for key in ("precision", "max_seeds", "conditions"))
        print(f"  precision: rates to +-{half:g}, with at most {most} seeds a condition; so far:")
        for one in conditions[:SHOWN]:
            factors = "".join(f"  {key} = {value}" for key, value in one["factors"].items())
            print(f"    {one['id']}  {_count(one['seeds'], 'seed')} in {_count(one['rounds'], 'round')}{factors}")
        _more(conditions)
    if lanes["missing"]:
        speed = f"; {rate:.3g} lanes a second lately, {_duration(left)} left at that" if rate else ""
        who = f"{found['running'] or 'nobody here'} is training them"
        if found["running"] is None and isinstance(as_place(arguments.folder), Remote):
            who = "who trains them cannot be told (no locks there)"
        print(f"  {who}{speed}")
    for one in found["failed"][:SHOWN]:
        print(f"  shard {one['shard']} ({_count(one['lanes'], 'lane')}) failed: {one['reason']}")
    _more(found["failed"])
    for line in found["damaged"][:SHOWN]:
        print(f"  {line}; run the sweep again to make it anew")
    _more(found["damaged"])
    return 0


def _rates(arguments: argparse.Namespace) -> int:
    import analysis

    whole = _reading(lambda: analysis.load(arguments.folders))
    planned = _planned(arguments.folders)
    df = _where(whole, arguments.where)
    by = df.attrs["factors"] if arguments.by is None else arguments.by
    if "share" not in {str(column).partition(".")[0] for column in df}:
        call = f"analysis.load({arguments.folders[0]!r})['return.evaluation']"
        raise SpecError(arguments.folders[0], f"its world has no goals to label; its outcome is its return: {call}.")
    with warnings.catch_warnings(record=True) as pooled:
        warnings.simplefilter("always")
        table = _reading(lambda: analysis.rates(df, by=by, label=arguments.label, method=arguments.method))
    if arguments.json:
        _print_json(table.to_dict(orient="records"))
    else:
        print(_as_text(table, by))
        stopped = df.attrs["adaptive"] and arguments.method in (None, "sequence")
        kind = "confidence sequence" if stopped or arguments.method == "sequence" else "interval"
        print(f"share of seeds, and its 95% {kind} over seeds{', valid however seeds were added' * stopped}")
    _tell(pooled)
    _unfinished(len(whole), planned)
    return 0


def _tell(warned: list[warnings.WarningMessage]) -> None:
    for message in dict.fromkeys(str(one.message) for one in warned):
        print(f"chisel: {message}", file=sys.stderr)


def _planned(folders: list[str]) -> int:
    """The lanes that folders are to hold."""
    from sweeps import store

    layers = _reading(lambda: [layer for folder in folders for layer in store.read_manifest(as_place(folder)) or ()])
    return sum(sum(store.sizes(layer)) for layer in layers)


def _unfinished(lanes: int, planned: int) -> None:
    """Says so, on stderr, where folders do not hold their whole sweeps yet."""
    if lanes < planned:
        print(f"chisel: {lanes:,} of {planned:,} lanes so far.", file=sys.stderr)


def _where(df: "pd.DataFrame", given: list[str]) -> "pd.DataFrame":
    """The rows that have one of the values given for each column: KEY=VALUE, as often as needed."""
    from analysis.rates import check_name

    wanted: dict[str, list[Any]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise SpecError("--where", f"{text!r} is not KEY=VALUE; for example --where learner.discount=0.97.")
        _reading(functools.partial(check_name, "column", key, df.columns))
        number, there = _as_number(value), df[key].unique().tolist()
        same = [one for one in there if str(one) == value or (number is not None and _as_number(one) == number)]
        if not same and number is None:
            _reading(functools.partial(check_name, f"value of {key}", value, there))
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


def _figure(arguments: argparse.Namespace) -> int:
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
            figure, lanes = _reading(lambda: _drawn(folders, kind, given, arguments.where))
        planned = _planned(folders)
        _save(figure, out)
        pyplot.close(figure)
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            out, f"cannot be written ({getattr(error, 'strerror', None) or error}); give another --out."
        ) from None
    _tell(pooled)
    _unfinished(lanes, planned)
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


def _report(arguments: argparse.Namespace) -> int:
    import analysis
    from sweeps.inspecting import status

    out = _reading(lambda: as_place(arguments.out or as_place(arguments.folder) / "report.html"))
    found = _reading(lambda: status(arguments.folder))
    page = _reading(lambda: analysis.report(arguments.folder, found))
    try:
        out.write_bytes(page.encode())
    except OSError as error:
        raise SpecError(out, f"cannot be written ({error.strerror or error}); give another --out.") from None
    _unfinished(found["lanes"]["done"], found["lanes"]["planned"])
    print(out)
    return 0


def _watch(arguments: argparse.Namespace) -> int:
    _before_jax(one_core=True)
    from sweeps.watching import watch

    asked = {name: getattr(arguments, name) for name in ("condition", "seed", "probe", "greedy", "typical", "outlier")}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            rollouts = _reading(
                lambda: watch(arguments.folder, episodes=arguments.episode, count=arguments.count, **asked)
            )
        except OSError as error:
            place = Path(arguments.folder) / "rollouts"
            raise SpecError(place, f"cannot be written ({error.strerror or error}).") from None
    for one in rollouts:
        print(f"{one.caption}\n  {one.png}\n  {one.gif}")
    _tell(told)
    return 0


def _worlds(arguments: argparse.Namespace) -> int:
    from sweeps.inspecting import worlds

    if arguments.out is not None or arguments.set:
        return _sheet(arguments)
    records = _reading(lambda: worlds(arguments.name))
    if arguments.json:
        _print_json(records)
        return 0
    whole = arguments.name is not None
    for record in records:
        part = next((part for part in ("learner", "curriculum") if part in record), None)
        if part is not None:
            print(f"{part} {record[part]}")
        else:
            goals = ", ".join(f"{goal['name']} ({goal['role']})" for goal in record["goals"])
            print(f"{record['world']}  {f'goals: {goals}' if goals else 'no goals: its outcome is its return'}")
            if whole:
                print(f"\n{textwrap.indent(record['doc'], '  ')}\n")
        for setting in record["settings"] or ():
            static = "  compiles anew" if setting["static"] else ""
            print(f"  {setting['key']:<28} {setting['default']!s:<10} {setting['accepts']}{static}")
            if whole and setting["doc"]:
                print(f"      {setting['doc']}")
        probes = record.get("probes") or ()
        if not whole and probes:
            print(f"  probes: {', '.join(one['name'] + ' (labels)' * one['labels'] for one in probes)}")
        for one in probes if whole else ():
            levels, episodes = _count(one["levels"], "level"), _count(one["episodes"], "episode")
            steps = f"{levels}, {episodes} of at most {_count(one['horizon'], 'step')}"
            marks = "  labels" * one["labels"] + "  not held out" * (not one["held_out"])
            kind = ": ".join(filter(None, [one["kind"], ", ".join(one["goals"])]))
            print(f"  probe {one['name']:<22} {kind}; {steps}{marks}")
        if whole and record.get("counters"):
            print(f"  counted in training: {', '.join(record['counters'])}")
    return 0


def _sheet(arguments: argparse.Namespace) -> int:
    from sweeps.sheets import sheet, write_sheet

    if arguments.name is None or arguments.out is None:
        lacks = "needs the name of a world" if arguments.name is None else "is for a picture, and needs --out DIR"
        option = "--out" if arguments.out is not None else "--set"
        raise SpecError(option, f"{lacks}; for example chisel worlds coin-run --set env.diversity=0.3 --out DIR.")
    image = _reading(lambda: sheet(arguments.name, arguments.set))
    try:
        print(write_sheet(as_place(arguments.out), image))
    except OSError as error:
        raise SpecError(arguments.out, f"cannot be written ({error.strerror or error}); give another --out.") from None
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    _before_jax(one_core=False)
    from sweeps.doctor import diagnose

    checks = diagnose(arguments.out)
    for check in checks:
        print(f"{'ok  ' if check.good else 'FAIL'}  {check.name}: {check.found}")
        if not check.good:
            print(f"      {check.advice}")
    return 0 if all(check.good for check in checks) else 1


def _bench(arguments: argparse.Namespace) -> int:
    from sweeps.bench import as_markdown, bench

    found = bench(arguments.rounds, not arguments.no_peer, lambda line: print(f"chisel: {line}", file=sys.stderr))
    if arguments.json:
        _print_json(found)
    else:
        print(as_markdown(found))
    return 0


def _checks(arguments: argparse.Namespace) -> int:
    if arguments.page is not None and arguments.names:
        raise SpecError("--page", "lists every check, so that none is left out; leave the names out.")
    _before_jax(one_core=False)
    from sweeps.checks import as_markdown, run_checks

    results = []
    for result in run_checks(arguments.names, arguments.out, arguments.workers, arguments.quiet):
        results.append(result)
        if not arguments.json:
            print(f"{result.verdict.word}  {result.check.name}: {result.check.claim}")
            found = {"theirs": result.check.theirs, "rule": result.check.rule, "ours": result.verdict.ours}
            print("".join(f"      {part + ':':<8}{text}\n" for part, text in found.items()), end="", flush=True)
    if arguments.json:
        _print_json([result.record() for result in results])
    if arguments.page is not None:
        try:
            Path(arguments.page).write_text(as_markdown(results), encoding="utf-8")
        except OSError as error:
            raise SpecError(arguments.page, f"cannot be written ({error.strerror or error}).") from None
    return 1 if any(result.verdict.passed is False for result in results) else 0


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    parser = _Parser(prog="chisel", description="Measures which goal a trained policy ends up with.")
    parser.add_argument("--version", action="version", version=f"chisel {_version()}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB", parser_class=_Parser)

    def verb(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(verb=function)
        return added

    def json_too(*parsers: argparse.ArgumentParser) -> None:
        for one in parsers:
            one.add_argument("--json", action="store_true", help="print JSON, and nothing else")

    plan = verb("plan", _plan, "Print what a spec would train, and what it needs. Trains nothing.")
    run = verb("run", _run, "Train what is missing of a sweep. Run it again to resume.")
    for one in (plan, run):
        one.add_argument("spec", metavar="SPEC", help="a .toml file, or the name of a shipped preset")
        one.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="replace a value of the spec")
    run.add_argument("--out", metavar="DIR", help="the results folder, s3:// and gs:// too (default: results/NAME)")
    run.add_argument(
        "--workers",
        metavar="N",
        type=_positive,
        help="processes, or tasks at once (default: one a core or accelerator)",
    )
    run.add_argument(
        "--executor",
        choices=("processes", "ray", "inline"),
        default="processes",
        help="processes (default), ray (its cluster, or this machine), or inline (for debugging)",
    )
    run.add_argument(
        "--shards", metavar="I/N", type=_part, default=(1, 1), help="train the I-th of N parts only, counted from 1"
    )
    run.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=float,
        help="let shards be gone on with in their midst (default: no)",
    )
    run.add_argument("--quiet", action="store_true", help="no progress on stderr")
    status = verb("status", _status, "Print how far a run is.")
    rates = verb("rates", _rates, "Print how often each label occurs, with intervals over seeds.")
    figure = verb("figure", _figure, "Draw rates and shares over factors.")
    status.add_argument("folder", metavar="DIR", help="a results folder")
    status.add_argument("--verify", action="store_true", help="read every file, and check its digest")
    for one in (rates, figure):
        one.add_argument("folders", metavar="DIR", nargs="+", help="a results folder, or several to be read as one")
        one.add_argument(
            "--where", metavar="KEY=VALUE", action="append", default=[], help="only these lanes; a key may come twice"
        )
    rates.add_argument("--by", metavar="KEY", nargs="+", help="columns that make a group (default: the factors)")
    rates.add_argument("--label", metavar="L", help="only this label (default: all)")
    rates.add_argument(
        "--method",
        metavar="M",
        help="wilson (default), clopper-pearson, or sequence (default where the spec has a precision)",
    )
    figure.add_argument("--kind", choices=KINDS, default="overview")
    figure.add_argument(
        "--x",
        metavar="KEY",
        help="the horizontal axis (default: the first factor left); KEY,KEY: the one that varies in an arm",
    )
    figure.add_argument("--by", metavar="KEY", help="a curve or a histogram each; the vertical axis of a phase diagram")
    figure.add_argument("--rows", metavar="KEY", help="a row of panels for each of its values")
    figure.add_argument("--columns", metavar="KEY", help="a column of panels for each of its values")
    figure.add_argument(
        "--value", metavar="GOAL", nargs="+", help="goals, or columns of shares (default: not the intended)"
    )
    figure.add_argument("--out", metavar="FILE", help="the picture (default: DIR/KIND.png)")
    report = verb("report", _report, "Write what a folder holds as one page of HTML, in the order of a paper.")
    report.add_argument("folder", metavar="DIR", help="a results folder")
    report.add_argument("--out", metavar="FILE", help="the page (default: DIR/report.html)")
    watched = verb("watch", _watch, "Draw what saved policies do on probe levels: a PNG and a GIF of each episode.")
    watched.add_argument("folder", metavar="DIR", help="a results folder of a sweep with save.policies = true")
    watched.add_argument("--condition", metavar="ID", help="policies of this condition (default: any)")
    watched.add_argument("--seed", metavar="N", type=int, help="policies of this seed (default: any)")
    watched.add_argument("--typical", metavar="LABEL", help="of them, those of a label that are nearest to its median")
    watched.add_argument("--outlier", action="store_true", help="of them, those that differ most from their condition")
    watched.add_argument("--count", metavar="K", type=_positive, default=1, help="how many policies (default: 1)")
    watched.add_argument("--probe", metavar="NAME", help="(default: the probe that labels)")
    watched.add_argument(
        "--episode", metavar="I", type=int, action="append", help="may come twice (default: the first three)"
    )
    watched.add_argument("--greedy", action="store_true", help="the most probable action, not a sampled one")
    worlds = verb("worlds", _worlds, "List worlds, learners and curricula with settings and probes, or draw a world.")
    worlds.add_argument("name", metavar="NAME", nargs="?", help="only this world or learner, with all there is to say")
    worlds.add_argument("--out", metavar="DIR", help="draw training and probe levels of the world as DIR/levels.png")
    worlds.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a setting of the levels drawn")
    json_too(plan, status, rates, worlds)
    bench = verb("bench", _bench, "Time training on this machine, beside a plain vmap and beside rejax.")
    bench.add_argument("--rounds", metavar="N", type=_positive, default=5, help="turns of each (default: 5)")
    bench.add_argument("--no-peer", action="store_true", help="leave rejax out, which needs to be installed")
    json_too(bench)
    checks = verb("checks", _checks, "Hold published results against what is trained here. Exits with 1 if any fails.")
    checks.add_argument("names", metavar="NAME", nargs="*", help="a check (default: all)")
    checks.add_argument("--out", metavar="DIR", default="results/checks", help="(default: results/checks)")
    checks.add_argument("--page", metavar="FILE", help="write the results as Markdown")
    checks.add_argument("--workers", metavar="N", type=_positive, help="processes (default: one a core or accelerator)")
    checks.add_argument("--quiet", action="store_true", help="no progress on stderr")
    json_too(checks)
    doctor = verb("doctor", _doctor, "Check devices, versions, agreement of lanes, threads, cache and store.")
    doctor.add_argument("--out", metavar="DIR", default="results", help="where results would go (default: results)")
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SpecError(self.prog, f"{message} (see {self.prog} --help)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


def _part(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not slash or not (number.isdecimal() and of.isdecimal()) or len(text) > 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, such as 3/16: the third of sixteen parts")
    return int(number), int(of)


def _reading(call: Any) -> Any:
    """Calls what reads a folder that the user named: a ValueError says what is wrong with it, in one line."""
    try:
        return call()
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(error) from None


def _before_jax(one_core: bool) -> None:
    """Sets what jax reads when it is imported, unless the caller has imported it already."""
    if "jax" in sys.modules:
        return
    from sweeps.worker import environment

    os.environ.update(environment("cpu", 1 if one_core else None))
    # The driver only plans; the memory belongs to the workers.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def _has_goals(folder: Place) -> bool:
    from sweeps.store import read_manifest

    return any(layer["goals"] for layer in read_manifest(folder) or ())


def _print_json(value: Any) -> None:
    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_text(rates: "pd.DataFrame", by: list[str]) -> str:
    """A row a group and a column a label: `rate [low, high]`."""
    cells = [f"{one.rate:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in rates.itertuples()]
    labels = list(dict.fromkeys(rates["label"]))
    wide = rates.loc[:: len(labels), [*by, "n"]].rename(columns={"n": "seeds"})
    for place, label in enumerate(labels):
        wide[label] = cells[place :: len(labels)]
    return wide.to_string(index=False, float_format="{:.4g}".format)


def _more(items: Iterable[Any]) -> None:
    hidden = len(list(items)) - SHOWN
    if hidden > 0:
        print(f"    and {hidden:,} more")


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} GB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("chisel-rl")
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
