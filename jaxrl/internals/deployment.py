"""Deployment: what trained policies do where they may ask for help, alone or several together.

Who asks has the oracle of the intended goal choose the action of that step. A policy asks where it is uncertain, and an
ensemble, which acts by the mean of its members' probabilities, where their most probable actions differ. Since an
oracle's actions help whenever they are taken, beside each stands one that asks as often, at random.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr

from envs import Tabular, World, tabular
from jaxrl.internals.choice import ORDER, Choice
from jaxrl.internals.lanes import Lanes, in_chunks
from jaxrl.learner import Learner
from jaxrl.networks import Context
from jaxrl.rollout import inverse_cdf

DEPLOYED = 0x6465706C
"""Sets the randomness of these episodes apart from that of training and of the probes."""
THRESHOLDS = (0.9, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01)
"""Of uncertainty, the entropy of the next action over that of a uniform one: unlike 1 minus the greatest probability,
it has the same range whatever the number of actions."""
MEMBERS = (2, 3, 5)
"""Of ensembles."""


class Rule(NamedTuple):
    """When help is asked for: for any of these reasons. Leaves f32[...]."""

    above: Any
    """The uncertainty above which it is; 1 for never."""
    differing: Any
    """1 where the members' most probable actions must agree."""
    chance: Any
    """The probability that it is, whatever is known."""


class Deployed(NamedTuple):
    """How episodes went, up to the first goal; leaves have a leading axis [episodes]."""

    reached: jax.Array
    """i32[episodes, goals], the step (from 1) at which the first goals were reached, -1 for never."""
    asked: jax.Array
    """i32[episodes], steps at which help was asked for."""
    steps: jax.Array
    """i32[episodes], all of them."""


class Deployment:
    """Policies on the choice probe, with an oracle of the intended goal beside them, alone and as ensembles.

    An ensemble has seeds of one condition that follow each other, without those that diverged; each seed is in one
    ensemble of each size at most. All deployments of a policy share levels and random numbers.
    """

    by_layer = False

    def __init__(self, world: World, learner: Learner, layers: Any, chunk: int):
        self.world, self.learner, self.chunk = world, learner, chunk
        self.choice = Choice(world)
        if not world.offers(Tabular):
            raise ValueError(f"{world.name} does not list its states, so there is no oracle to ask")
        goals = [goal for goal in world.goals if goal.role in ORDER]
        self.goals = [goal.name for goal in sorted(goals, key=lambda goal: ORDER.index(goal.role))]
        """By which an episode is decided, the intended one first."""
        self.places = np.array([[goal.name for goal in world.goals].index(goal) for goal in self.goals])
        left = tabular.steps_left(tabular.tabulate(world, self.choice.run().bank.levels), self.places[0])
        best = (left == left.min(axis=-1, keepdims=True)) & np.isfinite(left)
        self.oracle = jnp.asarray(best / np.maximum(best.sum(axis=-1, keepdims=True), 1), jnp.float32)
        """f32[episodes, S, A], all moves that begin a shortest way alike; zeros where the goal is out of reach."""
        self.deployed = functools.partial(jax.jit(jax.vmap(self._deploy, (None, 0, 0, 0, 0, 0))), self.oracle)

    def __call__(self, lanes: Lanes) -> dict[str, np.ndarray]:
        """By column of the table, [lanes, rows]: a row a number of members × reason to ask × threshold.

        Rows of an ensemble belong to its first seed, and are NaN for the other ones.
        """
        everyone = np.arange(len(lanes.key))[:, None]
        found = [self._asking(lanes, everyone, Rule(np.array([1.0, *THRESHOLDS]), 0.0, 0.0))]
        members = np.concatenate([ensembles(lanes.condition, lanes.finite, size) for size in MEMBERS])
        together = self._asking(lanes, members, Rule(1.0, np.array([0.0, 1.0]), 0.0)) if len(members) else {}
        size = (members >= 0).sum(axis=1)
        for one in MEMBERS:
            part = {name: np.full((len(everyone), 4), np.nan) for name in found[0]}
            for name, values in together.items():
                part[name][members[size == one, 0]] = values[size == one]
            found.append(part)
        rows = [(1, "never", np.nan), (1, "always", np.nan)]
        rows += [(1, asks, threshold) for threshold in THRESHOLDS for asks in ("uncertain", "random")]
        rows += [(size, asks, np.nan) for size in MEMBERS for asks in ("never", "always", "differing", "random")]
        columns = {name: np.concatenate([part[name] for part in found], axis=1) for name in found[0]}
        for name, each in zip(("members", "asks", "threshold"), zip(*rows, strict=True), strict=True):
            columns[name] = np.tile(np.array(each), (len(everyone), 1))
        return columns

    def _asking(self, lanes: Lanes, members: np.ndarray, own: Rule) -> dict[str, np.ndarray]:
        """By column, f64[groups, 2 * rules]: a group by each of its own rules, and then at random as often.

        The first of the rules is not to ask; what stands beside it asks always.

        Args:
          members: i64[groups, most], the lanes that act together; -1 for none.
        """
        first, among = members[:, 0], members >= 0
        policies = jax.tree.map(lambda leaf: leaf[np.where(among, members, first[:, None])], lanes.policy)
        params = jax.tree.map(lambda leaf: leaf[first], lanes.params)
        weight = (among / among.sum(axis=1, keepdims=True)).astype(np.float32)
        rules = np.broadcast(*own).size

        def play(rule: Rule) -> dict[str, np.ndarray]:
            each = (np.broadcast_to(leaf, (len(first), rules)).astype(np.float32) for leaf in rule)
            found = in_chunks(self.deployed, self.chunk, lanes.key[first], policies, weight, params, Rule(*each))
            asked, steps = ((one * self.choice.weight).sum(axis=-1) for one in (found.asked, found.steps))
            shares = {goal: self.choice.shares(found.reached, goal) for goal in self.goals}
            share, undecided = shares[self.goals[0]]
            rivals = {f"share.{goal}": shares[goal][0] for goal in self.goals[1:]}
            return {"share": share, "undecided": undecided, "asked": asked / steps} | rivals

        knowing = play(own)
        chance = knowing["asked"].copy()
        chance[:, 0] = 1.0
        random = play(Rule(1.0, 0.0, chance))
        return {name: np.stack([knowing[name], random[name]], axis=2).reshape(len(first), -1) for name in knowing}

    def _deploy(self, oracle: Any, key: Any, policies: Any, weight: jax.Array, params: Any, rules: Rule) -> Deployed:
        """What each of some rules leads to, with a leading axis [rules].

        Args:
          policies: leaves [members, ...].
          weight: f32[members], what each counts for in the mean; 0 for one that is no member.
        """
        world: Any = self.world
        episodes, length = len(oracle), self.choice.probe.horizon
        reset, act, ask, move = jax.random.split(jax.random.fold_in(jax.random.wrap_key_data(key), DEPLOYED), 4)
        levels = jax.tree.map(jnp.asarray, self.choice.run().bank.levels)
        state = jax.vmap(world.reset_to_level, (0, 0, None))(jax.random.split(reset, episodes), levels, params)
        draws, chances = (jax.random.uniform(one, (length, episodes)) for one in (act, ask))
        keys = jax.random.split(move, (length, episodes)) if world.stochastic else None
        context = self.learner.context(world, episodes)
        every = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(weight), *leaf.shape)), context.memory)

        def count(which: jax.Array) -> jax.Array:
            return which.astype(jnp.int32)

        def think(policy: Any, memory: Any, seen: Any, context: Context) -> tuple[jax.Array, Any]:
            logits, _, memory = self.learner.apply(world, policy, seen, context._replace(memory=memory))
            return jax.nn.softmax(logits), memory

        def play(rule: Rule) -> Deployed:
            def step(carry: Any, at: Any) -> Any:
                state, context, going, so_far = carry
                time, draw, chance, keys = at
                seen = jax.vmap(world.features, (0, None))(state, params)
                likely, memory = jax.vmap(think, (0, 0, None, None))(policies, context.memory, seen, context)
                mean = jnp.tensordot(weight, likely, axes=1)
                helped = oracle[jnp.arange(episodes), jax.vmap(world.state_index)(state)]
                asks = wants(rule, likely, weight, mean, chance) & jnp.any(helped > 0, axis=1)
                action = inverse_cdf(jnp.where(asks[:, None], helped, mean), draw)
                in_axes = (None if keys is None else 0, 0, 0, None)
                state, events, ended = jax.vmap(world.transition, in_axes)(keys, state, action, params)
                reward = jax.vmap(world.earned, (0, 0, None))(state, events, params)
                context = context.after(memory, action, reward, jnp.zeros(episodes, bool))
                reached = jnp.where(events & going[:, None], time, so_far.reached)
                so_far = Deployed(reached, so_far.asked + count(going & asks), so_far.steps + count(going))
                return (state, context, going & ~ended & ~events[:, self.places].any(axis=1), so_far), None

            none, zeros = jnp.full((episodes, len(world.goals)), -1, jnp.int32), jnp.zeros(episodes, jnp.int32)
            begin = state, context._replace(memory=every), jnp.ones(episodes, bool), Deployed(none, zeros, zeros)
            at = jnp.arange(1, length + 1, dtype=jnp.int32), draws, chances, keys
            return jax.lax.scan(step, begin, at)[0][-1]

        return jax.vmap(play)(rules)


def wants(rule: Rule, likely: jax.Array, weight: jax.Array, mean: jax.Array, chance: jax.Array) -> jax.Array:
    """bool[episodes], where help is asked for.

    Args:
      likely: f32[members, episodes, actions], and `mean` their mean, by which is acted.
      chance: f32[episodes], uniform in [0, 1).
    """
    uncertainty = entr(mean).sum(axis=1) / np.log(mean.shape[1])
    first = jnp.argmax(likely, axis=2)
    differing = jnp.any((first != first[:1]) & (weight[:, None] > 0), axis=0)
    return (uncertainty > rule.above) | (differing & (rule.differing > 0)) | (chance < rule.chance)


def ensembles(condition: np.ndarray, finite: np.ndarray, size: int) -> np.ndarray:
    """i64[groups, most], lanes of one condition in groups of a size, one after the other; -1 for no further member.

    Those that diverged are left out, and so is the rest of a condition that makes no group.
    """
    groups = []
    for one in dict.fromkeys(condition):
        (same,) = np.nonzero((condition == one) & finite)
        groups.append(same[: len(same) // size * size].reshape(-1, size))
    return np.pad(np.concatenate(groups), ((0, 0), (0, max(MEMBERS) - size)), constant_values=-1)
