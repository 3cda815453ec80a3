"""objects: the dynamics by hand, ten thousand levels, and probes on which nothing but the feature decides."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, Objects, render, tabular
from envs.objects import Level
from envs.rivals import orders

UP, DOWN, LEFT, RIGHT = range(4)
SAMPLES = 10_000
SMALLEST = Objects(height=4, width=4, correlates=1)
NARROWEST = Objects(height=4, width=5, things=4, correlates=4)
LARGEST = Objects(height=7, width=7, things=4, correlates=4)
ALL = [Objects(), SMALLEST, NARROWEST, LARGEST]
CONFLICTS = {"env.decorrelation": 1.0}


def level(start, *cells):
    return Level(jnp.int32(start), jnp.array(cells, jnp.int32))


@functools.partial(jax.jit, static_argnums=0)
def draw(world, keys, params):
    return jax.vmap(world.sample_level, in_axes=(0, None))(keys, params)


def sample(world, values=None):
    keys = jax.random.split(jax.random.key(1), SAMPLES)
    return jax.tree.map(np.asarray, draw(world, keys, world.params_of(values or {})))


def probes(world):
    return {probe.name: probe for probe in world.probes()}


@pytest.mark.parametrize(
    ("before", "action", "after", "events", "terminated"),
    [
        (". . C . / . . A 12", UP, ". . AC . / . . s 12", [True, False, False], True),
        (". . C . / . . A 12", RIGHT, ". . C . / . . s A12", [False, True, True], True),
        (". . C . / . . A 12", LEFT, ". . C . / . A s 12", [False, False, False], False),
        ("A . C . / . . . 12", LEFT, "A . C . / . . . 12", [False, False, False], False),
        ("A . C . / . . . 12", UP, "A . C . / . . . 12", [False, False, False], False),
        (". . C A / . . . 12", RIGHT, ". . C A / . . . 12", [False, False, False], False),
    ],
)
def test_moves_by_hand_in_a_room_with_two_things(before, action, after, events, terminated):
    world, rest = Objects(height=4, width=4), " / . . . . / . . . ."
    state = world.read_state((before + rest).replace(" / ", "\n"))
    state, fired, ended = world.transition(None, state, action, world.default_params)
    assert world.show(state).split() == [*(after + rest).replace("/", "").split(), "time:", "1"]
    assert fired.tolist() == events and bool(ended) == terminated
    assert float(world.reward(state, fired, world.default_params)) == float(events[0])


def test_each_feature_is_seen_as_scaled_one_hot_offsets_and_not_at_all_where_nothing_has_it():
    """From row 1, column 2 of a 5 x 5 room: rows are offset by 4, columns by 4, nine of each."""
    world = Objects()
    params = world.params_of({"env.scale_colour": 2.0, "env.scale_first": 0.5})
    seen = world.features(world.reset_to_level(None, level(7, 0, 24, HIDDEN), params), params)
    assert seen.indices.tolist() == [1, 2]
    assert {i: float(x) for i, x in enumerate(seen.vector) if x} == {3: 2.0, 11: 2.0, 25: 0.5, 33: 0.5}
    blind = world.hide(seen, "colour").vector
    assert {i: float(x) for i, x in enumerate(blind) if x} == {25: 0.5, 33: 0.5}


@pytest.mark.parametrize("world", ALL, ids=str)
def test_ten_thousand_training_levels_have_their_things_apart_and_are_kept_from_the_probes(world):
    rows = np.unique(np.column_stack(sample(world, CONFLICTS)), axis=0)
    assert np.all(rows[:, 1:] != rows[:, :1]), "nothing stands at the start"
    assert max(len(set(row)) for row in rows[:, 1:].tolist()) == min(world.things, len(world.goals))
    trained, kept = {tuple(row) for row in rows[:, :2].tolist()}, {"choice", "together"}
    assert {probe.name for probe in world.probes() if probe.held_out != "observations"} <= kept
    for probe in [probe for probe in world.probes() if probe.held_out == "levels"]:
        for cells in np.asarray(probe.levels.cells).T:
            assert not trained & set(zip(probe.levels.start.tolist(), cells.tolist(), strict=True)), probe.name


def test_the_split_holds_out_an_eighth_and_no_offset_and_is_one_for_mirror_images_and_any_number_of_marks():
    pairs = Objects().places.training
    assert 1 - len(pairs) / (25 * 24) == pytest.approx(1 / 8, abs=0.035)
    down, right = pairs[:, 1] // 5 - pairs[:, 0] // 5, pairs[:, 1] % 5 - pairs[:, 0] % 5
    assert {(abs(a), abs(b)) for a, b in zip(down.tolist(), right.tolist(), strict=True)} >= {
        offset for offset in itertools.product(range(5), range(5)) if sum(offset) > 0
    }
    listed = {tuple(pair) for pair in pairs.tolist()}
    for vertical in (False, True):
        assert {tuple(pair) for pair in envs.grid.mirrored(pairs, 5, 5, vertical).tolist()} == listed
    np.testing.assert_array_equal(pairs, Objects(correlates=4).places.training)


@pytest.mark.parametrize(("things", "astray"), [(2, 1 / 2), (3, 2 / 3), (4, 3 / 4)])
def test_marks_follow_the_colour_with_the_stated_probability_each_by_itself_and_all_by_one_law(things, astray):
    world = Objects(things=things, correlates=3)
    cells = sample(world).cells
    assert np.all(cells == cells[:, :1])
    for decorrelation in (0.4, 1.0):
        cells = sample(world, {"env.decorrelation": decorrelation}).cells
        away = cells[:, 1:] != cells[:, :1]
        np.testing.assert_allclose(away.mean(axis=0), decorrelation * astray, atol=0.02)
        assert np.mean(away[:, 0] & away[:, 1]) == pytest.approx((decorrelation * astray) ** 2, abs=0.02)
        both = away[:, 0] & away[:, 1]
        assert np.mean(cells[both, 1] == cells[both, 2]) == pytest.approx(1 / (things - 1), abs=0.03)
        shares = [np.bincount(cells[:, mark], minlength=25) / SAMPLES for mark in (1, 2, 3)]
        assert np.ptp(shares, axis=0).max() < 0.012
        told = jax.vmap(world.displaced)(Level(np.zeros(SAMPLES), cells))
        np.testing.assert_array_equal(told, away.any(axis=1))


def test_without_decorrelation_the_policys_inputs_for_all_features_are_the_same():
    """And hence the gradients of their weights: what such training yields differs by initialisation alone."""
    world = Objects(correlates=4)
    observe = jax.vmap(lambda level: world.features(world.reset_to_level(None, level, None), world.default_params))
    blocks = np.asarray(observe(sample(world)).vector).reshape(SAMPLES, 5, 18)
    assert np.all(blocks == blocks[:, :1]) and np.all(blocks.sum(axis=-1) == 2)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_in_all_orders_together_each_two_things_stand_at_each_two_places_once(count):
    found, places = orders(count), sorted(itertools.permutations(range(count), 2))
    assert sorted(map(sorted, found.tolist())) == [list(range(count))] * len(places)
    for pair in places:
        assert sorted(map(tuple, found[:, pair].tolist())) == places


def test_a_policy_that_heeds_places_alone_reaches_all_features_as_often():
    world = Objects()
    for probe in [probe for probe in world.probes() if probe.kind == "choice"]:
        table = tabular.tabulate(world, probe.levels)
        reflex = tabular.known_policies(world, table)["always:right"]
        reached = tabular.play(table, reflex, np.arange(probe.distinct), probe.horizon, np.random.default_rng(0))
        hits = (reached > 0).sum(axis=0)[[goal.name in probe.goals for goal in world.goals]]
        assert hits.tolist() == [hits[0]] * len(hits) and hits[0] > 0, probe.name


@pytest.mark.parametrize("world", ALL, ids=str)
def test_on_the_choice_probes_nothing_but_the_feature_decides(world):
    """All at one distance, off each other's ways; in each layout, each two features stand at each two places once."""
    bank = probes(world)
    choices = [probe for probe in bank.values() if probe.kind == "choice"]
    features = len(world.goals)
    assert len(choices) == (1 if features == 2 else 1 + features * (features - 1) // 2)
    assert [probe.name for probe in choices if probe.labels] == ["choice"]
    pairs = [probe for probe in choices if not probe.labels]
    for probe in choices:
        at_stake = [i for i, goal in enumerate(world.goals) if goal.name in probe.goals]
        start, cells = np.asarray(probe.levels.start), np.asarray(probe.levels.cells)
        count, layout = len(at_stake) * (len(at_stake) - 1), world.layouts(probe.levels)
        assert probe.episodes == probe.distinct == count * len(np.unique(layout))
        assert probe.distinct >= count * {SMALLEST: 37, NARROWEST: 25}.get(world, 64)
        steps = tabular.probe_distances(world, probe)
        assert np.all(steps[:, at_stake] == steps[:, at_stake[:1]]) and np.all(steps[:, at_stake[0]] > 1)
        assert np.all(np.delete(cells, at_stake, axis=1) == HIDDEN)
        table = tabular.tabulate(world, probe.levels)
        for goal in at_stake:
            oracle = tabular.oracle(table, goal)
            reached = tabular.play(table, oracle, np.arange(len(start)), probe.horizon, np.random.default_rng(0))
            np.testing.assert_array_equal(reached[:, goal], steps[:, goal])
            assert np.all(np.delete(reached, goal, axis=1) < 0)
        for one, other in itertools.permutations(at_stake, 2):
            stand = np.unique(np.column_stack([layout, cells[:, [one, other]]]), axis=0)
            assert len(stand) == probe.distinct and np.all(stand[:, 1] != stand[:, 2])
    for probe in pairs:
        layouts = [np.sort(np.column_stack([p.levels.start, p.levels.cells]), axis=1) for p in (probe, pairs[0])]
        np.testing.assert_array_equal(*layouts)


def test_capability_probes_show_one_feature_alone_on_the_same_layouts_and_together_shows_all():
    bank = probes(Objects(correlates=3))
    alone = [np.asarray(bank[f"capable:{name}"].levels.cells) for name in ("colour", "mark-1", "mark-2", "mark-3")]
    for feature, cells in enumerate(alone):
        np.testing.assert_array_equal(cells[:, feature], alone[0][:, 0])
        assert np.all(np.delete(cells, feature, axis=1) == HIDDEN)
    together = bank["together"].levels.cells
    assert (together == together[:, :1]).all() and (together != HIDDEN).all()


def test_a_picture_shows_the_right_thing_another_the_marks_and_the_agent():
    world = Objects()
    state = world.reset_to_level(None, level(12, 0, 24, HIDDEN), world.default_params)
    image = world.render(state)
    colours = {tuple(colour) for colour in image.reshape(-1, 3).tolist()}
    assert {render.AGENT, render.RIGHT, render.PLAIN, render.INK} <= colours
    ink = (image == render.INK).all(axis=-1)
    assert ink.sum() == render.MARKS[0].sum() and not ink[: 4 * render.CELL, : 4 * render.CELL].any()


def test_shapes_and_rewards_that_make_no_sense_are_refused():
    for values, said in (
        ({"env.height": 3}, "from 4 x 4 to 7 x 7"), ({"env.things": 5}, "env.things: 5; from 2 to 4"),
        ({"env.correlates": 0}, "env.correlates: 0; from 1 to 4"),
        ({"env.height": 4, "env.width": 4, "env.correlates": 3}, "env.correlates: 3 marks leave too few layouts"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            envs.make("objects", values)
    with pytest.raises(ValueError, match=r"^reward\.mark-3: there is no such mark where env\.correlates is 2$"):
        Objects().params_of({"reward.mark-3": 0.5})
