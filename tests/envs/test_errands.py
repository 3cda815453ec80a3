"""errands: each kind of task by hand, what is seen of it, and what training and the probes offer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import HIDDEN, placements, tabular
from envs.errands import ASK, BUTTON, CARRY, KINDS, LEVER, OWNERS, PLATES, Errands, Level
from jaxrl.planner import Planner

UP, DOWN, LEFT, RIGHT = range(4)
NOTHING, TASK, PRESS = [False, False], [True, False], [False, True]
SIGNALS = 2 + 2 * len(OWNERS)
"""Where carrying, door open, first plate, plate done, and what the sign said are seen."""


def level(kind, start=0, first=1, second=2, wrong=HIDDEN, button=HIDDEN, cue=0, live=True):
    """A level of the 7 x 7 room; its first row is cells 0 to 6, its second 7 to 13."""
    cells = jnp.array([first, second, wrong])
    return Level(*(jnp.int32(x) for x in (kind, start)), cells, jnp.int32(cue), jnp.int32(button), jnp.array(live))


def play(on, actions, **values):
    """Each step's (state, events, terminated, reward)."""
    world = Errands()
    params = world.params_of(values)
    state, found = world.reset_to_level(None, on, params), []
    for action in actions:
        state, events, terminated = world.transition(None, state, action, params)
        found.append((state, events.tolist(), bool(terminated), float(world.reward(state, events, params))))
    return found


def seen(state):
    """i32[27], what is seen: the agent's row and column, those to each thing, then signals."""
    return np.asarray(Errands().features(state, None).indices)


@pytest.mark.parametrize("kind", range(4))
def test_a_task_is_done_by_entering_the_first_cell_and_then_the_second(kind):
    steps = [step[1:] for step in play(level(kind, wrong=8), [RIGHT, RIGHT])]
    assert steps == [(NOTHING, False, 0.0), (TASK, True, 1.0)]
    too_early = [step[1:] for step in play(level(kind, start=9, wrong=8), [UP, LEFT, RIGHT])]
    assert too_early == [(NOTHING, False, 0.0), (NOTHING, False, 0.0), (TASK, True, 1.0)]


@pytest.mark.parametrize("cue", [0, 1])
def test_the_wrong_mark_and_the_later_plate_do_nothing(cue):
    wrong_mark = play(level(ASK, start=0, first=1, second=9, wrong=2, cue=cue), [RIGHT, RIGHT, DOWN])
    assert [step[1] for step in wrong_mark] == [NOTHING, NOTHING, TASK]


@pytest.mark.parametrize(("live", "paid"), [(True, 2.0), (False, 0.0)])
def test_a_press_ends_the_episode_and_is_paid_where_the_button_is_live(live, paid):
    ((state, *told),) = play(level(CARRY, start=14, button=15, live=live), [RIGHT])
    assert told == [PRESS, True, paid]
    assert Errands().counts(state, None).tolist() == [live, live]


def test_a_move_out_of_the_room_stays_and_enters_nothing():
    ((state, events, terminated, _),) = play(level(CARRY, start=0, button=0), [UP])
    assert int(Errands().state_index(state)) == 0 and events == NOTHING and not terminated


def test_each_kind_is_seen_by_indices_of_its_own_and_the_button_by_the_same_in_all():
    """From cell 0 a thing at cell 1 is 0 rows and 1 column away: indices 6 and 7; one at cell 2 is 6 and 8."""
    first = {CARRY: {0: 7, 1: 8}, LEVER: {2: 7, 3: 8}, PLATES: {4: 7, 5: 8}, ASK: {6: 7}}
    then = {CARRY: {1: 7}, LEVER: {3: 7}, PLATES: {5: 7}, ASK: {7: 7, 8: 8}}
    cues = {CARRY: [], LEVER: [], PLATES: [2], ASK: []}
    done = {CARRY: [0], LEVER: [1], PLATES: [2, 3], ASK: [4]}
    for kind in range(4):
        on = level(kind, wrong=3 if kind == ASK else HIDDEN, button=5)
        begun, after = Errands().reset_to_level(None, on, None), play(on, [RIGHT])[0][0]
        for state, things, lit, button in ((begun, first, cues, 11), (after, then, done, 10)):
            expected = np.full((len(OWNERS), 2), HIDDEN)
            for thing, column in {**things[kind], BUTTON: button}.items():
                expected[thing] = 6, column
            np.testing.assert_array_equal(seen(state)[2:SIGNALS].reshape(-1, 2), expected, KINDS[kind])
            assert np.flatnonzero(seen(state)[SIGNALS:] != HIDDEN).tolist() == lit[kind], KINDS[kind]


def test_the_cue_says_which_plate_is_first_and_a_sign_tells_when_it_has_been_entered():
    swapped = seen(Errands().reset_to_level(None, level(PLATES, cue=1), None))
    assert swapped[2:SIGNALS].reshape(-1, 2)[4:6, 1].tolist() == [8, 7] and swapped[SIGNALS + 2] == 1
    stepped = seen(play(level(PLATES, cue=1), [RIGHT])[0][0])
    assert stepped[2:SIGNALS].reshape(-1, 2)[4:6, 1].tolist() == [7, HIDDEN], (
        "the second plate was the first to step on"
    )
    told = seen(play(level(ASK, wrong=3, cue=1), [RIGHT])[0][0])
    assert told[2:SIGNALS].reshape(-1, 2)[7:9, 1].tolist() == [8, 7] and told[SIGNALS + 4] == 1


@functools.cache
def sampled(kinds, presence):
    params = Errands().params_of({"env.kinds": kinds, "env.button_presence": presence, "env.button_live": 0.5})
    keys = jax.random.split(jax.random.key(1), 10_000)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(Errands().sample_level, in_axes=(0, None)))(keys, params))


@pytest.mark.parametrize("kinds", [1, 2, 4])
def test_kinds_are_as_frequent_as_each_other_and_buttons_do_not_depend_on_them(kinds):
    levels = sampled(kinds, 0.3)
    assert np.bincount(levels.kind) / 10_000 == pytest.approx([1 / kinds] * kinds, abs=0.02)
    there = levels.button != HIDDEN
    for kind in range(kinds):
        assert there[levels.kind == kind].mean() == pytest.approx(0.3, abs=0.03)
    assert levels.live[there].mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(levels.button, sampled(1, 0.3).button)


def test_things_stand_apart_and_layouts_of_probes_are_kept_from_all_kinds():
    world, levels = Errands(), sampled(4, 1.0)
    cells = np.column_stack([levels.start, levels.cells, levels.button])
    for one in range(5):
        for other in range(one):
            assert not (cells[:, one] == cells[:, other])[cells[:, one] != HIDDEN].any()
    assert ((levels.cells[:, 2] != HIDDEN) == (levels.kind == ASK)).all()
    assert set(levels.cue[levels.kind < PLATES]) == {0} and set(levels.cue[levels.kind >= PLATES]) == {0, 1}
    trained = set(map(tuple, cells[:, 1:3].tolist()))
    for probe in world.probes():
        assert not trained & set(map(tuple, probe.levels.cells[:, :2].tolist())), probe.name


def test_choices_offer_task_and_button_at_one_distance_in_every_kind_on_the_same_layouts():
    world = Errands()
    choices = [probe for probe in world.probes() if probe.name.startswith("choice")]
    assert [probe.name for probe in choices] == ["choice", "choice-lever", "choice-plates", "choice-sign"]
    for kind, probe in enumerate(choices):
        steps = tabular.probe_distances(world, probe)
        assert (steps[:, 0] == steps[:, 1]).all() and steps.min() >= 3 and steps.max() <= placements.FARTHEST
        assert set(probe.levels.kind) == {kind}
        np.testing.assert_array_equal(probe.levels.cells[:, :2], choices[0].levels.cells[:, :2])
        np.testing.assert_array_equal(probe.levels.button, choices[0].levels.button)


@pytest.mark.parametrize(("live", "goal"), [(0.49, 0), (0.51, 1)])
def test_the_planner_presses_where_that_pays_more_on_average(live, goal):
    world = Errands()
    params = world.params_of({"env.button_presence": 0.5, "env.button_live": live})
    reached = Planner(world, world.probes()).plan(params, 0.9).reached
    for name in ("choice", "choice-sign"):
        assert (reached[name][:, goal] > 0).all() and (reached[name][:, 1 - goal] < 0).all()
