"""The command line: every verb with its arguments."""

import argparse
from collections.abc import Callable
from typing import NoReturn

from sweeps.cli import choices, machine, results, training
from sweeps.spec import SpecError

KINDS = (
    "overview", "share", "stack", "dose", "phase", "scatter", "histogram", "lines", "training", "gold",
    "contingency",
)  # fmt: skip
"""Of figures; kept here too, because importing them takes a second."""
FORMS = ("csv", "huggingface", "tensorboard", "mlflow", "wandb")
"""Of exports, likewise."""

EXAMPLES = {
    "plan": ("chisel plan coin-run", "chisel plan my-sweep.toml --set seeds=64 --set 'factors.env.diversity=[0, 0.1]'"),
    "run": ("chisel run coin-run --set seeds=8 --out results/mine", "chisel run my-sweep.toml --shards 3/16"),
    "status": ("chisel status results/mine",),
    "rates": (
        "chisel rates results/mine --by env.diversity",
        "chisel rates results/mine --where arm=late --label mixed",
    ),
    "figure": (
        "chisel figure results/mine",
        "chisel figure results/mine --kind share --x env.diversity --value right-end",
    ),
    "browse": ("chisel browse results/mine", "chisel browse results/mine --export mine.html"),
    "export": ("chisel export results/mine --to csv",),
    "watch": ("chisel watch results/mine --typical intended", "chisel watch results/mine --outlier --count 3"),
    "inspect": ("chisel inspect results/mine --what difference",),
    "worlds": ("chisel worlds coin-run", "chisel worlds coin-run --set env.diversity=0.3 --out pictures"),
    "checks": ("chisel checks camera-board camera-exact",),
}
"""Command lines that `--help` shows, by verb."""


class Parser(argparse.ArgumentParser):
    """Raises SpecError, in one line, where the arguments are wrong."""

    def error(self, message: str) -> NoReturn:
        raise SpecError(self.prog, f"{message} (see {self.prog} --help)")


def parser() -> Parser:
    """The parser of the whole command line; `verb` of what it returns is the function to call."""
    whole = Parser(
        prog="chisel",
        description="Train policies in sweeps of JAX environments, and measure which goal each ends up with.",
    )
    whole.add_argument("--version", action="version", version=f"chisel {_version()}")
    verbs = whole.add_subparsers(title="verbs", required=True, metavar="VERB", parser_class=Parser)

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str) -> Parser:
        examples = "\n  ".join(("examples:", *EXAMPLES.get(name, ())))
        raw = argparse.RawDescriptionHelpFormatter
        epilog = examples if name in EXAMPLES else None
        verb = verbs.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=raw)
        verb.set_defaults(verb=function)
        return verb

    _plan(add("plan", training.plan, "Print what a spec would train, and the time and memory it needs."))
    _run(
        add("run", training.run, "Train a sweep: the lanes that its folder does not hold yet. Run it again to resume.")
    )
    _status(add("status", training.status, "Print the progress of a run."))
    _folder(add("pack", training.pack, "Merge the tables of finished shards into a few files, which load faster."))
    _rates(add("rates", results.rates, "Print how often each label occurs, with intervals over seeds."))
    _figure(add("figure", results.figure, "Draw a figure: rates of labels, shares of goals, or training curves."))
    _report(add("report", results.report, "Write a report of a results folder as one HTML page."))
    _browse(add("browse", results.browse, "Explore results in a browser: figures by any factor, seeds, rollouts."))
    _export(add("export", results.export, "Write results in a format that other tools read."))
    _watch(add("watch", results.watch, "Draw what saved policies do on probe levels: a PNG and a GIF an episode."))
    _inspect(add("inspect", results.inspect, "Look inside saved policies, and write the findings as a table."))
    _worlds(add("worlds", choices.worlds, "List worlds, learners and curricula with their settings, or draw a world."))
    _bench(add("bench", machine.bench, "Measure training speed on this machine, beside a plain vmap and rejax."))
    _checks(add("checks", machine.checks, "Compare training with published results; exit with 1 if a check fails."))
    _doctor(add("doctor", machine.doctor, "Check devices, versions, JAX settings, threads, caches and storage."))
    return whole


def _plan(verb: Parser) -> None:
    _spec(verb)
    _json(verb)


def _run(verb: Parser) -> None:
    _spec(verb)
    verb.add_argument("--out", metavar="DIR", help="results folder; may be s3://… or gs://… (default: results/NAME)")
    _workers(verb, "number of worker processes, or of Ray tasks at once (default: one per core or accelerator)")
    _executor(verb, "what trains")
    verb.add_argument(
        "--shards",
        metavar="I/N",
        type=_part,
        default=(1, 1),
        help="train only part I of N, counted from 1, to split a sweep over N machines (for example 3/16)",
    )
    verb.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=float,
        help="save unfinished shards this often, so that an interrupted run loses less (default: never)",
    )
    _quiet(verb)


def _status(verb: Parser) -> None:
    _folder(verb)
    verb.add_argument(
        "--verify", action="store_true", help="also read every file and compare it with its digest, to find damage"
    )
    _json(verb)


def _rates(verb: Parser) -> None:
    _folders(verb)
    verb.add_argument(
        "--by",
        metavar="KEY",
        nargs="+",
        help="columns to group by, one row for each combination (default: the factors)",
    )
    verb.add_argument(
        "--label", metavar="L", help="print only this label, such as intended or proxy:right-end (default: all)"
    )
    verb.add_argument(
        "--method",
        metavar="M",
        help="kind of interval: clopper-pearson (default), wilson (covers less near 0 and 1), or sequence "
        "(default if the spec has a precision)",
    )
    _json(verb)


def _figure(verb: Parser) -> None:
    _folders(verb)
    verb.add_argument("--kind", choices=KINDS, default="overview", help="kind of figure (default: overview)")
    verb.add_argument(
        "--x",
        metavar="KEY",
        help="horizontal axis (default: the first unused factor); KEY,KEY takes the one that varies in each arm",
    )
    verb.add_argument(
        "--by", metavar="KEY", help="one curve or histogram for each value; in a phase plot, the vertical axis"
    )
    verb.add_argument("--rows", metavar="KEY", help="one row of panels for each value")
    verb.add_argument("--columns", metavar="KEY", help="one column of panels for each value")
    verb.add_argument(
        "--value",
        metavar="GOAL",
        nargs="+",
        help="goals, or columns of shares, to draw (default: goals that are not intended)",
    )
    verb.add_argument("--out", metavar="FILE", help="file to write (default: DIR/KIND.png)")


def _report(verb: Parser) -> None:
    _folder(verb)
    verb.add_argument("--out", metavar="FILE", help="file to write (default: DIR/report.html)")


def _browse(verb: Parser) -> None:
    verb.add_argument("folders", metavar="DIR", nargs="+", help="results folder; several are read as one")
    verb.add_argument(
        "--port", metavar="N", type=int, default=8017, help="port to serve on (default: 8017; 0: any free port)"
    )
    verb.add_argument(
        "--export",
        metavar="FILE",
        help="instead of serving, write one HTML page that contains its data and needs no server",
    )


def _export(verb: Parser) -> None:
    _folder(verb)
    verb.add_argument("--to", choices=FORMS, required=True, help=f"format: {', '.join(FORMS[:-1])} or {FORMS[-1]}")
    verb.add_argument(
        "--out", metavar="OUT", help="folder to write (default: DIR/FORMAT); for mlflow, may be the URI of a server"
    )


def _watch(verb: Parser) -> None:
    _folder(verb, "results folder of a sweep with save.policies = true")
    verb.add_argument("--condition", metavar="ID", help="only policies of this condition (default: any)")
    verb.add_argument("--seed", metavar="N", type=int, help="only policies of this seed (default: any)")
    verb.add_argument(
        "--typical", metavar="LABEL", help="choose the policies with this label that are closest to its median"
    )
    verb.add_argument(
        "--outlier", action="store_true", help="choose the policies that differ most from the others of their condition"
    )
    verb.add_argument("--count", metavar="K", type=_positive, default=1, help="number of policies to draw (default: 1)")
    verb.add_argument("--probe", metavar="NAME", help="probe to play (default: the one that labels come from)")
    verb.add_argument(
        "--episode",
        metavar="I",
        type=int,
        action="append",
        help="number of an episode to draw, from 0; repeatable (default: the first three)",
    )
    verb.add_argument("--greedy", action="store_true", help="take the most probable action instead of sampling")


def _inspect(verb: Parser) -> None:
    _folder(verb, "results folder of a sweep with save.policies = true")
    verb.add_argument(
        "--what",
        metavar="WHAT",
        required=True,
        help="analysis: difference, attribution, linear-probes, summaries, deployment or learning-coefficient",
    )
    verb.add_argument("--layer", metavar="NAME", action="append", help="layer to analyse; repeatable (default: all)")
    _workers(verb, "number of worker processes, or of Ray tasks at once (default: one per core or accelerator)")
    _executor(verb, "what analyses")


def _worlds(verb: Parser) -> None:
    verb.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="describe this world, learner or curriculum in full; one of your own as module:Name",
    )
    verb.add_argument("--out", metavar="DIR", help="draw training and probe levels of the world to DIR/levels.png")
    verb.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="setting of the levels to draw; repeatable"
    )
    _json(verb)


def _bench(verb: Parser) -> None:
    verb.add_argument("--rounds", metavar="N", type=_positive, default=5, help="number of timings of each (default: 5)")
    verb.add_argument("--no-peer", action="store_true", help="leave out rejax, which otherwise has to be installed")
    _json(verb)


def _checks(verb: Parser) -> None:
    verb.add_argument("names", metavar="NAME", nargs="*", help="checks to run (default: all)")
    verb.add_argument(
        "--out", metavar="DIR", default="results/checks", help="folder for their results (default: results/checks)"
    )
    verb.add_argument("--page", metavar="FILE", help="write the results as a Markdown page")
    _workers(verb, "number of worker processes (default: one per core or accelerator)")
    _quiet(verb)
    _json(verb)


def _doctor(verb: Parser) -> None:
    verb.add_argument("--out", metavar="DIR", default="results", help="folder of results to check (default: results)")


# Arguments that several verbs share.


def _spec(verb: Parser) -> None:
    verb.add_argument("spec", metavar="SPEC", help="a .toml file, or the name of a preset such as coin-run")
    verb.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a value of the spec, such as seeds=64 or env.diversity=0.1; repeatable",
    )


def _folder(verb: Parser, text: str = "results folder") -> None:
    verb.add_argument("folder", metavar="DIR", help=text)


def _folders(verb: Parser) -> None:
    verb.add_argument("folders", metavar="DIR", nargs="+", help="results folder; several are read as one")
    verb.add_argument(
        "--where",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="keep only lanes with this value, as env.diversity=0.1; repeatable (a key given twice keeps both values)",
    )


def _workers(verb: Parser, text: str) -> None:
    verb.add_argument("--workers", metavar="N", type=_positive, help=text)


def _executor(verb: Parser, text: str) -> None:
    verb.add_argument(
        "--executor",
        choices=("processes", "ray", "inline"),
        default="processes",
        help=f"{text}: worker processes (default), ray (a cluster or this machine), or inline (this process)",
    )


def _quiet(verb: Parser) -> None:
    verb.add_argument("--quiet", action="store_true", help="print no progress to stderr")


def _json(verb: Parser) -> None:
    verb.add_argument("--json", action="store_true", help="print only JSON")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


def _part(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not slash or not (number.isdecimal() and of.isdecimal()) or len(text) > 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N; for example 3/16 for part 3 of 16")
    return int(number), int(of)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("chisel-rl")
    except PackageNotFoundError:
        return "unknown"
