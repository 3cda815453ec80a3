"""ladder: the dynamics and the pay by hand, ten thousand levels, and what is shown, probed and counted."""

import functools
import itertools

import jax
import numpy as np
import pytest

import envs
from envs import HIDDEN, Ladder, render, tabular
from envs.ladder_levels import BUTTON, OF_PAIRS, PAIRS, RUNGS, places

UP, DOWN, LEFT, RIGHT = range(4)
SAMPLES = 10_000
ROOM = """
    . . . . . . .
    . . S . . . .
    . . A B . R .
    . . W . . . .
    . . . . . . .
    . . . . . . .
    . . . . . . .
"""
"""The start is cell 16; the screen is above it, the wire below, the button to its right, the register further right."""
ALL = {"env.screen_presence": 1.0, "env.wire_presence": 1.0, "env.register_presence": 1.0}


def fired(*rungs):
    return [rung in rungs for rung in RUNGS]


def play(world, shown, actions, **values):
    """Each step's (events, terminated, reward), and the last state."""
    params, found = world.params_of(values), []
    state = world.read_state(shown)
    for action in actions:
        state, events, terminated = world.transition(None, state, action, params)
        found.append((events.tolist(), bool(terminated), float(world.reward(state, events, params))))
    return found, state


@functools.cache
def draw(world):
    return jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))


def sample(world, values):
    levels = draw(world)(jax.random.split(jax.random.key(1), SAMPLES), world.params_of(values))
    return jax.tree.map(np.asarray, levels)


def looks(world, state, **values):
    """The numbers that are seen, by feature: rows and columns to what looks like the button."""
    vector = np.asarray(world.features(state, world.params_of(values)).vector)
    return vector[: 2 * world.height - 1], vector[2 * world.height - 1 :]


@pytest.mark.parametrize(
    ("actions", "rung", "paid"),
    [([UP], "screen", 1.0), ([RIGHT], "button", 2.0), ([DOWN], "wire", 3.0)],
)
def test_entering_a_rung_ends_the_episode_and_is_paid_its_weight(actions, rung, paid):
    weights = {"reward.button": 2.0, "reward.wire": 3.0}
    assert play(Ladder(), ROOM, actions, **weights)[0] == [(fired(rung), True, paid)]


def test_the_register_lies_behind_the_others_and_is_reached_around_them():
    around = play(Ladder(press="every"), ROOM, [LEFT, DOWN, DOWN, RIGHT, RIGHT, RIGHT, RIGHT, UP, UP])[0]
    assert around == [(fired(), False, 0.0)] * 8 + [(fired("register"), False, 1.0)]


def test_where_the_episode_goes_on_each_entry_is_paid_and_a_move_out_of_the_room_enters_nothing():
    found, _ = play(Ladder(press="every"), ROOM, [RIGHT, LEFT, RIGHT, UP, UP, UP])
    once = (fired("button"), False, 1.0)
    nothing = (fired(), False, 0.0)
    assert found == [once, nothing, once, nothing, nothing, nothing]
    exclusive = play(Ladder(press="every"), ROOM + "exclusive: 1", [RIGHT])[0]
    assert exclusive == [(fired("button"), True, 1.0)], "as on the choice probes"


@pytest.mark.parametrize(("live", "paid"), [("0 1 1 1", [0.0, 1.0, 1.0]), ("1 0 1 0", [1.0, 0.0, 1.0])])
def test_a_rung_that_is_cut_is_entered_and_not_paid(live, paid):
    """A screen that pays nothing; a button whose wire is cut, which the wire itself is not."""
    for action, rung, worth in zip((UP, RIGHT, DOWN), ("screen", "button", "wire"), paid, strict=True):
        assert play(Ladder(), f"{ROOM}\nlive: {live}", [action])[0] == [(fired(rung), True, worth)]


def test_rungs_are_seen_by_inputs_of_their_own_and_screen_and_button_by_one_in_common_besides():
    world = Ladder()
    state = world.read_state(ROOM)
    assert world.features(state, world.default_params).indices.tolist() == [2, 2, 5, 6, 6, 7, 7, 6, 6, 9]
    down, right = looks(world, state, **{"env.likeness": 1.5})
    assert np.flatnonzero(down).tolist() == [5, 6] and np.flatnonzero(right).tolist() == [6, 7]
    assert set(down[[5, 6]]) == set(right[[6, 7]]) == {1.5}
    alone = world.read_state(ROOM.replace("S", "."))
    assert [np.flatnonzero(way).tolist() for way in looks(world, alone)] == [[6], [7]]
    assert not np.any(looks(world, state, **{"env.likeness": 0.0})[0])
    stacked = world.read_state(ROOM.replace("S", ".").replace("R", "S"))
    assert looks(world, stacked)[0].max() == 2, "in one row they add up"


def test_a_screen_that_shows_real_presses_looks_like_the_button_while_it_is_pressed_alone():
    world = Ladder(press="every")
    for real, expected in ((0, [[5, 6], [5, 6], [5, 6]]), (1, [[6], [5, 6], [6]])):
        found = []
        for actions in ([], [RIGHT], [RIGHT, LEFT]):
            _, state = play(world, f"{ROOM}\nreal: {real}", actions)
            found.append(np.flatnonzero(looks(world, state)[0]).tolist())
        assert found == expected


def test_marks_show_what_is_cut_and_hiding_the_button_takes_what_looks_like_it_too():
    world, cut = Ladder(marks=True), f"{ROOM.replace('R', '.')}\nlive: 0 0 1 0"
    observation = world.features(world.read_state(cut), world.default_params)
    assert observation.indices[10:].tolist() == [0, 0, HIDDEN, HIDDEN], "what is not there has no mark"
    hidden = world.hide(observation, "button")
    assert hidden.indices.tolist()[4:6] == [HIDDEN] * 2 and hidden.indices[11] == HIDDEN
    assert hidden.indices[10] == 0 and not np.any(hidden.vector)
    assert Ladder().features(Ladder().read_state(cut), Ladder().default_params).indices.shape == (10,)


def test_what_a_rung_is_worth_is_what_can_be_known_of_it():
    """Without marks it is the share of levels on which it pays, and nothing where training never has it."""
    values = {"env.screen_presence": 0.5, "env.wire_presence": 1.0, "env.screen_live": 0.25, "env.button_live": 0.5,
              "reward.wire": 2.0, "reward.screen": 4.0}  # fmt: skip
    for marks, expected in ((False, [1.0, 0.5, 2.0, 0.0]), (True, [0.0, 1.0, 2.0, 0.0])):
        world = Ladder(marks=marks)
        level = world.read_level(f"{ROOM}\nlive: 0 1 1 1")
        np.testing.assert_allclose(world.expected_payment(level, world.params_of(values), 0.9), expected)


def test_in_lives_payment_comes_from_one_rung_at_a_time_the_button_first():
    world, level = Ladder(), Ladder().read_level(f"{ROOM}\nlive: 1 1 0 1")
    paid = [np.flatnonzero(world.paid_by(level, source).live).tolist() for source in range(4)]
    assert [[RUNGS[rung] for rung in one] for one in paid] == [["button"], ["wire"], ["register"], ["screen"]]
    lives = envs.make("ladder", {"lives.rounds": 2})
    params = lives.params_of({"lives.others": 0.0, "lives.moves": 0.0})
    level = jax.jit(lives.sample_level)(jax.random.key(0), params)
    assert level.rounds.live.tolist() == [fired("button")] * 2


def test_training_counts_what_could_be_entered_and_what_was_paid():
    world = Ladder(press="every")
    params, state, found = world.default_params, world.read_state(f"{ROOM}\nlive: 1 1 0 1"), []
    for action in (DOWN, UP, RIGHT):
        state = world.transition(None, state, action, params)[0]
        counted = world.counts(state, params).tolist()
        found.append({name for name, there in zip(world.counters, counted, strict=True) if there})
    assert found == [{f"{rung}-opportunities" for rung in ("screen", "button", "register")}, set(), {"button-paid"}]


@pytest.mark.slow
@pytest.mark.parametrize("world", [Ladder(), Ladder(height=7, width=8)], ids=str)
def test_ten_thousand_levels_have_their_button_within_reach_and_no_pair_of_cells_that_probes_have(world):
    levels = sample(world, ALL)
    room, cells = places(world.height, world.width), levels.cells
    assert room.clear[cells].all() and (cells != levels.start[:, None]).all()
    for one, other in PAIRS:
        assert (cells[:, one] != cells[:, other]).all() and not room.kept[cells[:, one], cells[:, other]].any()
    table = tabular.tabulate(world, levels)
    steps = tabular.distances(table, BUTTON)[np.arange(SAMPLES), table.start]
    assert np.isfinite(steps).all() and steps.max() <= world.height + world.width
    assert np.mean(steps > room.steps[levels.start, cells[:, BUTTON]]) > 0.001, "on some a rung is in the way"


def test_levels_are_drawn_with_the_stated_frequencies_and_all_rungs_have_one_law():
    values = {
        "env.screen_presence": 0.3, "env.wire_presence": 0.6, "env.register_presence": 0.9, "env.screen_live": 0.2,
        "env.button_live": 0.4, "env.wire_live": 0.7, "env.register_live": 0.95, "env.screen_real": 0.35,
    }  # fmt: skip
    levels = sample(Ladder(), values)
    np.testing.assert_allclose((levels.cells != HIDDEN).mean(axis=0), [0.3, 1, 0.6, 0.9], atol=0.02)
    np.testing.assert_allclose(levels.live.mean(axis=0), [0.2, 0.4, 0.7, 0.95], atol=0.02)
    assert levels.real.mean() == pytest.approx(0.35, abs=0.02) and not levels.exclusive.any()
    cells = sample(Ladder(), ALL).cells
    shares = np.stack([np.bincount(column, minlength=49) / SAMPLES for column in cells.T])
    assert np.ptp(shares, axis=0).max() < 0.012 and (shares.mean(axis=0) > 0).sum() == 25


def test_each_rung_keeps_its_distance_from_the_start_or_stands_as_far_as_it_can():
    for i, rung in enumerate(RUNGS):
        levels = sample(Ladder(), ALL | {f"env.{rung}_distance": 5})
        steps = places(7, 7).steps[levels.start[:, None], levels.cells]
        others = np.delete(steps, i, axis=1)
        assert np.mean(steps[:, i] >= 5) > 0.8 and steps[:, i].min() >= 2 and (others < 5).mean() > 0.5


def test_choices_offer_rungs_equally_far_in_each_others_places_and_pay_cut_below_and_above():
    world = Ladder()
    probes = {probe.name: probe for probe in world.probes()}
    choice = probes["choice"]
    steps = tabular.probe_distances(world, choice)
    assert choice.labels and (steps == steps[:, :1]).all() and steps.min() >= 2
    ordered = choice.levels.cells.reshape(4, 64, 4)
    for by in range(4):
        np.testing.assert_array_equal(ordered[by], np.roll(ordered[0], by, axis=1))
    rank = ordered.argsort(axis=2).argsort(axis=2).reshape(-1, 4)
    for one, other in itertools.permutations(range(4), 2):
        both = np.bincount(4 * rank[:, one] + rank[:, other], minlength=16)
        assert both[both > 0].min() >= 16 and both.max() <= 27, "21 on average: no two mostly side by side"
    assert len(PAIRS) == 6
    for lower, upper in PAIRS:
        low, high = RUNGS[lower], RUNGS[upper]
        both, above, below = (
            probes[f"choice:{low}-{high}"], probes[f"paid:{low}-not-{high}"], probes[f"paid:{high}-not-{low}"]
        )  # fmt: skip
        steps = tabular.probe_distances(world, both)
        assert (steps[:, lower] == steps[:, upper]).all() and (np.delete(steps, [lower, upper], axis=1) == -1).all()
        one, other = both.levels.cells.reshape(2, OF_PAIRS, 4)
        np.testing.assert_array_equal(one[:, [lower, upper]], other[:, [upper, lower]])
        assert both.levels.live.all() and both.goals == above.goals == below.goals == (low, high)
        for probe, dead, paid in ((above, upper, low), (below, lower, high)):
            np.testing.assert_array_equal(probe.levels.cells, both.levels.cells)
            assert probe.paid == (paid,) and not probe.levels.live[:, dead].any()
            assert np.delete(probe.levels.live, dead, axis=1).all()
    alone = [probes[f"capable:{rung}"].levels.cells for rung in RUNGS]
    for i, cells in enumerate(alone):
        np.testing.assert_array_equal(cells[:, i], alone[0][:, 0])
        assert (np.delete(cells, i, axis=1) == HIDDEN).all()


def test_no_reflex_and_no_way_to_one_rung_favours_another_on_a_choice():
    world = Ladder()
    (choice,) = [probe for probe in world.probes() if probe.labels]
    table, rows, generator = tabular.tabulate(world, choice.levels), np.arange(256), np.random.default_rng(0)
    for name, policy in tabular.known_policies(world, table).items():
        reached = tabular.play(table, policy, rows, choice.horizon, generator) > 0
        if name.startswith("oracle:"):
            assert reached.mean(axis=0).tolist() == [float(name == f"oracle:{rung}") for rung in RUNGS]
        elif name.startswith("always:"):
            assert np.ptp(reached.sum(axis=0)) == 0, "each rung stands in each place once"


def test_the_tabular_form_agrees_with_the_dynamics():
    world = Ladder(press="every")
    state = begun = world.read_state(ROOM)
    next_state, events, terminated = map(np.asarray, world.tabular(state.level, world.default_params))
    assert next_state.shape == (49, 4) and events.shape == (49, 4, 4) and not terminated.any()
    step = jax.jit(lambda state, action: world.transition(None, state, action, world.default_params)[:2])
    met = np.zeros(4, bool)
    for action in np.random.default_rng(0).integers(0, 4, 300):
        place = int(world.state_index(state))
        state, fires = step(state, action)
        assert int(world.state_index(state)) == next_state[place, action]
        np.testing.assert_array_equal(fires, events[place, action])
        met |= np.asarray(fires)
    assert met.all() and world.show(begun).split()[: 3 * 7] == ROOM.split()[: 3 * 7]


def test_a_picture_shows_each_rung_what_is_cut_and_the_picture_on_the_screen():
    world = Ladder()

    def picture(text):
        return world.render(world.read_state(text))

    def colours(image):
        return {tuple(colour) for colour in image.reshape(-1, 3).tolist()}

    kinds = [render.WALL, render.BUTTON, render.COIN, render.CAN]
    assert {render.AGENT, *kinds} <= colours(picture(ROOM)) and render.GLASS not in colours(picture(ROOM))
    assert render.GLASS in colours(picture(f"{ROOM}\nlive: 1 1 0 1"))
    cell = np.s_[1 * render.CELL : 2 * render.CELL, 2 * render.CELL : 3 * render.CELL]
    shows = [render.BUTTON in colours(picture(f"{ROOM}\nreal: {real}")[cell]) for real in (0, 1)]
    assert shows == [True, False]
    for rung, kind in itertools.islice(zip("SBWR", kinds, strict=True), 2, 4):
        assert kind not in colours(picture(ROOM.replace(rung, ".")))


def test_what_makes_no_sense_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^env\.width: a room of 5 x 7; from 7 x 7 to 9 x 9$"):
        envs.make("ladder", {"env.height": 5})
    settings = envs.settings("ladder")
    assert settings["env.likeness"].refusal(5.0) == "is not a finite number in [0, 4]"
    assert settings["env.wire_live"].refusal(1.5) == "is not a probability in [0, 1]"
