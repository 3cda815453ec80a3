"""What the exact learners share: no sampling, so that a lane's training follows from its initial weights alone."""

import abc
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import Observation, Shaped, Starting, Tabular, World, dense, tabular
from envs.settings import NonNegative, Probability, Range
from jaxrl.learner import LaneResult, Learner
from jaxrl.networks import NOTHING, Context
from jaxrl.schedules import Settings

CURVE_POINTS_A_DECADE = 8


@struct.dataclass
class Params:
    """The numbers of an exact learner; every field is traced."""

    learning_rate: NonNegative = 0.003
    """Step size of gradient descent, or ascent; there is no momentum and no schedule."""
    scale: NonNegative = 1.0
    """Standard deviation of the initial weights, all of them independent and normal."""
    tolerance: Probability = 0.01
    """How far below 1 a policy's competence may be for it to count as competent."""


class State(NamedTuple):
    """One lane in training."""

    weights: Any
    update: jax.Array
    """i32[], steps done."""
    competent_at: jax.Array
    """i32[], the first step after which competence was at least 1 - tolerance; -1 for not yet."""
    competent_logit: jax.Array
    """f32[], the probe logit then."""
    diverged: jax.Array


class Metrics(NamedTuple):
    """What the weights are worth after a step; f32[] each."""

    loss: jax.Array
    """What is descended; minus the expected return where that is ascended."""
    competence: jax.Array
    """In [0, 1]; each learner says of what."""
    probe_logit: jax.Array
    """Log-odds of the second action over the first where the labelling probe begins, averaged over its levels."""


class Problem(NamedTuple):
    """A world written out: its n training levels of S states, and after those the k states where the probe begins.

    Levels come last, so that moving from state to state copies whole rows.
    """

    inputs: np.ndarray
    """f32[S * n + k, d]."""
    next_state: np.ndarray
    """i32[A, S]; the same on all levels, wherever an episode goes on."""
    events: np.ndarray
    """bool[A, S, n, goals]."""
    terminated: np.ndarray
    """bool[A, S, n]."""
    right_action: np.ndarray
    """f32[S, n], +1 where the second action alone begins a shortest way to the intended goal, -1 where the first does,
    0 where both do."""


@dataclasses.dataclass(frozen=True)
class Exact(Learner):
    """Full-batch gradient steps on an expectation over every training level, in worlds that are small enough.

    The policy is f(x), the log-odds of the second of two actions. `network`: f(x) = sum_j a_j max(u_j . x, 0), without
    biases; `linear`: f(x) = w . x; `tabular`: a weight for each observation, where observations are indices alone.
    """

    total_steps: Annotated[int, Range(1, 10**9)] = 10_000
    """Gradient steps."""
    policy: Literal["network", "linear", "tabular"] = "network"
    """How the log-odds depend on the observation."""
    width: Annotated[int, Range(1, 2**16)] = 64
    """Hidden units of a network."""

    Params: ClassVar[Any] = Params

    @abc.abstractmethod
    def objective(
        self, world: World, problem: Problem, env_params: Any
    ) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
        """From log-odds f32[S, n] to what is descended, f32[], and the competence, f32[]."""

    @property
    def total_updates(self) -> int:
        return self.total_steps

    def flops(self, world: World) -> float:
        """Of the policy on every state, and of its gradient."""
        problem = problem_of(world, self.policy)
        states, inputs = problem.inputs.shape
        return (
            4.0 * states * inputs * self.width + 5.0 * states * self.width
            if self.policy == "network"
            else 4.0 * states * inputs
        )

    def curve_points(self) -> list[int]:
        """Evenly spread over the logarithm of the step."""
        points = math.ceil(math.log10(self.total_steps) * CURVE_POINTS_A_DECADE)
        spread = np.geomspace(1, self.total_steps, points + 1)
        return sorted({round(float(step)) for step in spread} | {self.total_steps})

    def check(self, world: World) -> None:
        super().check(world)
        if isinstance(world, Shaped):
            raise ValueError("shaping.kind: exact learners take rewards from tables of events, which are not shaped")
        if world.num_actions != 2 or not (world.offers(Starting) and world.offers(Tabular)):
            raise ValueError("learner: exact learners need a world with two actions and training levels that it lists")
        if self.policy == "tabular" and (world.vector_size or not world.cardinalities):
            raise ValueError("learner.policy: tabular needs observations that are indices alone, as one-hot ones are")

    def init(self, world: World, key: jax.Array, settings: Settings) -> tuple[State, None]:
        _, params = settings.at(0, self.total_updates, settings.clock())
        inputs = problem_of(world, self.policy).inputs.shape[-1]
        shapes: dict[str, tuple[int, ...]] = {"weights": (inputs,)}
        if self.policy == "network":
            shapes = {"hidden": (inputs, self.width), "output": (self.width,)}
        keys = jax.random.split(key, len(shapes))
        weights = {
            name: params.scale * jax.random.normal(key, shape)
            for key, (name, shape) in zip(keys, shapes.items(), strict=True)
        }
        return State(weights, jnp.int32(0), jnp.int32(-1), jnp.float32(0), jnp.zeros((), bool)), None

    def advance(
        self, world: World, state: State, settings: Settings, updates: jax.Array
    ) -> tuple[State, None, Metrics]:
        problem = problem_of(world, self.policy)
        shape, inside = problem.right_action.shape, problem.right_action.size

        def at(update):
            env_params, params = settings.at(update, self.total_updates, settings.clock())
            return self.objective(world, problem, env_params), params

        unscheduled = at(0)  # what does not change is computed outside of the loop

        def whole(weights, objective):
            logits = log_odds(weights, problem.inputs)
            loss, competence = objective(logits[:inside].reshape(shape))
            return loss, (competence, jnp.mean(logits[inside:]))

        def note(state, params, competence, logit):
            now = (state.competent_at < 0) & (competence >= 1 - params.tolerance)
            return state._replace(
                competent_at=jnp.where(now, state.update, state.competent_at),
                competent_logit=jnp.where(now, logit, state.competent_logit),
            )

        def step(_, state):
            objective, params = at(state.update) if settings.schedules else unscheduled
            gradient, (competence, logit) = jax.grad(whole, has_aux=True)(state.weights, objective)
            weights = jax.tree.map(lambda weight, slope: weight - params.learning_rate * slope, state.weights, gradient)
            return note(state, params, competence, logit)._replace(weights=weights, update=state.update + 1)

        state = jax.lax.fori_loop(0, updates, step, state)
        objective, params = at(state.update)
        loss, (competence, logit) = whole(state.weights, objective)
        state = note(state, params, competence, logit)
        state = state._replace(diverged=state.diverged | ~jnp.isfinite(loss + logit))
        return state, None, Metrics(loss, competence, logit)

    def finish(self, state: State) -> LaneResult:
        found = {"competent_at": state.competent_at, "competent_logit": state.competent_logit}
        return LaneResult(state.weights, state.diverged, found)

    def first_layer(self, policy: Any) -> jax.Array | None:
        """A table has a weight for each joint observation, and none for an index."""
        if self.policy == "tabular":
            return None
        return policy["hidden"] if self.policy == "network" else policy["weights"][:, None]

    def apply(self, world: World, variables: Any, observation: Observation, context: Context = NOTHING) -> Any:
        logit = log_odds(variables, _inputs(world, self.policy, observation))
        return jnp.stack([jnp.zeros_like(logit), logit], axis=-1), jnp.zeros_like(logit), ()


def log_odds(weights: dict[str, jax.Array], inputs: jax.Array) -> jax.Array:
    """f32[...], the log-odds of the second action for inputs f32[..., d]."""
    if "output" in weights:
        return two_layer(inputs, weights["hidden"], weights["output"])
    return inputs @ weights["weights"]


@jax.custom_vjp
def two_layer(inputs: jax.Array, hidden: jax.Array, output: jax.Array) -> jax.Array:
    """sum_j output_j max(inputs . hidden_j, 0): f32[..., d], f32[d, m], f32[m] -> f32[...].

    The gradients of both kernels come from one product, because a unit's activation is linear in its weights: a fourth
    of the time that automatic differentiation takes on a CPU. The rectifier's derivative at 0 is 0.
    """
    return jax.nn.relu(inputs @ hidden) @ output


def _two_layer_forward(inputs, hidden, output):
    before = inputs @ hidden
    return jax.nn.relu(before) @ output, (inputs, before, hidden, output)


def _two_layer_backward(kept, cotangent):
    inputs, before, hidden, output = kept
    pulled = inputs.T @ jnp.where(before > 0, cotangent[:, None], 0.0)
    return jnp.zeros_like(inputs), output[None, :] * pulled, jnp.sum(hidden * pulled, axis=0)


two_layer.defvjp(_two_layer_forward, _two_layer_backward)


@functools.lru_cache(maxsize=16)
def problem_of(world: Any, policy: str) -> Problem:
    """The world's training levels and its labelling probe, as a policy of this kind sees them."""
    with jax.ensure_compile_time_eval():  # constants, also where a program that uses them is being traced
        params = world.default_params
        levels, start = world.start_distribution(params)
        table = tabular.tabulate(world, levels)
        (probe,) = [probe for probe in world.probes() if probe.labels]
        begin = functools.partial(world.reset_to_level, jax.random.key(0), params=params)
        states = jax.tree.map(
            lambda inside, probed: jnp.concatenate([inside.T.reshape(start.size), probed]),
            jax.vmap(lambda level: world.states(level, params))(levels),
            jax.vmap(lambda level: begin(level))(jax.tree.map(jnp.asarray, probe.levels)),
        )
        observed = jax.vmap(lambda state: world.features(state, params))(states)
        inputs = np.asarray(_inputs(world, policy, observed), np.float32)
    intended = next(i for i, goal in enumerate(world.goals) if goal.role == "intended")
    oracle = tabular.oracle(table, intended)
    right_action = (oracle[..., 1] - oracle[..., 0]).T.astype(np.float32)
    next_state, events, terminated = (
        np.moveaxis(array, (2, 1), (0, 1)) for array in (table.next_state, table.events, table.terminated)
    )
    common = np.max(np.where(terminated, 0, next_state), axis=-1)
    if np.any(~terminated & (next_state != common[..., None])):
        raise ValueError(
            "learner: exact learners need levels that differ in what ends an episode, not in how one moves"
        )
    return Problem(inputs, common, events, terminated, right_action)


def _inputs(world: World, policy: str, observation: Observation) -> jax.Array:
    """f32[..., d], what the weights multiply; for a table, one one-hot vector over all joint observations."""
    if policy != "tabular":
        return dense(observation, world.cardinalities)
    place = jnp.zeros(observation.indices.shape[:-1], jnp.int32)
    for i, size in enumerate(world.cardinalities):
        place = place * size + observation.indices[..., i]
    place = jnp.where(jnp.any(observation.indices < 0, axis=-1), -1, place)
    return jax.nn.one_hot(place, math.prod(world.cardinalities))
