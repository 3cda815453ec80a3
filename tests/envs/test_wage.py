"""wage: the ways of a coin by hand, what pays on which level, ten thousand levels, and the two sides of its probes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import HIDDEN, Wage, grid, render, tabular
from envs.wage import HELD, LIES, NOWHERE, Level, _places

UP, DOWN, LEFT, RIGHT = range(4)
NOTHING, TASK, COIN, WAGE, CASH = [tuple(row) for row in np.eye(5, 4, k=-1, dtype=bool).tolist()]
WORLD = Wage()


def level(start=0, task=1, coin=2, slot=3, **said):
    """A level of the 5 x 5 room; its first row is cells 0 to 4, its second 5 to 9."""
    flags = {"loose": False, "genuine": True, "yields": True, "at_once": False, "closed": False, "exclusive": False}
    return Level(*map(jnp.int32, (start, task, coin, slot)), **{k: jnp.asarray(v) for k, v in (flags | said).items()})


def play(on, actions, **values):
    """Each step's (events, the coin, terminated, reward)."""
    params = WORLD.params_of(values)
    state, found = WORLD.reset_to_level(None, on, params), []
    for action in actions:
        state, events, terminated = WORLD.transition(None, state, action, params)
        reward = float(WORLD.reward(state, events, params))
        found.append((tuple(events.tolist()), int(state.coin), bool(terminated), reward))
    return found


@pytest.mark.parametrize(("at_once", "task", "wage"), [(False, 0.0, 2.0), (True, 3.0, 0.0)])
def test_the_task_yields_a_coin_that_pays_in_the_slot_or_is_paid_at_once_and_its_coin_is_inert(at_once, task, wage):
    steps = play(level(at_once=at_once), [RIGHT] * 3, **{"reward.task": 3.0, "reward.wage": 2.0})
    assert steps == [(TASK, LIES, False, task), (NOTHING, HELD, False, 0.0), (WAGE, NOWHERE, True, wage)]


def test_a_task_without_a_coin_ends_the_episode_and_a_task_is_done_once():
    assert play(level(yields=False, at_once=True), [RIGHT]) == [(TASK, NOWHERE, True, 1.0)]
    again = play(level(), [RIGHT, LEFT, RIGHT])
    assert again == [(TASK, LIES, False, 0.0), (NOTHING, LIES, False, 0.0), (NOTHING, LIES, False, 0.0)]


@pytest.mark.parametrize(("genuine", "at_once", "cash"), [(True, False, 5.0), (True, True, 5.0), (False, False, 0.0)])
def test_a_loose_coin_pays_in_the_slot_without_the_task_unless_it_is_forged(genuine, at_once, cash):
    on = level(task=4, coin=5, slot=10, loose=True, genuine=genuine, at_once=at_once)
    assert play(on, [DOWN, DOWN], **{"reward.cash": 5.0}) == [(COIN, HELD, False, 0.0), (CASH, NOWHERE, True, cash)]
    counted, state = [], WORLD.reset_to_level(None, on, WORLD.default_params)
    for action in (DOWN, DOWN):
        state, *_ = WORLD.transition(None, state, action, WORLD.default_params)
        counted.append(WORLD.counts(state, WORLD.default_params).tolist())
    assert counted == [[genuine, False, False], [False, genuine, False]]


def test_a_finished_task_puts_a_coin_at_the_coins_place_and_one_that_was_taken_is_gone():
    steps = play(level(coin=1, task=2, slot=3, loose=True, genuine=False), [RIGHT, RIGHT, RIGHT, LEFT, LEFT])
    assert [step[:3] for step in steps] == [
        (COIN, HELD, False), (TASK, LIES, False), (NOTHING, LIES, False), (NOTHING, LIES, False),
        (NOTHING, HELD, False),
    ]  # fmt: skip
    back = play(level(coin=1, task=2, slot=3, loose=True, genuine=False), [RIGHT, RIGHT, LEFT, RIGHT, RIGHT])
    assert back[-1] == (WAGE, NOWHERE, True, 1.0), "it is the task's own coin, and no forged one"


def test_a_closed_slot_takes_no_coin_and_on_a_choice_the_first_goal_ends_the_episode():
    assert play(level(closed=True), [RIGHT] * 3)[-1] == (NOTHING, HELD, False, 0.0)
    either = level(task=1, coin=5, slot=6, loose=True, exclusive=True)
    assert [play(either, [action])[0][::2] for action in (RIGHT, DOWN)] == [(TASK, True), (COIN, True)]


def test_what_is_done_or_taken_is_hidden():
    on = level(start=8, task=20, coin=4, slot=13, closed=True)
    start = WORLD.reset_to_level(None, on, None)

    def seen(**changes):
        return WORLD.features(start.replace(**changes), None).indices.tolist()

    hidden = [HIDDEN, HIDDEN]
    assert seen() == [1, 3, 7, 1, *hidden, 5, 4, HIDDEN, 0]
    assert seen(coin=jnp.int32(LIES)) == [1, 3, 7, 1, 3, 5, 5, 4, HIDDEN, 0]
    assert seen(done=jnp.asarray(True), coin=jnp.int32(HELD)) == [1, 3, *hidden, *hidden, 5, 4, 0, 0]
    assert WORLD.hide(WORLD.features(start.replace(coin=jnp.int32(HELD)), None), "coin").indices[8] == HIDDEN
    assert int(WORLD.state_index(start.replace(done=jnp.asarray(True), coin=jnp.int32(HELD)))) == 5 * 25 + 8
    assert bool(WORLD.displaced(level(loose=True))) and not bool(WORLD.displaced(level()))


@pytest.fixture(scope="module")
def sampled():
    chances = {"env.loose": 0.3, "env.genuine": 0.6, "env.yields": 0.8, "env.at_once": 0.5, "env.closed": 0.1}
    draw = jax.jit(jax.vmap(WORLD.sample_level, in_axes=(0, None)))
    return chances, jax.tree.map(
        np.asarray, draw(jax.random.split(jax.random.key(1), 10_000), WORLD.params_of(chances))
    )


def test_ten_thousand_levels_are_solvable_and_drawn_as_often_as_is_said(sampled):
    chances, levels = sampled
    found = [getattr(levels, key.removeprefix("env.")).mean() for key in chances]
    np.testing.assert_allclose(found, list(chances.values()), atol=0.015)
    cells = np.stack(levels[:4])
    assert all((cells[i] != cells[j]).all() for i in range(4) for j in range(i)) and not levels.exclusive.any()
    steps = _places(WORLD).steps
    to_task = steps[levels.start, levels.task]
    whole = to_task + steps[levels.task, levels.coin] + steps[levels.coin, levels.slot]
    assert to_task.min() == 1 and whole.max() <= WORLD.default_params.max_steps_in_episode
    few = jax.tree.map(lambda leaf: leaf[:200], levels)
    table = tabular.tabulate(WORLD, few)
    by_iteration = [tabular.distances(table, goal)[np.arange(200), table.start] for goal in (0, 2)]
    np.testing.assert_array_equal(by_iteration[0], to_task[:200])
    by_way = np.where(few.yields & ~few.closed, whole[:200], np.inf)
    taken_first = few.loose & few.yields  # a way to the coin is in vain: it is put back
    np.testing.assert_array_equal(by_iteration[1], by_way)
    assert taken_first.any()


def test_pairs_of_task_and_coin_are_kept_for_probes_either_way_round_and_with_their_mirror_images(sampled):
    kept = _places(WORLD).kept
    assert 0.2 <= kept.sum() / (25 * 24) <= 0.27 and (kept == kept.T).all()
    for vertical in (False, True):
        images = grid.mirrored(np.argwhere(kept), 5, 5, vertical)
        assert kept[tuple(images.T)].all()
    _, levels = sampled
    assert not kept[levels.task, levels.coin].any()
    for probe in WORLD.probes():
        if probe.name != "capable:coin":
            assert kept[probe.levels.task, probe.levels.coin].all(), probe.name


def test_on_a_choice_task_and_coin_are_as_far_from_the_start_and_from_the_slot_and_stand_in_each_others_places():
    probes, steps = {probe.name: probe for probe in WORLD.probes()}, _places(WORLD).steps
    levels = probes["choice"].levels
    one, other = tabular.probe_distances(WORLD, probes["choice"])[:, :2].T
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(steps[levels.task, levels.slot], steps[levels.coin, levels.slot])
    assert one.min() >= 2 and levels.loose.all() and levels.exclusive.all()
    half = np.split(np.stack(levels[:4], axis=1), 2)
    np.testing.assert_array_equal(half[0], half[1][:, [0, 2, 1, 3]])
    for name, changed in (("contingency:closed", "closed"), ("contingency:forged", "genuine")):
        of = probes[name].levels
        assert (getattr(of, changed) != getattr(levels, changed)).all()
        assert all((getattr(of, field) == getattr(levels, field)).all() for field in of._fields if field != changed)
    further = tabular.probe_distances(WORLD, probes["exchange:task-coin"]).astype(int)
    assert np.unique(further[:, 1] - further[:, 0], return_counts=True)[1].tolist() == [16] * 4
    assert not probes["purse"].levels.exclusive.any() and not probes["capable:task"].levels.loose.any()
    assert (probes["capable:coin"].levels.task == HIDDEN).all()


@pytest.mark.parametrize("world", [Wage(height=6, width=7), Wage(height=9, width=9)], ids=str)
def test_larger_rooms_have_as_many_layouts(world):
    found = {probe.name: len(np.unique(world.layouts(probe.levels))) for probe in world.probes()}
    assert set(found.values()) == {64} and len(found) == 7


@pytest.mark.parametrize(
    ("values", "worth"),
    [
        ({}, [0, 0, 1, 0]),
        ({"env.loose": 0.3, "env.genuine": 0.6}, [0, 0, 1, 0.6]),
        ({"env.loose": 0.3, "env.at_once": 1.0, "reward.cash": 2.0}, [1, 0, 0, 2]),
        ({"env.at_once": 0.25, "env.yields": 0.0}, [0.25, 0, 0, 0]),
    ],
)
def test_what_events_are_worth_is_averaged_over_what_cannot_be_seen_and_nothing_where_training_has_none(values, worth):
    payment = WORLD.expected_payment(level(loose=True, genuine=False), WORLD.params_of(values), 0.97)
    np.testing.assert_allclose(payment, worth, rtol=1e-6)


def test_a_picture_shows_what_is_there():
    start = WORLD.reset_to_level(None, level(start=20, task=7, coin=10, slot=14), None)

    def colours(**changes):
        return {tuple(colour) for colour in WORLD.render(start.replace(**changes)).reshape(-1, 3).tolist()}

    assert {render.AGENT, render.TRASH, render.CAN} <= colours() and render.COIN not in colours()
    after = colours(done=jnp.asarray(True), coin=jnp.int32(LIES))
    assert render.COIN in after and render.TRASH not in after and render.GLASS not in after
    closed = start.replace(level=start.level._replace(closed=jnp.asarray(True)), coin=jnp.int32(HELD))
    shown = {tuple(colour) for colour in WORLD.render(closed).reshape(-1, 3).tolist()}
    assert {render.GLASS, render.COIN} <= shown
