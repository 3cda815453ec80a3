"""A world as a Gymnasium environment, alone or as a batch in one compiled program."""

import difflib
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

import envs
from envs.abilities import Drawn
from envs.base import World
from envs.layout import Layout, Observation, dense

MODES, FRAMES_PER_SECOND = ["rgb_array"], 4


class Bank(NamedTuple):
    """What episodes are played on instead of fresh training levels."""

    levels: Any
    """With a leading axis [n]; each episode takes one at random."""
    horizon: Any
    """i32[], steps after which an episode is truncated, in place of the world's time limit."""


class Episode(NamedTuple):
    key: jax.Array
    """From which all that follows is drawn, later episodes included."""
    state: Any
    steps: jax.Array
    """i32[], taken so far."""


class Outcome(NamedTuple):
    """What a step led to."""

    observation: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    events: jax.Array
    """bool[goals], those of `world.goals` that were achieved."""


class _Base:
    """What an environment and a batch of them have in common."""

    metadata: Any
    world: World
    """The world itself."""
    params: Any
    """Its `Params`: `settings`, over the world's defaults."""

    def _prepare(self, world: str, settings: Mapping[str, Any] | None, render_mode: str | None) -> None:
        self.world, self.params = _made(world, settings or {})
        modes = MODES if self.world.offers(Drawn) else []
        self.metadata = self.metadata | {"render_modes": modes}
        self.render_mode = render_mode
        if render_mode is not None and render_mode not in modes:
            raise ValueError(f"render_mode: {world} has no {render_mode!r}; expected {' or '.join([*modes, 'None'])}")
        self._bank: Bank | None = None

    def _choose(self, options: Mapping[str, Any]) -> None:
        """Takes the bank that the options of a reset ask for, if they do."""
        self._bank = _bank(self.world, options)

    def _picture(self, state: Any) -> np.ndarray:
        drawn: Any = self.world
        return drawn.render(jax.tree.map(np.asarray, state))


class Environment(_Base, gymnasium.Env):
    """One episode after another, on fresh training levels, or on those that a reset asks for.

    Args:
      world: a name that a spec may have.
      settings: keys of a spec and their values, such as `{"env.diversity": 0.5, "reward.coin": 2.0}`.
      render_mode: `rgb_array` for pictures, in worlds that have them.

    Observation: the world's picture, u8[rows, columns, channels], where it shows one; f32[n], one-hot vectors and
    numbers, where it shows features; a dict of `picture` and `features` where it shows both. `info["events"]` is
    bool[goals]. Options of a reset: `probe`, a name, for an episode on one of its levels, truncated at its horizon;
    and `level`, the number of one of them. They hold for that episode.
    """

    metadata = {"render_modes": MODES, "render_fps": FRAMES_PER_SECOND}  # noqa: RUF012

    def __init__(self, world: str, settings: Mapping[str, Any] | None = None, render_mode: str | None = None):
        self._prepare(world, settings, render_mode)
        self.observation_space = _observation_space(self.world.layout)
        self.action_space = spaces.Discrete(self.world.num_actions)
        self._episode: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._choose(options or {})
        self._episode, observation = _begin(self.world, _key(self.np_random), self.params, self._bank)
        return _as_numpy(observation), {"events": np.zeros(len(self.world.goals), bool)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        given = self.world, self._episode, np.int32(action), self.params, self._bank
        self._episode, outcome = _advance(*given)
        observation, reward, terminated, truncated, events = _as_numpy(outcome)
        return observation, float(reward), bool(terminated), bool(truncated), {"events": events}

    def render(self) -> Any:
        return None if self.render_mode is None else self._picture(self._episode.state)


class VectorEnvironment(_Base, VectorEnv):
    """A batch of environments, as `Environment`, that one compiled program steps together.

    An episode that has ended starts again at the step after, whose action counts for nothing and whose reward is 0
    (`AutoresetMode.NEXT_STEP`). Options hold until the next reset.
    """

    metadata = {  # noqa: RUF012
        "render_modes": MODES,
        "render_fps": FRAMES_PER_SECOND,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self, world: str, num_envs: int = 1, settings: Mapping[str, Any] | None = None, render_mode: str | None = None
    ):
        self._prepare(world, settings, render_mode)
        self.num_envs = num_envs
        self.single_observation_space = _observation_space(self.world.layout)
        self.single_action_space = spaces.Discrete(self.world.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._episodes: Any = None
        self._ended: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._choose(options or {})
        keys = jax.random.split(_key(self.np_random), self.num_envs)
        self._episodes, observation = _begin_all(self.world, keys, self.params, self._bank)
        self._ended = np.zeros(self.num_envs, bool)
        return _as_numpy(observation), {"events": np.zeros((self.num_envs, len(self.world.goals)), bool)}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        given = self._episodes, self._ended, np.asarray(actions, np.int32), self.params, self._bank
        self._episodes, outcome = _advance_all(self.world, *given)
        observation, reward, terminated, truncated, events = _as_numpy(outcome)
        self._ended = terminated | truncated
        return observation, reward.astype(np.float64), terminated, truncated, {"events": events}

    def render(self) -> Any:
        if self.render_mode is None:
            return None
        one = lambda i: jax.tree.map(lambda leaf: leaf[i], self._episodes.state)  # noqa: E731
        return tuple(self._picture(one(i)) for i in range(self.num_envs))


def _made(name: str, values: Mapping[str, Any]) -> tuple[World, Any]:
    """The world with its Params; raises ValueError, in one line, for a key or a value that it does not have."""
    known = envs.settings(name)
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0)[0]
            raise ValueError(f"settings: {name} has no setting {key!r}; nearest: {near}")
        if wrong := known[key].refusal(value):
            raise ValueError(f"settings: {key}: {value!r} {wrong}")
    world = envs.make(name, dict(values))
    return world, world.params_of({key: value for key, value in values.items() if not known[key].static})


def _bank(world: World, options: Mapping[str, Any]) -> Bank | None:
    """The levels that options ask for; None for training levels. Raises ValueError in one line."""
    if unknown := sorted(options.keys() - {"probe", "level"}):
        raise ValueError(f"options: {unknown[0]!r} is not an option; expected probe or level")
    if "probe" not in options:
        if "level" in options:
            raise ValueError("options: level is given without probe, whose levels are counted")
        return None
    probes = {probe.name: probe for probe in world.probes()}
    if options["probe"] not in probes:
        near = difflib.get_close_matches(str(options["probe"]), probes, 1, 0)[0]
        raise ValueError(f"options: {world.name} has no probe {options['probe']!r}; nearest: {near}")
    probe = probes[options["probe"]]
    levels, number = probe.levels, options.get("level")
    if number is not None:
        if not 0 <= number < probe.distinct:
            raise ValueError(f"options: probe {probe.name} has no level {number}; expected 0 to {probe.distinct - 1}")
        levels = jax.tree.map(lambda leaf: np.asarray(leaf)[number : number + 1], levels)
    return Bank(levels, np.int32(probe.horizon))


def _observation_space(layout: Layout) -> Any:
    hot = sum(layout.cardinalities)
    high = np.concatenate([np.ones(hot, np.float32), np.full(layout.vector_size, np.inf, np.float32)])
    low = np.where(np.isfinite(high), np.float32(0), -high)
    features = spaces.Box(low, high, dtype=np.float32)
    if layout.image is None:
        return features
    picture = spaces.Box(0, 255, layout.image.shape, np.uint8)
    return spaces.Dict({"features": features, "picture": picture}) if len(high) else picture


def _shown(world: World, state: Any, params: Any) -> Any:
    """What is in `_observation_space`."""
    seen = world.features(state, params)
    if world.layout.image is None:
        return dense(seen, world.cardinalities)
    features = dense(Observation(seen.indices, seen.vector), world.cardinalities)
    return {"features": features, "picture": seen.image} if features.size else seen.image


@functools.partial(jax.jit, static_argnums=0)
def _begin(world: World, key: jax.Array, params: Any, bank: Bank | None) -> tuple[Episode, Any]:
    """A fresh episode, and its first observation."""
    key, level_key, reset_key = jax.random.split(key, 3)
    if bank is None:
        level = world.sample_level(level_key, params)
    else:
        place = jax.random.randint(level_key, (), 0, len(jax.tree.leaves(bank.levels)[0]))
        level = jax.tree.map(lambda leaf: jnp.asarray(leaf)[place], bank.levels)
    state = world.reset_to_level(reset_key, level, params)
    return Episode(key, state, jnp.zeros((), jnp.int32)), _shown(world, state, params)


@functools.partial(jax.jit, static_argnums=0)
def _advance(
    world: World, episode: Episode, action: jax.Array, params: Any, bank: Bank | None
) -> tuple[Episode, Outcome]:
    key, step_key = jax.random.split(episode.key)
    state, events, terminated = world.transition(step_key, episode.state, action, params)
    steps = episode.steps + 1
    late = world.is_truncated(state, params) if bank is None else steps >= bank.horizon
    reward = world.reward(state, events, params)
    outcome = Outcome(_shown(world, state, params), reward, terminated, late & ~terminated, events)
    return Episode(key, state, steps), outcome


@functools.partial(jax.jit, static_argnums=0)
def _begin_all(world: World, keys: jax.Array, params: Any, bank: Bank | None) -> tuple[Episode, Any]:
    return jax.vmap(lambda key: _begin(world, key, params, bank))(keys)


@functools.partial(jax.jit, static_argnums=0)
def _advance_all(
    world: World, episodes: Episode, ended: jax.Array, actions: jax.Array, params: Any, bank: Bank | None
) -> tuple[Episode, Outcome]:
    def one(episode: Episode, ended: jax.Array, action: jax.Array) -> tuple[Episode, Outcome]:
        went, outcome = _advance(world, episode, action, params, bank)
        began, first = _begin(world, episode.key, params, bank)
        nothing = jax.tree.map(jnp.zeros_like, outcome)._replace(observation=first)
        return jax.tree.map(lambda new, old: jnp.where(ended, new, old), (began, nothing), (went, outcome))

    return jax.vmap(one)(episodes, ended, actions)


def _key(generator: np.random.Generator) -> jax.Array:
    return jax.random.key(generator.integers(2**32, dtype=np.uint32))


def _as_numpy(tree: Any) -> Any:
    """Copies, which the caller may write to."""
    return jax.tree.map(np.array, tree)
