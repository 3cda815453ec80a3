"""The fast learner against a plain one: dense one-hot inputs, a loop over steps, every final observation valued."""

# plain_update has more than 70 lines: one update, written out in one place without what makes the other one fast.

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import HIDDEN, dense
from jaxrl import networks, rollout
from jaxrl.schedules import Schedule

ENVS, STEPS = 4, 24
COUNTS = {"total_steps": ENVS * STEPS * 3, "n_envs": ENVS, "n_steps": STEPS, "n_epochs": 3, "n_minibatches": 2}


@functools.partial(jax.jit, static_argnames="towers")
def forward(variables, inputs, towers):
    """Logits and value from dense inputs f32[batch, inputs]."""
    weights = variables["params"]

    def tower(name):
        hidden = inputs
        for layer in range(2):
            hidden = jnp.tanh(hidden @ weights[f"{name}_{layer}"]["kernel"] + weights[f"{name}_{layer}"]["bias"][None])
        return hidden

    names = ("tower", "tower") if towers == "shared" else ("actor", "critic")
    heads = zip(names, ("policy", "value"), strict=True)
    logits, value = (tower(name) @ weights[head]["kernel"].T + weights[head]["bias"][None] for name, head in heads)
    return logits, value[:, 0]


@functools.partial(jax.jit, static_argnames="world")
def look(world, state, params):
    """f32[inputs], what the network sees of a state."""
    return dense(world.features(state, params), world.cardinalities)


@functools.partial(jax.jit, static_argnames="world")
def moved(world, state, action, params):
    """One step of the world: the state after it, whether it ended the episode, whether time is up, and the reward."""
    after, events, terminated = world.transition(None, state, action, params)
    return after, terminated, world.is_truncated(after, params), world.reward(after, events, params)


@functools.partial(jax.jit, static_argnames="world")
def begun(world, level_key, reset_key, params):
    """The first state of a fresh training level."""
    return world.reset_to_level(reset_key, world.sample_level(level_key, params), params)


@functools.partial(jax.jit, static_argnames="towers")
@jax.grad
def slope(variables, seen, action, log_prob, value, advantage, target, params, towers):
    """The gradient of a minibatch's loss."""
    logits, new_value = forward(variables, seen, towers)
    log_probs = jax.nn.log_softmax(logits)
    ratio = jnp.exp(log_probs[jnp.arange(len(action)), action] - log_prob)
    normal = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    near = jnp.clip(ratio, 1 - params.clip_eps, 1 + params.clip_eps)
    policy = -jnp.minimum(ratio * normal, near * normal).mean()
    held = value + jnp.clip(new_value - value, -params.clip_eps, params.clip_eps)
    error = jnp.maximum((new_value - target) ** 2, (held - target) ** 2).mean() / 2
    entropy = -(jnp.exp(log_probs) * log_probs).sum(axis=1).mean()
    return policy + params.value_coef * error - params.entropy_coef * entropy


def plain_update(world, learner, state, env_params, params):
    """One update as in `PPO._update`: the same random bits, the same decisions, nothing clever."""
    size = ENVS * STEPS
    counts = 2, rollout.bits_needed(world, ENVS, STEPS), -(-learner.n_epochs // 2) * size
    key, play_bits, shuffle_bits = np.split(
        np.asarray(jax.random.bits(state.key, (sum(counts),), jnp.uint32)), np.cumsum(counts)[:-1]
    )
    levels = rollout.LEVELS_PER_ENV
    keys = jax.random.wrap_key_data(play_bits[: 4 * levels * ENVS].reshape(2, levels, ENVS, 2))
    draws = (play_bits[4 * levels * ENVS :] >> 8).astype(np.float32) * np.float32(2**-24)
    draws = draws.reshape(STEPS, ENVS)

    states = [jax.tree.map(lambda leaf, e=e: leaf[e], state.envs.state) for e in range(ENVS)]
    ended, steps = [0] * ENVS, []
    for t in range(STEPS):
        for e in range(ENVS):
            seen = look(world, states[e], env_params)
            logits, value = forward(state.variables, seen[None], learner.towers)
            log_probs = np.asarray(jax.nn.log_softmax(logits[0]))
            action = int(np.sum(np.cumsum(np.exp(log_probs))[:-1] <= draws[t, e]))
            after, terminated, late, reward = moved(world, states[e], action, env_params)
            truncated = bool(late) and not terminated
            final = look(world, after, env_params)[None]
            next_value = 0.0 if terminated else float(forward(state.variables, final, learner.towers)[1][0])
            steps.append(
                (seen, action, log_probs[action], float(value[0]), next_value, float(reward), terminated or truncated)
            )
            states[e] = after
            if terminated or truncated:
                place = ended[e] % levels
                states[e] = begun(world, keys[0, place, e], keys[1, place, e], env_params)
                ended[e] += 1

    seen, action, log_prob, value, next_value, reward, done = (np.array(part) for part in zip(*steps, strict=True))
    advantage, trace = np.zeros(size), np.zeros(ENVS)
    for t in reversed(range(STEPS)):
        rows = slice(t * ENVS, (t + 1) * ENVS)
        delta = reward[rows] + params.discount * next_value[rows] - value[rows]
        trace = delta + params.discount * params.gae_lambda * np.where(done[rows], 0, trace)
        advantage[rows] = trace
    played = [part.astype(np.int32 if part is action else np.float32) for part in (seen, action, log_prob, value)]
    played += [part.astype(np.float32) for part in (advantage, advantage + value)]

    variables, moments = state.variables, state.optimiser_state[1]
    count = int(moments.count)
    variables, first, second = jax.tree.map(np.asarray, (variables, moments.mu, moments.nu))
    halves = np.stack([shuffle_bits & 0xFFFF0000, shuffle_bits << 16]).reshape(-1, size)
    step_size = params.learning_rate
    for bits in halves[: learner.n_epochs]:
        order = np.sort(bits.astype(np.uint32) | np.arange(size, dtype=np.uint32)) & 0xFFFF
        for rows in np.split(order, learner.n_minibatches):
            gradient = jax.tree.map(
                np.asarray, slope(variables, *(part[rows] for part in played), params, learner.towers)
            )
            norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(gradient)))
            gradient = jax.tree.map(lambda g, norm=norm: g * min(1.0, float(params.max_grad_norm) / norm), gradient)
            count += 1
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, gradient)
            variables = jax.tree.map(
                lambda w, m, v, n=count: w - step_size * (m / (1 - 0.9**n)) / (np.sqrt(v / (1 - 0.999**n)) + 1e-5),
                variables,
                first,
                second,
            )
    moments = moments._replace(count=jnp.int32(count), mu=first, nu=second)
    envs_after = state.envs._replace(state=jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))
    key = jax.random.wrap_key_data(jnp.asarray(key))
    optimiser = (state.optimiser_state[0], moments)
    return state._replace(
        variables=variables, optimiser_state=optimiser, envs=envs_after, key=key, update=state.update + 1
    )


@pytest.mark.slow
@pytest.mark.parametrize("towers", ["shared", "separate"])
def test_a_short_training_run_agrees_with_the_plain_learner(towers):
    """With a time limit short enough that episodes are cut by it as well as ended by the coin."""
    world = envs.make("coin-run")
    learner = jaxrl.make("ppo", {f"learner.{key}": value for key, value in (COUNTS | {"towers": towers}).items()})
    schedules = (Schedule("learner.learning_rate", "linear"), Schedule("env.diversity", "step"))
    program = jaxrl.Program(world, learner, 1, schedules=schedules)
    lane = {"env.diversity": 0.2, "env.max_steps_in_episode": 9, "learner.learning_rate": 3e-3}
    moves = {
        "learner.learning_rate.to": 1.5e-3, "env.diversity.to": 0.7, "env.diversity.begin": 0.3,
    }  # fmt: skip
    lane |= {f"schedules.{key}": value for key, value in moves.items()}
    settings = jax.tree.map(lambda leaf: leaf[0], program.settings([lane]))
    fast, _ = jax.jit(learner.init, static_argnums=0)(world, jax.random.key(3), settings)
    plain = fast
    for update in range(3):
        fast, tally, _ = jax.jit(learner.advance, static_argnums=0)(world, fast, settings, 1)
        env_params = settings.env.replace(diversity=np.float32(0.2 if update == 0 else 0.7))
        params = settings.learner.replace(learning_rate=np.float32(3e-3 - 1.5e-3 * update / 3))
        plain = plain_update(world, learner, plain, env_params, params)
        assert tally.episodes > 0
        for one, other in zip(jax.tree.leaves(fast.envs.state), jax.tree.leaves(plain.envs.state), strict=True):
            np.testing.assert_array_equal(one, other, "the same decisions lead to the same states")
        for one, other in zip(jax.tree.leaves(fast.variables), jax.tree.leaves(plain.variables), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-4)


def test_gathered_rows_have_the_values_and_gradients_of_the_one_hot_product():
    cardinalities, generator = (5, 9, 3), np.random.default_rng(0)
    indices = np.stack([generator.integers(HIDDEN, size, 200) for size in cardinalities], axis=1).astype(np.int8)
    assert (indices == HIDDEN).any()
    kernel, weight = generator.normal(size=(17, 8)).astype(np.float32), generator.normal(size=(200, 8))

    def product(kernel):
        return envs.one_hot(jnp.asarray(indices), cardinalities) @ kernel

    def gathered(kernel):
        return networks.sum_rows(kernel, jnp.asarray(indices), cardinalities)

    np.testing.assert_allclose(gathered(kernel), product(kernel), atol=1e-5)
    gradients = [jax.grad(lambda kernel, f=f: jnp.sum(f(kernel) * weight))(kernel) for f in (gathered, product)]
    np.testing.assert_allclose(*gradients, atol=1e-4)
