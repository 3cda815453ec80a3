"""The learning coefficient of losses whose own is known, and exact regret."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import tabular
from jaxrl.internals import LearningCoefficient
from jaxrl.internals.langevin import Chain, coefficient
from tests.jaxrl.internals.known import lanes_of, zeros

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


@pytest.fixture(scope="module")
def columns():
    """Of a policy that moves at random and of one with weights that are not numbers."""
    chain = Chain(descent=2, steps=4, burn=2)
    method = LearningCoefficient(ROOM, LEARNER, (), 2, chain)
    lost = jax.tree.map(lambda leaf: leaf + np.float32(np.nan), zeros(ROOM, LEARNER))
    lanes = lanes_of([zeros(ROOM, LEARNER), lost], ["a", "a"], ROOM)
    discounts = jaxrl.PPO.Params(discount=np.full(2, 0.9, np.float32))
    return method, method(lanes._replace(learner=discounts)), lanes


def test_regret_is_that_of_the_tabular_form(columns):
    method, found, lanes = columns
    params = jax.tree.map(lambda leaf: leaf[0], lanes.params)
    levels, optimal = method._levels(params, np.float32(0.9))
    assert (levels.begin.sum(axis=1) > 0).sum() == ROOM.height, (
        "the coin is in the last column, and starts are together"
    )
    table = tabular.Table(None, levels.next_state, levels.reward[..., None] > 0, levels.goes_on == 0)
    best = (levels.begin * 0.9 ** (tabular.distances(table, 0) - 1)).sum()
    every = np.arange(len(optimal))[:, None, None], levels.next_state
    value = np.zeros(levels.begin.shape)
    for _ in range(300):
        value = (levels.reward + 0.9 * levels.goes_on * value[every]).mean(axis=-1)
    assert found["loss"][0, 0] == pytest.approx(best - (levels.begin * value).sum(), rel=1e-4)
    assert np.isfinite(found["coefficient"][0]).all() and np.isnan(found["coefficient"][1]).all()


def test_what_has_no_exact_regret_is_told_in_one_line():
    for world, learner, said in (
        (envs.make("bandit"), LEARNER, "bandit does not list its states"),
        (ROOM, jaxrl.make("ppo", {"learner.memory": "gru"}), "see nothing but the observation"),
        (ROOM, jaxrl.make("pqn", {}), "of ppo, a2c and reinforce alone"),
    ):
        with pytest.raises(ValueError, match=said):
            LearningCoefficient(world, learner, (), 1)
