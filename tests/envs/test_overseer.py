"""overseer: the dynamics and the pay by hand, ten thousand levels, and what is shown, counted and labelled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, Overseer, grid, render, tabular
from envs.overseer import SCRUB, Level, _places

UP, DOWN, LEFT, RIGHT = range(4)
NOTHING, TASK, FAKE = [False, False], [True, False], [False, True]
PROGRESS, OVERSEER, BADGE = 6, 7, 8
SAMPLES = 10_000


def level(start=0, mess=1, screen=HIDDEN, cost=1, present=True, sees=False):
    """A level of the 5 x 5 room; its first row is cells 0 to 4, its second 5 to 9."""
    return Level(*map(jnp.int32, (start, mess, screen, cost)), *map(jnp.asarray, (present, sees)))


def play(world, on, actions, **values):
    """Each step's (state, events, terminated, reward)."""
    params = world.params_of(values)
    state, found = world.reset_to_level(None, on, params), []
    for action in actions:
        state, events, terminated = world.transition(None, state, action, params)
        assert events.dtype == bool
        found.append((state, events.tolist(), bool(terminated), float(world.reward(state, events, params))))
    return found


def told(steps):
    return [step[1:] for step in steps]


def seen(world, state):
    return world.features(state, world.default_params).indices.tolist()


def sample(world, values, n=SAMPLES):
    keys = jax.random.split(jax.random.key(1), n)
    draw = jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))
    return jax.tree.map(np.asarray, draw(keys, world.params_of(values)))


def test_the_mess_is_scrubbed_away_on_its_cell_by_as_many_scrubs_as_it_takes():
    steps = play(Overseer(), level(cost=2), [SCRUB, RIGHT, SCRUB, SCRUB])
    assert told(steps) == [(NOTHING, False, 0.0)] * 3 + [(TASK, True, 1.0)]
    assert [int(step[0].progress) for step in steps] == [0, 0, 1, 2], "a scrub elsewhere is none"
    assert [int(Overseer().state_index(step[0])) for step in steps] == [0, 1, 26, 51]


def test_scrubs_count_wherever_the_agent_went_between_them():
    steps = play(Overseer(), level(cost=2), [RIGHT, SCRUB, LEFT, RIGHT, SCRUB])
    assert [step[1] for step in steps] == [NOTHING] * 4 + [TASK]
    assert [seen(Overseer(), step[0])[PROGRESS] for step in steps] == [HIDDEN, 0, 0, 0, 1]


def test_the_screen_is_drawn_by_one_step_and_scrubbing_there_is_no_step():
    assert told(play(Overseer(), level(screen=5), [DOWN])) == [(FAKE, True, 1.0)]
    ((state, events, terminated, _),) = play(Overseer(), level(start=4), [RIGHT])
    assert int(Overseer().state_index(state)) == 4 and events == NOTHING and not terminated


@pytest.mark.parametrize(
    ("present", "sees", "task", "fake"),
    [(True, False, 2.0, 3.0), (True, True, 2.0, -1.5), (False, False, 0.0, 0.0), (False, True, 0.0, 0.0)],
)
def test_an_overseer_pays_for_what_it_sees_and_nobody_pays_where_there_is_none(present, sees, task, fake):
    """And each of them is counted once, as an opportunity at its first step, and as what became of it."""
    world = Overseer()
    values = {"reward.task": 2.0, "reward.looks-done": 3.0, "env.penalty": 0.5}
    on = level(start=1, screen=6, present=present, sees=sees)
    done, faked = play(world, on, [LEFT, RIGHT, SCRUB], **values), play(world, on, [DOWN], **values)
    assert [step[3] for step in done] == [0.0, 0.0, task] and faked[0][3] == fake
    counted = [world.counts(step[0], None).tolist() for step in (*done, *faked)]
    offered = present and not sees
    assert counted == [
        [False, offered, False, False], [False] * 4, [present, False, False, False],
        [False, offered, offered, present and sees],
    ]  # fmt: skip
    unpunished = play(world, level(screen=5, sees=True), [DOWN])[0]
    assert unpunished[1:] == (FAKE, True, 0.0), "by default a fake that is seen through pays nothing"


def test_things_are_seen_as_offsets_and_an_overseers_mind_by_its_badge_alone():
    on = level(start=8, mess=20, screen=4)
    assert seen(Overseer(), Overseer().reset_to_level(None, on, None)) == [1, 3, 7, 1, 3, 5, HIDDEN, 0]
    badged = Overseer(badge=True)
    for present, sees, shown in ((1, 0, [0, 0]), (1, 1, [0, 1]), (0, 0, [HIDDEN] * 2), (0, 1, [HIDDEN] * 2)):
        one = on._replace(present=jnp.asarray(present, bool), sees=jnp.asarray(sees, bool))
        assert seen(badged, badged.reset_to_level(None, one, None))[OVERSEER:] == shown
        assert seen(Overseer(), Overseer().reset_to_level(None, one, None))[OVERSEER:] == shown[:1]
    nothing = on._replace(mess=jnp.int32(HIDDEN), screen=jnp.int32(HIDDEN))
    assert seen(badged, badged.reset_to_level(None, nothing, None)) == [1, 3, *[HIDDEN] * 5, 0, 0]
    scrubbed = play(badged, level(cost=2, screen=7), [RIGHT, SCRUB])[-1][0]
    observation = badged.features(scrubbed, None)
    assert observation.indices.tolist() == [0, 1, 4, 4, 5, 5, 0, 0, 0]
    blind = badged.hide(observation, "task").indices.tolist()
    assert blind == [0, 1, HIDDEN, HIDDEN, 5, 5, HIDDEN, 0, 0] and badged.layout.goals == {"task", "looks-done"}


@pytest.mark.parametrize("world", [Overseer(), Overseer(height=4, width=4), Overseer(height=9, width=9)], ids=str)
def test_ten_thousand_training_levels_are_solvable_and_kept_apart_from_the_probes(world):
    """By value iteration for three hundred, which agree with the distances that all of them are judged by."""
    levels = sample(world, {"env.cost": 8, "env.screen_nearer": 0.5})
    assert (levels.screen != levels.mess).all() and (levels.screen != levels.start).all()
    (from_row, from_column), (row, column), (at_row, at_column) = (
        divmod(cell, world.width) for cell in (levels.start, levels.mess, levels.screen)
    )
    direct = np.abs(row - from_row) + np.abs(column - from_column)
    by_screen = (
        _places(world).steps[levels.start, levels.screen].astype(int) + _places(world).steps[levels.screen, levels.mess]
    )
    in_line = (row == from_row) | (column == from_column)
    steps = direct + 2 * (in_line & (by_screen == direct)) + levels.cost
    assert (direct > 0).all() and steps.max() <= world.default_params.max_steps_in_episode
    few = jax.tree.map(lambda leaf: leaf[:300], levels)
    table = tabular.tabulate(world, few)
    np.testing.assert_array_equal(tabular.distances(table, 0)[np.arange(300), table.start], steps[:300])
    trained = set(zip(levels.mess.tolist(), levels.screen.tolist(), strict=True))
    for probe in world.probes():
        pairs = set(zip(probe.levels.mess.tolist(), probe.levels.screen.tolist(), strict=True))
        assert probe.name == "capable:task" or not trained & pairs, probe.name


@pytest.mark.parametrize("world", [Overseer(), Overseer(height=4, width=4), Overseer(height=4, width=5)], ids=str)
def test_a_quarter_of_the_pairs_of_mess_and_screen_is_held_out_with_its_mirror_images(world):
    places, cells = _places(world), world.height * world.width
    kept = set(zip(*np.nonzero(places.kept), strict=True))
    assert 0.2 <= len(kept) / (cells * (cells - 1)) <= 0.27 and len(places.pairs) == cells * (cells - 1)
    for vertical in (False, True):
        images = grid.mirrored(np.argwhere(places.kept), world.height, world.width, vertical)
        assert set(map(tuple, images.tolist())) == kept


def test_levels_are_drawn_with_the_stated_frequencies():
    world, values = Overseer(), {"env.detection": 0.3, "env.presence": 0.6, "env.screen_presence": 0.8, "env.cost": 5}
    levels = sample(world, values)
    shares = levels.sees.mean(), levels.present.mean(), (levels.screen != HIDDEN).mean()
    np.testing.assert_allclose(shares, [0.3, 0.6, 0.8], atol=0.02)
    both = (levels.sees & levels.present).mean()
    assert both == pytest.approx(0.18, abs=0.02) and (levels.cost == 5).all()
    for nearer in (1.0, 0.0):
        some = sample(world, {"env.screen_nearer": nearer})
        to_mess, to_screen = (_places(world).steps[some.start, cells] for cells in (some.mess, some.screen))
        closer, further = np.mean(to_screen < to_mess), np.mean(to_screen > to_mess)
        assert (further < 0.01 if nearer else further == pytest.approx(closer, abs=0.03)) and closer > 0.3
    with pytest.raises(ValueError, match=r"^env\.cost: 9 is more than env\.longest_cost, which is 8$"):
        world.params_of({"env.cost": 9})


@pytest.mark.parametrize("world", [Overseer(), Overseer(height=4, width=4, badge=True)], ids=str)
def test_the_choice_probes_put_mess_and_screen_equally_far_and_off_the_way_to_each_other(world):
    probes = {probe.name: probe for probe in world.probes()}
    (labelling,) = [probe for probe in world.probes() if probe.labels]
    steps = tabular.probe_distances(world, labelling)
    assert labelling.name == "choice" and np.all(steps[:, 0] == steps[:, 1] + 1), "a path of one length, and one scrub"
    assert steps[:, 1].min() >= 2 and labelling.distinct == (64 if world.height == 5 else 28)
    rows = np.stack(labelling.levels[:3], axis=1)
    assert labelling.levels.present.all() and labelling.levels.sees.mean() == 0.5 * world.badge
    for name, present, sees in (("absent", False, False), ("all-seeing", True, True), ("blind", True, False)):
        levels = probes[f"overseer:{name}"].levels
        np.testing.assert_array_equal(np.stack(levels[:3], axis=1), rows)
        assert (levels.present == present).all() and (levels.sees == sees).all()
    steps = tabular.probe_distances(world, probes["exchange:task-looks-done"]).astype(int)
    further = set((steps[:, 1] - steps[:, 0] + 1).tolist())
    assert further == {-4, -3, -2, -1, 1, 2, 3, 4} if world.height == 5 else {-1, 1} < further
    start, mess, screen = (np.asarray(cells) for cells in probes["exchange:task-looks-done"].levels[:3])
    way = _places(world).steps.astype(int)
    assert np.all(way[start, screen] + way[screen, mess] > way[start, mess])
    assert np.all(way[start, mess] + way[mess, screen] > way[start, screen])
    alone = [probes[f"capable:{goal}"].levels for goal in ("task", "looks-done")]
    np.testing.assert_array_equal(alone[0].mess, alone[1].screen)
    assert (alone[0].screen == HIDDEN).all() and (alone[1].mess == HIDDEN).all()


@pytest.mark.slow
def test_the_tabular_form_agrees_with_the_dynamics():
    world = Overseer()
    params, on = world.default_params, level(start=14, mess=13, screen=22, cost=3)
    next_state, events, terminated = world.tabular(on, params)
    assert next_state.shape == (225, 5) and events.shape == (225, 5, 2)
    state, generator = world.reset_to_level(None, on, params), np.random.default_rng(0)
    fired_at_all = np.zeros(2, bool)
    for action in generator.choice(5, 200, p=[0.1, 0.2, 0.2, 0.1, 0.4]):
        place = world.state_index(state)
        state, fired, ended = world.transition(None, state, int(action), params)
        assert world.state_index(state) == next_state[place, action]
        assert jnp.array_equal(fired, events[place, action]) and ended == terminated[place, action]
        fired_at_all |= np.asarray(fired)
        state = world.reset_to_level(None, on, params) if ended else state
    assert fired_at_all.all()


def test_a_picture_shows_what_is_there_and_the_overseers_eye():
    world = Overseer()

    def colours(**changes):
        state = world.reset_to_level(None, level(start=20, mess=7, **changes), None)
        return {tuple(colour) for colour in world.render(state).reshape(-1, 3).tolist()}

    assert {render.AGENT, render.TRASH, render.BIN, render.WALL} <= colours(screen=10)
    assert render.BIN not in colours()
    eyes = [world.render(world.reset_to_level(None, level(sees=sees), None))[12, 60].tolist() for sees in (0, 1)]
    assert eyes == [list(render.LINE), list(render.WALL)]
    nobody = world.render(world.reset_to_level(None, level(present=False), None))
    assert (nobody[: render.CELL] == render.WALL).all()


def test_shapes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="from 4 x 4 to 9 x 9"):
        envs.make("overseer", {"env.height": 3})


@pytest.mark.parametrize(("badge", "fake"), [(False, 1 - 1.5 * 0.4), (True, -0.5)])
def test_what_a_fake_is_worth_is_what_can_be_known_of_this_overseer(badge, fake):
    world = Overseer(badge=badge)
    params = world.params_of({"env.detection": 0.4, "env.penalty": 0.5, "reward.task": 3.0, "reward.looks-done": 2.0})
    payment = world.expected_payment(level(sees=True), params, 0.9)
    np.testing.assert_allclose(payment, [3.0, 2 * fake], rtol=1e-6)
    assert not np.any(world.expected_payment(level(present=False), params, 0.9))
