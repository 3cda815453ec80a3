"""The verbs before, during and after training: plan, run, status, pack."""

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any

from sweeps.cli.printing import SHOWN, as_bytes, as_duration, count, failures, more, print_json
from sweeps.cli.starting import before_jax, reading

if TYPE_CHECKING:
    from sweeps.running import RunSummary


def plan(arguments: argparse.Namespace) -> int:
    before_jax(one_core=False)
    from sweeps.describing import describe_plan

    plan = describe_plan(arguments.spec, arguments.set)
    if arguments.json:
        print_json(plan)
        return 0
    spec, conditions, programs, memory = plan["spec"], plan["conditions"], plan["programs"], plan["memory"]
    workers, seeds = count(plan["workers"], "worker"), count(spec["seeds"], "seed")
    print(f"{spec['name']}: {spec['learner']} on {spec['world']}, {plan['platform']}, {workers}")
    print(f"  {count(len(conditions), 'condition')} x {seeds} = {plan['lanes']:,} lanes")
    for one in conditions[:SHOWN]:
        print(f"    {one['id']}  {', '.join(f'{key} = {value}' for key, value in one['factors'].items())}".rstrip())
    more(conditions)
    print(f"  {count(len(programs), 'program')}, {count(plan['shards'], 'shard')}, chunks of {plan['chunk']} lanes")
    for one in programs[:SHOWN]:
        steps = f", {one['env_steps']:,} env-steps each" if one["env_steps"] else ""
        print(f"    {one['id']}  {one['lanes']:,} lanes x {one['updates']:,} updates{steps}")
    more(programs)
    lane, temporary, device = (as_bytes(memory[part]) for part in ("per_lane", "temporary", "device"))
    print(f"  memory (first program): {lane} a lane, {temporary} temporary, {device} on each device")
    compiling = _compiling(len(programs), **plan["compiling"])
    gpu = f"; on one GPU about {as_duration(plan['seconds_on_a_gpu'])}" if plan["platform"] == "cpu" else ""
    print(f"  time: about {as_duration(plan['seconds'])}{gpu} (assumed speeds, not measured); {compiling}")
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


def _compiling(programs: int, timed: int, seconds: float | None) -> str:
    """What compiling takes, by the record of this machine's cache."""
    if seconds is None:
        return "compiling has not been timed here"
    each = f" a program here ({timed:,} of {programs:,} timed)" if programs > 1 else " here"
    return f"compiling takes {as_duration(seconds)}{each}, once"


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


def run(arguments: argparse.Namespace) -> int:
    before_jax(one_core=arguments.executor == "inline")
    from sweeps.running import run

    done = run(
        arguments.spec, arguments.out, arguments.set, arguments.workers, arguments.executor, arguments.quiet,
        arguments.shards, arguments.checkpoint_every,
    )  # fmt: skip
    number, of = arguments.shards
    where = f"{f'part {number}/{of} of ' * (of > 1)}{done.folder}"
    there = done.ready + done.trained
    if done.ready == done.lanes:
        more = f", which has {done.others:,} that are not in this spec" * (done.others > 0)
        print(f"Complete already: {done.lanes:,} of {done.lanes:,} lanes in {where}{more}")
    else:
        print(f"{there:,} of {done.lanes:,} lanes in {where}, {done.trained:,} of them trained now")
        if done.resumed:
            print(f"  {done.resumed:,} of their updates came from checkpoints")
    if done.too_wide:
        print(f"  {count(done.too_wide, 'condition')} at max_seeds, whose rates are not known to the precision")
    if there:
        print(f"  tables: {done.folder / 'outcomes'}, probes, curves, levels, baselines (parquet)")
        for place, line in enumerate(_next_steps(done)):
            print(f"  {'next:' * (place == 0):<7} {line}")
    return failures(done.failed, done.lost)


def _next_steps(done: "RunSummary") -> list[str]:
    """Commands that work on what a run has left."""
    folder = str(done.folder)
    if not done.has_goals:
        return [f"in Python, analysis.load({folder!r})['return.evaluation'].describe()"]
    return [f"chisel {verb} {shlex.quote(folder)}" for verb in ("rates", "figure")]


def pack(arguments: argparse.Namespace) -> int:
    from sweeps.packing import pack

    done = reading(lambda: pack(arguments.folder))
    for line in done.damaged:
        print(f"chisel: not packed: {line}; run the sweep again, and pack then.", file=sys.stderr)
    now = f"{count(done.shards, 'shard')} in {count(done.files, 'file')} of each table" if done.files else "nothing"
    beside = [f"{done.before:,} were packed before"] * (done.before > 0)
    beside += [f"{done.alone:,} keep files of their own"] * (done.alone > 0)
    print(f"Packed {now} in {done.folder}{'; '.join(['', *beside])}")
    return 0


def status(arguments: argparse.Namespace) -> int:
    from sweeps.folder_status import status

    found = reading(lambda: status(arguments.folder, arguments.verify))
    if arguments.json:
        print_json(found)
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
            print(f"    {one['id']}  {count(one['seeds'], 'seed')} in {count(one['rounds'], 'round')}{factors}")
        more(conditions)
    if lanes["missing"]:
        speed = f"; {rate:.3g} lanes a second lately, {as_duration(left)} left at that" if rate else ""
        who = f"{found['running'] or 'no process here'} is training them"
        if found["running"] is None and not found["has_locks"]:
            who = "whether a run is training them is unknown (the storage has no locks)"
        print(f"  {who}{speed}")
    for one in found["failed"][:SHOWN]:
        print(f"  shard {one['shard']} ({count(one['lanes'], 'lane')}) failed: {one['reason']}")
    more(found["failed"])
    for line in found["damaged"][:SHOWN]:
        print(f"  {line}; run the sweep again to train it again")
    more(found["damaged"])
    return 0
