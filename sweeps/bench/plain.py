"""The same learner written the usual way: `jit(vmap(train))` over dense inputs, a reset at every step."""

# train has more than 70 lines: such code is one function, and it is timed as it is.

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from envs import World
from envs.promotion import implicit_promotion


class Dense(nn.Module):
    """The network of `jaxrl.networks.ActorCritic` from dense inputs; not orthogonal: a CPU cannot vmap that.

    With `image` that of `Convolutional` with neither pooling nor blocks, by `nn.Conv`, from a picture alone.
    """

    actions: int
    learner: Any
    image: tuple[int, int, int] | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        def tower() -> jax.Array:
            hidden, one = inputs, self.learner
            if self.image is not None:
                hidden = hidden.reshape(*inputs.shape[:-1], *self.image)
                for layer in range(one.convolutions):
                    channels = one.channels * (1 if layer == 0 else 2)
                    hidden = nn.relu(nn.Conv(channels, (one.kernel, one.kernel), one.stride)(hidden))
                hidden = hidden.reshape(*inputs.shape[:-1], -1)
            for _ in range(one.depth):
                hidden = nn.tanh(nn.Dense(one.width)(hidden))
            return hidden

        actor = tower()
        critic = actor if self.learner.towers == "shared" else tower()
        return nn.Dense(self.actions)(actor), nn.Dense(1)(critic)[..., 0]


def train(world: World, learner: Any, env_params: Any, params: Any, updates: int, key: jax.Array) -> Any:
    """One lane: returns its network's parameters and the return of every finished episode, as such code does."""
    image = world.layout.image
    network = Dense(world.num_actions, learner, image and image.shape)
    optimiser = optax.chain(optax.clip_by_global_norm(params.max_grad_norm), optax.adam(params.learning_rate, eps=1e-5))
    key, network_key, reset_key = jax.random.split(key, 3)
    observation, state = jax.vmap(world.reset, (0, None))(jax.random.split(reset_key, learner.n_envs), env_params)
    weights = network.init(network_key, observation)
    batch = learner.n_envs * learner.n_steps

    def step(carry: Any, _: Any) -> Any:
        weights, state, observation, total, key = carry
        key, action_key, step_key = jax.random.split(key, 3)
        logits, value = network.apply(weights, observation)  # type: ignore[misc]
        action = jax.random.categorical(action_key, logits)
        log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
        keys = jax.random.split(step_key, learner.n_envs)
        following, state, reward, terminated, truncated, info = jax.vmap(world.step, (0, 0, 0, None))(
            keys, state, action, env_params
        )
        final_value = network.apply(weights, info["final_observation"])[1]
        total = total + reward
        done = terminated | truncated
        record = observation, action, log_prob, value, final_value, reward, terminated, done, total
        return (weights, state, following, jnp.where(done, 0.0, total), key), record

    def update(carry: Any, _: Any) -> Any:
        weights, moments, state, observation, total, key = carry
        (_, state, observation, total, key), record = jax.lax.scan(
            step, (weights, state, observation, total, key), None, learner.n_steps
        )
        seen, action, log_prob, value, final_value, reward, terminated, done, totals = record

        def back(trace: Any, row: Any) -> Any:
            delta, done = row
            trace = delta + params.discount * params.gae_lambda * jnp.where(done, 0.0, trace)
            return trace, trace

        delta = reward + params.discount * jnp.where(terminated, 0.0, final_value) - value
        advantage = jax.lax.scan(back, jnp.zeros(learner.n_envs), (delta, done), reverse=True)[1]
        rows = seen, action, log_prob, value, advantage, advantage + value
        rows = jax.tree.map(lambda leaf: leaf.reshape(batch, *leaf.shape[2:]), rows)

        def loss(weights: Any, part: Any) -> jax.Array:
            seen, action, log_prob, value, advantage, target = part
            logits, new_value = network.apply(weights, seen)  # type: ignore[misc]
            log_probs = jax.nn.log_softmax(logits)
            ratio = jnp.exp(jnp.take_along_axis(log_probs, action[:, None], 1)[:, 0] - log_prob)
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            near = jnp.clip(ratio, 1 - params.clip_eps, 1 + params.clip_eps)
            policy = -jnp.minimum(ratio * advantage, near * advantage).mean()
            held = value + jnp.clip(new_value - value, -params.clip_eps, params.clip_eps)
            error = 0.5 * jnp.maximum((new_value - target) ** 2, (held - target) ** 2).mean()
            entropy = -(jnp.exp(log_probs) * log_probs).sum(axis=1).mean()
            return policy + params.value_coef * error - params.entropy_coef * entropy

        def epoch(carry: Any, key: jax.Array) -> Any:
            order = jax.random.permutation(key, batch)
            parts = jax.tree.map(lambda leaf: leaf[order].reshape(learner.n_minibatches, -1, *leaf.shape[1:]), rows)

            def descend(carry: Any, part: Any) -> Any:
                weights, moments = carry
                slope = jax.grad(loss)(weights, part)
                with implicit_promotion():
                    steps, moments = optimiser.update(slope, moments)
                return (optax.apply_updates(weights, steps), moments), None

            return jax.lax.scan(descend, carry, parts)

        key, epoch_key = jax.random.split(key)
        (weights, moments), _ = jax.lax.scan(epoch, (weights, moments), jax.random.split(epoch_key, learner.n_epochs))
        return (weights, moments, state, observation, total, key), jnp.where(done, totals, jnp.nan)

    carry = (weights, optimiser.init(weights), state, observation, jnp.zeros(learner.n_envs), key)
    carry, returns = jax.lax.scan(update, carry, None, updates)
    return carry[0], returns
