"""Every on-policy learner: problems whose answers are known, losses by hand, lanes together and in pieces."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from envs import Observation
from jaxrl import a2c, pqn, reinforce
from jaxrl.advantages import advantages
from jaxrl.minibatches import Batch
from jaxrl.networks import NOTHING
from jaxrl.on_policy import Lesson
from jaxrl.rollout import Steps
from jaxrl.schedules import Schedule
from tests.jaxrl import probe_world

DISCOUNT = 0.5
COUNTS = {
    "ppo": {"n_steps": 16, "towers": "separate"},
    "a2c": {"towers": "separate"},
    "reinforce": {"n_steps": 16, "towers": "separate"},
    "pqn": {"n_steps": 16},
}
RATES = {"ppo": 5e-3, "a2c": 5e-3, "reinforce": 1e-2, "pqn": 1e-2}


class Chunk:
    """One lane for each of the five problems; what is compiled serves every call."""

    def __init__(self, name: str):
        counts = {"total_steps": 40_960, "n_envs": 8, "width": 16, "depth": 1} | COUNTS[name]
        self.learner = jaxrl.make(name, {f"learner.{key}": value for key, value in counts.items()})
        schedules = (Schedule("learner.learning_rate", "linear"),)
        self.program = jaxrl.Program(
            probe_world.ProbeWorld(), self.learner, chunk=5, probe_at=(1,), schedules=schedules
        )
        rate = RATES[name]
        lane = {"learner.learning_rate": rate, "learner.discount": DISCOUNT}
        lane["schedules.learner.learning_rate.to"] = rate / 10
        self.lanes = [{"env.kind": float(kind)} | lane for kind in range(5)]
        self.keys = np.stack([np.arange(5), np.arange(5)], axis=1).astype(np.uint32)
        self.init, self.advance = (jax.jit(self.program._functions[name]) for name in ("init", "advance"))

    def trained(self, stops, order=range(5)):
        """The policies after an update count, in pieces."""
        order = list(order)
        settings = self.program.settings([self.lanes[kind] for kind in order])
        state, done = self.init(self.keys[order], settings)[0], 0
        for stop in stops:
            state, *_ = self.advance(state, settings, np.int32(stop - done))
            done = stop
        return self.learner.finish(state).policy

    @functools.cached_property
    def solved(self):
        """Values, and the probability of action 1, at [problem, sign -1 or 1, first or second step]."""
        policies = self.trained([self.learner.total_updates])
        signs = [[[sign, time] for time in (0.0, 1.0)] for sign in (-1, 1)]
        seen = Observation(jnp.zeros((2, 2, 0), jnp.int32), jnp.array(signs))
        logits, values, _ = jax.vmap(lambda policy: self.learner.apply(self.program.world, policy, seen))(policies)
        return np.asarray(values), np.asarray(jax.nn.softmax(logits)[..., 1])


@pytest.fixture(scope="module", params=list(COUNTS))
def chunk(request):
    return Chunk(request.param)


@pytest.mark.slow
def test_a_constant_reward_is_valued_as_it_is(chunk):
    np.testing.assert_allclose(chunk.solved[0][probe_world.CONSTANT][:, 0], 1, atol=0.05)


@pytest.mark.slow
def test_value_follows_the_observation(chunk):
    np.testing.assert_allclose(chunk.solved[0][probe_world.SEEN][:, 0], [-1, 1], atol=0.05)


@pytest.mark.slow
def test_reward_a_step_away_is_discounted_once(chunk):
    np.testing.assert_allclose(chunk.solved[0][probe_world.DISCOUNTED], [[DISCOUNT, 1]] * 2, atol=0.05)


@pytest.mark.slow
def test_the_paying_action_is_chosen(chunk):
    assert np.all(chunk.solved[1][probe_world.ACTION][:, 0] > 0.95)
    np.testing.assert_allclose(chunk.solved[0][probe_world.ACTION][:, 0], 1, atol=0.1)


@pytest.mark.slow
def test_the_action_follows_the_observation(chunk):
    assert chunk.solved[1][probe_world.BOTH][0, 0] < 0.05 and chunk.solved[1][probe_world.BOTH][1, 0] > 0.95


@pytest.mark.slow
def test_a_lane_is_the_same_in_pieces_in_another_place_and_among_other_lanes(chunk):
    whole, order = chunk.trained([7]), [3, 0, 0, 0, 0]
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(chunk.trained([1, 4, 7])), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(chunk.trained([7], order)), strict=True):
        np.testing.assert_array_equal(one[np.array(order)], other)


def zeros(learner):
    """With a network of zeros both actions have probability 1/2, and all values are 0."""
    world, seen = probe_world.ProbeWorld(), Observation(jnp.zeros(0, jnp.int32), jnp.zeros(2))
    shapes = jax.eval_shape(lambda key: learner.make_variables(world, key, seen, NOTHING), jax.random.key(0))
    return world, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)


def loss_of(learner):
    return jax.jit(learner.loss, static_argnums=0)


def lesson(reward, terminated, done, value, next_value, action=None):
    """A rollout of one environment that shows nothing."""
    column = lambda values, dtype=jnp.float32: jnp.array(values, dtype)[:, None]  # noqa: E731
    n = len(reward)
    steps = Steps(
        Observation(jnp.zeros((n, 1, 0), jnp.int32), jnp.zeros((n, 1, 2))),
        NOTHING,
        column([0] * n if action is None else action, jnp.int32),
        jnp.full((n, 1), -np.log(2)),
        column(value),
        column(next_value),
        column(reward),
        column(terminated, bool),
        column(done, bool),
    )
    return Lesson(steps, (), jnp.zeros(0, jnp.uint32))


REWARDS = [1, 0, 2, 3]
TERMINATED, CUT = [0, 1, 0, 0], [0, 1, 0, 1]
VALUES, NEXT = [0.5, 0, 1, 0], [0, 9, 0, 4]
"""The second of four steps ends in a terminal state, whose value counts for nothing, the fourth at a time limit."""


def test_the_loss_of_a2c_on_four_transitions_by_hand():
    learner = jaxrl.make("a2c", {"learner.n_envs": 1, "learner.n_steps": 4})
    world, variables = zeros(learner)
    given = lesson(REWARDS, TERMINATED, CUT, VALUES, NEXT)
    total, metrics = loss_of(learner)(world, variables, given, a2c.Params(discount=DISCOUNT))
    # Advantages: 3 + 4/2 - 0 = 5; 2 - 1 + 5/2 = 3.5; 0; 1 - 0.5 = 0.5. Targets: 5, 4.5, 0, 1.
    np.testing.assert_allclose(metrics.loss_policy, np.log(2) * (5 + 3.5 + 0 + 0.5) / 4, rtol=1e-6)
    np.testing.assert_allclose(metrics.loss_value, 0.5 * (25 + 20.25 + 0 + 1) / 4, rtol=1e-6)
    np.testing.assert_allclose(metrics.entropy, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(
        total, metrics.loss_policy + 0.5 * metrics.loss_value - 0.01 * metrics.entropy, rtol=1e-6
    )


@pytest.mark.parametrize(("baseline", "shifted"), [("none", [1, 0, 3.5, 3]), ("value", [0.5, 0, 2.5, 3])])
def test_the_loss_of_reinforce_by_hand_leaves_out_an_episode_that_did_not_end(baseline, shifted):
    learner = jaxrl.make("reinforce", {"learner.baseline": baseline, "learner.width": 4, "learner.depth": 1})
    world, variables = zeros(learner)
    # Returns: 1 + 0/2, 0; 2 + 3/2, 3, with nothing after the time limit; the fifth step is of an episode without end.
    given = lesson([*REWARDS, 100], [*TERMINATED, 0], [*CUT, 0], [*VALUES, 7], [*NEXT, 7])
    _, metrics = loss_of(learner)(world, variables, given, reinforce.Params(discount=DISCOUNT))
    np.testing.assert_allclose(metrics.loss_policy, np.log(2) * np.mean(shifted), rtol=1e-6)
    error = 0.5 * (1 + 0 + 12.25 + 9) / 4 if baseline == "value" else 0
    np.testing.assert_allclose([metrics.loss_value, metrics.taught], [error, 0.8], rtol=1e-6)


def test_a_baseline_does_not_change_the_expected_gradient_of_reinforce():
    """The mean over both actions, each of probability 1/2, of what one step teaches."""
    gradients = []
    for baseline, value in (("none", 0.0), ("value", 0.0), ("value", 5.0)):
        learner = jaxrl.make("reinforce", {"learner.baseline": baseline, "learner.width": 4, "learner.depth": 1})
        world, variables = zeros(learner)
        given = lesson([1, 3], [1, 1], [1, 1], [value, value], [0, 0], action=[0, 1])
        params = reinforce.Params(value_coef=0.0)
        gradient = jax.jit(jax.grad(learner.loss, argnums=1, has_aux=True), static_argnums=0)
        found, _ = gradient(world, variables, given, params)
        gradients.append(np.asarray(found["params"]["policy"]["bias"]))
    np.testing.assert_allclose(gradients, [[0.5, -0.5]] * 3, rtol=1e-6)


def test_lambda_returns_of_pqn_by_hand():
    reward, value, following = jnp.array([1.0, 2, 3]), jnp.array([4.0, 5, 6]), jnp.array([5.0, 6, 7])
    never, then = jnp.zeros(3, bool), jnp.array([False, True, False])
    returns = lambda terminated, done: value + advantages(reward, terminated, done, value, following, 0.5, 0.5)  # noqa: E731
    # 3 + 7/2 = 6.5; 2 + (6 + 6.5) / 4 = 5.125; 1 + (5 + 5.125) / 4 = 3.53125.
    np.testing.assert_allclose(returns(never, never), [3.53125, 5.125, 6.5])
    # A terminal state is worth 0: 2; 1 + (5 + 2) / 4 = 2.75. A time limit is worth what is expected: 2 + 6/2 = 5.
    np.testing.assert_allclose(returns(then, then), [2.75, 2, 6.5])
    np.testing.assert_allclose(returns(never, then), [3.5, 5, 6.5])


def test_the_loss_of_pqn_on_four_transitions_by_hand():
    learner = jaxrl.make("pqn")
    world, variables = zeros(learner)
    variables["params"]["policy"]["bias"] = jnp.array([1.0, 2.0])
    nothing = jnp.zeros(4)
    seen = Observation(jnp.zeros((4, 0), jnp.int32), jnp.zeros((4, 2)))
    batch = Batch(seen, jnp.array([0, 1, 1, 0]), nothing, nothing, nothing, jnp.array([1.0, 5, 2, -1]))
    loss, metrics = loss_of(learner)(world, variables, batch, pqn.Params())
    np.testing.assert_allclose([loss, metrics.q_chosen], [0.5 * (0 + 9 + 0 + 4) / 4, 1.5])


@pytest.mark.slow
def test_pqn_explores_less_and_less_and_hands_out_what_it_ends_with():
    small = {"learner.width": 4, "learner.depth": 1, "learner.total_steps": 1024}
    learner = jaxrl.make("pqn", small)
    world, variables = zeros(learner)
    variables["params"]["policy"]["bias"] = jnp.array([1.0, 2.0])
    variables["exploration"]["epsilon"] = jnp.asarray(0.1)
    seen = Observation(jnp.zeros(0, jnp.int32), jnp.zeros(2))
    params = pqn.Params(epsilon=0.2, epsilon_begin=1.0, exploration_fraction=0.5)
    behaved = [learner.behave(world, variables, params, jnp.asarray(at), seen, NOTHING) for at in (0, 0.25, 0.5, 0.9)]
    np.testing.assert_allclose([np.exp(logits[0]) for logits, *_ in behaved], [0.5, 0.3, 0.1, 0.1], rtol=1e-6)
    logits, value, _ = learner.apply(world, variables, seen)
    np.testing.assert_allclose([*np.exp(logits), value], [0.05, 0.95, 2], rtol=1e-6)
    np.testing.assert_allclose(np.exp(pqn.epsilon_greedy(jnp.array([1.0, 3.0, 3.0]), 0.0)), [0, 1, 0])
    program = jaxrl.Program(world, learner, 1, (1,))
    settings = program.settings([{"learner.epsilon": 0.3}])
    state, _ = jax.jit(program._functions["init"])(np.zeros((1, 2), np.uint32), settings)
    np.testing.assert_allclose(state.variables["exploration"]["epsilon"], [0.3])


def test_a_q_network_with_two_towers_is_refused():
    with pytest.raises(ValueError, match="^learner.towers: a Q-network has one tower; expected shared$"):
        jaxrl.make("pqn", {"learner.towers": "separate"})


def test_every_learner_and_curriculum_is_public_and_documented():
    for cls in (*jaxrl.LEARNERS.values(), *jaxrl.CURRICULA.values()):
        assert cls.__name__ in jaxrl.__all__ and getattr(jaxrl, cls.__name__) is cls
    assert [name for name in jaxrl.__all__ if not hasattr(jaxrl, name)] == []
    assert [one for one in map(jaxrl.__dict__.get, jaxrl.__all__) if callable(one) and not one.__doc__] == []
