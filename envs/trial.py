"""A world under trial: what the conformance kit samples, writes out and plays of it, once for all rules."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import tabular
from envs.abilities import Tabular
from envs.base import Goal, Probe, World
from envs.batching import batch
from envs.gymnax_world import GymnaxWorld
from envs.settings import Setting

SAMPLED = 100
"""Training levels that are drawn for each one that is played."""
VARIANTS = 16
"""Params under which they are drawn: every other one the default, the rest all over the ranges of the settings."""
LONGEST_WALK = 100
"""Steps of a walk where time limits and horizons are longer than that."""
WANDERED = 24
"""Steps, all of them random, after each training level that is drawn, for what training shows."""
GUIDED = 0.75
"""Share of a walk's steps that go straight for a goal, where the tabular form shows the way; others are random."""
SHORT_LIMIT = 3
"""Steps of the episodes in which truncation is watched."""
EPISODES = 32
"""How many of those."""


class NotOfferedError(Exception):
    """A rule cannot be tried on this world; says why."""


class Tables(NamedTuple):
    """Levels written out; every leaf but `start` has leading axes [levels, S]."""

    start: np.ndarray
    """i32[levels]."""
    states: Any
    place: np.ndarray
    """i32[levels, S], `state_index` of each of `states`."""
    seen: np.ndarray
    """u32[levels, S, 2], the observation of each as `mixed` gives it; [levels, 0] of a world that shows but a part."""
    next_state: np.ndarray
    """i32[levels, S, A]."""
    events: np.ndarray
    """bool[levels, S, A, goals]."""
    terminated: np.ndarray
    """bool[levels, S, A]."""

    @property
    def dynamics(self) -> tabular.Table:
        return tabular.Table(self.start, self.next_state, self.events, self.terminated)


class Walks(NamedTuple):
    """One walk a level; every leaf has leading axes [levels, steps], the first two [levels]."""

    begun: Any
    """Where the walk begins, and begins again when the world ends the episode."""
    first_seen: Any
    before: Any
    after: Any
    events: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    seen: Any
    """The observation of `after`."""
    reward: np.ndarray
    """f32[levels, steps, goals + 1], as `payments` gives it."""
    worth: np.ndarray
    """f32[levels, steps, goals]."""
    place: Any
    """i32[levels, steps, 2], `state_index` of `before` and `after`; None where states are not listed."""


class Episodes(NamedTuple):
    """What `step` returned; leaves have leading axes [episodes, steps]."""

    observation: np.ndarray
    of_state: np.ndarray
    """The observation that `get_obs` makes of the state."""
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    info: dict[str, np.ndarray]


class Trial:
    """A world under trial, and what is sampled, written out and played of it once, for all rules."""

    def __init__(self, world: World, levels: int, seed: int):
        self.world, self.count, self.seed = world, levels, seed
        self.broken: set[str] = set()
        """Rules that failed, or rest on one that did."""

    def random(self, what: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, what])

    @property
    def goals(self) -> tuple[Goal, ...]:
        if not self.world.goals:
            raise NotOfferedError("the world has no goals")
        return self.world.goals

    @functools.cached_property
    def settings(self) -> dict[str, Setting]:
        world = self.world
        return world.settings_of(world.identifier) if isinstance(world, GymnaxWorld) else world.settings()

    @functools.cached_property
    def traced(self) -> dict[str, Setting]:
        """The settings that are fields of Params."""
        return {key: one for key, one in self.settings.items() if key.startswith("env.") and not one.static}

    @functools.cached_property
    def values(self) -> list[dict[str, Any]]:
        """Traced settings of each variant: none but the defaults, all at one end, or each somewhere in its range."""
        random, variants = self.random(0), []
        for i in range(VARIANTS):
            values = {}
            for key, setting in self.traced.items() if i % 2 else ():
                if setting.low is not None and setting.high is not None:
                    place = max({1: 0.0, 3: 1.0}.get(i, random.random()), 1e-3 * setting.low_open)
                    value = setting.low + place * (setting.high - setting.low)
                    values[key] = round(value) if setting.kind is int else float(value)
            variants.append(self.fitted(values))
        return variants

    def fitted(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values without those that the world refuses beside the others."""
        while True:
            try:
                self.world.check_values(values)
            except ValueError as error:
                refused = str(error).partition(":")[0]
                if refused not in values:
                    raise
                values = {key: value for key, value in values.items() if key != refused}
            else:
                return values

    def params(self, variant: np.ndarray) -> Any:
        """Params of variants i64[n], with a leading axis [n]."""
        each = [self.world.params_of(values) for values in self.values]
        return jax.tree.map(lambda *leaves: np.stack(leaves)[variant], *each)

    @functools.cached_property
    def probes(self) -> tuple[Probe, ...]:
        return self.world.probes()

    @functools.cached_property
    def shapes(self) -> dict[str, Any]:
        """Shapes of what the methods are given: the level and the state as the world itself makes them."""
        key, action = jax.eval_shape(lambda: jax.random.key(0)), jax.ShapeDtypeStruct((), jnp.int32)
        params = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, self.world.params_of({})))
        level = jax.eval_shape(self.world.sample_level, key, params)
        state = jax.eval_shape(self.world.reset_to_level, key, level, params)
        events = jax.ShapeDtypeStruct((len(self.world.goals),), jnp.bool_)
        return {"key": key, "action": action, "params": params, "level": level, "state": state, "events": events}

    @functools.cached_property
    def methods(self) -> dict[str, tuple[Callable, list[Any]]]:
        """What a world defines of pure functions, and the shapes of their arguments."""
        shapes = self.shapes
        takes = {
            "sample_level": "key params", "reset_to_level": "key level params", "features": "state params",
            "transition": "key state action params", "reward": "state events params", "worth": "state params",
            "is_truncated": "state params", "displaced": "level", "states": "level params", "state_index": "state",
        }  # fmt: skip
        if self.unlisted:
            del takes["states"], takes["state_index"]
        return {
            name: (getattr(self.world, name), [shapes[one] for one in given.split()]) for name, given in takes.items()
        }

    @functools.cached_property
    def unlisted(self) -> str:
        """Why there is no tabular form; empty where there is one."""
        if self.world.stochastic:
            return "the world is stochastic"
        return "" if self.world.offers(Tabular) else "the world does not list its states"

    @functools.cached_property
    def sampled(self) -> tuple[np.ndarray, np.ndarray, Any]:
        """Keys u32[n, 2], variants i64[n], and the training levels drawn by them, [n]."""
        count = SAMPLED * self.count
        words, variant = self.random(1).integers(0, 2**32, (count, 2), dtype=np.uint32), np.arange(count) % VARIANTS

        def draw(word, params):
            return self.world.sample_level(jax.random.wrap_key_data(word), params)

        return words, variant, batch(draw, words, self.params(variant))

    @functools.cached_property
    def bank(self) -> tuple[Any, np.ndarray, dict[str, slice]]:
        """Training levels and then each probe's; their variants; and where those of each probe are."""
        _, variant, sampled = self.sampled
        parts, place, rows = [jax.tree.map(lambda leaf: leaf[: self.count], sampled)], self.count, {}
        for probe in self.probes:
            parts.append(probe.levels)
            rows[probe.name] = slice(place, place + probe.distinct)
            place += probe.distinct
        levels = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        return levels, np.concatenate([variant[: self.count], np.zeros(place - self.count, int)]), rows

    @functools.cached_property
    def tables(self) -> Tables:
        """All levels of the bank."""
        world: Any = self.world
        levels, variant, _ = self.bank
        if self.unlisted:
            raise NotOfferedError(self.unlisted)

        def one(level, params):
            start = world.state_index(world.reset_to_level(jax.random.key(0), level, params))
            states = world.states(level, params)
            seen = jnp.zeros(0, jnp.uint32)
            if world.fully_observed:
                seen = jax.vmap(lambda state: mixed(world.features(state, params)))(states)
            return Tables(start, states, jax.vmap(world.state_index)(states), seen, *world.tabular(level, params))

        return batch(one, levels, self.params(variant))

    @functools.cached_property
    def steps_left(self) -> list[np.ndarray]:
        """For each goal f64[levels, S, A]; see `tabular`."""
        return [tabular.steps_left(self.tables.dynamics, goal) for goal in range(len(self.world.goals))]

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """f64[goals, levels], the fewest steps from the start of a level to each goal."""
        goals, each, start = self.goals, np.arange(len(self.tables.start)), self.tables.start
        return np.stack([self.steps_left[goal][each, start].min(axis=-1) for goal in range(len(goals))])

    @functools.cached_property
    def guide(self) -> np.ndarray | None:
        """i64[levels, S], the first action of a shortest way to one of the goals that the level offers.

        None without a tabular form, or with one that does not work, which is not a walk's to say.
        """
        try:
            reachable, left = np.isfinite(self.distances), np.stack(self.steps_left)
        except Exception:
            return None
        turn = np.arange(len(self.tables.start)) % np.maximum(reachable.sum(axis=0), 1)
        goal = np.argmax(reachable & (np.cumsum(reachable, axis=0) == turn + 1), axis=0)
        return left[goal, np.arange(len(goal))].argmin(axis=-1)

    @functools.cached_property
    def limits(self) -> np.ndarray:
        """f64[levels], the time limit on each level of the bank; inf where Params have none."""
        _, variant, _ = self.bank
        return np.asarray(getattr(self.params(variant), "max_steps_in_episode", np.full(len(variant), np.inf)), float)

    @functools.cached_property
    def draws(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys u32[levels, steps, 2] and actions i32[levels, steps] of the walks."""
        longest = max([*self.limits[np.isfinite(self.limits)], *(probe.horizon for probe in self.probes)])
        count, steps, random = len(self.limits), min(int(longest), LONGEST_WALK), self.random(2)
        words = random.integers(0, 2**32, (count, steps, 2), dtype=np.uint32)
        actions = random.integers(0, self.world.num_actions, (count, steps), dtype=np.int32)
        if self.guide is not None:
            each, table, state = np.arange(count), self.tables, self.tables.start
            for step in range(steps):
                actions[:, step] = np.where(random.random(count) < GUIDED, self.guide[each, state], actions[:, step])
                taken = each, state, actions[:, step]
                state = np.where(table.terminated[taken], table.start, table.next_state[taken])
        return words, actions

    @functools.cached_property
    def walks(self) -> Walks:
        """On each level of the bank: towards a goal where `guide` knows the way, and at random."""
        world, (levels, variant, _) = self.world, self.bank

        def one(level, words, actions, params):
            begun = world.reset_to_level(jax.random.wrap_key_data(words[0]), level, params)

            def step(before, drawn):
                word, action = drawn
                after, events, terminated = world.transition(jax.random.wrap_key_data(word), before, action, params)
                place = None if self.unlisted else jnp.stack([world.state_index(before), world.state_index(after)])
                record = (
                    before, after, events, terminated, world.is_truncated(after, params), world.features(after, params),
                    payments(world, after, events, params), world.worth(after, params), place,
                )  # fmt: skip
                return jax.tree.map(lambda new, old: jnp.where(terminated, new, old), begun, after), record

            return Walks(begun, world.features(begun, params), *jax.lax.scan(step, begun, (words, actions))[1])

        return batch(one, levels, *self.draws, self.params(variant))

    @functools.cached_property
    def kinds(self) -> np.ndarray:
        """i64[VARIANTS], the first variant with the same values as each."""
        return np.array([self.values.index(values) for values in self.values])

    @functools.cached_property
    def shown(self) -> np.ndarray:
        """u64[n], sorted: what random walks from all training levels that are drawn show, as `looks` gives it."""
        world, (words, variant, levels), random = self.world, self.sampled, self.random(4)
        shape = len(words), WANDERED
        drawn = random.integers(0, 2**32, (*shape, 2), dtype=np.uint32)
        actions = random.integers(0, world.num_actions, shape, dtype=np.int32)

        def one(word, level, drawn, actions, params):
            begun = world.reset_to_level(jax.random.wrap_key_data(word), level, params)

            def step(carry, given):
                (state, over), (word, action) = carry, given
                after, _, ended = world.transition(jax.random.wrap_key_data(word), state, action, params)
                after = jax.tree.map(lambda new, old: jnp.where(over, old, new), after, state)
                return (after, over | ended), mixed(world.features(after, params))

            first = mixed(world.features(begun, params))
            return jnp.vstack([first, jax.lax.scan(step, (begun, jnp.zeros((), bool)), (drawn, actions))[1]])

        seen = batch(one, words, levels, drawn, actions, self.params(variant))
        return np.unique(looks(seen, self.kinds[variant][:, None]))

    @functools.cached_property
    def begins(self) -> np.ndarray:
        """bool[levels], of the bank, whether `shown` has what an episode on it begins with, under some Params."""
        world, (levels, variant, _) = self.world, self.bank

        def one(level, params):
            return mixed(world.features(world.reset_to_level(jax.random.key(0), level, params), params))

        kinds = np.unique(self.kinds)
        each = np.repeat(kinds, len(variant))
        seen = batch(one, jax.tree.map(lambda leaf: np.concatenate([leaf] * len(kinds)), levels), self.params(each))
        return np.logical_or.reduce(np.isin(looks(seen, each), self.shown).reshape(len(kinds), -1), axis=0)

    @functools.cached_property
    def first(self) -> tuple[Any, dict[str, Any]]:
        """`plain` of the first walk."""
        return self.plain(0)

    def plain(self, row: int) -> tuple[Any, dict[str, Any]]:
        """The first step of a walk without jit or vmap: what was given, and what came back, by method."""
        world, (levels, variant, _), (words, actions) = self.world, self.bank, self.draws
        level, params = (
            jax.tree.map(lambda leaf: jnp.asarray(leaf[row]), tree) for tree in (levels, self.params(variant))
        )
        key, action = jax.random.wrap_key_data(jnp.asarray(words[row, 0])), jnp.asarray(actions[row, 0])
        before = world.reset_to_level(key, level, params)
        given = jax.tree.map(np.array, (level, before, params))
        after, events, terminated = world.transition(key, before, action, params)
        back = {
            "reset_to_level": given[1], "transition": (after, events, terminated),
            "features": world.features(after, params), "reward": payments(world, after, events, params),
            "is_truncated": world.is_truncated(after, params),
        }  # fmt: skip
        if row < self.count:
            back["sample_level"] = world.sample_level(
                jax.random.wrap_key_data(jnp.asarray(self.sampled[0][row])), params
            )
        return (given, (level, before, params)), back

    def batched(self, row: int) -> dict[str, Any]:
        """The same as `plain` gives back, out of the compiled batches."""
        walks, levels = self.walks, self.sampled[2]
        first = jax.tree.map(lambda leaf: leaf[row, 0], walks._replace(begun=(), first_seen=()))
        back = {
            "reset_to_level": jax.tree.map(lambda leaf: leaf[row], walks.begun),
            "transition": (first.after, first.events, first.terminated),
            "features": first.seen, "reward": first.reward, "is_truncated": first.truncated,
        }  # fmt: skip
        return back | ({"sample_level": jax.tree.map(lambda leaf: leaf[row], levels)} if row < self.count else {})

    @functools.cached_property
    def episodes(self) -> Episodes:
        """Short ones, by `step`, from the states in which the first walks begin."""
        world = self.world
        limit = {"env.max_steps_in_episode": SHORT_LIMIT} if "env.max_steps_in_episode" in self.traced else {}
        random, shape = self.random(3), (EPISODES, 3 * SHORT_LIMIT + 1)
        words = random.integers(0, 2**32, (*shape, 2), dtype=np.uint32)
        actions = random.integers(0, world.num_actions, shape, dtype=np.int32)

        def one(begun, words, actions, params):
            def step(state, drawn):
                word, action = drawn
                observation, state, *rest = world.step(jax.random.wrap_key_data(word), state, action, params)
                return state, (observation, world.get_obs(state, params), *rest)

            return Episodes(*jax.lax.scan(step, begun, (words, actions))[1])

        params = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (EPISODES, *np.shape(leaf))), world.params_of(limit))
        begun = jax.tree.map(lambda leaf: leaf[:EPISODES], self.walks.begun)
        return batch(one, begun, words, actions, params)

    def level(self, row: int) -> str:
        """A level of the bank in words."""
        levels, variant, rows = self.bank
        origin = next((f"probe {name}" for name, part in rows.items() if part.start <= row < part.stop), "training")
        values = "".join(f", {key} = {value:.3g}" for key, value in self.values[variant[row]].items())
        return f"{origin} level ({words(levels, row)}{values})"


def mixed(seen: Any) -> jax.Array:
    """u32[2], an observation's hash: a sum over its words, each mixed with its place."""
    bits = [jax.lax.bitcast_convert_type(seen.vector, jnp.uint32), seen.indices.astype(jnp.uint32)]
    words = jnp.concatenate([*bits, *(image.ravel().astype(jnp.uint32) for image in jax.tree.leaves(seen.image))])
    odd = np.random.default_rng(0).integers(0, 2**31, (4, len(words)), dtype=np.uint32) * 2 + 1
    code = words[None] * odd[:2] + odd[2:]
    code = (code ^ (code >> 15)) * jnp.uint32(0x2C1B3C6D)
    return jnp.sum(code ^ (code >> 12), axis=1, dtype=jnp.uint32)


def looks(codes: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """u64[...], one number for an observation u32[..., 2], as `mixed` gives it, and for the kind of Params."""
    bits = (VARIANTS - 1).bit_length()
    high, low = codes[..., 0].astype(np.uint64), codes[..., 1].astype(np.uint64)
    return kind.astype(np.uint64) << np.uint64(64 - bits) | (high << np.uint64(32) | low) >> np.uint64(bits)


def payments(world: World, after: Any, events: jax.Array, params: Any) -> jax.Array:
    """f32[goals + 1], rewards with weight 1 on one goal alone, and at last on none; without goals f32[], the reward.

    What each step costs, `Params.step_penalty`, is left out, and so is what the world adds, `World.distortion`.
    """
    if not world.goals:
        return world.reward(after, events, params)
    if hasattr(params, "step_penalty"):
        params = dataclasses.replace(params, step_penalty=jnp.zeros(()))
    each = [dataclasses.replace(params, reward=weights) for weights in jnp.eye(len(world.goals) + 1, len(world.goals))]
    return jnp.stack([world.reward(after, events, one) - world.distortion(after, one) for one in each])


def words(tree: Any, row: int) -> str:
    """One entry along the leading axis of a pytree of arrays: `start 3, coin 8`."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.tree.map(lambda leaf: leaf[row], tree))
    return ", ".join(f"{jax.tree_util.keystr(path).strip('.')} {leaf}".strip() for path, leaf in leaves)
