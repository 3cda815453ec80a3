"""What a trained chunk leaves as rows: the outcomes of its lanes, the records of its probes, and the probes' levels."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from envs import Probe, World, tabular
from jaxrl import probing
from jaxrl.course import Course
from jaxrl.learner import LaneResult, Learner
from jaxrl.planner import Planned
from jaxrl.schedules import GATED, Schedule


def outcomes(world: World, learner: Learner, course: Course, finished: LaneResult) -> dict[str, np.ndarray]:
    """The summary of a chunk's training, name -> [lanes].

    Args:
      course: at the end of training.
      finished: what its lanes leave, leaves [lanes, ...].
    """
    chunk, steps = len(course.met), learner.total_updates * learner.steps_per_update
    found: dict[str, Any] = {
        "diverged": np.asarray(finished.diverged),
        "updates": np.full(chunk, learner.total_updates, np.int64),
        **{name: np.asarray(value) for name, value in finished.outcomes.items()},
    }
    if (total := course.total) is None:
        return found
    found |= {
        "env_steps": np.full(chunk, steps, np.int64),
        "episodes": total.episodes.astype(np.int64),
        "return_total": total.returns.astype(np.float32),
        "return_mean": course.curves["return_mean"][:, -1],
        "length_mean": course.curves["length_mean"][:, -1],
    }
    for i, goal in enumerate(world.goals):
        found[f"events.{goal.name}"] = total.events[:, i].astype(np.int64)
    for i, name in enumerate(world.counters):
        found[f"counts.{name}"] = total.counts[:, i].astype(np.int64)
    if world.goals:
        found["displaced_episodes"] = total.displaced.astype(np.int64)
    return found


def first_met(world: World, course: Course) -> dict[str, np.ndarray]:
    """i64[lanes] for each goal, the steps by which it had been met in training, -1 for never."""
    if course.total is None:
        return {}
    return {f"met.{goal.name}": course.met[:, i] for i, goal in enumerate(world.goals)}


def openings(schedules: Sequence[Schedule], state: Any, total_updates: int) -> dict[str, np.ndarray]:
    """f32[lanes] for each gated schedule, the share of training at which it opened; NaN for never."""
    found = {}
    for i, schedule in enumerate(schedules):
        if schedule.kind in GATED:
            share = np.asarray(state.clock.opened[:, i], np.float32) / np.float32(total_updates)
            # One that opened when the last update was done has moved nothing.
            found[f"opened.{schedule.key}"] = np.where(share < 1, share, np.float32(np.nan))
    return found


def of_probes(
    world: World, probes: Sequence[Probe], runs: Sequence[probing.Run], results: list[probing.Played], when: dict
) -> list[dict[str, Any]]:
    """The records of some runs of the probes.

    Args:
      results: of each run; leaves [lanes, episodes, ...].
      when: the record's `checkpoint` and `update`.
    """
    records = []
    for run, played in zip(runs, results, strict=True):
        reached, returns, inputs, _ = jax.tree.map(np.asarray, played)
        for probe in probes:
            if (part := run.parts.get(probe.name)) is None:
                continue
            record = {**when, "probe": probe.name, "kind": probe.kind, "actor": run.actor, "sampled": run.sampled}
            for i, goal in enumerate(world.goals):
                record[f"reached.{goal.name}"] = reached[:, part, i]
            if not world.goals:
                record["return"] = returns[:, part]
            if inputs is not None:
                new, active = inputs[:, part].sum(axis=1).T
                record["unseen_inputs"] = (new / np.where(active, active, np.nan)).astype(np.float32)
            records.append(record)
    return records


def of_plans(world: World, probes: Sequence[Probe], plans: list[Planned | None], update: int) -> list[dict[str, Any]]:
    """The planner's records, of lists over lanes; a lane without a plan has empty arrays.

    Args:
      probes: those that were planned on.
      plans: of each lane.
    """
    records = []
    for probe in probes if any(plan is not None for plan in plans) else ():
        nothing = np.empty((0, len(world.goals)), np.int16)
        reached = [plan.reached[probe.name] if plan is not None else nothing for plan in plans]
        record: dict[str, Any] = {
            "checkpoint": 1.0, "update": update, "probe": probe.name, "kind": probe.kind, "actor": "planner",
            "sampled": True,
        }  # fmt: skip
        for i, goal in enumerate(world.goals):
            record[f"reached.{goal.name}"] = [lane[:, i] for lane in reached]
        records.append(record)
    return records


def levels(world: World, probes: Sequence[Probe]) -> dict[str, np.ndarray]:
    """The probe bank as a table with a row for each sampled episode.

    Columns: probe, kind, goals, paid, labels, episode, layout (a number, see `probing.layouts`), distinct (the first on
    its level: greedy actions are run on this one), whole, held_out, horizon, and `distance.<goal>`, i16, the fewest
    steps from the start to a goal or -1.
    """
    rows: dict[str, list] = {}
    for probe in probes:
        index = np.arange(probe.episodes) % probe.distinct
        columns: dict[str, Any] = {
            "probe": probe.name, "kind": probe.kind, "goals": ",".join(probe.goals), "paid": ",".join(probe.paid),
            "labels": probe.labels, "episode": np.arange(probe.episodes), "layout": probing.layouts(world, probe),
            "distinct": np.arange(probe.episodes) < probe.distinct, "whole": probe.whole, "held_out": probe.held_out,
            "horizon": probe.horizon,
        }  # fmt: skip
        if world.goals:
            steps = tabular.probe_distances(world, probe)[index]
            columns |= {f"distance.{goal.name}": steps[:, i] for i, goal in enumerate(world.goals)}
        for name, column in columns.items():
            rows.setdefault(name, []).append(np.broadcast_to(column, (probe.episodes,)))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def baselines(world: World, probes: Sequence[Probe]) -> list[dict[str, Any]]:
    """Probe records, of one lane each, of a random walker, an oracle for each goal and a reflex for each action."""
    records = []
    for place, probe in enumerate(probes if world.goals else ()):
        table = tabular.tabulate(world, probe.levels)
        rows = np.arange(probe.episodes) % probe.distinct
        for actor, policy in tabular.known_policies(world, table).items():
            generator = np.random.default_rng([0x63686973656C, place])
            reached = tabular.play(table, policy, rows, probe.horizon, generator)
            record = {
                "checkpoint": 1.0, "update": 0, "probe": probe.name, "kind": probe.kind, "actor": actor,
                "sampled": True,
            }  # fmt: skip
            records.append(record | {f"reached.{goal.name}": reached[None, :, i] for i, goal in enumerate(world.goals)})
    return records
