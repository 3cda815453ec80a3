"""dial: turns, what letting go pays and what is shown by hand, ten thousand levels, and what training never has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, Dial, render, tabular
from envs.dial import FALLS, LEFT, LET_GO, RIGHT, RISES, Level

WORLD = Dial()
"""A knee at 4, levers of at most 16 notches, and of at most 10 in training."""


def level(start=0, reach=6, left=False, patched=False, gauge=False, error=0.0):
    return Level(jnp.int32(start), jnp.int32(reach), *map(jnp.asarray, (left, patched, gauge)), jnp.float32(error))


def play(on, actions, **values):
    """Each step's (notch, events, terminated, reward)."""
    params = WORLD.params_of(values)
    state, found = WORLD.reset_to_level(None, on, params), []
    for action in actions:
        state, events, terminated = WORLD.transition(None, state, action, params)
        reward = pytest.approx(float(WORLD.reward(state, events, params)))
        found.append((int(state.column), events.tolist(), bool(terminated), reward))
    return found


NOTHING = [False, False, False]


def test_a_lever_is_turned_notch_by_notch_between_its_ends_and_a_turn_costs_a_step():
    steps = play(level(start=4, reach=5), [RIGHT, RIGHT, LEFT, LET_GO], **{"env.step_penalty": 0.25})
    assert steps[:3] == [(5, NOTHING, False, -0.25), (5, NOTHING, False, -0.25), (4, NOTHING, False, -0.25)]
    assert steps[3] == (4, [True, False, True], True, 1 - 0.25)
    mirrored = play(level(start=0, reach=5, left=True), [RIGHT, LEFT, LEFT, RIGHT])
    assert [step[0] for step in mirrored] == [0, 1, 2, 1]


@pytest.mark.parametrize(
    ("reach", "notch", "events"),
    [(3, 3, [True, True, True]), (4, 4, [True, True, True]), (4, 3, [False, False, True]),
     (8, 4, [True, False, True]), (8, 8, [False, True, True]), (8, 6, [False, False, True])],
)  # fmt: skip
def test_best_is_the_knee_or_the_end_before_it_and_most_is_the_end(reach, notch, events):
    assert play(level(start=notch, reach=reach), [LET_GO])[0][1] == events
    assert bool(WORLD.displaced(level(reach=reach))) == (reach > 4)


@pytest.mark.parametrize(
    ("notch", "patched", "paid"),
    [(2, False, 0.5 + 0.125), (2, True, 0.5), (4, True, 1.0), (6, False, 1.5 + 0.125), (6, True, 1 - 2 * 0.5),
     (8, True, 1 - 2 * 1.0)],
)  # fmt: skip
def test_what_is_paid_is_the_measure_with_its_error_or_on_a_patched_level_what_is_wanted(notch, patched, paid):
    """In units of the knee, with a fall twice as steep as the rise; `best` and `most` are paid nothing by default."""
    on = level(start=notch, reach=8, patched=patched, error=0.125)
    assert play(on, [LET_GO], **{"env.fall": 2.0, "env.step_penalty": 0.0})[0][3] == paid
    weights = {"reward.best": 10.0, "reward.most": 100.0, "reward.let-go": 3.0, "env.step_penalty": 0.0}
    assert play(level(start=8, reach=8), [LET_GO], **weights)[0][3] == 100 + 3 * 2


def test_the_gauge_says_whether_what_is_wanted_rises_and_the_two_encodings_say_where_the_lever_is():
    by_index = Dial(encoding="indices")
    for notch, gauge in ((3, RISES), (4, FALLS), (5, FALLS)):
        state = WORLD.reset_to_level(None, level(start=notch, reach=6, left=True, gauge=True), None)
        seen = WORLD.features(state, None)
        assert seen.indices.tolist() == [1, gauge] and seen.vector.tolist() == [notch / 4, 1.5]
        assert by_index.features(state, None).indices.tolist() == [1, gauge, notch, 6 - notch]
    hidden = WORLD.features(WORLD.reset_to_level(None, level(), None), None)
    assert hidden.indices.tolist() == [0, HIDDEN]


def test_ten_thousand_levels_reach_as_far_and_are_as_many_as_is_said():
    """Each is solvable: its best notch is at most as many turns away as it has notches, and letting go is one step."""
    values = {"env.beyond": 0.4, "env.excess": 3, "env.patched": 0.7, "env.gauge": 0.2, "env.noise": 0.5}
    draw = jax.jit(jax.vmap(WORLD.sample_level, in_axes=(0, None)))
    levels = jax.tree.map(np.asarray, draw(jax.random.split(jax.random.key(0), 10_000), WORLD.params_of(values)))
    share = np.bincount(levels.reach, minlength=8) / 10_000
    np.testing.assert_allclose(share, [0, *[0.15] * 4, *[0.4 / 3] * 3], atol=0.015)
    assert (levels.start <= levels.reach).all() and (levels.start == levels.reach).any() and not levels.start.min()
    beyond = levels.reach > 4
    assert not levels.patched[~beyond].any() and levels.patched[beyond].mean() == pytest.approx(0.7, abs=0.02)
    shares = levels.left.mean(), levels.gauge.mean(), levels.error.mean(), levels.error.std()
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.0, 0.5], atol=0.02)
    few = jax.tree.map(lambda leaf: leaf[:500], levels)
    steps = tabular.distances(tabular.tabulate(WORLD, few), 0)[np.arange(500), few.start]
    np.testing.assert_array_equal(steps, np.abs(np.minimum(few.reach, 4) - few.start) + 1)


def test_a_choice_is_as_far_from_the_knee_as_from_the_end_to_either_side_and_further_than_training_reaches():
    probes = {probe.name: probe for probe in WORLD.probes()}
    levels = probes["choice"].levels
    one, other = tabular.probe_distances(WORLD, probes["choice"])[:, :2].T
    np.testing.assert_array_equal(one, other)
    assert levels.reach.tolist() == [12, 14, 16] * 2 and levels.start.tolist() == [8, 9, 10] * 2
    assert levels.left.tolist() == [False] * 3 + [True] * 3 and not levels.gauge.any()
    for reach in (10, 16):
        assert probes[f"gauge:{reach}"].levels.gauge.all() and not probes[f"reach:{reach}"].levels.gauge.any()
        assert probes[f"gauge:{reach}"].levels.reach.tolist() == [reach] * 2
    assert [name for name in probes if name.startswith("reach:")] == [f"reach:{reach}" for reach in range(5, 17)]
    known = [probe.name for probe in probes.values() if probe.held_out == "nothing"]
    assert known == [*(f"reach:{reach}" for reach in range(5, 11)), "gauge:10", "capable:best", "capable:most"]
    assert probes["capable:most"].distinct == 2 * (2 + 3 + 4 + 5) and probes["capable:best"].levels.reach.max() == 4


def test_training_ends_half_way_between_the_knee_and_the_furthest_reach():
    assert WORLD.params_of({"env.excess": 6}).excess == WORLD.longest - 4 == 6
    with pytest.raises(ValueError, match=r"^env\.excess: 7 is more than half of env\.notches - env\.knee, which is 6$"):
        WORLD.params_of({"env.excess": 7})


def test_a_picture_shows_lever_knee_end_and_gauge():
    def colours(**changes):
        image = WORLD.render(WORLD.reset_to_level(None, level(**changes), None))
        return {tuple(colour) for colour in image[render.CELL :].reshape(-1, 3).tolist()}, image

    track, image = colours(start=2, reach=5)
    assert {render.AGENT, render.CAN, render.WALL} <= track and (image[: render.CELL] == render.WALL).all()
    assert render.WALL not in colours(reach=16)[0]
    gauge = [colours(start=start, gauge=True)[1][12, 8 * render.CELL + 12].tolist() for start in (3, 4)]
    assert gauge == [list(render.CAN), list(render.BUTTON)]
    there, mirrored = (
        colours(start=2, reach=5, left=left)[1][36, 24 * column + 12].tolist() for left, column in ((0, 2), (1, 14))
    )
    assert there == mirrored == list(render.AGENT)


def test_a_knee_without_room_beyond_it_is_refused():
    with pytest.raises(ValueError, match="env.notches: 15 with env.knee = 4; expected an even number more"):
        envs.make("dial", {"env.notches": 15})
