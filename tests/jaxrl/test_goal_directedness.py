"""Goal-directedness: by hand on nine cells, against a plain reimplementation, and on policies whose goal is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

import analysis
import envs
import jaxrl
from envs import tabular
from jaxrl.goal_directedness import DISCOUNT, Followed, Graph, SoftOptimal, explaining, follow, reflex_nats
from tests.jaxrl.known_goal_directedness import table as table_of_known

UP, DOWN, LEFT, RIGHT = range(4)
TOP_RIGHT, BOTTOM_LEFT = 0, 1


def nine_cells():
    """A room of 3 x 3 cells, numbered row by row, begun in the middle; its two goals are opposite corners."""
    cell = np.arange(9)
    row, column = cell // 3, cell % 3
    moves = [3 * np.maximum(row - 1, 0) + column, 3 * np.minimum(row + 1, 2) + column]
    moves += [3 * row + np.maximum(column - 1, 0), 3 * row + np.minimum(column + 1, 2)]
    after = np.stack(moves, axis=1)
    events = np.stack([(after == 2) & (cell[:, None] != 2), (after == 6) & (cell[:, None] != 6)], axis=-1)
    return tabular.Table(np.array([4]), after[None], events[None], np.zeros((1, 9, 4), bool))


def followed(graph, policy):
    """What a policy f64[levels, S, A] does, as a batch of one lane."""
    found = follow(graph, jnp.asarray(policy[graph.level, graph.state], jnp.float32))
    return Followed(*(np.asarray(part, np.float64)[None] for part in found))


@functools.cache
def measure(name, **static):
    return explaining(envs.make(name, static))


def candidates(measured, policy):
    """The columns of a policy f64[levels, S, A]."""
    return {name: float(column[0]) for name, column in measured.explained(followed(measured.graph, policy)).items()}


def tables(measured):
    return tabular.tabulate(measured.world, measured.levels)


def test_nine_cells_by_hand():
    """The example of docs/goal-directedness.md: up, and then right with probability 3/4, within two steps."""
    table = nine_cells()
    graph = Graph(table, horizon=2)
    policy = np.zeros((1, 9, 4))
    policy[0, :, UP] = 1.0
    policy[0, 1] = [0, 0, 1 / 4, 3 / 4]
    found = followed(graph, policy)
    assert found.utility[0] == pytest.approx([0.97 * 3 / 4, 0])
    assert found.taken[0] == pytest.approx([1, 0, 1 / 4, 3 / 4]) and found.repeated[0] == 0
    arrivals = graph.arrivals()
    assert arrivals[:, 0] == pytest.approx(np.array([[0, 1 / 8], [0, 1 / 8]]))
    nats, beta = SoftOptimal(arrivals[TOP_RIGHT]).fit(found.utility[:, TOP_RIGHT])
    assert nats[0] == pytest.approx(3 / 4 * np.log(6) + 1 / 4 * np.log(2 / 7)) == pytest.approx(1.0306, abs=1e-4)
    assert beta[0] == pytest.approx(np.log(21) / 0.97) == pytest.approx(3.1387, abs=1e-4)
    nats, beta = SoftOptimal(arrivals[BOTTOM_LEFT]).fit(found.utility[:, BOTTOM_LEFT])
    assert nats[0] == pytest.approx(np.log(8 / 7)) and beta[0] == -np.inf
    assert reflex_nats(np.array([1 / 2, 3 / 8, 1 / 8]), 4) == pytest.approx([0.1438, 0.0381, 0], abs=1e-4)
    soft = tabular.soft_optimal(table, TOP_RIGHT, np.log(21) / 0.97, 0.97, 2)
    assert soft[0, 0, 4] == pytest.approx([3 / 7, 1 / 14, 1 / 14, 3 / 7])
    assert soft[1, 0, 1] == pytest.approx([1 / 24, 1 / 24, 1 / 24, 21 / 24])


def reimplemented(table, policy, horizon, goals):
    """Nats per decision of each goal and reflex, in plain loops: log-likelihoods under soft value iteration."""
    levels, states, actions = table.next_state.shape
    ends = table.terminated | table.events.any(-1)
    visits, same, decisions = np.zeros((horizon, levels, states)), 0.0, 0.0
    by_last = np.zeros((levels, states, actions))
    taken = np.zeros(actions)
    visits[0, np.arange(levels), table.start] = 1 / levels
    for t in range(horizon):
        following = np.zeros_like(by_last)
        for level in range(levels):
            for state in np.flatnonzero(visits[t, level]):
                same += by_last[level, state] @ policy[level, state]
                for action in range(actions):
                    flow = visits[t, level, state] * policy[level, state, action]
                    taken[action] += flow
                    decisions += flow
                    if not ends[level, state, action]:
                        following[level, table.next_state[level, state, action], action] += flow
        by_last = following
        if t + 1 < horizon:
            visits[t + 1] = following.sum(axis=-1)

    def log_likelihood(goal, beta):
        value, total = np.zeros((levels, states)), 0.0
        for t in reversed(range(horizon)):
            ahead = value[np.arange(levels)[:, None, None], table.next_state]
            ahead = np.where(ends, 0.0, ahead) + beta * DISCOUNT**t * table.events[..., goal]
            value = logsumexp(ahead, axis=-1) - np.log(actions)
            total += np.sum(visits[t][..., None] * policy * (ahead - value[..., None]))
        return total

    found = []
    for goal in range(goals):
        best = minimize_scalar(
            lambda beta, goal=goal: -log_likelihood(goal, beta), bounds=(-3000, 3000), method="bounded"
        )
        found.append(-best.fun / decisions)
    shares = [*(taken / decisions), same / (decisions - 1)]
    for place, share in enumerate(shares):
        weight = decisions - 1 if place == actions else decisions

        def score(beta, share=share):
            return beta * share - np.logaddexp(beta, np.log(actions - 1)) + np.log(actions)

        best = minimize_scalar(lambda beta, score=score: -score(beta), bounds=(0, 100), method="bounded")
        found.append(-best.fun * weight / decisions)
    return np.array(found)


@pytest.mark.slow
def test_networks_are_measured_as_a_plain_reimplementation_measures_them():
    """Two networks of random weights, one that hardly prefers anything and one that is nearly deterministic."""
    measured, learner = measure("objects"), jaxrl.make("ppo", {"learner.width": 16})
    world, random, scales = measured.world, np.random.default_rng(0), (0.2, 2.0)
    params = world.default_params
    observe = jax.vmap(jax.vmap(lambda state: world.features(state, params)))
    observed = jax.jit(observe)(jax.vmap(lambda level: world.states(level, params))(measured.levels))
    one = jax.tree.map(lambda leaf: leaf[0, 0], observed)
    shapes = jax.eval_shape(learner.make_network(world).init, jax.random.key(0), (), one, None, None, None)
    networks = [
        jax.tree.map(lambda leaf, scale=scale: np.float32(random.normal(0, scale, leaf.shape)), shapes)
        for scale in scales
    ]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    columns = measured.columns(learner, together, jax.tree.map(lambda leaf: np.stack([leaf] * 2), params))
    names = [*(goal.name for goal in world.goals), *(f"always:{name}" for name in world.action_names), "always:same"]
    for lane, variables in enumerate(networks):
        policy = np.asarray(jax.nn.softmax(learner.apply(world, variables, observed)[0]), np.float64)
        expected = reimplemented(tables(measured), policy, measured.graph.horizon, len(world.goals))
        np.testing.assert_allclose([columns[f"meg.{name}"][lane] for name in names], expected, atol=1e-4)
        assert expected.max() > (0.001, 0.05)[lane]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coin-line", "coin-run", "objects", "trash-room"])
def test_a_random_walker_has_none(name):
    measured = measure(name)
    found = candidates(measured, np.full(tables(measured).next_state.shape, 1 / measured.world.num_actions))
    assert all(found[column] == pytest.approx(0, abs=1e-4) for column in found if column != "meg.decisions")


@pytest.mark.parametrize(
    ("name", "goal"), [("coin-line", "coin"), ("coin-line", "right-end"), ("coin-run", "right-end")]
)
def test_one_best_action_at_every_decision_makes_it_the_logarithm_of_their_number(name, goal):
    measured = measure(name)
    place = [one.name for one in measured.world.goals].index(goal)
    found = candidates(measured, tabular.oracle(tables(measured), place))
    assert found[f"meg.{goal}"] == pytest.approx(np.log(measured.world.num_actions), abs=1e-4)
    assert found[f"meg.beta.{goal}"] == np.inf


def in_time(table, policy):
    """Levels whose states are pairs of a time and a state, and a policy f64[horizon, levels, S, A] in them."""
    horizon, levels, states, actions = policy.shape
    shape = (levels, horizon * states, actions)
    time = np.minimum(np.arange(horizon) + 1, horizon - 1) * states
    after = (time[:, None, None] + table.next_state[:, None]).reshape(shape)
    events = np.repeat(table.events[:, None], horizon, axis=1).reshape(*shape, -1)
    over = np.repeat(table.terminated[:, None], horizon, axis=1).reshape(shape)
    return tabular.Table(table.start, after, events, over), policy.swapaxes(0, 1).reshape(shape)


@pytest.mark.parametrize("beta", [-4.0, 3.0, 25.0])
@pytest.mark.parametrize("goal", ["colour", "mark-2"])
def test_the_goal_and_the_rationality_of_a_soft_optimal_policy_are_recovered(goal, beta):
    measured = measure("objects")
    names, table = [one.name for one in measured.world.goals], tables(measured)
    table = tabular.Table(*(part[:8] for part in table))
    horizon = measured.graph.horizon
    soft = tabular.soft_optimal(table, names.index(goal), beta, DISCOUNT, horizon)
    graph, arrivals = Graph(*in_time(table, soft)[:1], horizon), Graph(table, horizon).arrivals()
    found = followed(graph, in_time(table, soft)[1])
    fits = {name: SoftOptimal(arrivals[i]).fit(found.utility[:, i]) for i, name in enumerate(names)}
    assert max(fits, key=lambda name: fits[name][0][0]) == goal
    assert fits[goal][1][0] == pytest.approx(beta, rel=1e-4)


ALSO_A_REFLEX = {
    "coin-line": {"coin": "always:left", "right-end": "always:right"},
    "coin-run": {"right-end": "always:right"},
}
"""Goals whose oracle is a reflex: every way there is straight on, from wherever a fork can lead."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coin-line", "coin-run", "objects", "trash-room"])
def test_what_is_inferred_agrees_with_the_labels_of_known_policies(name):
    """Oracles are named by their goals, also where they act at random half of the time, and reflexes by themselves.

    Where an oracle is a reflex nothing can tell them apart: there is no margin, and acting at random half of the time
    is a weaker preference for the action, and nothing else.
    """
    found = table_of_known(measure(name))
    inferred = analysis.inferred_goal(found)
    same = ALSO_A_REFLEX.get(name, {})
    assert pd.isna(inferred["inferred"]["random"])
    for actor in found.index.drop("random"):
        kind, _, what = actor.partition(":")
        best, margin, following = inferred.loc[actor, ["inferred", "margin", "next"]]
        if actor in same.values() or (kind == "oracle" and what in same):
            assert margin == 0 and same[best] == following, actor
        elif kind == "weak oracle" and what in same:
            assert best == same[what] and found[f"meg.{what}"][actor] > 0.7 * inferred["meg"][actor], actor
        else:
            assert best == (actor if kind == "always" else what) and margin > 0.03, actor


@pytest.mark.slow
def test_a_wall_tells_a_habit_from_a_goal():
    found = analysis.inferred_goal(table_of_known(measure("coin-run", **{"env.wall": "random"})))
    assert found["inferred"]["oracle:right-end"] == "right-end" and found["margin"]["oracle:right-end"] > 0.3
    assert found["inferred"]["always:right"] == "always:right" and found["margin"]["always:right"] > 0.03


def test_a_goal_out_of_reach_and_a_policy_of_no_numbers_have_none():
    nats, beta = SoftOptimal(np.zeros((2, 5))).fit(np.zeros(3))
    assert np.isnan(nats).all() and np.isnan(beta).all()
    measured = measure("coin-line")
    lost = Followed(np.full((1, 2), np.nan), np.full((1, 2), np.nan), np.full(1, np.nan))
    assert all(np.isnan(column).all() for column in measured.explained(lost).values())


def test_policies_that_look_at_more_than_the_observation_are_not_measured():
    measured, learner = measure("coin-line"), jaxrl.make("ppo", {"learner.memory": "gru"})
    columns = measured.columns(learner, {"weights": np.zeros((3, 2))}, measured.world.default_params)
    assert "meg.coin" in columns and all(len(column) == 3 and np.isnan(column).all() for column in columns.values())
