"""How well each goal of a world, or a reflex, explains what a policy does on the levels from which it is labelled.

Maximum-entropy goal-directedness with a known utility: MacDermott, Fox, Belardinelli and Everitt, Measuring
Goal-Directedness, NeurIPS 2024. docs/goal-directedness.md has the definition and an example worked by hand.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import Probe, World, tabular
from jaxrl.learner import Learner

DISCOUNT = 0.97
"""Of the utilities; a constant, so that sweeps over the learner's discount are measured by one rule."""
LEVELS = 32
"""Levels of the labelling probe that are looked at; more would take time, and change little."""
LANES = 64
"""Policies followed side by side, at most: bounds memory on devices that train thousands together."""
BETAS = np.sinh(np.linspace(-np.arcsinh(1e5), np.arcsinh(1e5), 301))
"""Rationality parameters between which the fit starts; the soft-optimal policies beyond are those of infinity."""
NEWTON_STEPS = 6
"""From between two of these; each step doubles the digits."""
SINGLE = 3e-7
"""Below this, a difference of utilities is rounding: policies are followed in float32."""
ROUNDING = 1e-12
"""Below this, what would be 0 without rounding is."""
SAME = "always:same"
"""The reflex of going on with the action of the step before."""


class Graph:
    """Levels as the decisions that come before the first event, and where each of them leads.

    A node is a state of a level that can be met there within the horizon.

    Args:
      table: levels of a deterministic world, written out.
      horizon: steps after which an episode is over.
    """

    def __init__(self, table: tabular.Table, horizon: int):
        self.horizon, self.levels = horizon, len(table.start)
        ends = tabular.decided(table)
        every = np.arange(self.levels)
        met = tabular.met(table, ends, horizon - 1)
        self.level, self.state = np.nonzero(met)
        """i64[nodes], each."""
        number = np.full(met.shape, len(self.level))
        number[met] = np.arange(len(self.level))
        self.start = number[every, table.start]
        """i64[levels], the node where each begins."""
        following = number[self.level[:, None], table.next_state[self.level, self.state]]
        self.next_node = np.where(ends[self.level, self.state], len(self.level), following)
        """i64[nodes, actions]; `nodes` for the end, and for what lies beyond the horizon."""
        self.events = table.events[self.level, self.state]
        """bool[nodes, actions, goals]."""

    def arrivals(self) -> np.ndarray:
        """f64[goals, levels, horizon], how probably a random walker's first event comes at each step and is a goal's.

        Goals whose events fire in one step are all reached.
        """
        nodes, actions, goals = self.events.shape
        found = np.zeros((goals, self.levels, self.horizon))
        here = np.zeros(nodes + 1)
        here[self.start] = 1.0
        for step in range(self.horizon):
            each = np.repeat(here[:-1, None] / actions, actions, axis=1)
            fired = np.einsum("na,nag->gn", each, self.events)
            found[:, :, step] = [np.bincount(self.level, of_goal, self.levels) for of_goal in fired]
            here = np.bincount(self.next_node.ravel(), each.ravel(), nodes + 1)
        return found


class Followed(NamedTuple):
    """What a policy does on the levels of a graph, in expectation; means over levels."""

    utility: Any
    """f32[goals], `DISCOUNT ** (step - 1)` where the first event comes at that step and is the goal's, and else 0."""
    taken: Any
    """f32[actions], decisions for each action before the first event."""
    repeated: Any
    """f32[], decisions for the action of the step before."""


def follow(graph: Graph, policy: jax.Array) -> Followed:
    """Follows a policy f32[nodes, actions] to the first event, the end or the horizon: exactly, without sampling."""
    nodes, actions, goals = graph.events.shape
    next_node = jnp.asarray(graph.next_node)
    again = jnp.concatenate([policy, jnp.zeros((1, actions))])[next_node, jnp.arange(actions)]
    repeated = jnp.sum(policy * again, axis=1, keepdims=True)
    at_once = jnp.concatenate([_mean(policy, jnp.asarray(graph.events, jnp.float32)), policy, repeated], axis=1)
    kept = jnp.append(jnp.full(goals, DISCOUNT), jnp.ones(actions + 1))

    def one_step_more(_, value):
        value = jnp.concatenate([value * kept[None, :], jnp.zeros((1, len(kept)))])
        return at_once + _mean(policy, value[next_node])

    last = at_once.at[:, -1].set(0.0)  # no decision follows that could repeat it
    value = jax.lax.fori_loop(1, graph.horizon, one_step_more, last)
    mean = jnp.mean(value[graph.start], axis=0)
    return Followed(mean[:goals], mean[goals:-1], mean[-1])


def _mean(policy: jax.Array, values: jax.Array) -> jax.Array:
    """Over the actions of a policy f[nodes, actions], of f[nodes, actions, k]; GPUs round products if they may."""
    return jnp.einsum("na,nak->nk", policy, values, precision=jax.lax.Precision.HIGHEST)


class SoftOptimal:
    """The soft-optimal policies of one goal, of every rationality, by what a random walker comes to.

    Dynamics are deterministic, so the soft value of a start is the logarithm of the mean of exp(beta * utility) over
    the episodes of a random walker: its arrivals stand for soft value iteration at every beta.

    Args:
      arrivals: f64[levels, horizon], one of `Graph.arrivals`.
    """

    def __init__(self, arrivals: np.ndarray):
        never = 1 - arrivals.sum(axis=1, keepdims=True)
        never[never < ROUNDING] = 0.0
        with np.errstate(divide="ignore"):
            self.log_arrivals = np.log(np.hstack([arrivals, never]))
        self.utilities = np.append(DISCOUNT ** np.arange(arrivals.shape[1]), 0.0)
        self.can_be_reached = bool(arrivals.any())
        _, self.means, _ = self._at(BETAS)

    def _at(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Soft values, and the mean and variance of the utility, of f64[betas]; means over levels, f64[betas] each."""
        exponent = self.log_arrivals + beta[:, None, None] * self.utilities
        top = exponent.max(axis=-1)
        weight = np.exp(exponent - top[..., None])
        total = weight.sum(axis=-1)
        mean = weight @ self.utilities / total
        variance = np.maximum(weight @ self.utilities**2 / total - mean**2, 0.0)
        return (top + np.log(total)).mean(axis=1), mean.mean(axis=1), variance.mean(axis=1)

    def fit(self, utility: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rationality that explains best, and the log-likelihood of it over that of a random walker.

        The expected log-likelihood is beta * utility - soft value, which is concave in beta.

        Args:
          utility: f64[lanes], expected utilities.
        Returns:
          nats per episode and beta, f64[lanes] each; beta is infinite where no policy has more, or less, utility. Both
          are NaN for a goal that can be reached on no level.
        """
        low, high = self.means[0], self.means[-1]
        inside = np.clip(utility, low, high)
        place = np.clip(np.searchsorted(self.means, inside), 1, len(BETAS) - 1)
        below, above = BETAS[place - 1], BETAS[place]
        beta = (below + above) / 2
        for _ in range(NEWTON_STEPS):
            _, mean, variance = self._at(beta)
            beta = np.clip(beta + (inside - mean) / np.maximum(variance, ROUNDING), below, above)
        least, most = inside <= low + SINGLE, inside >= high - SINGLE
        beta = np.where(least, BETAS[0], np.where(most, BETAS[-1], beta))
        nats = beta * np.where(least, low, np.where(most, high, inside)) - self._at(beta)[0]
        beta = np.where(least, -np.inf, np.where(most, np.inf, beta))
        known = np.isfinite(utility) & self.can_be_reached
        return np.where(known, np.maximum(nats, 0.0), np.nan), np.where(known, beta, np.nan)


def reflex_nats(share: np.ndarray, actions: int) -> np.ndarray:
    """Nats per decision by which a preference for one action explains a policy that takes it with this share.

    The policies exp(beta * [a = action]) / normaliser, fitted over beta >= 0: the divergence of the share from 1 /
    actions, and 0 for a smaller share.
    """
    share = np.maximum(share, 1 / actions)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = (1 - share) * np.log((1 - share) * actions / (actions - 1))
    return share * np.log(share * actions) + np.where(share < 1, others, 0.0)


class GoalDirectedness:
    """What explains the policies trained in a world: its goals and reflexes, on some levels of the labelling probe."""

    def __init__(self, world: World, probe: Probe):
        self.world: Any = world
        table = tabular.tabulate(world, probe.levels)
        table = table._replace(events=table.events[..., : len(world.aims)])
        rows = np.sort(np.random.default_rng(0x6D6567).permutation(probe.distinct)[:LEVELS])
        self.levels = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], probe.levels)
        self.graph = Graph(tabular.Table(*(part[rows] for part in table)), probe.horizon)
        self.goals = {
            goal.name: SoftOptimal(arrivals) for goal, arrivals in zip(world.aims, self.graph.arrivals(), strict=True)
        }

    def columns(self, learner: Learner, policies: Any, env_params: Any) -> dict[str, np.ndarray]:
        """Columns of the outcomes table, f32[lanes] each; NaN for policies that look at more than the observation.

        Args:
          policies, env_params: networks and the world's Params, with a leading axis [lanes].
        """
        if jax.tree.leaves(learner.context(self.world, 1)):
            lanes, (_, actions, goals) = len(jax.tree.leaves(policies)[0]), self.graph.events.shape
            unknown = [np.full((lanes, *shape), np.nan) for shape in ((goals,), (actions,), ())]
            return self.explained(Followed(*unknown))
        return self.explained(self._followed(learner, policies, env_params))

    def explained(self, followed: Followed) -> dict[str, np.ndarray]:
        """As `columns`, from what policies do; arrays with a leading axis [lanes]."""
        utility, taken, repeated = (np.asarray(part, np.float64) for part in followed)
        actions, decisions = taken.shape[1], taken.sum(axis=1)
        found, betas = {}, {}
        for i, (name, soft) in enumerate(self.goals.items()):
            nats, betas[f"meg.beta.{name}"] = soft.fit(utility[:, i])
            found[f"meg.{name}"] = nats / decisions
        for i, name in enumerate(self.world.action_names):
            found[f"meg.always:{name}"] = reflex_nats(taken[:, i] / decisions, actions)
        later = decisions - 1
        share = repeated / np.where(later > SINGLE, later, np.inf)
        found[f"meg.{SAME}"] = reflex_nats(share, actions) * later / decisions
        found |= betas | {"meg.decisions": decisions}
        return {name: column.astype(np.float32) for name, column in found.items()}

    @functools.cached_property
    def _followed(self) -> Callable[..., Followed]:
        world, graph = self.world, self.graph

        def followed(learner, policies, env_params):
            states = jax.vmap(lambda level: world.states(level, world.default_params))(self.levels)
            nodes = jax.tree.map(lambda leaf: leaf[graph.level, graph.state], states)

            def lane(given):
                variables, params = given
                observed = jax.vmap(world.features, in_axes=(0, None))(nodes, params)
                return follow(graph, jax.nn.softmax(learner.apply(world, variables, observed)[0]))

            # A divisor, so that all lanes go through the same code, and their bits do not depend on their places.
            lanes = len(jax.tree.leaves(policies)[0])
            beside = max(size for size in range(1, LANES + 1) if lanes % size == 0)
            return jax.lax.map(lane, (policies, env_params), batch_size=beside)

        return jax.jit(followed, static_argnums=0)


@functools.lru_cache(maxsize=16)
def explaining(world: World) -> GoalDirectedness | None:
    """What explains policies in this world; None where it has no goals, or no probe that labels."""
    probe = next((probe for probe in world.probes() if probe.labels), None) if world.goals else None
    return None if probe is None else GoalDirectedness(world, probe)
