"""The share of each goal as it would be if training kept a lane's initial network linear in its weights.

The linearised policy ascends the log-likelihood that the first move of a training episode begins a best way, by the
tangent kernel of its own initial weights. It is then played where labels are taken from. docs/prediction.md says what
is assumed, and how far it agrees with what is measured.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.ode import odeint
from jax.flatten_util import ravel_pytree

from envs import Approved, Observation, Priced, Probe, Starting, World, tabular
from envs.approval import pays_beside_events
from jaxrl.cloning import Cloning
from jaxrl.curricula import Curriculum
from jaxrl.learner import Learner
from jaxrl.planner import payments
from jaxrl.ppo import PPO
from jaxrl.schedules import Schedule, Settings

TIME = 190.0
"""Of the flow, for a step of PPO's optimiser of size 1, where plain gradient ascent would have 1: the only fitted
number, from one sweep over coin-run (docs/prediction.md)."""
LONGEST = 1e5
"""Time of a flow that is followed, some 40 times that of PPO's defaults: at step sizes that would take longer nothing
stays linear, and a solver may never come to the end."""
DRAWN, LEVELS = 8192, 512
"""Training levels that are drawn, and those of them that are learnt from: as many displaced ones as others, each half
with the weight that it has among those drawn, since a few displaced levels decide."""
PROBED = 96
"""Levels of the labelling probe that are looked at, at most; spread evenly over it."""
TOLERANCE = 1e-3
"""Relative, of each step of the flow."""
PATIENT = 0.9999
"""The discount in place of 1, under which late is as good as soon."""
EVERY_MOVE = np.ones((1, 1, 1))
"""For the best moves, where they are not known."""
SEED = 0x6B65726E
REMEMBERED = 64
"""Conditions whose choices are kept: the lanes of a condition follow each other."""


class Asked(NamedTuple):
    """What the lanes of a condition are trained on, and played on."""

    begun: Observation
    """What is seen where training episodes begin; leaves [rows, ...]."""
    good: np.ndarray
    """f32[rows, actions], whether a move begins a best way."""
    weights: np.ndarray
    """f32[rows], how often episodes begin so; 0 where every move is as good. They sum to 1, or all are 0."""
    probed: Observation
    """What is seen on the probe; leaves [levels, states, ...]."""


class Ways(NamedTuple):
    """The probe's levels written out, up to where it is decided which goal comes first; leading axes [levels]."""

    start: np.ndarray
    """i32[levels]."""
    next_state: np.ndarray
    """i32[levels, states, actions]."""
    first: np.ndarray
    """f32[levels, states, actions, goals], whether a step reaches a goal, and none before it in their order."""
    decided: np.ndarray
    """bool[levels, states, actions]."""


class KernelShares:
    """Predicts the shares of lanes that share a world and a learner; raises ValueError where it cannot.

    Args:
      probes: of the world.
    """

    def __init__(
        self,
        world: World,
        learner: Learner,
        probes: Sequence[Probe],
        schedules: Sequence[Schedule] = (),
        curriculum: Curriculum | None = None,
    ):
        if why := _refusal(world, learner, probes, schedules, curriculum):
            raise ValueError(f"save.kernel: {why}; expected false")
        self.world, self.learner = world, learner
        (self.probe,) = [probe for probe in probes if probe.labels]
        at_stake = [place for place, goal in enumerate(world.goals) if goal.name in self.probe.goals]
        self.goals = sorted(at_stake, key=lambda place: world.goals[place].role != "intended")
        every = np.linspace(0, self.probe.distinct - 1, min(self.probe.distinct, PROBED)).astype(int)
        self.levels = jax.tree.map(lambda leaf: leaf[every], self.probe.levels)
        self._asked = functools.lru_cache(REMEMBERED)(self._choices)

    @functools.cached_property
    def ways(self) -> Ways:
        table = tabular.tabulate(self.world, self.levels)
        fired = table.events[..., self.goals]
        first = fired & (np.cumsum(fired, axis=-1) == 1)
        return Ways(table.start, table.next_state, first.astype(np.float32), tabular.decided(table))

    def columns(self, policies: Any, settings: Settings, share: float = 1.0) -> dict[str, np.ndarray]:
        """`kernel.share.GOAL`, f32[lanes]; NaN where the world does not say what its events are worth under a lane's
        Params, where every move is as good where training begins, and where the flow would be too long.

        Args:
          policies: as initialised; leaves [lanes, ...].
          share: of the training, after which they are asked.
        """
        lanes = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], settings) for i in range(_lanes(settings.learner))]
        asked = [self._asked(_Settings(lane.env, getattr(lane.learner, "discount", None))) for lane in lanes]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *asked)
        time = share * self._time * np.asarray(settings.learner.learning_rate, np.float32)
        can = stacked.weights.any(axis=1) & (time <= LONGEST)
        time = np.where(can, time, np.float32(0))
        found = np.array(_shares(self.world, self.learner, self.probe.horizon, self.ways, policies, stacked, time))
        found[~can] = np.nan
        return {f"kernel.share.{self.world.goals[goal].name}": found[:, i] for i, goal in enumerate(self.goals)}

    @property
    def _time(self) -> float:
        """Of the flow, for a step size of 1."""
        if isinstance(self.learner, PPO):
            return TIME * self.learner.total_updates * self.learner.n_epochs * self.learner.n_minibatches
        return float(self.learner.total_updates)

    def _choices(self, settings: "_Settings") -> Asked:
        world: Any = self.world
        levels, (level, state), weights, seen = _training(world, settings.params)
        table = tabular.tabulate(world, levels)
        if settings.discount is None:
            best = tabular.oracle(table, next(i for i, goal in enumerate(world.goals) if goal.role == "intended"))
        else:
            worth = np.asarray(payments(world, levels, settings.params, settings.discount))
            is_known = not np.isnan(worth).any()
            best = tabular.optimal(table, worth, min(settings.discount, PATIENT)) if is_known else EVERY_MOVE
        good = np.broadcast_to(best, table.next_state.shape)[level, state] > 0
        weights = np.where(good.all(axis=1), 0.0, weights)
        weights /= weights.sum() or 1.0
        probed = _seen(world, self.levels, settings.params)
        return Asked(seen, good.astype(np.float32), weights.astype(np.float32), probed)


class _Settings:
    """A lane's Params of the world and its discount; equal where all numbers are."""

    def __init__(self, params: Any, discount: Any):
        self.params, self.discount = params, None if discount is None else float(discount)
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
        self._key = b"".join(leaf.tobytes() for leaf in leaves), self.discount

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Settings) and self._key == other._key


def _refusal(
    world: World,
    learner: Learner,
    probes: Sequence[Probe],
    schedules: Sequence[Schedule],
    curriculum: Curriculum | None,
) -> str | None:
    """Why there is no prediction."""
    if not isinstance(learner, PPO | Cloning):
        return "shares are predicted for the learners ppo and cloning"
    if world.layout.image is not None:
        return "shares are predicted for worlds that show no picture"
    if jax.tree.leaves(learner.context(world, 1)):
        return "shares are predicted for policies that see observations alone, without memory or further inputs"
    if learner.learns_reward or (isinstance(learner, PPO) and learner.pretraining_updates):
        return "shares are predicted for training by the world's own rewards from initial weights"
    if schedules or curriculum is not None:
        return "shares are predicted for training under one setting, without schedules, stages or a curriculum"
    if sum(probe.labels for probe in probes) != 1:
        return f"{world.name} has no probe from which labels are computed"
    if isinstance(world, Approved) or pays_beside_events(world) or world.stochastic or not world.offers(Priced):
        return f"{world.name}, as it is set, does not say of each move what it leads to and is worth"
    return None


def _lanes(tree: Any) -> int:
    return len(jax.tree.leaves(tree)[0])


def _training(world: Any, params: Any) -> tuple[Any, tuple[np.ndarray, np.ndarray], np.ndarray, Observation]:
    """Training levels; where episodes begin: on which level, i64[rows], and in which of its states; f64[rows], how
    often; and what is seen there.

    All of them where the world lists them; otherwise a sample, which is the same for all lanes of a condition.
    """
    if world.offers(Starting):
        levels, start = world.start_distribution(params)
        seen = _seen(world, levels, params)
        seen = jax.tree.map(lambda leaf: leaf.reshape(start.size, *leaf.shape[2:]), seen)
        level, state = np.divmod(np.arange(start.size), start.shape[1])
        return levels, (level, state), np.asarray(start, float).ravel(), seen
    drawn, displaced = jax.tree.map(np.asarray, _drawn(world, params))
    others, rare = np.flatnonzero(~displaced), np.flatnonzero(displaced)
    kept = min(len(rare), max(LEVELS // 2, LEVELS - len(others)))
    chosen = np.concatenate([rare[:kept], others[: LEVELS - kept]])
    levels = jax.tree.map(lambda leaf: leaf[chosen], drawn)
    often = np.repeat([len(rare) / max(kept, 1), len(others) / max(LEVELS - kept, 1)], [kept, LEVELS - kept]) / DRAWN
    start = tabular.tabulate(world, levels).start
    seen = _seen(world, levels, params)
    every = np.arange(LEVELS)
    return levels, (every, start), often, jax.tree.map(lambda leaf: leaf[every, start], seen)


@functools.partial(jax.jit, static_argnums=0)
def _drawn(world: World, params: Any) -> tuple[Any, jax.Array]:
    """Levels, and whether each tells goals apart."""
    keys = jax.random.split(jax.random.key(SEED), DRAWN)
    levels = jax.vmap(lambda key: world.sample_level(key, params))(keys)
    return levels, jax.vmap(world.displaced)(levels)


@functools.partial(jax.jit, static_argnums=0)
def _features(world: Any, levels: Any, params: Any) -> Observation:
    of_states = jax.vmap(lambda state: world.features(state, params))
    return jax.vmap(lambda level: of_states(world.states(level, params)))(levels)


def _seen(world: World, levels: Any, params: Any) -> Observation:
    """What is seen in each state of some levels; leaves [levels, states, ...]."""
    return jax.tree.map(np.asarray, _features(world, levels, params))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _shares(
    world: World, learner: Learner, horizon: int, ways: Ways, policies: Any, asked: Asked, time: jax.Array
) -> jax.Array:
    """f32[lanes, goals].

    Args:
      policies, asked: leaves [lanes, ...].
      time: f32[lanes], that of the flow.
    """

    def one(lane: tuple[Any, Asked, jax.Array]) -> jax.Array:
        variables, asked, time = lane
        weights, restored = ravel_pytree(variables)

        def logits(weights: jax.Array, seen: Observation) -> jax.Array:
            shape = seen.indices.shape[:-1]
            flat = jax.tree.map(lambda leaf: leaf.reshape(math.prod(shape), *leaf.shape[len(shape) :]), seen)
            return learner.apply(world, restored(weights), flat)[0].reshape(*shape, -1)

        def gained(logits: jax.Array) -> jax.Array:
            return jnp.sum(asked.weights * jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=-1, b=asked.good))

        moved = ascended(lambda weights: logits(weights, asked.begun), gained, weights, time)
        start, pushed = linearised(lambda weights: logits(weights, asked.probed), weights)
        return first_goals(jax.nn.softmax(start + pushed(moved)), ways, horizon)

    return jax.lax.map(one, (policies, asked, time))


def linearised(
    of: Callable[[jax.Array], jax.Array], weights: jax.Array
) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    """What a function gives at some weights, and, of a change of these, what that changes to first order.

    By two derivatives backwards, since functions with a backward pass of their own have none forwards.
    """
    start, pull = jax.vjp(of, weights)
    zero = jnp.zeros_like(start)
    return start, lambda moved: jax.grad(lambda along: jnp.vdot(pull(along)[0], moved))(zero)


def ascended(
    of: Callable[[jax.Array], jax.Array], gained: Callable[[jax.Array], jax.Array], weights: jax.Array, time: Any
) -> jax.Array:
    """f32[weights], how far gradient ascent of `gained` moves weights in this time, where `of` is linear in them."""
    start, pushed = linearised(of, weights)
    pull = jax.vjp(of, weights)[1]

    def slope(moved: jax.Array, _: jax.Array) -> jax.Array:
        return pull(jax.grad(gained)(start + pushed(moved)))[0]

    return odeint(slope, jnp.zeros_like(weights), jnp.stack([0.0, time]), rtol=TOLERANCE, atol=TOLERANCE / 10)[1]


def first_goals(policy: jax.Array, ways: Ways, horizon: int) -> jax.Array:
    """f32[goals], of the episodes that reach a goal, the share that reaches each first, by a policy f32[levels, states,
    actions]."""
    every = jnp.arange(len(ways.start))[:, None, None]

    def longer(_: Any, chance: jax.Array) -> jax.Array:
        ahead = jnp.where(ways.decided[..., None], ways.first, chance[every, ways.next_state])
        return jnp.sum(policy[..., None] * ahead, axis=2)

    chance = jax.lax.fori_loop(0, horizon, longer, jnp.zeros(ways.first.shape[:2] + ways.first.shape[3:]))
    begun = jnp.sum(chance[every[:, 0, 0], ways.start], axis=0)
    return begun / jnp.sum(begun)
