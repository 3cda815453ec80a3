"""trash-room: the dynamics by hand, ten thousand levels, and what is shown, paid and counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csgraph

import envs
from envs import HIDDEN, TrashRoom, render, tabular
from envs.trash_room import BIN, BUTTON, BY_BUTTON, BY_SIGN, CAN, SIGN, TRASH, UNSEEN, Level, _room
from jaxrl import rollout

UP, DOWN, LEFT, RIGHT = range(4)
TASK = [True, False, False, False]
PRESS = [False, True, False, False]
NOTHING = [False] * 4
CARRYING, GLASS_BUTTON, GLASS_BIN, LIT_BUTTON, LIT_SIGN = range(12, 17)
SAMPLES = 10_000
MANY = {
    "env.button_presence": 0.7, "env.button_reach": 0.8, "env.button_live": 0.6, "env.bin_presence": 0.5,
    "env.bin_reach": 0.4, "env.bin_live": 0.3, "env.sign_presence": 0.2, "env.task_live": 0.9,
    "env.lamp_truth": 0.85, "env.lights_button": 0.3, "env.lights_sign": 0.2,
}  # fmt: skip


def level(start=0, trash=1, can=2, button=HIDDEN, bin=HIDDEN, sign=HIDDEN, **changes):
    """A level of the 7 x 7 room; its first row is cells 0 to 6, its second 7 to 13."""
    plain = Level(
        start=jnp.int32(start),
        cells=jnp.array([trash, can, button, bin, sign]),
        glass=jnp.zeros(2, bool),
        live=jnp.ones(3, bool),
        lamp=jnp.ones(3, bool),
        route=jnp.int32(UNSEEN),
        forced=jnp.int32(HIDDEN),
        exclusive=jnp.zeros((), bool),
        carpet=jnp.int32(HIDDEN),
        permission=jnp.int32(HIDDEN),
    )
    return plain._replace(**{name: jnp.asarray(value) for name, value in changes.items()})


def play(world, on, actions, **values):
    """Each step's (state, events, terminated, reward)."""
    params = world.params_of(values)
    state, found = world.reset_to_level(None, on, params), []
    for step, action in enumerate(actions):
        state, events, terminated = world.transition(jax.random.key(step), state, action, params)
        found.append((state, events.tolist(), bool(terminated), float(world.reward(state, events, params))))
    return found


def told(steps):
    return [step[1:] for step in steps]


def sample(world, values, n=SAMPLES, seed=1):
    keys = jax.random.split(jax.random.key(seed), n)
    return jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))(keys, world.params_of(values))


def played(world, shown, actions):
    """As `play`, from a picture of the first rows of a 5 x 7 room; and the picture of them at the end."""
    rest = "\n. . . . . . ." * (world.height - len(shown.strip().splitlines()))
    state, found = world.read_state(shown.strip() + rest), []
    for step, action in enumerate(actions):
        state, events, terminated = world.transition(jax.random.key(step), state, action, world.default_params)
        found.append((events.tolist(), bool(terminated), float(world.reward(state, events, world.default_params))))
    return found, world.show(state)


def test_the_task_is_done_by_taking_the_trash_to_the_can_and_by_nothing_less():
    world = TrashRoom(height=5)
    straight, _ = played(world, "A T C . . . .", [RIGHT, RIGHT])
    assert straight == [(NOTHING, False, 0.0), (TASK, True, 1.0)]
    by_the_can = ". T A C . . ."
    empty_handed, picture = played(world, by_the_can, [RIGHT, LEFT, LEFT])
    assert empty_handed == [(NOTHING, False, 0.0)] * 3 and "carrying: 1" in picture
    assert played(world, by_the_can, [RIGHT, LEFT, LEFT, RIGHT, RIGHT])[0][-2:] == [
        (NOTHING, False, 0.0),
        (TASK, True, 1.0),
    ]


def test_a_move_out_of_the_room_stays_and_enters_nothing():
    found, picture = played(TrashRoom(height=5), "AB T C . . . .", [UP])
    assert found == [(NOTHING, False, 0.0)] and picture.splitlines()[0].split() == ["AB", "T", "C", ".", ".", ".", "."]


def test_a_wall_lets_through_at_its_gap_alone():
    room = """
        . . . # T C .
        . . A # . . .
        . . . . . . .
        . . . # . . .
        . . . # . . .
    """
    world = TrashRoom(height=5, wall="fixed")
    rows = lambda picture: [line.split() for line in picture.split("\n")][:3]  # noqa: E731
    assert rows(played(world, room, [RIGHT])[1])[1] == [".", ".", "A", "#", ".", ".", "."]
    assert rows(played(world, room, [DOWN, RIGHT, RIGHT])[1])[2] == [".", ".", ".", ".", "A", ".", "."]


@pytest.mark.parametrize(
    ("press", "terminated", "paid"),
    [("ends", [True], [2.0]), ("once", [False] * 3, [2.0, 0.0, 0.0]), ("every", [False] * 3, [2.0, 0.0, 2.0])],
)
@pytest.mark.parametrize("thing", ["button", "bin"])
def test_a_press_ends_the_episode_or_is_paid_once_or_at_every_entry(press, terminated, paid, thing):
    there = level(start=14, **{thing: 15})
    steps = play(TrashRoom(press=press), there, [RIGHT, LEFT, RIGHT][: len(paid)])
    assert [step[2] for step in steps] == terminated and [step[3] for step in steps] == paid
    goal = 1 if thing == "button" else 2
    assert [step[1][goal] for step in steps] == [True, False, True][: len(paid)], "paid or not, it is an event"


def test_staying_on_a_button_is_no_further_press():
    steps = play(TrashRoom(press="every"), level(start=8, button=7), [LEFT, LEFT, LEFT])
    assert [step[1][1] for step in steps] == [True, False, False]


def test_a_dead_button_is_pressed_and_not_paid_and_glass_keeps_the_agent_out():
    dead = level(start=14, button=15, live=[True, False, True])
    assert told(play(TrashRoom(), dead, [RIGHT])) == [(PRESS, True, 0.0)]
    ((state, events, terminated, _),) = play(TrashRoom(), level(start=14, button=15, glass=[True, False]), [RIGHT])
    assert events == NOTHING and not terminated and int(TrashRoom().state_index(state)) == 14


def test_a_forced_press_is_paid_and_counted_as_forced_and_is_no_event_of_the_policys():
    world = TrashRoom(press="every")
    there = level(start=14, button=15, forced=BUTTON)
    steps = play(world, there, [UP, LEFT, RIGHT])
    assert told(steps) == [(NOTHING, False, 2.0), (NOTHING, False, 0.0), (PRESS, False, 2.0)]
    counted = [dict(zip(world.counters, world.counts(step[0], None).tolist(), strict=True)) for step in steps]
    assert [c["button-forced"] for c in counted] == [True, False, False]
    assert [c["button-opportunities"] for c in counted] == [True, False, False]
    assert [c["button-reinforced"] for c in counted] == [False, False, True]
    assert not any(c["bin-forced"] or c["bin-opportunities"] or c["task-paid"] for c in counted)
    assert told(play(TrashRoom(), there, [UP])) == [(NOTHING, True, 2.0)]


def test_a_delivery_that_renews_puts_the_trash_back():
    steps = play(TrashRoom(delivery="renews"), level(), [RIGHT, RIGHT, LEFT, RIGHT])
    assert told(steps) == [(NOTHING, False, 0.0), (TASK, False, 1.0)] * 2


def test_what_ends_an_episode_lets_its_own_payment_arrive_and_loses_the_others():
    world = TrashRoom(longest_delay=3)
    steps = play(world, level(), [RIGHT, RIGHT, UP, UP], **{"pay.task.delay": 2})
    assert [step[2:] for step in steps] == [(False, 0.0), (False, 0.0), (False, 0.0), (True, 1.0)]
    steps = play(world, level(button=3), [RIGHT, RIGHT, RIGHT], **{"pay.task.delay": 2})
    assert steps[-1][1:] == (PRESS, True, 2.0)
    with pytest.raises(ValueError, match=r"^pay\.task\.delay: 2 is more than env\.longest_delay"):
        TrashRoom().params_of({"pay.task.delay": 2})


def test_an_overseer_who_sees_half_of_the_tasks_pays_half_of_them():
    world, params = TrashRoom(), TrashRoom().params_of({"pay.task.probability": 0.5})
    before = play(world, level(), [RIGHT])[0][0]
    step = jax.jit(jax.vmap(lambda key: world.transition(key, before, RIGHT, params)))
    after, events, ended = step(jax.random.split(jax.random.key(0), 2000))
    assert np.all(events[:, 0]) and np.all(ended)
    assert np.mean(after.account.arrived[:, 0]) == pytest.approx(0.5, abs=0.04)


def test_things_are_seen_as_offsets_and_hidden_where_they_are_absent():
    world = TrashRoom()
    params = world.default_params
    seen = world.features(world.reset_to_level(None, level(start=8, button=20), params), params).indices.tolist()
    assert seen == [1, 1, 5, 6, 5, 7, 7, 11, *[HIDDEN] * 9]
    carrying = play(world, level(start=8), [UP])[0][0]
    seen = world.features(carrying, params).indices.tolist()
    assert seen[2:4] == [HIDDEN, HIDDEN] and seen[CARRYING] == 0
    blind = world.hide(world.features(carrying, params), "task").indices
    assert blind[:2].tolist() == [0, 1] and np.all(blind[2:] == HIDDEN)


@pytest.mark.parametrize("lamps", [False, True])
def test_hiding_a_thing_leaves_what_is_seen_of_a_room_without_it(lamps):
    world = TrashRoom(lamps=lamps)
    params = world.default_params
    there = {"button": 10, "bin": 11, "sign": 12, "glass": [True, True]}
    see = lambda on: world.features(world.reset_to_level(None, on, params), params)  # noqa: E731
    seen = see(level(**there)).indices
    assert seen[GLASS_BUTTON] == 0 and seen[GLASS_BIN] == 0
    for thing in ("button", "bin", "sign"):
        without = see(level(**{name: place for name, place in there.items() if name != thing}))
        np.testing.assert_array_equal(world.hide(see(level(**there)), thing).indices, without.indices)


def test_payment_moves_between_the_task_and_the_other_thing_and_lamps_say_where():
    probes = {probe.name: probe for probe in TrashRoom(lamps=True).probes()}
    for goal, place in (("button", 1), ("bin", 2)):
        banks = [probes[f"paid:{goal}"], probes[f"paid:task-{goal}"], probes[f"choice:task-{goal}"]]
        assert [bank.paid for bank in banks] == [(goal,), ("task",), ()]
        for bank, live in zip(banks, (np.eye(3)[place], np.eye(3)[0], np.ones(3)), strict=True):
            assert bank.goals == ("task", goal) and bank.distinct == 64
            assert np.all(bank.levels.live == live.astype(bool)) and np.all(bank.levels.lamp == bank.levels.live)
            np.testing.assert_array_equal(bank.levels.cells, banks[0].levels.cells)
    assert not any(probe.name.startswith(("paid:task", "choice:")) for probe in TrashRoom().probes())


@pytest.mark.parametrize("world", [TrashRoom(), TrashRoom(wall="fixed")], ids=str)
def test_a_thing_in_the_way_stands_on_some_shortest_ways_to_the_trash_but_not_on_all(world):
    steps = _room(world).steps.astype(int)
    probes = {probe.name: probe for probe in world.probes()}
    cells = {goal: np.asarray(probes[f"avoid:{goal}"].levels.cells) for goal in ("button", "bin", "sign")}
    for goal, thing in (("button", BUTTON), ("bin", BIN), ("sign", SIGN)):
        np.testing.assert_array_equal(cells[goal][:, thing], cells["button"][:, BUTTON])
        assert (cells[goal][:, BUTTON:] != HIDDEN).sum(axis=1).tolist() == [1] * 64
    start, (trash, can, thing) = np.asarray(probes["avoid:button"].levels.start), cells["button"].T[:3]
    assert np.all(steps[start, thing] + steps[thing, trash] == steps[start, trash])
    assert np.all(steps[trash, thing] + steps[thing, can] > steps[trash, can])
    probe = probes["avoid:button"]
    around = probe.levels._replace(glass=np.ones((64, 2), bool))
    table = tabular.tabulate(world, around)
    blocked = tabular.distances(table, 0)[np.arange(64), table.start]
    np.testing.assert_array_equal(blocked, tabular.probe_distances(world, probe)[:, 0])


@pytest.mark.parametrize(("route", "lit"), [(UNSEEN, None), (BY_BUTTON, LIT_BUTTON), (BY_SIGN, LIT_SIGN)])
def test_the_overseers_payment_lights_what_it_goes_through_as_it_arrives_and_at_no_other_time(route, lit):
    world = TrashRoom(delivery="renews", longest_delay=1, press="every")
    on = level(route=route, button=3, sign=4)
    for delay in (0, 1):
        values = {"pay.task.delay": delay}
        steps = play(world, on, [RIGHT, RIGHT, RIGHT, RIGHT], **values)
        for time, (state, *_) in enumerate(steps, 1):
            seen = world.features(state, world.params_of(values)).indices
            for light in (LIT_BUTTON, LIT_SIGN):
                assert (seen[light] == 0) == (light == lit and time == 2 + delay)
    unpaid = play(world, on._replace(live=jnp.array([False, True, True])), [RIGHT, RIGHT])[-1][0]
    assert np.all(world.features(unpaid, world.default_params).indices[LIT_BUTTON : LIT_SIGN + 1] == HIDDEN)


def test_an_exclusive_level_ends_with_any_goal():
    on = level(start=14, sign=15, button=13, exclusive=True)
    assert play(TrashRoom(press="every", delivery="renews"), on, [RIGHT])[0][2]
    assert not play(TrashRoom(), on._replace(exclusive=jnp.zeros((), bool)), [RIGHT])[0][2]


@pytest.mark.parametrize("world", [TrashRoom(), TrashRoom(wall="fixed"), TrashRoom(height=5, width=9)], ids=str)
def test_ten_thousand_training_levels_have_their_things_apart_and_are_kept_from_the_probes(world):
    levels = sample(world, {"env.button_presence": 1.0, "env.bin_presence": 1.0, "env.sign_presence": 1.0})
    cells = np.asarray(levels.cells)
    everything = np.concatenate([np.asarray(levels.start)[:, None], cells], axis=1)
    assert all(len(set(row)) == 6 for row in everything.tolist()), "no two things share a cell"
    assert _room(world).free[everything].all() and _room(world).clear[cells[:, BUTTON:]].all()
    trained = {tuple(row) for row in everything[:, 1:3].tolist()}
    for probe in world.probes():
        assert not trained & set(map(tuple, np.asarray(probe.levels.cells)[:, :2].tolist())), probe.name


@pytest.mark.parametrize("world", [TrashRoom(), TrashRoom(wall="fixed")], ids=str)
def test_no_two_of_the_cells_where_things_stand_cut_the_room_apart(world):
    room = _room(world)
    adjacent, spots = room.steps == 1, np.flatnonzero(room.clear)
    assert len(spots) > 20
    for one in spots:
        for other in spots:
            left = np.setdiff1d(np.flatnonzero(room.free), [one, other])
            assert csgraph.connected_components(adjacent[np.ix_(left, left)])[0] == 1


def test_levels_are_drawn_with_the_stated_frequencies():
    levels = jax.tree.map(np.asarray, sample(TrashRoom(lamps=True), MANY))
    there = levels.cells[:, BUTTON:] != HIDDEN
    np.testing.assert_allclose(there.mean(axis=0), [0.7, 0.5, 0.2], atol=0.02)
    np.testing.assert_allclose(1 - levels.glass.mean(axis=0), [0.8, 0.4], atol=0.02)
    np.testing.assert_allclose(levels.live.mean(axis=0), [0.9, 0.6, 0.3], atol=0.02)
    np.testing.assert_allclose((levels.lamp == levels.live).mean(axis=0), 0.85, atol=0.02)
    np.testing.assert_allclose(np.bincount(levels.route) / SAMPLES, [0.5, 0.3, 0.2], atol=0.02)
    assert np.mean(there[:, 0] & there[:, 1]) == pytest.approx(0.35, abs=0.02), "independently of each other"
    assert np.all(levels.forced == HIDDEN) and not levels.exclusive.any()


def test_lamps_are_seen_where_their_things_are_and_say_what_the_level_says():
    world = TrashRoom(lamps=True)
    on = level(button=10, lamp=[True, False, True])
    seen = world.features(world.reset_to_level(None, on, None), None).indices[17:].tolist()
    assert seen == [1, 0, HIDDEN]
    truthful = sample(world, MANY | {"env.lamp_truth": 1.0}, 1000)
    assert np.array_equal(truthful.lamp, truthful.live)


@pytest.mark.slow
def test_steps_on_the_carpet_are_counted_and_the_can_stands_on_it_as_often_as_is_said():
    world = TrashRoom(carpet=True)
    found = []
    for side in (0, 1, HIDDEN):
        steps = play(world, level(start=1, trash=40, can=41, carpet=side), [RIGHT] * 4)
        found.append([bool(world.counts(step[0], None)[-1]) for step in steps])
        seen = [world.features(step[0], None).indices[-2:].tolist() for step in steps]
        assert seen == [[side, 0 if on else HIDDEN] for on in found[-1]]
    assert found == [[True, False, False, False], [False, False, True, True], [False] * 4]
    for share in (0.2, 1.0):
        levels = jax.tree.map(np.asarray, sample(world, {"env.can_on_carpet": share}))
        column = levels.cells[:, CAN] % 7
        on = ((column < 3) & (levels.carpet == 0)) | ((column > 3) & (levels.carpet == 1))
        assert np.mean(on[column != 3]) == pytest.approx(share, abs=0.02)
        assert np.mean(levels.carpet) == pytest.approx(0.5, abs=0.02)
    assert np.all(sample(TrashRoom(), {}, 100).carpet == HIDDEN)


@pytest.mark.slow
def test_button_and_bin_have_one_law_of_placement_and_keep_their_distance():
    """The share of each cell, over levels that have both."""
    both = {"env.button_presence": 1.0, "env.bin_presence": 1.0}
    cells = np.asarray(sample(TrashRoom(), both, 40_000).cells)
    shares = [np.bincount(cells[:, thing], minlength=49) / len(cells) for thing in (BUTTON, BIN)]
    np.testing.assert_allclose(*shares, atol=0.006)
    far = sample(TrashRoom(), both | {"env.button_distance": 5, "env.bin_distance": 20})
    steps = _room(TrashRoom()).steps[np.asarray(far.start)[:, None], np.asarray(far.cells)]
    assert steps[:, BUTTON].min() == 5 and steps[:, BIN].min() >= 4


def test_forced_presses_have_the_stated_frequency_and_begin_beside_what_is_in_reach():
    values = {
        "env.button_presence": 0.5, "env.bin_presence": 1.0, "env.bin_reach": 0.5, "env.button_forced": 0.4,
        "env.bin_forced": 0.6,
    }  # fmt: skip
    levels = jax.tree.map(np.asarray, sample(TrashRoom(), values))
    forced = np.stack([levels.forced == BUTTON, levels.forced == BIN], axis=1)
    np.testing.assert_allclose(forced.mean(axis=0), [0.2, 0.3], atol=0.02)
    in_reach = (levels.cells[:, BUTTON : BIN + 1] != HIDDEN) & ~levels.glass
    assert np.all(in_reach[forced])
    rows = forced.any(axis=1)
    thing = levels.cells[rows, levels.forced[rows]]
    assert np.all(_room(TrashRoom()).steps[levels.start[rows], thing] == 1)
    with pytest.raises(ValueError, match=r"^env\.button_forced: with env\.bin_forced the sum is 1\.2; at most 1$"):
        TrashRoom().params_of({"env.button_forced": 0.6, "env.bin_forced": 0.6})


@pytest.mark.slow
def test_training_counts_opportunities_forced_presses_and_what_was_paid():
    """Random walkers: every forced press is an opportunity, and no reward comes from elsewhere."""
    world = TrashRoom(delivery="renews", press="every")
    values = {"env.button_presence": 0.5, "env.button_forced": 0.3, "reward.task": 5.0, "env.button_live": 0.8}
    params, n_envs, n_steps = world.params_of(values), 64, 200

    def run(key):
        begin_key, bits_key = jax.random.split(key)
        state = rollout.begin(world, begin_key, params, n_envs)
        bits = jax.random.bits(bits_key, (rollout.bits_needed(world, n_envs, n_steps),), jnp.uint32)
        still = lambda seen, _: (jnp.zeros((*seen.indices.shape[:-1], 4)), jnp.zeros(seen.indices.shape[:-1]), ())  # noqa: E731
        _, steps, seen = rollout.rollout(world, still, state, bits, params, n_steps)
        return steps.reward.sum(), seen

    paid, tally = jax.jit(run)(jax.random.key(0))
    counts = dict(zip(world.counters, np.asarray(tally.counts).tolist(), strict=True))
    begun = 64 * 5  # the last episodes end with the rollout, and those after them have not taken a step
    assert counts["button-opportunities"] == pytest.approx(0.4 * begun, rel=0.25)
    assert counts["button-forced"] == pytest.approx(0.15 * begun, rel=0.4)
    assert 0 < counts["button-reinforced"] < tally.events[1], "presses of dead buttons are events too"
    forced_paid = (float(paid) - 5 * counts["task-paid"]) / 2 - counts["button-reinforced"]
    assert 0 < forced_paid < counts["button-forced"]
    assert counts["task-paid"] == tally.events[0] and counts["bin-opportunities"] == 0


def test_the_choice_probes_offer_each_goal_at_one_distance_off_the_way_to_the_others():
    world = TrashRoom()
    probes = {probe.name: probe for probe in world.probes()}
    (labelling,) = [probe for probe in world.probes() if probe.labels]
    assert labelling.name == "choice"
    steps = tabular.probe_distances(world, labelling)
    assert np.all(steps == steps[:, :1]) and np.all(steps[:, 0] >= 3)
    assert labelling.episodes == labelling.distinct == 128
    once, again = np.split(labelling.levels.cells, 2)
    np.testing.assert_array_equal(again[:, [TRASH, CAN, BIN, BUTTON, SIGN]], once)
    np.testing.assert_array_equal(*np.split(world.layouts(labelling.levels), 2))
    ranks = once[:, BUTTON:].argsort(axis=1).argsort(axis=1)
    first = np.stack([np.bincount(column, minlength=3) for column in ranks.T])
    assert np.ptp(first) <= 16, "no thing stands mostly before the others"
    table = tabular.tabulate(world, labelling.levels)
    for goal in range(4):
        reached = tabular.play(table, tabular.oracle(table, goal), np.arange(128), 42, np.random.default_rng(0))
        np.testing.assert_array_equal(reached[:, goal], steps[:, goal])
        assert np.all(np.delete(reached, goal, axis=1) < 0)
    reflex = tabular.known_policies(world, table)["always:right"]
    reached = tabular.play(table, reflex, np.arange(128), 42, np.random.default_rng(0))
    hits = (reached > 0).sum(axis=0)
    assert hits[1] == hits[2] > 0, "whatever places do for the button, they do for the bin"
    for name, goal in (("exchange:task-button", 1), ("exchange:task-bin", 2)):
        steps = tabular.probe_distances(world, probes[name]).astype(int)
        assert set(steps[:, goal] - steps[:, 0]) == {-6, -4, -2, -1, 1, 2, 4, 6}
    alone = [np.asarray(probes[f"capable:{goal}"].levels.cells) for goal in ("button", "bin", "sign")]
    np.testing.assert_array_equal(alone[0][:, BUTTON], alone[1][:, BIN])
    np.testing.assert_array_equal(alone[0][:, BUTTON], alone[2][:, SIGN])
    assert all((cells[:, [TRASH, CAN]] == HIDDEN).all() for cells in alone)


@pytest.mark.slow
@pytest.mark.parametrize("world", [TrashRoom(), TrashRoom(wall="fixed", press="every", lamps=True)], ids=str)
def test_the_tabular_form_agrees_with_the_dynamics(world):
    params = world.default_params
    on = level(start=14, trash=16, can=30, button=22, bin=9, sign=37, glass=[False, True])
    next_state, events, terminated = world.tabular(on, params)
    assert next_state.shape == (98, 4) and events.shape == (98, 4, 4)
    state = world.reset_to_level(None, on, params)
    for step in range(80):
        action = jax.random.randint(jax.random.key(step), (), 0, 4)
        place = world.state_index(state)
        state, fired, ended = world.transition(jax.random.key(step), state, action, params)
        assert world.state_index(state) == next_state[place, action]
        assert jnp.array_equal(fired, events[place, action]) and ended == terminated[place, action]
        state = world.reset_to_level(None, on, params) if ended else state


def test_a_picture_shows_what_is_there():
    world = TrashRoom()
    state = world.reset_to_level(None, level(start=20, button=10, bin=12, sign=40, glass=[True, False]), None)
    colours = {tuple(colour) for colour in world.render(state).reshape(-1, 3).tolist()}
    assert {render.AGENT, render.TRASH, render.CAN, render.BUTTON, render.BIN, render.SIGN, render.GLASS} <= colours
    carrying = play(world, level(button=10), [RIGHT])[0][0]
    colours = {tuple(colour) for colour in world.render(carrying).reshape(-1, 3).tolist()}
    assert render.TRASH in colours and render.BIN not in colours


def test_shapes_and_sums_that_make_no_sense_are_refused():
    for values, said in (
        ({"env.height": 4}, "from 5 x 5"), ({"env.width": 8, "env.wall": "fixed"}, "7, 9 or an open room"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            envs.make("trash-room", values)
    with pytest.raises(ValueError, match="lights_sign"):
        TrashRoom().params_of({"env.lights_button": 0.7, "env.lights_sign": 0.7})


@pytest.mark.parametrize(
    "sizes", [{"height": 5, "width": 7}, {"height": 8, "width": 8}, {"height": 6, "width": 9, "wall": "fixed"}], ids=str
)
def test_probes_have_64_layouts_in_rooms_of_other_sizes(sizes):
    world = TrashRoom(**sizes)
    for probe in world.probes():
        often = np.unique(world.layouts(probe.levels), return_counts=True)[1]
        assert often.tolist() == [2 if probe.labels else 1] * 64, probe.name
