"""Settings that change while a lane trains; docs/schedules.md draws each kind."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs.settings import Setting

DECAY = 0.9
"""What the running success rate keeps of its past from one update to the next."""

_BEGIN = Setting("begin", float, 0.0, False, 0, 1, doc="Share of training at which the setting begins to move.")
_END = Setting("end", float, 1.0, False, 0, 1, doc="Share of training at which it has arrived.")
_CYCLES = Setting("cycles", float, 4.0, False, 0, 1e6, low_open=True, doc="Times that it goes there and back.")
_THRESHOLD = Setting("threshold", float, 0.9, False, 0, 1, doc="Running success rate at which it may begin to move.")
_RETURN = Setting("threshold", float, None, False, doc="Running mean return at which it may begin to move.")
_OVER = Setting("over", float, 0.0, False, 0, 1, doc="Share of training that the movement takes; 0 jumps.")

KINDS: dict[str, tuple[Setting, ...]] = {
    "linear": (_BEGIN, _END),
    "cosine": (_BEGIN, _END),
    "step": (_BEGIN,),
    "cyclic": (_BEGIN, _END, _CYCLES),
    "piecewise": (),
    "stages": (),
    "gated": (_BEGIN, _THRESHOLD, _OVER),
    "gated-by-return": (_BEGIN, _RETURN, _OVER),
}
"""Each kind of schedule, with its numbers beside `to`."""
GATED = ("gated", "gated-by-return")
"""The kinds that wait for how training goes."""
LISTED = ("piecewise", "stages")
"""The kinds that go to several values, each at a time of its own."""
JUMPING = ("step", "stages")
"""The kinds that go from value to value without what lies between, as counts must."""
LARGEST_COUNT = 2**24
"""Of a count that follows a schedule: float32 holds every whole number up to it."""
VERSIONS = {"gated": 2}
"""Of kinds whose meaning has changed: part of the id of every condition that follows one."""
NEVER = 2**30
"""The update at which a gate opens that has not opened yet; no training is as long."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The static part of one schedule."""

    key: str
    """The setting that follows it, such as `env.diversity`; its own value is where it starts."""
    kind: str
    points: int = 1
    """How many values it goes to; more than one for the listed kinds alone."""
    goal: int = -1
    """For a reward or a term of payment, its goal's place among the world's."""


class Clock(NamedTuple):
    """What gated schedules remember of a lane; all decayed sums but the last."""

    episodes: jax.Array
    successes: jax.Array
    """Episodes, and those in which an intended goal was reached."""
    returns: jax.Array
    """The sum of the episodes' returns."""
    opened: jax.Array
    """i32[schedules], the updates done when each gate opened; NEVER for not yet, or for no gate."""


@struct.dataclass
class Settings:
    """One lane's settings, and their schedules."""

    env: Any
    """The world's Params, where they start."""
    learner: Any
    """The learner's Params, where they start."""
    numbers: dict[str, dict[str, Any]]
    """By scheduled key: the numbers of its schedule."""
    schedules: tuple[Schedule, ...] = struct.field(pytree_node=False, default=())
    curriculum_params: Any = ()
    """The curriculum's Params; they follow no schedule."""
    curriculum: Any = struct.field(pytree_node=False, default=None)
    """The `curricula.Curriculum`, or None for fresh levels of the world's."""

    def clock(self) -> Clock:
        """Before training."""
        zero = jnp.zeros(())
        return Clock(zero, zero, zero, jnp.full(len(self.schedules), NEVER, jnp.int32))

    def tick(
        self,
        clock: Clock,
        update: jax.Array,
        total_updates: int,
        episodes: jax.Array,
        successes: jax.Array,
        returns: jax.Array,
    ) -> Clock:
        """The clock when `update` updates are done, of which the last saw these episodes."""
        if not self.schedules:
            return clock
        episodes = DECAY * clock.episodes + episodes
        successes = DECAY * clock.successes + successes
        returns = DECAY * clock.returns + returns
        seen = jnp.maximum(episodes, 1.0)
        running = {"gated": successes / seen, "gated-by-return": returns / seen}
        opened = []
        for i, schedule in enumerate(self.schedules):
            if schedule.kind in GATED:
                numbers = self.numbers[schedule.key]
                begun = update >= nearest(numbers["begin"], total_updates)
                now = (running[schedule.kind] >= numbers["threshold"]) & (episodes >= 1) & begun
                opened.append(jnp.where(now, jnp.minimum(clock.opened[i], update), clock.opened[i]))
            else:
                opened.append(clock.opened[i])
        return Clock(episodes, successes, returns, jnp.stack(opened))

    def at(self, update: jax.Array | int, total_updates: int, clock: Clock) -> tuple[Any, Any]:
        """The world's and the learner's Params when `update` updates are done, i32[].

        Shaping is given the learner's discount.
        """
        owners = {"env": self.env, "learner": self.learner}
        for i, schedule in enumerate(self.schedules):
            section, *names = _place(schedule.key)
            *above, name = names
            holder = functools.reduce(getattr, above, owners[section])
            whole = getattr(holder, name)
            start = whole[schedule.goal] if schedule.goal >= 0 else whole
            begun, numbers = jnp.asarray(start), self.numbers[schedule.key]
            value = moved(
                schedule.kind, begun.astype(jnp.float32), numbers, update, total_updates, clock.opened[i]
            ).astype(begun.dtype)
            value = whole.at[schedule.goal].set(value) if schedule.goal >= 0 else value
            holder = holder.replace(**{name: value})
            owners[section] = owners[section].replace(**{above[0]: holder}) if above else holder
        env, learner = owners["env"], owners["learner"]
        if getattr(env, "shaping", ()) and hasattr(learner, "discount"):
            env = env.replace(shaping=env.shaping.replace(discount=learner.discount))
        return env, learner


def _place(key: str) -> tuple[str, ...]:
    """Where a setting stands: `env` or `learner`, and the names of the fields that lead to it."""
    section, _, name = key.partition(".")
    match section:
        case "reward":
            return "env", "reward"
        case "pay":
            return "env", "pay", key.rpartition(".")[2]
        case "shaping" | "approval" | "lives" | "ask":
            return "env", section, name
    return section, name


def nearest(share: jax.Array, total_updates: int) -> jax.Array:
    """i32[...], the updates done at a share f32[...] of training, to the nearest.

    In whole numbers, since k / n in float32 may lie on either side of the share that is meant: for a share k / n of n
    updates, which float32 holds nearly, it is k (up to 2**22 updates).
    """
    return jnp.round(share * jnp.float32(total_updates)).astype(jnp.int32)


def moved(
    kind: str,
    start: jax.Array,
    numbers: Mapping[str, jax.Array],
    update: jax.Array | int,
    total_updates: int,
    opened: jax.Array,
) -> jax.Array:
    """f32[], where a schedule that starts at `start` is when `update` updates are done, i32[].

    opened: i32[], the updates done when its gate opened, if it has one.
    """
    if kind in LISTED:
        at, values = nearest(numbers["at"], total_updates), jnp.concatenate([start[None], numbers["to"]])
        if kind == "stages":
            return values[jnp.sum(update >= at)]
        times = jnp.concatenate([jnp.zeros(1), at.astype(jnp.float32)])
        return jnp.interp(jnp.asarray(update, jnp.float32), times, values)
    match kind:
        case "step":
            share = (update >= nearest(numbers["begin"], total_updates)).astype(jnp.float32)
        case "gated" | "gated-by-return":
            last = opened + nearest(numbers["over"], total_updates)
            share = _within(update, opened, last, (update - opened) / (last - opened))
        case _:
            begin, end = numbers["begin"], numbers["end"]
            first, last = nearest(begin, total_updates), nearest(end, total_updates)
            share = _within(update, first, last, (update / total_updates - begin) / (end - begin))
    if kind == "cosine":
        share = (1 - jnp.cos(jnp.pi * share)) / 2
    if kind == "cyclic":
        share = (1 - jnp.cos(2 * jnp.pi * numbers["cycles"] * share)) / 2
    return start + (numbers["to"] - start) * share


def _within(update: jax.Array | int, first: jax.Array, last: jax.Array, share: jax.Array) -> jax.Array:
    """f32[], 0 before the first of some updates, 1 from the last on, and `share` between."""
    share = jnp.where(update >= last, 1.0, jnp.clip(share, 0.0, 1.0))
    return jnp.where(update < first, 0.0, share)


def settings_of(key: str, kind: str, points: int, moving: Setting) -> dict[str, Setting]:
    """The settings of a schedule, by their own keys, for a sweep to fix or vary.

    Args:
      key, moving: the setting that follows it.
    """
    prefix = f"schedules.{key}"
    found = [
        Setting(f"{prefix}.kind", str, kind, True, choices=tuple(KINDS), doc="How it moves."),
        Setting(f"{prefix}.points", int, points, True, 1, doc="How many values it goes to."),
    ]
    goes_to = dataclasses.replace(moving, default=None, doc="Where it moves to.")
    if moving.kind is int:
        goes_to = dataclasses.replace(goes_to, high=min(moving.high or LARGEST_COUNT, LARGEST_COUNT))
    if kind in LISTED:
        at = Setting("", float, None, False, 0, 1, doc="Share of training at which it is there.")
        for i in range(1, points + 1):
            found += [
                dataclasses.replace(at, key=f"{prefix}.at.{i}"),
                dataclasses.replace(goes_to, key=f"{prefix}.to.{i}"),
            ]
    else:
        found.append(dataclasses.replace(goes_to, key=f"{prefix}.to"))
    found += [dataclasses.replace(number, key=f"{prefix}.{number.key}") for number in KINDS[kind]]
    return {setting.key: setting for setting in found}


def schedules_of(static: Mapping[str, Any], goals: Sequence[str]) -> tuple[Schedule, ...]:
    """The schedules among a program's static settings."""
    found = []
    for name in sorted(static):
        if name.startswith("schedules.") and name.endswith(".kind"):
            key = name.removeprefix("schedules.").removesuffix(".kind")
            if key.startswith("approval.reward."):
                raise ValueError(f"schedules.{key}.kind: an overseer's values stay as they are; expected no schedule")
            of_goal = key.split(".")[1] if key.startswith(("reward.", "pay.")) else None
            if of_goal is not None and of_goal not in goals:
                raise ValueError(
                    f"schedules.{key}.kind: no goal is called {of_goal} here; there are {', '.join(goals)}"
                )
            goal = goals.index(of_goal) if of_goal is not None else -1
            found.append(Schedule(key, static[name], static[f"schedules.{key}.points"], goal))
    return tuple(found)


def check_schedules(values: Mapping[str, Any]) -> None:
    """Raises ValueError, in one line that begins with the key, where the times of a listed schedule do not rise."""
    for key, points in values.items():
        if key.startswith("schedules.") and key.endswith(".points"):
            prefix = key.removesuffix("points")
            found = (values.get(f"{prefix}at.{i}") for i in range(1, points + 1))
            times = [time for time in found if isinstance(time, float)]  # what is sampled has no time yet
            used = [np.float32(time) for time in times]
            never = 1 if values[f"{prefix}kind"] in JUMPING else None
            if any(before >= after != never for before, after in zip(used, used[1:], strict=False)):
                raise ValueError(f"{prefix}at.1: {times} is not accepted; expected rising shares of training")


def jumps(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A condition's values at the beginning and after each jump of its schedules, in order of time.

    Of settings that move otherwise, where they start; and what is sampled makes no jump.
    """
    found: dict[float, dict[str, Any]] = {}
    for path, kind in values.items():
        if not (path.startswith("schedules.") and path.endswith(".kind") and kind in JUMPING):
            continue
        prefix, key = path.removesuffix("kind"), path.removeprefix("schedules.").removesuffix(".kind")
        names = [("begin", "to")]
        if kind in LISTED:
            names = [(f"at.{i}", f"to.{i}") for i in range(1, values[f"{prefix}points"] + 1)]
        for at, to in ((values[prefix + at], values[prefix + to]) for at, to in names):
            if isinstance(at, float) and at < 1 and not isinstance(to, dict):
                found.setdefault(at, {})[key] = to
    every = [dict(values)]
    for _, changed in sorted(found.items()):
        every.append(every[-1] | changed)
    return every


def numbers_of(schedules: Sequence[Schedule], values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """One lane's numbers from its traced `schedules.*` keys; those that are not named keep their defaults."""
    found: dict[str, dict[str, Any]] = {}
    for schedule in schedules:
        prefix = f"schedules.{schedule.key}"
        of_kind: dict[str, Any] = {
            number.key: np.float32(values.get(f"{prefix}.{number.key}", number.default))
            for number in KINDS[schedule.kind]
        }
        if schedule.kind in LISTED:
            places = range(1, schedule.points + 1)
            of_kind |= {
                name: np.array([values[f"{prefix}.{name}.{i}"] for i in places], np.float32) for name in ("at", "to")
            }
        else:
            of_kind["to"] = np.float32(values.get(f"{prefix}.to", 0.0))
        found[schedule.key] = of_kind
    return found
