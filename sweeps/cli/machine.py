"""The verbs that try out a machine and the code on it: doctor, bench, checks."""

import argparse
import sys
from pathlib import Path

from sweeps.cli.printing import print_json
from sweeps.cli.starting import before_jax
from sweeps.spec import SpecError


def doctor(arguments: argparse.Namespace) -> int:
    from sweeps.doctor import diagnose

    found = diagnose(arguments.out)
    for one in found:
        print(f"{'ok  ' if one.good else 'FAIL'}  {one.name}: {one.found}")
        if not one.good:
            print(f"      {one.advice}")
    return 0 if all(one.good for one in found) else 1


def bench(arguments: argparse.Namespace) -> int:
    before_jax(one_core=False)
    from sweeps.bench import as_markdown, bench

    found = bench(arguments.rounds, not arguments.no_peer, lambda line: print(f"chisel: {line}", file=sys.stderr))
    if arguments.json:
        print_json(found)
    else:
        print(as_markdown(found))
    return 0


def checks(arguments: argparse.Namespace) -> int:
    if arguments.page is not None and arguments.names:
        raise SpecError("--page", "writes a page of all checks; leave the names out.")
    before_jax(one_core=False)
    from sweeps.checks import as_markdown, run_checks

    results = []
    for result in run_checks(arguments.names, arguments.out, arguments.workers, arguments.quiet):
        results.append(result)
        if not arguments.json:
            print(f"{result.verdict.word}  {result.check.name}: {result.check.claim}")
            found = {"theirs": result.check.theirs, "rule": result.check.rule, "ours": result.verdict.ours}
            print("".join(f"      {part + ':':<8}{text}\n" for part, text in found.items()), end="", flush=True)
    if arguments.json:
        print_json([result.record() for result in results])
    if arguments.page is not None:
        try:
            Path(arguments.page).write_text(as_markdown(results), encoding="utf-8")
        except OSError as error:
            raise SpecError(arguments.page, f"cannot be written ({error.strerror or error}).") from None
    return 1 if any(result.verdict.passed is False for result in results) else 0
