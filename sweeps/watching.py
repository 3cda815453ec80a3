"""Saved policies at work: episodes of their last probing, played again and drawn."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.folder import Place, as_place, finished, read_manifest, write_file
from sweeps.policies import Saved, one_row, saved
from sweeps.sheets import write_sheet
from sweeps.spec import SpecError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from envs import Probe, World
    from envs.film import Moment

EPISODES = 3
"""That are drawn where none is asked for: the first so many."""
STEP, HOLD = 250, 1500
"""Milliseconds of a film's frame, and of its last one."""


@dataclass(frozen=True)
class Rollout:
    """An episode that was drawn."""

    condition: str
    seed: int
    label: str
    probe: str
    episode: int
    sampled: bool
    """Whether actions were sampled, or the most probable."""
    steps: int
    """Of the episode."""
    reached: dict[str, int]
    """By goal: the step at which it was first reached, or -1."""
    caption: str
    png: Place
    gif: Place


def watch(
    folder: str | Place,
    condition: str | None = None,
    seed: int | None = None,
    probe: str | None = None,
    episodes: Sequence[int] | None = None,
    greedy: bool = False,
    typical: str | None = None,
    outlier: bool = False,
    count: int = 1,
) -> list[Rollout]:
    """Draws what saved policies do on probe levels: a strip and a film of each episode, in `folder`/rollouts.

    They are the episodes of the tables' last checkpoint: the same network, settings, levels and random numbers.
    Where this machine's arithmetic leads elsewhere, a warning says so.

    Args:
      folder: a results folder whose spec has `save.policies = true`.
      condition, seed: which policies; None for any. The first `count` of them are drawn, in the order of
        `analysis.load`; or, of them,
      typical: the first `count` of `analysis.typical`, of this label;
      outlier: the first `count` of `analysis.outliers`.
      probe: by default the one that labels.
      episodes: their numbers on the probe; the first three by default.
      greedy: whether the most probable action is taken, as in the tables' greedy rows, and not a sampled one.
    Returns:
      one `Rollout` an episode.
    Raises:
      ValueError: one line, before anything compiles: the folder holds no such policy, probe or episode, or its world
        has no picture.
    """
    import analysis
    from envs import Drawn

    folder = as_place(folder)
    if typical is not None and outlier:
        raise SpecError("--outlier", "cannot be combined with --typical; give one of the two.")
    df = analysis.load(folder)
    factors = df.attrs["factors"]
    df = _asked_for(folder, df, condition, seed)
    if typical is not None:
        df = analysis.typical(df, typical, count)
    df = analysis.outliers(df, count) if outlier else df[:count]
    able = []
    for one in saved(folder, zip(df["condition"], df["seed"], strict=True)):
        world = one.program.world
        if not world.offers(Drawn):
            raise SpecError(folder, f"{world.name} has no picture, so nothing can be drawn.")
        chosen = probe_of(folder, world, probe)
        able.append((one, chosen, episodes_of(folder, chosen, episodes, greedy)))
    return [
        rollout
        for row, (one, chosen, numbers) in zip(df.to_dict("records"), able, strict=True)
        for rollout in _watched(
            folder, one, {str(name): row[name] for name in row}, factors, chosen, numbers, not greedy
        )
    ]


def _asked_for(folder: Place, df: "pd.DataFrame", condition: str | None, seed: int | None) -> "pd.DataFrame":
    """The lanes of a condition and of a seed, where these are given."""
    if condition is not None:
        known = df["condition"].unique().tolist()
        if condition not in known:
            raise SpecError(folder, f"has no condition {condition!r}; nearest: {nearest(condition, known)}.")
        df = df[df["condition"] == condition]
    if seed is not None:
        seeds = df["seed"].unique().tolist()
        if seed not in seeds:
            there = min(seeds, key=lambda one: abs(one - seed))
            where = f"condition {condition}" if condition is not None else "it"
            raise SpecError(folder, f"{where} has no seed {seed}; nearest: {there}, of {min(seeds)} to {max(seeds)}.")
        df = df[df["seed"] == seed]
    return df


def probe_of(folder: Place, world: "World", name: str | None) -> "Probe":
    probes = {one.name: one for one in world.probes()}
    if name is None:
        return next((one for one in probes.values() if one.labels), next(iter(probes.values())))
    if name not in probes:
        raise SpecError(folder, f"{world.name} has no probe {name!r}; nearest: {nearest(name, probes)}.")
    return probes[name]


def episodes_of(folder: Place, probe: "Probe", asked: Sequence[int] | None, greedy: bool) -> list[int]:
    most = min(probe.distinct, probe.episodes) if greedy else probe.episodes
    if asked is None:
        return list(range(min(EPISODES, most)))
    for number in asked:
        if not 0 <= number < most:
            kind = "greedy" if greedy else "sampled"
            found = f"probe {probe.name} has no {kind} episode {number}; they go from 0 to {most - 1}."
            raise SpecError(folder, found)
    return list(dict.fromkeys(asked))


@dataclass(frozen=True)
class Played:
    """An episode of a saved policy, played again."""

    episode: int
    moments: "list[Moment]"
    caption: str
    legend: "dict[str, tuple[int, int, int]]"
    steps: int
    reached: dict[str, int]
    """As in `Rollout`."""


def _watched(
    folder: Place,
    one: Saved,
    lane: Mapping[str, Any],
    factors: Sequence[str],
    probe: "Probe",
    episodes: list[int],
    sampled: bool,
) -> list[Rollout]:
    """The episodes of one lane, played and drawn."""
    from envs import film

    found = []
    for played in play(folder, one, lane, factors, probe, episodes, sampled):
        name = "-".join([lane["condition"], str(lane["seed"]), re.sub(r"[^\w-]", "_", probe.name), str(played.episode)])
        name += "" if sampled else "-greedy"
        png, gif = (folder / "rollouts" / f"{name}.{kind}" for kind in ("png", "gif"))
        shown = played.moments, played.caption, played.legend
        write_sheet(png.parent, film.strip(*shown), png.name, played.caption)
        write_file(gif, _gif(list(film.film(*shown))))
        which = lane["condition"], lane["seed"], str(lane["label"]), probe.name, played.episode, sampled
        found.append(Rollout(*which, played.steps, played.reached, played.caption, png, gif))
    return found


def play(
    folder: Place,
    one: Saved,
    lane: Mapping[str, Any],
    factors: Sequence[str],
    probe: "Probe",
    episodes: Sequence[int],
    sampled: bool,
) -> Iterator[Played]:
    """Some episodes of one lane, as they were recorded; a warning says where they come out otherwise here."""
    world, goals = one.program.world, [goal.name for goal in one.program.world.goals]
    (key,), (values,) = one.shard.keys(), one.shard.values()
    played = one.program.watch(key, values, one.policy.weights, probe.name, sampled, episodes)
    if not _as_recorded(
        folder, one.shard.id, lane, probe.name, sampled, dict(zip(goals, played.reached.T, strict=True))
    ):
        warnings.warn(
            f"{folder}: condition {lane['condition']}, seed {lane['seed']}: played again here, some episodes of "
            f"{probe.name} differ from the tables, which were recorded on another platform or with other versions",
            stacklevel=4,
        )
    marks = marks_of(world)
    policy_line = _about_policy(lane, factors, goals)
    able: Any = world
    for place, episode in enumerate(episodes):
        moments = _moments(world, played.steps, place, marks)
        steps, reached = len(moments) - 1, dict(zip(goals, played.reached[episode].tolist(), strict=True))
        met = {f"frame: {goal} reached": mark for goal, mark in zip(goals, marks, strict=False) if reached[goal] > 0}
        came = [f"{goal} at step {step}" if step > 0 else f"{goal} never" for goal, step in reached.items()]
        caption = (
            f"{policy_line}\nProbe {probe.name} ({', '.join([probe.kind, *probe.goals])}), "
            f"{'sampled' if sampled else 'greedy'} episode {episode}, {steps} steps: "
            f"{', '.join(came) or f'return {played.returns[episode]:.4g}'}."
        )
        yield Played(episode, moments, caption, dict(able.legend) | met, steps, reached)


def marks_of(world: "World") -> list[tuple[int, int, int]]:
    """The colours that frame goals once reached, those of their labels; milestones, which come last, have none."""
    from analysis.figures import colours
    from analysis.labels import goal_label

    labels = [goal_label(goal.name, goal.role) for goal in world.aims]
    return [_rgb(colour) for colour in colours(labels).values()]


def _about_policy(lane: Mapping[str, Any], factors: Sequence[str], goals: Sequence[str]) -> str:
    """Its label and where it comes from, and what it did on all episodes of the probe that labels."""
    values = "".join(f", {factor} = {lane[factor]}" for factor in factors)
    label = f"{lane['label']}: " if goals else ""
    line = f"{label}{lane['world']}, {lane['learner']}{values}, condition {lane['condition']}, seed {lane['seed']}."
    shares = ", ".join(f"{goal} {lane[f'share.{goal}']:.2f}" for goal in goals if f"share.{goal}" in lane)
    if shares:
        line += f"\nReached first, share of decided episodes: {shares}; undecided {lane['undecided']:.2f} of all."
    return line


def _as_recorded(
    folder: Place, shard: str, lane: Mapping[str, Any], probe: str, sampled: bool, reached: Mapping[str, np.ndarray]
) -> bool:
    """Whether the steps at which goals were reached are those of the probes table."""
    row = one_row(folder, "probes", finished(folder, read_manifest(folder).shards).file_of(shard), {
        "condition": lane["condition"], "seed": lane["seed"], "probe": probe, "actor": "trained", "sampled": sampled,
        "checkpoint": 1.0,
    })  # fmt: skip
    return all(np.array_equal(row.get(f"reached.{goal}", ()), steps) for goal, steps in reached.items())


def _moments(world: "World", steps: Any, place: int, marks: Sequence[tuple[int, int, int]]) -> list["Moment"]:
    """One watched episode: where it begins, and what each step led to."""
    import jax

    from envs.film import Moment

    able: Any = world

    def picture(time: int) -> np.ndarray:
        return able.render(jax.tree.map(lambda leaf: leaf[time, place], steps.state))

    moments = [Moment(picture(0), "start")]
    seen: set[int] = set()
    for time in range(int(steps.alive[:, place].sum())):
        title = f"{time + 1}: {world.action_names[steps.action[time, place]]}"
        fresh = [goal for goal in np.flatnonzero(steps.events[time, place]).tolist() if goal not in seen]
        seen.update(fresh)
        title += "".join(f", {world.goals[goal].name}" for goal in fresh)
        moments.append(Moment(picture(time + 1), title, next(iter(marks[fresh[0] :]), None) if fresh else None))
    return moments


def _rgb(colour: str) -> tuple[int, int, int]:
    """From #RRGGBB."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _gif(pages: "list[Image]") -> bytes:
    content = io.BytesIO()
    times = [STEP] * (len(pages) - 1) + [HOLD]
    pages[0].save(content, "GIF", save_all=True, append_images=pages[1:], duration=times, loop=0)
    return content.getvalue()
