"""What policies remember and are told of the step before: problems that need it, and the same worked step by step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import a2c, ppo, rollout
from jaxrl.minibatches import Batch
from jaxrl.on_policy import Lesson
from tests.jaxrl.recall_world import CLOCK, DONE, PAID, SEEN, RecallWorld

pytestmark = pytest.mark.slow

WORLD = RecallWorld()
MEMORY, REWARD, ACTION = ({f"learner.{key}": value} for key, value in (
    ("memory", "gru"), ("previous_reward", True), ("previous_action", True),
))  # fmt: skip


@functools.cache
def returns(name, *given):
    """The mean return at the end of training on each of the three problems; 1/2 is what guessing gives.

    The median of three seeds: processors round differently, and what one seed comes to differs with them.
    """
    counts = {"total_steps": 30_720, "n_envs": 16, "n_steps": 8, "width": 16, "depth": 1}
    values = {f"learner.{key}": value for key, value in counts.items()}
    learner = jaxrl.make(name, values | dict(given))
    program = jaxrl.Program(WORLD, learner, 9, (1,))
    settings = program.settings([{"env.kind": kind, "learner.learning_rate": 1e-2} for kind in 3 * (SEEN, PAID, DONE)])
    keys = np.stack([np.arange(9), np.arange(9)], axis=1).astype(np.uint32)
    init, advance = (jax.jit(program._functions[part]) for part in ("init", "advance"))
    state, *_ = advance(init(keys, settings)[0], settings, np.int32(learner.total_updates - 20))
    _, tally, _ = advance(state, settings, np.int32(20))
    return np.median((tally.returns / tally.episodes).reshape(3, 3), axis=0)


def test_what_was_seen_a_step_ago_takes_memory():
    assert returns("ppo", *MEMORY.items())[SEEN] > 0.95
    assert returns("ppo", *REWARD.items())[SEEN] == pytest.approx(0.5, abs=0.1)


def test_what_was_paid_a_step_ago_takes_the_previous_reward_among_the_inputs():
    assert returns("ppo", *REWARD.items())[PAID] > 0.95
    assert returns("ppo", *MEMORY.items())[PAID] == pytest.approx(0.5, abs=0.1)


def test_the_previous_action_lets_actions_alternate_and_serves_as_memory():
    assert returns("ppo", *REWARD.items())[DONE] == pytest.approx(0.5, abs=0.1)
    assert returns("ppo", *ACTION.items())[DONE] > 0.95
    assert returns("ppo", *ACTION.items())[SEEN] > 0.95, (
        "the first action is chosen by the cue, the second by the first"
    )


def test_a2c_remembers_too():
    assert (returns("a2c", *MEMORY.items(), *REWARD.items(), *ACTION.items()) > 0.95).all()


ENVS, STEPS = 3, 10


@pytest.fixture(scope="module")
def played():
    """A second rollout of a recurrent policy, which begins in the middle of episodes, and the same step by step."""
    counts = {"n_envs": ENVS, "n_steps": STEPS, "width": 4, "depth": 1, "n_minibatches": 1, "total_steps": 300}
    learner = jaxrl.make("ppo", {f"learner.{key}": value for key, value in counts.items()} | MEMORY | REWARD | ACTION)
    params = WORLD.params_of({"env.kind": CLOCK, "env.max_steps_in_episode": 3})
    envs = rollout.begin(WORLD, jax.random.key(0), params, ENVS, learner.context(WORLD, ENVS))
    seen = WORLD.features(jax.tree.map(lambda leaf: leaf[0], envs.state), params)
    one = jax.tree.map(lambda leaf: leaf[0], envs.context)
    variables = learner.make_variables(WORLD, jax.random.key(1), seen, one)
    policy = variables["params"]["policy"]
    policy["kernel"] = 100 * policy["kernel"]  # so that logits are not all but 0
    forward = jax.jit(functools.partial(learner.forward, WORLD, variables))

    @jax.jit
    def play(envs, bits):
        return rollout.rollout(WORLD, functools.partial(learner.forward, WORLD, variables), envs, bits, params, STEPS)

    needed = rollout.bits_needed(WORLD, ENVS, STEPS)
    bits = jax.random.bits(jax.random.key(2), (2, needed), jnp.uint32)
    begin, _, _ = play(envs, bits[0])
    after, steps, _ = play(begin, bits[1])
    assert not begin.context.first.all() and steps.terminated.any() and (steps.done & ~steps.terminated).any()

    given = jax.tree.map(np.asarray, (steps, begin))
    steps_, begin_ = given
    logits, values, following = np.zeros((STEPS, ENVS, 2)), np.zeros((STEPS, ENVS)), np.zeros((STEPS, ENVS))
    for e in range(ENVS):
        context = jax.tree.map(lambda leaf, e=e: leaf[e], begin_.context)
        for t in range(STEPS):
            look = jax.tree.map(lambda leaf, at=(t, e): leaf[at], steps_.observation)
            logits[t, e], values[t, e], memory = forward(look, context)
            final = WORLD.features(
                jax.tree.map(lambda leaf, e=e: leaf[e], begin_.state).replace(
                    sign=np.sign(look.vector[0]), time=np.abs(look.vector[0])
                ),
                params,
            )
            told = context._replace(
                memory=memory, previous_action=steps_.action[t, e], previous_reward=steps_.reward[t, e], first=False
            )
            following[t, e] = forward(final, told)[1]
            # A new episode: nothing is left of what came before it.
            fresh = jax.tree.map(np.zeros_like, told)._replace(first=True)
            context = fresh if steps_.done[t, e] else told
    return learner, variables, Lesson(steps, begin.context.memory, jnp.zeros(0, jnp.uint32)), logits, values, following


def test_memory_is_carried_through_an_episode_and_no_further(played):
    _, _, lesson, logits, values, _ = played
    log_probs = np.asarray(rollout.pick(jax.nn.log_softmax(jnp.asarray(logits, jnp.float32)), lesson.steps.action))
    np.testing.assert_allclose(lesson.steps.value, values, atol=1e-5)
    np.testing.assert_allclose(lesson.steps.log_prob, log_probs, atol=1e-5)


def test_a_time_limit_is_bootstrapped_through_with_the_memory_of_its_own_step(played):
    _, _, lesson, _, _, following = played
    counts = ~np.asarray(lesson.steps.terminated)
    np.testing.assert_allclose(lesson.steps.next_value[counts], following[counts], atol=1e-5)


def test_a_recurrent_loss_is_that_of_its_steps_one_by_one(played):
    learner, variables, lesson, logits, values, _ = played
    steps, rows = lesson.steps, np.array([2, 0])
    generator = np.random.default_rng(0)
    old, advantage, target = (generator.normal(size=(2, STEPS)).astype(np.float32) for _ in range(3))
    turned = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1)[rows], steps)
    context = turned.context._replace(memory=lesson.memory[rows])
    batch = Batch(turned.observation, turned.action, turned.log_prob - 0.1, old, advantage, target, context)
    loss, metrics = jax.jit(learner.loss, static_argnums=0)(WORLD, variables, batch, ppo.Params())
    value = values.T[rows]
    normal = (advantage - advantage.mean()) / advantage.std()
    # The probability ratio is exp(0.1) throughout, less than the 1.2 at which it would be clipped.
    np.testing.assert_allclose(metrics.loss_policy, -np.mean(np.exp(0.1) * normal), atol=1e-5)
    near = old + np.clip(value - old, -0.2, 0.2)
    error = 0.5 * np.mean(np.maximum((value - target) ** 2, (near - target) ** 2))
    np.testing.assert_allclose(metrics.loss_value, error, rtol=1e-4)

    shapes = {f"learner.{name}": getattr(learner, name) for name in ("n_envs", "n_steps", "width", "depth")}
    other = jaxrl.make("a2c", shapes | MEMORY | REWARD | ACTION)
    found, _ = jax.jit(other.over_rollout, static_argnums=0)(WORLD, variables, lesson)
    np.testing.assert_allclose(found, logits, atol=1e-5)
    assert np.isfinite(jax.jit(other.loss, static_argnums=0)(WORLD, variables, lesson, a2c.Params())[0])


def test_memory_wants_one_tower_and_whole_sequences_in_each_minibatch():
    with pytest.raises(ValueError, match="^learner.towers: one gated recurrent unit serves policy and value"):
        jaxrl.make("a2c", {"learner.towers": "separate"} | MEMORY)
    with pytest.raises(ValueError, match="^learner.n_minibatches: 8 does not divide n_envs 4; a policy with memory"):
        jaxrl.make("ppo", {"learner.n_envs": 4, "learner.n_minibatches": 8} | MEMORY).check(WORLD)
