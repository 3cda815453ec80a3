"""Evolution strategies and the genetic algorithm: each piece by hand, and problems whose answers are known."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import Observation
from jaxrl import es, evolution, ga, networks, rollout
from jaxrl.schedules import Settings
from tests.jaxrl import probe_world

pytestmark = pytest.mark.slow

WORLD = probe_world.ProbeWorld()
SMALL = {"total_steps": 51_200, "population": 16, "n_envs": 4, "n_steps": 16, "width": 8, "depth": 1}
RATE = {"es": {"learner.learning_rate": 0.1}, "ga": {}}
KINDS = [probe_world.ACTION, probe_world.BOTH, probe_world.BOTH]
KEYS = np.stack([[5, 5, 6], [5, 5, 6]], axis=1).astype(np.uint32)


def make(name, **more):
    return jaxrl.make(name, {f"learner.{key}": value for key, value in (SMALL | more).items()})


@functools.cache
def program(name):
    return jaxrl.Program(WORLD, make(name, **({"parents": 4} if name == "ga" else {})), chunk=3, probe_at=(1,))


@functools.cache
def trained(name, order=(0, 1, 2)):
    values = [{"env.kind": float(KINDS[lane]), "learner.sigma": 0.2} | RATE[name] for lane in order]
    return program(name).train(KEYS[list(order)], values)


@pytest.mark.parametrize("name", ["es", "ga"])
def test_the_paying_action_is_chosen_and_follows_the_observation(name):
    seen = Observation(jnp.zeros((2, 0), jnp.int32), jnp.array([[-1.0, 0.0], [1.0, 0.0]]))
    logits = jax.vmap(lambda policy: program(name).learner.apply(WORLD, policy, seen)[0])(trained(name).policies)
    right = np.asarray(jax.nn.softmax(logits)[..., 1])
    assert right[0].min() > 0.9
    assert right[1:, 0].max() < 0.1 and right[1:, 1].min() > 0.9


@pytest.mark.parametrize("name", ["es", "ga"])
def test_a_lane_does_not_depend_on_its_place_or_its_neighbours(name):
    order = (2, 0, 0)
    for mine, other in zip(
        *(jax.tree.leaves(trained(name, given).policies) for given in ((0, 1, 2), order)), strict=True
    ):
        np.testing.assert_array_equal(mine[[2, 0]], other[:2])
    for column, curve in trained(name).curves.items():
        np.testing.assert_array_equal(curve[[2, 0]], trained(name, order).curves[column][:2], err_msg=column)
    assert program(name).compiles == 1


@pytest.mark.parametrize("name", ["es", "ga"])
def test_in_how_many_pieces_generations_come_changes_no_bit(name):
    program(name).compile()
    compiled = program(name)._compiled
    settings = program(name).settings([{"env.kind": float(kind)} for kind in KINDS])

    def after(*pieces):
        state, _ = compiled["init"](KEYS, settings)
        for updates in pieces:
            state, *_ = compiled["advance"](state, settings, np.int32(updates))
        return jax.tree.leaves(state.policy) + jax.tree.leaves(state.algorithm)

    for whole, parts in zip(after(5), after(2, 1, 2), strict=True):
        np.testing.assert_array_equal(whole, parts)


def test_a_lane_alone_does_what_it_does_among_others():
    """To float32 tolerance, over the first generations: another width of vmap rounds otherwise."""
    learner = program("es").learner
    settings = program("es").settings([{"env.kind": float(kind)} for kind in KINDS])
    together, _ = program("es")._compiled["init"](KEYS, settings)
    together, *_ = program("es")._compiled["advance"](together, settings, np.int32(2))

    @jax.jit
    def alone(key, settings):
        state, _ = learner.init(WORLD, jax.random.wrap_key_data(key), settings)
        return learner.advance(WORLD, state, settings, 2)[0].policy

    one = alone(KEYS[1], jax.tree.map(lambda leaf: leaf[1], settings))
    for among, single in zip(jax.tree.leaves(together.policy), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(among[1], single, rtol=1e-4, atol=1e-5)


def test_without_hidden_layers_a_policy_is_linear_in_one_hot_inputs_as_the_network_of_that_name_is():
    world, learner = envs.make("coin-run"), make("es", depth=0)
    inputs, actions = sum(world.cardinalities) + world.vector_size, world.num_actions
    shapes = {"kernel": (inputs, actions), "bias": (actions,)}
    found = jax.eval_shape(lambda: learner.random_policy(world, jax.random.key(0)))["params"]
    assert {name: leaf.shape for name, leaf in found["policy"].items()} == shapes and list(found) == ["policy"]
    numbers = np.random.default_rng(0)
    policy = {name: numbers.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    indices = np.array([[i % size for i, size in enumerate(world.cardinalities)]], np.int32)
    indices[0, 1] = envs.HIDDEN
    seen = Observation(jnp.asarray(indices), jnp.ones((1, world.vector_size)))
    hot = np.concatenate([envs.one_hot(seen.indices, world.cardinalities), seen.vector], axis=1)
    logits, *_ = learner.apply(world, {"params": {"policy": policy}}, seen)
    np.testing.assert_allclose(logits, hot @ policy["kernel"] + policy["bias"], atol=1e-5)

    linear = networks.Linear(actions, world.cardinalities, world.vector_size)
    value = {"kernel": np.ones((inputs, 1), np.float32), "bias": np.full(1, 0.5, np.float32)}
    both = {"params": {"policy": policy, "value": value}}
    same, valued, memory = linear.apply(both, (), seen, None, None, None)
    np.testing.assert_array_equal(same, logits)
    np.testing.assert_allclose(valued, hot.sum(axis=1) + 0.5)
    assert memory == ()
    assert learner.flops(world) == (2 * learner.steps_per_update + 50 * 16) * inputs * actions


def begun(learner, params):
    """A lane before its first generation."""
    return learner.init(WORLD, jax.random.key(1), Settings(WORLD.params_of({}), params, {}))[0]


def flat(members):
    return np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(members)], axis=1)


def test_the_evolution_strategy_takes_adams_steps_along_pairs_weighed_by_centred_ranks():
    learner, target = make("es", population=6), 0.3
    state = begun(learner, es.Params())
    mean, first, second = flat(jax.tree.map(lambda leaf: leaf[None], state.policy))[0], 0.0, 0.0
    for step, (sigma, rate) in enumerate([(0.1, 0.02), (0.05, 0.5)], start=1):
        params = es.Params(learning_rate=rate, sigma=sigma)
        members, algorithm = learner.members(WORLD, jax.random.key(step), state, params)
        weights = flat(members)
        np.testing.assert_allclose(weights[:3] + weights[3:], np.broadcast_to(2 * mean, (3, len(mean))), atol=1e-5)
        fitness = -((weights - target) ** 2).sum(axis=1)
        fitness[1] = fitness[0]  # a tie, which shares its rank
        algorithm = learner.select(WORLD, jax.random.key(9), members, jnp.asarray(fitness), algorithm, params)
        state = state._replace(algorithm=algorithm, policy=learner.chosen(WORLD, algorithm))

        worse = (fitness[None] < fitness[:, None]).sum(axis=1) + (
            (fitness[None] == fitness[:, None]).sum(axis=1) - 1
        ) / 2
        shaped = worse / 5 - 0.5
        slope = shaped @ ((weights - mean) / sigma) / (6 * sigma)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        mean = mean + rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(flat(jax.tree.map(lambda leaf: leaf[None], state.policy))[0], mean, atol=2e-4)
    assert sorted(shaped.tolist())[0] == -0.5 and sorted(shaped.tolist())[-1] in (0.5, 0.4)


def test_the_genetic_algorithm_breeds_from_the_best_and_keeps_the_first_of_them():
    learner = make("ga", population=6, parents=2)
    state = begun(learner, ga.Params())
    founders, algorithm = learner.members(WORLD, jax.random.key(0), state, ga.Params())
    assert len({row.tobytes() for row in flat(founders)}) == 6, "each member is initialised by itself"
    fitness = jnp.array([1.0, 5.0, 3.0, 5.0, 2.0, 4.0])
    algorithm = learner.select(WORLD, jax.random.key(9), founders, fitness, algorithm, ga.Params())
    policy = learner.chosen(WORLD, algorithm)
    state = state._replace(algorithm=algorithm, policy=policy, update=jnp.int32(1))
    best = [flat(founders)[1].tobytes(), flat(founders)[3].tobytes()]

    copies, _ = learner.members(WORLD, jax.random.key(0), state, ga.Params(sigma=0.0))
    assert flat(copies)[0].tobytes() == best[0], "of two that are as good, the first"
    assert {row.tobytes() for row in flat(copies)} == set(best)
    mutants, _ = learner.members(WORLD, jax.random.key(0), state, ga.Params(sigma=0.01))
    assert flat(mutants)[0].tobytes() == best[0], "the best is not mutated"
    moved = (flat(mutants) - flat(copies))[1:]
    assert np.abs(moved).min() > 0 and moved.std() == pytest.approx(0.01, rel=0.2)


@dataclasses.dataclass(frozen=True)
class ShortOrLong(probe_world.ProbeWorld):
    """Half of the levels end after 2 steps and pay 1 at their end, the others after 8, the time limit, and pay 0."""

    def transition(self, key, state, action, params):
        ends = state.time + 1 >= jnp.where(state.sign > 0, 2, 8)
        paid = jnp.where(ends & (state.sign > 0), 1.0, 0.0)
        return probe_world.State(state.sign, paid, state.time + 1), jnp.zeros((0,), bool), ends


def played(world, learner, members, bits, **params):
    return evolution.evaluate(
        world,
        lambda policy, seen: learner.apply(world, policy, seen)[0],
        members,
        bits,
        dataclasses.replace(world.params_of({}), **params),
        learner.n_envs,
        learner.n_steps,
    )


def test_fitness_favours_no_short_episodes_and_the_mean_over_those_that_ended_does():
    world, learner = ShortOrLong(), make("es", n_envs=32, n_steps=12)
    policy = learner.random_policy(world, jax.random.key(0))
    members = jax.tree.map(lambda leaf: leaf[None], policy)
    bits = jax.random.bits(jax.random.key(0), (400, rollout.bits_needed(world, 32, 12)), jnp.uint32)
    fitness, tally = jax.jit(jax.vmap(lambda bits: played(world, learner, members, bits, max_steps_in_episode=8)))(bits)
    error = 0.5 / np.sqrt(400 * 32)
    assert np.mean(fitness) == pytest.approx(0.5, abs=4 * error)
    assert tally.returns.sum() / tally.episodes.sum() > 0.6


def test_members_share_levels_and_chance_and_all_that_they_play_is_counted():
    world, learner = envs.make("coin-run"), make("ga", population=6, parents=2, n_steps=64)
    policy = learner.random_policy(world, jax.random.key(0))
    bits = jax.random.bits(jax.random.key(1), (rollout.bits_needed(world, 4, 64),), jnp.uint32)
    copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (6, *leaf.shape)), policy)
    run = jax.jit(lambda members: played(world, learner, members, bits, diversity=jnp.float32(1.0)))
    fitness, tally = run(copies)
    assert 0 < fitness[0] <= 1 and len(set(np.asarray(fitness).tolist())) == 1
    for name, total in zip(tally._fields, tally, strict=True):
        np.testing.assert_array_equal(np.asarray(total) % 6, 0, err_msg=name)
    assert tally.lengths <= learner.steps_per_update and tally.returns == tally.events[0] > 0
    assert tally.displaced <= tally.episodes


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("es", {"population": 7, "total_steps": 10**6}, "7 is odd"),
        ("es", {"total_steps": 1000}, "less than one generation of 1024"),
        ("ga", {"parents": 17}, "17 of a population of 16"),
        ("ga", {"n_steps": 10**6, "total_steps": 10**8}, "too large"),
    ],
)
def test_counts_that_do_not_fit_are_refused_in_one_line(name, values, said):
    with pytest.raises(ValueError, match=said) as error:
        make(name, **values)
    assert "\n" not in str(error.value)
