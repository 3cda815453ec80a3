"""Tree search: by hand on three cells, and beside value iteration on the levels of a room."""

import jax
import numpy as np
import pytest

import envs
from envs import tabular
from jaxrl import tree_search

pytestmark = pytest.mark.slow

LEFT, RIGHT = 0, 1
PAYMENT = np.array([[1.0, 3.0]])


@pytest.fixture(scope="module")
def three_cells():
    """Entering cell 0 pays 1 each time and ends nothing; entering cell 2 pays 3 and ends the episode."""
    next_state = np.array([[[0, 1], [0, 2], [1, 2]]])
    events = np.zeros((1, 3, 2, 2), bool)
    events[0, 1, LEFT, 0] = events[0, 1, RIGHT, 1] = True
    return tabular.Table(np.array([1]), next_state, events, events[..., 1])


def test_a_walkers_value_by_hand(three_cells):
    """At discount 1/2, a and b for the first two cells: a = (a + b) / 4, b = (1 + a / 2 + 3) / 2."""
    value = tree_search.walker_value(three_cells, PAYMENT, 0.5)[0]
    np.testing.assert_allclose(value[:2], [8 / 11, 24 / 11], rtol=1e-6)


def test_coming_back_for_ever_is_found_worth_more_than_an_end_where_the_discount_says_so(three_cells):
    """1 now, after two more steps and so on is 1 / (1 - discount^2), which passes 3 at discount 0.816."""
    found = {discount: tree_search.search(three_cells, PAYMENT, discount, 256)[0] for discount in (0.7, 0.9)}
    assert found[0.7][1, RIGHT] == 1
    assert found[0.9][1, LEFT] == 1 and found[0.9][0, RIGHT] == 1


def test_few_simulations_do_not_look_far(three_cells):
    assert tree_search.search(three_cells, PAYMENT, 0.9, 4)[0, 1, RIGHT] == 1


def test_on_forks_it_takes_the_coin_by_a_shortest_way_as_the_exact_planner_does():
    world = envs.make("coin-run")
    (fork,) = [probe for probe in world.probes() if probe.labels]
    table = tabular.tabulate(world, jax.tree.map(lambda leaf: leaf[:8], fork.levels))
    payment = np.tile([1.0, 0.0], (8, 1))
    policy = tree_search.search(table, payment, 0.97, 16, tree_search.walker_value(table, payment, 0.97))
    reached = tabular.play(table, policy, np.arange(8), fork.horizon, np.random.default_rng(0))
    np.testing.assert_array_equal(reached[:, 0], tabular.distances(table, 0)[np.arange(8), table.start])
    assert (reached[:, 1] == -1).all()


def test_no_simulations_are_refused(three_cells):
    with pytest.raises(ValueError, match="simulations: 0 is not accepted; at least 1"):
        tree_search.search(three_cells, PAYMENT, 0.9, 0)
