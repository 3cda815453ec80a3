"""The planner: by hand on three cells, and in a room where payment, discount and what can be seen decide."""

import functools
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import envs
import jaxrl
from envs import tabular
from jaxrl.planner import Planner

LEFT, RIGHT = 0, 1


@pytest.fixture
def three_cells():
    """Entering cell 0 pays each time and ends nothing; entering cell 2 ends the episode. The start is in the middle."""
    next_state = np.array([[[0, 1], [0, 2], [1, 2]]])
    events = np.zeros((1, 3, 2, 2), bool)
    events[0, 1, LEFT, 0] = events[0, 1, RIGHT, 1] = True
    return tabular.Table(np.array([1]), next_state, events, events[..., 1])


def best(table, end, discount):
    return tabular.optimal(table, np.array([[1.0, end]]), discount)[0]


def test_coming_back_for_ever_is_weighed_against_an_end(three_cells):
    """1 now, after two more steps and so on is 1 / (1 - discount^2), which passes 3 at discount^2 = 2 / 3."""
    below, above = (np.sqrt(2 / 3) + step for step in (-1e-4, 1e-4))
    assert best(three_cells, 3.0, below)[1].tolist() == [0, 1]
    assert best(three_cells, 3.0, above)[1].tolist() == [1, 0]
    assert best(three_cells, 3.0, below)[0].tolist() == [0, 1], "staying at cell 0 is no entry"
    assert best(three_cells, 4 / 3, 0.5)[1].tolist() == [0.5, 0.5], "equally good actions are as probable"
    assert best(three_cells, 600.0, 0.999)[1].tolist() == [0, 1], "coming back is worth 500.25"
    assert best(three_cells, 500.0, 0.999)[1].tolist() == [1, 0]


def test_nothing_paid_makes_all_actions_as_good(three_cells):
    np.testing.assert_array_equal(tabular.optimal(three_cells, np.zeros((1, 2)), 0.9), 0.5)


@functools.cache
def planner(**static):
    world = envs.TrashRoom(**static)
    return Planner(world, world.probes())


def first(planner, probe, values, discount=0.9):
    """i64[episodes], the goal that the planner reaches first, -1 for none."""
    values = {"env.button_presence": 1.0, **values}
    steps = planner.plan(planner.world.params_of(values), discount).reached[probe].astype(int)
    steps = np.where(steps < 0, 1000, steps)
    return np.where(steps.min(axis=1) < 1000, steps.argmin(axis=1), -1)


@pytest.mark.parametrize(("live", "goal"), [(0.249, 0), (0.251, 1)])
def test_at_equal_distance_the_button_wins_where_it_pays_more_on_average(live, goal):
    assert set(first(planner(), "choice", {"reward.button": 4.0, "env.button_live": live})) == {goal}
    chance = {"reward.button": 4.0, "env.button_live": 0.5, "pay.button.probability": 2 * live}
    assert set(first(planner(), "choice", chance)) == {goal}


def test_an_exact_tie_is_broken_at_random_and_what_training_never_shows_is_worth_nothing():
    chosen = first(planner(), "choice", {"reward.button": 2.0, "env.button_live": 0.5})
    assert 0.25 < (chosen == 1).mean() < 0.75 and set(chosen) == {0, 1}
    assert set(first(planner(), "choice", {"env.button_presence": 0.0})) == {0}


@pytest.mark.parametrize("discount", [0.5, 0.97])
def test_at_unequal_distance_the_button_wins_where_its_discounted_payment_is_more(discount):
    world, values = planner().world, {"reward.button": 2 * discount**-3, "env.button_live": 0.5}
    (probe,) = [probe for probe in world.probes() if probe.name == "exchange:task-button"]
    steps = tabular.probe_distances(world, probe).astype(int)[np.arange(probe.episodes) % probe.distinct]
    further = steps[:, 1] - steps[:, 0]
    assert set(further) == {-6, -4, -2, -1, 1, 2, 4, 6}
    np.testing.assert_array_equal(first(planner(), probe.name, values, discount), (further < 3).astype(int))


def test_a_delay_counts_as_so_many_steps():
    late = {"reward.button": 1.0, "env.button_live": 1.0, "pay.task.delay": 3}
    (probe,) = [probe for probe in planner().world.probes() if probe.name == "exchange:task-button"]
    steps = tabular.probe_distances(planner().world, probe).astype(int)[np.arange(probe.episodes) % probe.distinct]
    chosen = first(planner(longest_delay=3), probe.name, late)
    np.testing.assert_array_equal(chosen, (steps[:, 1] - steps[:, 0] < 3).astype(int))


def test_a_lamp_tells_as_much_as_it_is_true():
    """Half of the buttons pay 2: where the lamp is true nine times of ten, 1.8 with it on and 0.2 with it off."""
    values = {"env.button_live": 0.5, "env.lamp_truth": 0.9}
    lamps = planner(lamps=True)
    assert set(first(lamps, "choice:task-button", values)) == {1}
    assert set(first(lamps, "paid:task-button", values)) == {0}
    values = {"env.button_live": 0.4, "env.lamp_truth": 0.5}
    assert set(first(lamps, "choice:task-button", values)) == {0}, "0.8, whatever the lamp says"


def test_the_choices_are_planned_by_the_rules_of_training():
    """The button pays 0.3 each time that it is entered, which in the choices ends the episode, and in training not."""
    values = {"reward.button": 0.3, "env.bin_presence": 0.0}
    assert set(first(planner(press="every"), "choice", values, 0.97)) == {1}
    assert set(first(planner(), "choice", values, 0.97)) == {0}


def test_the_return_is_that_of_training_levels_within_their_time_limit():
    def expected(**values):
        params = planner().world.params_of({f"env.{name}": value for name, value in values.items()})
        return planner().plan(params, 0.99).expected_return

    assert expected() == 1
    assert expected(button_presence=1.0) == 2, "every level has a button, and it pays 2"
    assert expected(button_presence=1.0, button_live=0.25) == 1
    assert expected(button_presence=0.5) == pytest.approx(1.5, abs=4 * 0.5 / 16)
    assert 0 < expected(button_presence=1.0, max_steps_in_episode=1) < 0.3


def test_payments_that_move_are_those_at_the_end_of_training():
    key = "schedules.reward.right-end"
    schedules = jaxrl.schedules_of({f"{key}.kind": "linear", f"{key}.points": 1}, ["coin", "right-end"])
    program = jaxrl.Program(envs.make("coin-run"), jaxrl.make("ppo"), 2, (1,), schedules)
    settings = program.settings([{f"{key}.to": 5.0, f"{key}.begin": 1.0}, {f"{key}.to": 5.0}])
    state = SimpleNamespace(clock=jax.vmap(lambda lane: lane.clock())(settings))
    still, moved = (plan.reached["fork"] for plan in program._plans(settings, state))
    assert (still[:, 0] > 0).all() and (still[:, 1] < 0).all(), "what begins at the end has moved no update"
    assert (moved[:, 1] > 0).all(), "the right end, which ends nothing, pays most"


def test_what_does_not_follow_from_the_tabular_form_is_not_planned():
    params = planner().world.params_of({})
    assert planner().plan(params, 1.0) is None, "late is as good as soon"
    once = planner(press="once")
    assert not once.offered and once.plan(params, 0.9) is None
    every = planner(press="every", longest_delay=2)
    late = {"env.button_presence": 1.0, "pay.button.delay": 2}
    assert every.plan(every.world.params_of(late), 0.9) is None
    assert every.plan(every.world.params_of({"pay.button.delay": 2}), 0.9) is not None, "no button is ever shown"


@pytest.fixture(scope="module")
def camera():
    world = envs.Camera()
    return Planner(world, world.probes())


@pytest.mark.parametrize(("pays", "boxes"), [(0.04, 0), (0.2, 1)])
def test_where_steps_cost_something_a_second_box_is_fetched_if_it_pays_for_its_way(camera, pays, boxes):
    """Two boxes take 6 to 12 steps more than one, at 0.01 each; nothing is discounted."""
    (choice,) = [probe for probe in camera.probes if probe.labels]
    one, two = tabular.probe_distances(camera.world, choice)[:, :2].T
    assert (0.01 * (two - one).min(), 0.01 * (two - one).max()) == pytest.approx((0.06, 0.12))
    plan = camera.plan(camera.world.params_of({"env.second_pays": pays}), 1.0)
    assert (plan.reached["choice"][:, boxes] == (one, two)[boxes]).all()
    expected = np.mean(1 + boxes * pays - 0.01 * (one, two)[boxes])
    assert plan.expected_return == pytest.approx(expected, abs=0.01)


def test_what_nothing_shows_is_not_planned(camera):
    assert camera.plan(camera.world.params_of({"env.camera_presence": 0.5}), 1.0) is None
