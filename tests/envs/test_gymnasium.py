"""Every world as a Gymnasium environment, and known to gymnax."""

import importlib
import warnings

import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from gymnax.wrappers.purerl import FlattenObservationWrapper, LogWrapper

from envs import gymnasium_env, registered
from envs.gymnasium_env import Environment


@pytest.fixture(scope="module")
def line():
    return gymnasium.make("chisel/CoinLine-v0", settings={"env.diversity": 0.5}, render_mode="rgb_array").unwrapped


@pytest.fixture
def strict():
    """What Gymnasium warns of is an error, but for numbers without bounds, which some worlds show."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*Box observation space m..imum value is.*infinity")
        yield


@pytest.mark.parametrize("name", registered.IDS)
def test_gymnasiums_own_checker_finds_nothing_wrong(name, strict):
    made = gymnasium.make(name, render_mode="rgb_array", disable_env_checker=True).unwrapped
    check_env(made)
    world, params = gymnax.make(name)
    assert world == made.world and params.max_steps_in_episode == made.params.max_steps_in_episode


def test_a_world_of_a_picture_and_features_shows_both(strict):
    both = Environment("tests.envs.pictured:Pictured")
    check_env(both, skip_render_check=True)
    assert (both.observation_space["picture"].shape, both.observation_space["features"].shape) == ((3, 7, 3), (1,))
    gems = gymnasium.make("chisel/Gems-v0").unwrapped
    assert gems.observation_space == gymnasium.spaces.Box(0, 255, (25, 25, 3), np.uint8)
    picture, _ = gems.reset(seed=0)
    read, features = gems.world.layout.read(jnp.asarray(picture)), gems.world.features(gems._episode.state, gems.params)
    assert all(map(np.array_equal, jax.tree.leaves(read), jax.tree.leaves(features)))


def test_an_episode_is_the_worlds_own_and_a_probe_level_is_cut_at_its_horizon(line):
    (fork,) = [probe for probe in line.world.probes() if probe.name == "capable:coin"]
    observation, info = line.reset(seed=3, options={"probe": "capable:coin", "level": 1})
    level = type(fork.levels)(*(leaf[1] for leaf in fork.levels))
    state = line.world.reset_to_level(None, level, line.params)
    assert np.array_equal(observation, line.world.get_obs(state)) and not info["events"].any()
    assert np.array_equal(line.render(), line.world.render(state))
    left = [line.step(0) for _ in range(fork.horizon)]
    for _ in range(fork.horizon):
        state, events, terminated = line.world.transition(None, state, np.int32(0), line.params)
        observation, reward, ended, truncated, info = left.pop(0)
        assert (ended, list(info["events"])) == (bool(terminated), list(events))
        assert reward == float(line.world.reward(state, events, line.params))
        if ended:
            return
    assert truncated


def test_a_batch_starts_an_episode_again_at_the_step_after_its_end():
    batch = gymnasium.make_vec("chisel/CoinLine-v0", num_envs=3, settings={"env.length": 5})
    assert isinstance(batch, gymnasium_env.VectorEnvironment)
    first, _ = batch.reset(seed=1, options={"probe": "capable:coin"})
    again, _ = batch.reset(seed=1, options={"probe": "capable:coin"})
    assert np.array_equal(first, again) and first in batch.observation_space
    ended, ends = np.zeros(3, bool), 0
    for _ in range(40):
        observation, reward, terminated, truncated, info = batch.step(batch.action_space.sample())
        assert observation in batch.observation_space and info["events"].shape == (3, 2)
        assert not (terminated | truncated | (reward != 0))[ended].any(), "the action after an end counts for nothing"
        assert np.array_equal(batch._episodes.steps == 0, ended)
        ended = terminated | truncated
        ends += ended.sum()
    assert ends >= 6


def test_a_training_loop_of_pure_jax_with_gymnaxs_own_wrappers_learns_in_a_world():
    """Policy gradient with a linear policy; the levels' coin lies at a random place."""
    world, params = gymnax.make("chisel/CoinLine-v0")
    world, params = LogWrapper(FlattenObservationWrapper(world)), params.replace(diversity=jnp.float32(1.0))
    envs, steps = 64, 32

    def logits(weights, seen):
        return seen @ weights[:-1] + jnp.broadcast_to(weights[-1], (*seen.shape[:-1], 2))

    def loss(weights, seen, action, gained):
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits(weights, seen)), action[..., None], -1)[..., 0]
        return -jnp.mean(chosen * (gained - gained.mean()))

    def update(carry, key):
        weights, seen, state = carry

        def step(carry, key):
            seen, state = carry
            act_key, step_key = jax.random.split(key)
            action = jax.random.categorical(act_key, logits(weights, seen))
            keys = jax.random.split(step_key, envs)
            after, state, reward, terminated, truncated, info = jax.vmap(world.step, (0, 0, 0, None))(
                keys, state, action, params
            )
            row = seen, action, reward, terminated | truncated, info["returned_episode_returns"]
            return (after, state), row

        (after, state), (shown, action, reward, done, returned) = jax.lax.scan(
            step, (seen, state), jax.random.split(key, steps)
        )
        back = lambda later, now: (now[0] + jnp.where(now[1], 0.0, 0.9 * later),) * 2  # noqa: E731
        _, gained = jax.lax.scan(back, jnp.zeros(envs), (reward, done), reverse=True)
        weights = weights - 2.0 * jax.grad(loss)(weights, shown, action, gained)
        return (weights, after, state), (returned.mean(), done.mean())

    with jax.numpy_dtype_promotion("standard"):
        seen, state = jax.vmap(world.reset, (0, None))(jax.random.split(jax.random.key(0), envs), params)
        start = jnp.zeros((seen.shape[-1] + 1, 2)), seen, state
        train = jax.jit(lambda start, keys: jax.lax.scan(update, start, keys)[1])
        returns, ended = train(start, jax.random.split(jax.random.key(1), 60))
    assert returns[-1] > 0.97 > returns[1] and ended[-1] > 2 * ended[0], "each episode ends sooner, with the coin"


def test_a_training_loop_of_numpy_learns_through_the_batch():
    """An actor-critic of linear functions in the order of CleanRL's files: a rollout, advantages, a step of each.

    After an end the batch starts again without regard to the action: that step is no experience, and is left out.
    """
    lanes, steps, discount = 32, 16, 0.9
    batch = RecordEpisodeStatistics(gymnasium.make_vec("chisel/CoinLine-v0", lanes, settings={"env.diversity": 1.0}))
    random, returns, actor, critic = np.random.default_rng(0), [], np.zeros(3), np.zeros(3)
    seen, fresh = batch.reset(seed=0)[0], np.zeros(lanes, bool)
    for _ in range(60):
        rows = []
        for _ in range(steps):
            right, before = 1 / (1 + np.exp(-seen @ actor)), seen
            action = (random.random(lanes) < right).astype(int)
            seen, reward, terminated, truncated, info = batch.step(action)
            rows.append((before, action - right, reward, terminated, truncated, ~fresh, seen @ critic))
            fresh = terminated | truncated
            returns += info["episode"]["r"][fresh].tolist() if fresh.any() else []
        before, chosen, reward, terminated, truncated, counts, after = map(np.array, zip(*rows, strict=True))
        gained, later = np.zeros((steps, lanes)), after[-1]
        for step in reversed(range(steps)):
            later = np.where(truncated[step] | ~counts[step], after[step], later)
            later = gained[step] = reward[step] + discount * np.where(terminated[step], 0, later)
        ahead = (gained - before @ critic)[counts]
        actor += 2.0 * before[counts].T @ (chosen[counts] * ahead) / len(ahead)
        critic += 0.05 * before[counts].T @ ahead / len(ahead)
    assert np.mean(returns[-200:]) > 0.97 and np.mean(returns[:200]) < 0.75, len(returns)


def test_stable_baselines3_trains_a_policy_that_is_played_on_a_probe():
    """Where it is installed: it needs PyTorch, which would be the largest of all packages that the tests need."""
    sb3 = pytest.importorskip("stable_baselines3")
    importlib.import_module("torch").set_num_threads(1)
    made = gymnasium.make("chisel/CoinLine-v0", settings={"env.diversity": 1.0})
    model = sb3.PPO("MlpPolicy", made, n_steps=256, learning_rate=3e-3, seed=0, device="cpu").learn(2048)
    probe = gymnasium.make("chisel/CoinLine-v0")
    coins = 0
    for level in range(4):
        seen, _ = probe.reset(seed=level, options={"probe": "capable:coin", "level": level})
        ended, got = False, False
        while not ended:
            seen, _, terminated, truncated, info = probe.step(model.predict(seen, deterministic=True)[0])
            ended, got = terminated or truncated, got or info["events"][0]
        coins += got
    assert coins == 4


def test_what_is_wrong_is_told_in_one_line(line):
    for call, said in (
        (lambda: Environment("coin-lime"), "no world is called 'coin-lime'; nearest: coin-line"),
        (lambda: Environment("coin-line", {"env.divresity": 1}), "no setting 'env.divresity'; nearest: env.diversity"),
        (lambda: Environment("coin-line", {"env.diversity": 2.0}), "settings: env.diversity: 2.0 is not a probability"),
        (lambda: Environment("gymnax:CartPole-v1", render_mode="rgb_array"), "has no 'rgb_array'; expected None"),
        (lambda: line.reset(options={"prob": 1}), "options: 'prob' is not an option; expected probe or level"),
        (lambda: line.reset(options={"level": 1}), "options: level is given without probe"),
        (lambda: line.reset(options={"probe": "frok"}), "coin-line has no probe 'frok'; nearest: fork"),
        (lambda: line.reset(options={"probe": "fork", "level": 99}), "probe fork has no level 99; expected 0 to 0"),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert said in str(error.value) and len(str(error.value).splitlines()) == 1
