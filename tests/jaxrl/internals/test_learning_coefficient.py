"""The learning coefficient of losses whose own is known, and exact regret."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import tabular
from jaxrl.internals import LearningCoefficient, learning_coefficient
from jaxrl.internals.langevin import Chain, coefficient
from tests.jaxrl.internals.known import drawn, lanes_of

CHAIN = Chain(inverse_temperature=1e4, localisation=100.0, burn=100, steps=500, chains=8)
ROOM, LEARNER = envs.make("coin-run"), jaxrl.PPO(width=8, depth=1)


def found(loss, start, chain=CHAIN):
    return {
        name: float(value)
        for name, value in jax.jit(lambda: coefficient(loss, start, jax.random.key(0), chain))().items()
    }


@pytest.mark.parametrize(("directions", "held"), [(20, 20), (20, 5)])
def test_of_a_quadratic_it_is_half_the_number_of_directions_that_it_holds(directions, held):
    """But for what the localisation holds, a share localisation / inverse_temperature of each, as h = 1."""
    one = found(lambda w: 0.5 * jnp.sum(w[:held] ** 2), jnp.zeros(directions))
    assert one["coefficient"] == pytest.approx(held / 2, rel=0.12)
    assert one["error"] < 0.05 * held and abs(one["drift"]) < 0.15 * held and one["acceptance"] > 0.8
    assert one["loss"] == one["descended"] == 0


def test_of_a_singular_minimum_it_is_what_the_integral_says_and_about_a_half():
    """x^2 y^2, of which a quadratic knows nothing: its Hessian is 0."""
    at = np.linspace(-1.5, 1.5, 1501)
    loss, away = np.square(at[:, None] * at[None]), at[:, None] ** 2 + at[None] ** 2

    def integral(inverse_temperature):
        weight = np.exp(-inverse_temperature * loss - 10 / 2 * away)
        return inverse_temperature * (weight * loss).sum() / weight.sum()

    assert integral(1e2) < integral(1e3) < integral(1e4) < 0.5
    chain = CHAIN._replace(localisation=10.0, steps=4000, chains=64)
    one = found(lambda w: jnp.prod(w**2), jnp.zeros(2), chain)
    assert 0.35 < integral(1e4) == pytest.approx(one["coefficient"], abs=0.04)


def test_a_point_beside_the_minimum_is_led_there_first():
    one = found(lambda w: 0.5 * jnp.sum((w - 0.1) ** 2), jnp.zeros(10))
    assert one["loss"] == pytest.approx(0.05) and one["descended"] < 1e-4
    assert one["coefficient"] == pytest.approx(5, rel=0.12)


@pytest.mark.parametrize("step", [1e-3, 1.0])
def test_steps_find_their_size_whatever_the_first(step):
    one = found(lambda w: 0.5 * jnp.sum(w**2), jnp.zeros(20), CHAIN._replace(step=step, burn=400))
    assert one["step"] == pytest.approx(0.006, rel=0.3) and one["acceptance"] > 0.8
    assert one["coefficient"] == pytest.approx(10, rel=0.12)


def test_curvatures_that_differ_a_hundred_thousandfold_are_sampled_by_few_steps():
    """600 of them, where a chain without speed would take some ten thousand to move along what is held least."""
    curvature, chain = jnp.logspace(-4, 1, 1000), Chain(burn=100, steps=500)
    scaled = chain.inverse_temperature * curvature
    one = found(lambda w: 0.5 * jnp.sum(curvature * w**2), jnp.zeros(1000), chain)
    exact = 0.5 * jnp.sum(scaled / (scaled + chain.localisation))
    assert one["coefficient"] == pytest.approx(float(exact), rel=0.04)
    short = found(lambda w: 0.5 * jnp.sum(curvature * w**2), jnp.zeros(1000), Chain(chains=8))
    assert 180 < short["coefficient"] < 220 and short["drift"] > 10, "too low, and told by the drift"


def test_long_steps_sample_what_they_should_since_each_has_its_test():
    """w^4, of which steps as long as these would not sample the density without it."""
    at = np.linspace(-6, 6, 4001)
    weight = np.exp(-(at**4) - 0.1 / 2 * at**2)
    chain = Chain(inverse_temperature=1, localisation=0.1, step=0.6, burn=0, steps=2000, chains=200)
    one = found(lambda w: jnp.sum(w**4), jnp.zeros(1), chain)
    assert one["acceptance"] < 0.9
    assert one["coefficient"] == pytest.approx((weight * at**4).sum() / weight.sum(), rel=0.05)


DISCOUNTS = np.array([0.9, 0.9, 0.5, 0.9], np.float32)


@pytest.fixture(scope="module")
def columns():
    """Of a policy twice, under two keys; of the same under another discount; of one whose weights are no numbers."""
    method = LearningCoefficient(ROOM, LEARNER, (), 4, Chain(descent=2, steps=4, burn=2))
    policy = drawn(ROOM, LEARNER)
    lost = jax.tree.map(lambda leaf: leaf + np.float32(np.nan), policy)
    lanes = lanes_of([policy, policy, policy, lost], ["a", "a", "b", "a"], ROOM)
    return method, method(lanes._replace(learner=jaxrl.PPO.Params(discount=DISCOUNTS))), lanes


@pytest.mark.parametrize("lane", [0, 2])
def test_regret_is_that_of_the_tabular_form(columns, lane):
    method, found, lanes = columns
    params, policy = jax.tree.map(lambda leaf: leaf[lane], (lanes.params, lanes.policy))
    discount = DISCOUNTS[lane]
    levels, _ = method._levels(params, discount)
    table = tabular.Table(None, levels.next_state, levels.reward[..., None] > 0, levels.goes_on == 0)
    best = (levels.begin * discount ** (tabular.distances(table, 0) - 1)).sum()
    kinds, states, actions = levels.next_state.shape
    flat = jax.tree.map(lambda leaf: leaf.reshape(kinds * states, *leaf.shape[2:]), levels.seen)
    chances = np.asarray(jax.nn.softmax(LEARNER.apply(ROOM, policy, flat)[0])).reshape(kinds, states, actions)
    every, value = (np.arange(kinds)[:, None, None], levels.next_state), np.zeros((kinds, states))
    for _ in range(300):
        value = ((levels.reward + discount * levels.goes_on * value[every]) * chances).sum(axis=-1)
    assert found["loss"][lane, 0] == pytest.approx(best - (levels.begin * value).sum(), rel=1e-4)


def test_each_policy_has_chains_of_its_own_and_one_that_diverged_has_no_number(columns):
    _, found, _ = columns
    assert found["loss"][0] == found["loss"][1] != found["loss"][2]
    assert np.isfinite(found["coefficient"][:3]).all() and found["coefficient"][0] != found["coefficient"][1]
    assert all(np.isnan(found[name][3]).all() for name in ("coefficient", "error", "drift", "loss", "descended"))


def test_levels_that_differ_in_where_episodes_begin_are_one_and_those_beyond_the_limit_are_left_out(
    columns, monkeypatch
):
    method, _, lanes = columns
    params = jax.tree.map(lambda leaf: leaf[0], lanes.params)
    every = method._levels(params, DISCOUNTS[0])[0].begin
    assert len(every) == ROOM.height and every.sum() == pytest.approx(1), "the coin is in the last column"
    monkeypatch.setattr(learning_coefficient, "KINDS", 3)
    some = method._levels(params, DISCOUNTS[0])[0].begin
    assert len(some) == 3 and some.sum() == pytest.approx(1)


def test_what_has_no_exact_regret_is_told_in_one_line():
    for world, learner, said in (
        (envs.make("bandit"), LEARNER, "bandit does not list its states"),
        (ROOM, jaxrl.make("ppo", {"learner.memory": "gru"}), "see nothing but the observation"),
        (ROOM, jaxrl.make("pqn", {}), "of ppo, a2c and reinforce alone"),
    ):
        with pytest.raises(ValueError, match=said):
            LearningCoefficient(world, learner, (), 1)
