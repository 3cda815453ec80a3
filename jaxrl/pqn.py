"""Parallelised Q-network (Gallici et al. 2025) for one lane; docs/pqn.md lists every detail with its source."""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from envs import Observation, World
from envs.settings import NonNegative, Positive, Probability
from jaxrl import on_policy, rollout
from jaxrl.minibatches import Batch, Minibatches
from jaxrl.networks import NOTHING, ActorCritic, Context
from jaxrl.on_policy import Lesson, State
from jaxrl.schedules import Settings


@struct.dataclass
class Params(on_policy.Params):
    """The numbers of the learner; every field is traced."""

    learning_rate: NonNegative = 3e-3
    """Step size."""
    max_grad_norm: Positive = 10.0
    """Global norm to which gradients are clipped."""
    gae_lambda: Probability = 0.9
    """Decay of the trace of returns, lambda."""
    epsilon: Probability = 0.05
    """Probability of a random action after exploration, and on probes."""
    epsilon_begin: Probability = 1.0
    """Probability of a random action when training begins; from there it moves to `epsilon` in a straight line."""
    exploration_fraction: Probability = 0.2
    """Share of training after which it is `epsilon`."""


class Metrics(NamedTuple):
    """Means over the minibatches of an update, f32[] each."""

    loss_value: jax.Array
    q_chosen: jax.Array
    """What the network expects of the actions that were taken."""


@dataclasses.dataclass(frozen=True)
class PQN(Minibatches):
    """Parallelised Q-network. Its fields are the static settings; `Params` has the traced ones.

    A policy is the network's variables, with the probability of a random action beside them.
    """

    activation: Literal["tanh", "relu"] = "relu"
    """Non-linearity of the hidden layers, after layer normalisation."""

    Params: ClassVar[Any] = Params
    Metrics: ClassVar[Any] = Metrics

    def __post_init__(self):
        super().__post_init__()
        if self.towers == "separate":
            raise ValueError("learner.towers: a Q-network has one tower; expected shared")
        if self.pretraining_updates:
            raise ValueError("learner.pretraining_updates: demonstrations have no values to learn; expected 0")
        if self.learns_reward:
            raise ValueError("learner.reward_model_updates: a greedy policy has no distance from another; expected 0")
        if self.kl_to_reference:
            raise ValueError("learner.kl_to_reference: a greedy policy has no distance from another; expected false")

    def make_network(self, world: World) -> nn.Module:
        """Its policy head gives Q-values; its value head is not used."""
        network = super().make_network(world)
        return network.clone(layer_norm=True, policy_gain=1.0) if isinstance(network, ActorCritic) else network

    def optimiser(self, params: Any) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(params.max_grad_norm), optax.scale_by_radam())

    def apply(self, world: World, variables: Any, observation: Observation, context: Context = NOTHING) -> Any:
        """Logarithms of the probabilities of the epsilon-greedy policy, the largest Q-value, and memory."""
        q_values, _, memory = self.forward(world, variables, observation, context)
        return epsilon_greedy(q_values, variables["exploration"]["epsilon"]), jnp.max(q_values, axis=-1), memory

    def behave(
        self,
        world: World,
        variables: Any,
        params: Any,
        progress: jax.Array,
        observation: Observation,
        context: Context,
    ) -> Any:
        explored = jnp.where(progress >= params.exploration_fraction, 1.0, progress / params.exploration_fraction)
        epsilon = params.epsilon_begin + (params.epsilon - params.epsilon_begin) * explored
        return self.apply(world, _exploring(variables, epsilon), observation, context)

    def make_variables(self, world: World, key: jax.Array, observation: Observation, context: Context) -> Any:
        return _exploring(super().make_variables(world, key, observation, context), jnp.ones(()))

    def init(self, world: World, key: jax.Array, settings: Settings) -> tuple[State, rollout.Tally]:
        state, tally = super().init(world, key, settings)
        _, params = settings.at(0, self.total_updates, state.clock)
        return state._replace(variables=_exploring(state.variables, params.epsilon)), tally

    def learn(
        self, world: World, variables: Any, optimiser_state: Any, lesson: Lesson, params: Any
    ) -> tuple[Any, Any, Metrics]:
        variables, optimiser_state, metrics = super().learn(world, variables, optimiser_state, lesson, params)
        return _exploring(variables, params.epsilon), optimiser_state, metrics

    def loss(self, world: World, variables: Any, batch: Batch, params: Any) -> tuple[jax.Array, Metrics]:
        """Half the mean squared distance of Q-values to lambda-returns (Gallici et al. 2025, algorithm 1).

        The lambda-returns are those of Peng's Q(lambda): G_t = r_t + gamma ((1 - lambda) max Q_{t+1} + lambda G_{t+1}),
        which is max Q_t and its generalised advantage estimate together.
        """
        q_values, _ = self.over_batch(world, variables, batch)
        q_chosen = rollout.pick(q_values, batch.action)
        loss = 0.5 * jnp.mean((q_chosen - batch.target) ** 2)
        return loss, Metrics(loss, jnp.mean(q_chosen))


def epsilon_greedy(q_values: jax.Array, epsilon: jax.Array | float) -> jax.Array:
    """Logarithms f32[..., actions] of the probabilities of the actions; of equal ones, the first leads."""
    actions = q_values.shape[-1]
    best = jax.nn.one_hot(jnp.argmax(q_values, axis=-1), actions)
    return jnp.log(epsilon / actions + (1 - epsilon) * best)


def _exploring(variables: Any, epsilon: jax.Array) -> Any:
    return {**variables, "exploration": {"epsilon": epsilon}}
