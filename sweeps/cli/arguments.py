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


class Parser(argparse.ArgumentParser):
    """Raises SpecError, in one line, where the arguments are wrong."""

    def error(self, message: str) -> NoReturn:
        raise SpecError(self.prog, f"{message} (see {self.prog} --help)")


def parser() -> Parser:
    """The parser of the whole command line; `verb` of what it returns is the function to call."""
    whole = Parser(prog="chisel", description="Measures which goal a trained policy ends up with.")
    whole.add_argument("--version", action="version", version=f"chisel {_version()}")
    verbs = whole.add_subparsers(title="verbs", required=True, metavar="VERB", parser_class=Parser)

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str) -> Parser:
        verb = verbs.add_parser(name, help=text, description=text)
        verb.set_defaults(verb=function)
        return verb

    _plan(add("plan", training.plan, "Print what a spec would train and what it needs. Trains nothing."))
    _run(add("run", training.run, "Train the lanes of a sweep that its folder lacks. Run it again to resume."))
    _status(add("status", training.status, "Print how far a run is."))
    _folder(add("pack", training.pack, "Merge the tables of finished shards into few files, which are read faster."))
    _rates(add("rates", results.rates, "Print how often each label occurs, with intervals over seeds."))
    _figure(add("figure", results.figure, "Draw rates and shares over factors."))
    _report(add("report", results.report, "Write a report of a results folder as one HTML page."))
    _browse(add("browse", results.browse, "Show results in a browser: figures to choose, every seed, its rollouts."))
    _export(add("export", results.export, "Write results in the form of other tools."))
    _watch(add("watch", results.watch, "Draw what saved policies do on probe levels: a PNG and a GIF of each episode."))
    _inspect(add("inspect", results.inspect, "Look inside saved policies, and write a table of what is found."))
    _worlds(add("worlds", choices.worlds, "List worlds, learners and curricula with their settings, or draw a world."))
    _bench(add("bench", machine.bench, "Time training on this machine, next to a plain vmap and next to rejax."))
    _checks(add("checks", machine.checks, "Compare training here with published results. Exits with 1 if any differs."))
    _doctor(add("doctor", machine.doctor, "Check devices, versions, settings of jax, threads, caches and storage."))
    return whole


def _plan(verb: Parser) -> None:
    _spec(verb)
    _json(verb)


def _run(verb: Parser) -> None:
    _spec(verb)
    verb.add_argument("--out", metavar="DIR", help="results folder, also s3:// or gs:// (default: results/NAME)")
    _workers(verb, "worker processes, or tasks at once (default: one per core or accelerator)")
    verb.add_argument(
        "--executor",
        choices=("processes", "ray", "inline"),
        default="processes",
        help="processes (default), ray (a cluster, or this machine), or inline (for debugging)",
    )
    verb.add_argument(
        "--shards", metavar="I/N", type=_part, default=(1, 1), help="train only part I of N, counted from 1"
    )
    verb.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=float,
        help="save unfinished shards this often, so that a later run continues them (default: never)",
    )
    _quiet(verb)


def _status(verb: Parser) -> None:
    _folder(verb)
    verb.add_argument("--verify", action="store_true", help="read every file and check its digest")
    _json(verb)


def _rates(verb: Parser) -> None:
    _folders(verb)
    verb.add_argument("--by", metavar="KEY", nargs="+", help="columns that define a group (default: the factors)")
    verb.add_argument("--label", metavar="L", help="only this label (default: all)")
    verb.add_argument(
        "--method",
        metavar="M",
        help="clopper-pearson (default), wilson (covers less near 0 and 1), or sequence (default where the spec has a "
        "precision)",
    )
    _json(verb)


def _figure(verb: Parser) -> None:
    _folders(verb)
    verb.add_argument("--kind", choices=KINDS, default="overview", help="kind of figure (default: overview)")
    verb.add_argument(
        "--x",
        metavar="KEY",
        help="horizontal axis (default: the first unused factor); KEY,KEY: the one that varies in each arm",
    )
    verb.add_argument("--by", metavar="KEY", help="one curve or histogram per value; the vertical axis of a phase plot")
    verb.add_argument("--rows", metavar="KEY", help="one row of panels per value")
    verb.add_argument("--columns", metavar="KEY", help="one column of panels per value")
    verb.add_argument(
        "--value", metavar="GOAL", nargs="+", help="goals, or columns of shares (default: goals that are not intended)"
    )
    verb.add_argument("--out", metavar="FILE", help="file of the figure (default: DIR/KIND.png)")


def _report(verb: Parser) -> None:
    _folder(verb)
    verb.add_argument("--out", metavar="FILE", help="file of the page (default: DIR/report.html)")


def _browse(verb: Parser) -> None:
    verb.add_argument("folders", metavar="DIR", nargs="+", help="one results folder, or several to read as one")
    verb.add_argument(
        "--port", metavar="N", type=int, default=8017, help="port of this machine (default: 8017; 0: any)"
    )
    verb.add_argument("--export", metavar="FILE", help="write one page that needs no server instead, with its data")


def _export(verb: Parser) -> None:
    _folder(verb)
    verb.add_argument("--to", choices=FORMS, required=True, help=f"{', '.join(FORMS[:-1])} or {FORMS[-1]}")
    verb.add_argument("--out", metavar="OUT", help="folder to write (default: DIR/FORM); for mlflow also a URI")


def _watch(verb: Parser) -> None:
    _folder(verb, "a results folder of a sweep with save.policies = true")
    verb.add_argument("--condition", metavar="ID", help="only policies of this condition (default: any)")
    verb.add_argument("--seed", metavar="N", type=int, help="only policies of this seed (default: any)")
    verb.add_argument("--typical", metavar="LABEL", help="policies with this label that are closest to its median")
    verb.add_argument("--outlier", action="store_true", help="policies that differ most from others of their condition")
    verb.add_argument("--count", metavar="K", type=_positive, default=1, help="number of policies (default: 1)")
    verb.add_argument("--probe", metavar="NAME", help="probe to play (default: the probe that labels)")
    verb.add_argument(
        "--episode", metavar="I", type=int, action="append", help="episode to draw; repeatable (default: first three)"
    )
    verb.add_argument("--greedy", action="store_true", help="take the most probable action instead of sampling")


def _inspect(verb: Parser) -> None:
    _folder(verb, "a results folder of a sweep with save.policies = true")
    verb.add_argument(
        "--what",
        metavar="WHAT",
        required=True,
        help="difference, attribution, linear-probes, summaries, deployment or learning-coefficient",
    )
    verb.add_argument("--layer", metavar="NAME", action="append", help="a layer to look at; repeatable (default: all)")


def _worlds(verb: Parser) -> None:
    verb.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="describe only this world, learner or curriculum, in full; also module:Name",
    )
    verb.add_argument("--out", metavar="DIR", help="draw training and probe levels of the world as DIR/levels.png")
    verb.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a setting of the levels that are drawn"
    )
    _json(verb)


def _bench(verb: Parser) -> None:
    verb.add_argument("--rounds", metavar="N", type=_positive, default=5, help="timings of each (default: 5)")
    verb.add_argument("--no-peer", action="store_true", help="leave out rejax, which has to be installed otherwise")
    _json(verb)


def _checks(verb: Parser) -> None:
    verb.add_argument("names", metavar="NAME", nargs="*", help="checks to run (default: all)")
    verb.add_argument(
        "--out", metavar="DIR", default="results/checks", help="folder of their results (default: results/checks)"
    )
    verb.add_argument("--page", metavar="FILE", help="write the results as a Markdown page")
    _workers(verb, "worker processes (default: one per core or accelerator)")
    _quiet(verb)
    _json(verb)


def _doctor(verb: Parser) -> None:
    verb.add_argument("--out", metavar="DIR", default="results", help="where results would go (default: results)")


# Arguments that several verbs share.


def _spec(verb: Parser) -> None:
    verb.add_argument("spec", metavar="SPEC", help="a .toml file, or the name of a preset")
    verb.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="replace a value of the spec; repeatable"
    )


def _folder(verb: Parser, text: str = "a results folder") -> None:
    verb.add_argument("folder", metavar="DIR", help=text)


def _folders(verb: Parser) -> None:
    verb.add_argument("folders", metavar="DIR", nargs="+", help="one results folder, or several to read as one")
    verb.add_argument(
        "--where",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="only lanes with this value; repeatable, also for one key",
    )


def _workers(verb: Parser, text: str) -> None:
    verb.add_argument("--workers", metavar="N", type=_positive, help=text)


def _quiet(verb: Parser) -> None:
    verb.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _json(verb: Parser) -> None:
    verb.add_argument("--json", action="store_true", help="print JSON and nothing else")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


def _part(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not slash or not (number.isdecimal() and of.isdecimal()) or len(text) > 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, for example 3/16: part 3 of 16")
    return int(number), int(of)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("chisel-rl")
    except PackageNotFoundError:
        return "unknown"
