"""platformer: jumps and collisions by hand, CoinRun's level statistics, ways through every level, and its probes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, Platformer, render, tabular
from envs.batching import batch
from envs.platformer import banks, levels, physics
from envs.platformer.levels import SECTIONS, Level
from envs.platformer.world import State

STAY, LEFT, RIGHT, JUMP, JUMP_LEFT, JUMP_RIGHT = range(6)
HEIGHT, WIDTH = 10, 16
WORLD = Platformer(height=HEIGHT, width=WIDTH, view=7, dangers="all")
PUBLISHED = Platformer(height=32, width=64, dangers="all")
"""High and wide enough that no level of CoinRun's law is cut."""


def begin(picture, enemy=None):
    """The state that a picture shows: rows of tiles, split by /, that stand on the floor from column 1 on.

    A agent, C coin, # ground, = slab, B crate, S saw, E end, P start of a section. A wall follows. `enemy` is the first
    column of an enemy's walk, how many more it has, and where on it the enemy begins.
    """
    tiles = np.array([list(row.strip()) for row in picture.split("/")])[::-1]
    ground, crates, slab, saw = np.zeros((4, WIDTH), np.int8)
    ground[:], slab[:] = HEIGHT, HIDDEN
    found, row = dict.fromkeys("ACEP", HIDDEN), 1
    for column, tower in enumerate(tiles.T.tolist(), start=1):
        ground[column] = 1 + tower.count("#")
        crates[column], saw[column] = tower.count("B"), "S" in tower
        slab[column] = 1 + tower.index("=") if "=" in tower else HIDDEN
        found |= {thing: column for thing in found if thing in tower}
        row = 1 + tower.index("A") if "A" in tower else row
    walks = np.full((3, SECTIONS), HIDDEN, np.int8)
    walks[:, 0] = enemy or HIDDEN
    arrays = map(jnp.asarray, (ground, crates, slab, saw.astype(bool), *walks))
    level = Level(*arrays, *(jnp.int32(found[thing]) for thing in "ACEP"))
    return State(level.start, jnp.int32(row), jnp.int32(0), level, jnp.int32(0))


def play(state, actions, world=WORLD):
    """(column, row, what happened) after each action; `dead` where a danger ends the episode. The floor is row 1."""
    found = []
    for action in actions:
        state, events, ended = _step(world)(state, jnp.int32(action), world.default_params)
        names = [goal.name for goal, fired in zip(world.goals, events, strict=True) if fired]
        found.append((int(state.column), int(state.row), *names, *["dead"] * bool(ended and "coin" not in names)))
    return found


def test_a_coin_stays_visible_under_the_agent():
    state = begin("A.C.E")
    apart, on_it = (WORLD.render(state.replace(column=jnp.int32(column))) for column in (1, 3))
    coin, there = ((image == render.COIN).all(axis=-1) for image in (apart, on_it))
    assert coin.any() and np.array_equal(coin, there) and (on_it == render.AGENT).all(axis=-1).any()


@functools.cache
def _step(world):
    return jax.jit(functools.partial(world.transition, None))


@pytest.mark.parametrize(
    ("picture", "actions", "places"),
    [
        ("A...", [RIGHT, RIGHT, LEFT, LEFT, LEFT, STAY], [(2, 1), (3, 1), (2, 1), (1, 1), (1, 1), (1, 1)]),
        ("A.........", [JUMP_RIGHT, *[RIGHT] * 7], [(2, 4), (3, 6), (4, 7), (5, 7), (6, 7), (7, 6), (8, 4), (9, 1)]),
        ("A.", [JUMP] * 9, [(1, 4), (1, 6), (1, 7), (1, 7), (1, 7), (1, 6), (1, 4), (1, 1), (1, 4)]),
        ("A..", [JUMP_RIGHT, JUMP_LEFT, STAY, RIGHT], [(2, 4), (1, 6), (1, 7), (2, 7)]),
        (".# / .# / .# / .# / A#", [RIGHT, JUMP_RIGHT, RIGHT], [(1, 1), (1, 4), (2, 6)]),
        (".# / .# / .# / .# / .# / .# / A#", [JUMP_RIGHT, *[RIGHT] * 4], [(1, 4), (1, 6), (1, 7), (1, 7), (1, 7)]),
        ("A... / #... / #... / #... / #... / #... / #...", [RIGHT] * 3 + [STAY], [(2, 7), (3, 6), (4, 4), (4, 1)]),
        ("A / # / # / # / #", [JUMP, JUMP, JUMP, STAY], [(1, 8), (1, 9), (1, 8), (1, 6)]),
        ("= / . / A", [JUMP, STAY, STAY], [(1, 2), (1, 1), (1, 1)]),
        ("A.. / ==. / ... / ...", [RIGHT, RIGHT, STAY], [(2, 4), (3, 4), (3, 3)]),
        (". / A / = / . / .", [STAY, JUMP], [(1, 4), (1, 7)]),
        (".B. / AB.", [RIGHT, RIGHT, RIGHT], [(2, 1), (3, 1), (3, 1)]),
        (".B / AB", [JUMP_RIGHT, *[STAY] * 7, LEFT], [(2, r) for r in (4, 6, 7, 7, 7, 6, 4, 3)] + [(1, 3)]),
        (". / B / A", [JUMP], [(1, 4)]),
    ],
)
def test_jumps_falls_and_collisions_by_hand(picture, actions, places):
    """In order: walking; a full jump of eight columns; one straight up, and again on landing alone; steering;
    a ledge five high, climbed in two steps, and one of seven, which is not; falling by one, two and three rows; the
    ceiling; a slab from below, off its end, and as ground; crates, walked through, landed on and left, jumped through.
    """
    assert play(begin(picture), actions) == places


@pytest.mark.parametrize(
    ("picture", "enemy", "actions", "last"),
    [
        ("A.S..", None, [RIGHT, RIGHT], (3, 1, "dead")),
        ("A.SSSSSSS.", None, [RIGHT, JUMP_RIGHT, *[RIGHT] * 7], (10, 1)),
        ("A.SSSSSSS.", None, [RIGHT, JUMP_RIGHT, *[RIGHT] * 6, STAY], (9, 1, "dead")),
        ("A....", (3, 2, 0), [RIGHT, RIGHT], (3, 1)),  # in the second step the enemy goes on to column 4
        ("A....", (3, 2, 0), [RIGHT, RIGHT, RIGHT], (4, 1, "dead")),
        ("...A.", (3, 2, 0), [STAY, LEFT], (3, 1, "dead")),  # it and the agent change places
        ("..A..", (3, 1, 1), [STAY, STAY], (3, 1, "dead")),  # it comes to the agent, who stands still
        ("..A..", (3, 1, 1), [STAY, JUMP], (3, 4, "dead")),  # and is too quick for one who jumps then
        ("..A..", (3, 1, 1), [JUMP, STAY], (3, 6)),
    ],
)
def test_dangers_end_an_episode_and_are_flown_over(picture, enemy, actions, last):
    found = play(begin(picture, enemy), actions)
    assert found[-1] == last and not any("dead" in one for one in found[:-1])


def test_an_enemy_walks_to_and_fro_a_column_every_second_step():
    level = begin("A.......", enemy=(3, 2, 0)).level
    assert [int(physics.enemies(levels.widened(level), jnp.int32(t))[0]) for t in range(9)] == [
        3,
        3,
        4,
        4,
        5,
        5,
        4,
        4,
        3,
    ]
    two = begin("A.......", enemy=(3, 1, 1)).level
    assert [int(physics.enemies(levels.widened(two), jnp.int32(t))[0]) for t in range(5)] == [4, 4, 3, 3, 4]
    assert play(begin("A.A..", enemy=(3, 1, 0)), [STAY], Platformer(height=10, width=16, view=7)) == [(3, 1)]


def test_the_coin_ends_an_episode_and_the_right_end_is_entered_and_then_occupied():
    assert play(begin("AC"), [JUMP_RIGHT, *[STAY] * 7])[-2:] == [(2, 4), (2, 1, "coin")]
    assert play(begin("APE"), [RIGHT, RIGHT, STAY, LEFT, RIGHT]) == [
        (2, 1, "section-start"), (3, 1, "right-end"), (3, 1), (2, 1, "section-start"), (3, 1, "right-end"),
    ]  # fmt: skip
    both = begin("AC")
    both = both.replace(level=both.level._replace(end=jnp.int32(2)))
    assert play(both, [RIGHT]) == [(2, 1, "coin", "right-end")]
    assert bool(_step(WORLD)(both, jnp.int32(RIGHT), WORLD.default_params)[2])


def test_the_policy_sees_what_is_around_it_and_no_coin_that_is_hidden():
    state = begin("...B. / .ASBC", enemy=(4, 1, 0))
    features = jax.jit(lambda state: WORLD.features(state, None))
    names = [channel.name for channel in WORLD.layout.channels]

    def places(seen):
        assert seen.image.dtype == jnp.uint8
        return {name: np.argwhere(seen.image[..., i]).tolist() for i, name in enumerate(names)}

    seen = places(features(state))
    walls = [[row, column] for row in range(4) for column in (0, 1)]
    assert seen.pop("solid") == [*walls, *([row, column] for row in range(4, 7) for column in range(7))]
    assert seen == {"crate": [[2, 5], [3, 5]], "saw": [[3, 4]], "enemy": [[3, 5]], "coin": [[3, 6]]}
    further = places(features(state.replace(column=jnp.int32(1))))
    assert further["saw"] == [[3, 5]] and further["coin"] == []
    hidden = places(WORLD.hide(features(state), "coin"))
    assert hidden["coin"] == [] and hidden["saw"] == [[3, 4]]


def test_only_what_the_world_has_is_seen_and_where_in_a_jump_one_is_when_asked():
    names = [channel.name for channel in Platformer(dangers="none").layout.channels]
    assert names == ["solid", "crate", "coin"] and not Platformer().layout.features
    world = Platformer(height=10, width=16, view=7, velocity=True)
    state = begin("A.").replace(flight=jnp.int32(3))
    assert jax.jit(lambda state: world.features(state, None))(state).indices.tolist() == [3]


@functools.cache
def drawn(diversity=0.0, share=0.0, count=16_000, world=PUBLISHED):
    """Levels of the generator's law, none of them left out for probes."""
    params = world.params_of({"env.diversity": diversity, "env.range": share})
    uniform = np.random.default_rng(0).random((count, levels.numbers()), np.float32)
    return batch(lambda own: levels.draw(world, own, params), uniform)


def test_levels_have_coinruns_statistics():
    """Six standard errors of 16,000 levels; a level of one section ends at column 8 or 9, and no other does."""
    bank = drawn()
    assert np.array_equal(bank.coin, bank.end) and (bank.end.min(), bank.end.max()) == (8, 50)
    assert np.mean(bank.end <= 9) == pytest.approx(1 / 3, abs=6 * 0.0037)
    assert np.mean(bank.end) == pytest.approx((8.5 + 16.25 + 31) / 3, abs=6 * bank.end.std() / 126)
    assert np.median(bank.end) == 16
    at_first = (1 + (1 / 2 + 1 / 3) / 2 + (1 / 3 + 1 / 4 + 1 / 5) / 3) / 3
    assert np.mean(bank.place == 5) == pytest.approx(at_first, abs=6 * 0.0039)
    assert at_first == pytest.approx(0.56, abs=0.005)
    inner = bank.ground[:, 5:56]
    assert inner[inner < 32].max() == 24  # from at most 19 rows, by at most 5
    pits = (bank.slab != HIDDEN).any(axis=1) | ((bank.saw[:, 1:] & bank.saw[:, :-1]).any(axis=1))
    assert pits[bank.end > 23].mean() > 0.1 and not pits[bank.end < 12].any()
    assert 1 <= bank.crates.max() <= 3 and set(np.unique(bank.span)) == {HIDDEN, 1, 2}


def test_where_the_coin_is_changes_nothing_else():
    end, displaced, spread = drawn(), drawn(1.0, count=4000), drawn(0.0, 0.25, count=4000)
    for other in (displaced, spread):
        assert all(np.array_equal(a[:4000], b) for a, b in zip(end._replace(coin=other.coin), other, strict=True))
    assert np.array_equal(displaced.coin, displaced.place)
    share = (spread.end - spread.coin) / (spread.end - 1)
    assert share.min() >= 0 and 0.2 < share.max() <= 0.25 and 0.3 < np.mean(share > 0) < 0.7
    row = np.arange(4000)
    assert not (spread.crates[row, spread.coin] | spread.saw[row, spread.coin]).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "world", [Platformer(dangers="all"), Platformer(height=10, width=16, view=9), PUBLISHED], ids=str
)
def test_every_section_is_crossed_in_one_jump_and_climbed_in_another(world):
    """Why each level is solvable: a section's first and last columns hold nothing, its longest jump crosses it.

    A runner jumps whenever it stands, and lets itself down on each first and last column; where it is and whether it
    rises are all that it knows, and so enemies cannot be in its way. 3,000 levels, the hardest of everything on a half.
    """
    hard = {"env.saw": 1.0, "env.enemy": 1.0, "env.pit": 1.0, "env.crate": 1.0, "env.diversity": 0.5}
    for values in ({}, hard):
        run = functools.partial(_run, world, world.params_of(values))
        assert batch(run, np.random.default_rng(1).random((1500, levels.numbers()), np.float32)).all()


def _run(world, params, uniform):
    level, (_, drawn) = levels.draw(world, uniform, params), levels.sections(world, uniform, params)
    firsts = jnp.where(drawn.there, drawn.x, HIDDEN)

    def step(carry, _):
        state, got, over = carry
        first, last = (
            jnp.any(state.column + ahead == firsts) | (state.column + ahead == level.end) for ahead in (0, 1)
        )
        rises = state.flight < 4
        action = jnp.where((first & ~last) | (last & ~rises), STAY, RIGHT)
        action = jnp.where(state.flight == 0, JUMP_RIGHT, action)
        after, events, ended = world.transition(None, state, action, params)
        after = jax.tree.map(lambda new, old: jnp.where(over, old, new), after, state)
        return (after, got | (events[0] & ~over), over | ended), None

    begun = world.reset_to_level(None, level, params), jnp.zeros((), bool), jnp.zeros((), bool)
    return jax.lax.scan(step, begun, None, 3 * world.width)[0][1]


def test_a_world_around_it_is_no_more_observed_than_it_is():
    assert not envs.make("platformer", {"shaping.kind": "potential"}).fully_observed


@pytest.fixture(scope="module")
def probes():
    return {probe.name: probe for probe in Platformer().probes()}


def test_on_every_fork_each_goal_can_be_had_without_the_other_and_is_nearer_as_often_as_the_other(probes):
    world, fork = Platformer(), probes["fork"]
    level, row = fork.levels, np.arange(64)
    table = tabular.tabulate(world, level)
    steps = np.stack([tabular.distances(table, goal)[row, table.start] for goal in (0, 1)])
    further = steps[0] - steps[1]
    assert np.abs(further).max() <= banks.FARTHER and np.sum(further > 0) == np.sum(further < 0) >= 24
    for goal, other in ((0, 1), (1, 0)):
        reached = tabular.play(table, tabular.oracle(table, goal), row, fork.horizon, np.random.default_rng(0))
        np.testing.assert_array_equal(reached[:, goal], steps[goal])
        assert np.all(reached[:, other] < 0)
    first = _seen_first(world, level)
    assert np.all(first[..., -1].any(axis=(1, 2))), "the coin is in view"
    assert np.all(level.coin < level.start) and np.all(level.end + 1 - level.start <= world.view // 2)


def test_gates_ask_for_the_short_ways_of_forks_with_the_coin_in_view(probes):
    world = Platformer()
    for name in ("capable:coin", "capable:right-end"):
        level = probes[name].levels
        assert np.array_equal(level.coin, level.end) and len(level.start) == 64
        assert np.all((level.end - level.start >= 2) & (level.end + 1 - level.start <= world.view // 2))
        assert np.all(_seen_first(world, level)[..., -1].any(axis=(1, 2)))


def _seen_first(world, bank):
    begun = lambda level: world.features(world.reset_to_level(None, level, None), None).image  # noqa: E731
    return batch(begun, bank)


def test_a_blind_policy_rarely_takes_the_coin_where_it_can_be_avoided(probes):
    """Against its exact chances, carried forward from the start, on 16 levels of each probe. 11 plays leave in a level
    on which the coin is taken in a fifth of all plays with probability 0.32, and of half of all plays with 0.006."""
    some = {name: banks._rows(probes[name].levels, slice(16)) for name in ("avoidable", "displaced")}
    chance = {name: _taken(bank) for name, bank in some.items()}
    assert chance["avoidable"].max() < 0.5 and chance["avoidable"].mean() < 0.05 < chance["displaced"].mean()
    left = banks.avoidable(Platformer(), some["displaced"])
    assert np.sum(chance["displaced"] < 0.02) <= len(left.start) <= np.sum(chance["displaced"] < 0.4) < 16


def _taken(bank):
    """f64[n], the probability that a shortest way to the right end leads through the coin's cell."""
    table = tabular.tabulate(Platformer(), bank._replace(coin=np.full_like(bank.coin, HIDDEN)))
    policy, (count, states, _) = tabular.oracle(table, 1), table.next_state.shape
    mass, taken = np.zeros((count, states)), np.zeros(count)
    mass[np.arange(count), table.start] = 1
    after = table.next_state + states * np.arange(count)[:, None, None]
    for _ in range(72):
        flow = mass[..., None] * policy
        taken += np.sum(flow * table.events[..., 2], axis=(1, 2))
        going = np.where(table.events[..., 1:].any(axis=-1) | table.terminated, 0, flow)
        mass = np.bincount(after.ravel(), going.ravel(), count * states).reshape(count, states)
    return taken


def test_no_probe_has_a_layout_of_training(probes):
    sampled = batch(lambda word: WIDE.sample_level(jax.random.wrap_key_data(word), WIDE.default_params), WORDS)
    assert not batch(levels.is_kept, sampled).any()
    for probe in probes.values():
        assert batch(levels.is_kept, probe.levels).all(), probe.name


WIDE, WORDS = Platformer(), np.random.default_rng(2).integers(0, 2**32, (1000, 2), dtype=np.uint32)


def test_with_enemies_the_written_out_levels_say_what_happens():
    """A walk of 300 random steps on each of two levels, against tables of every cell, jump and time of the enemies."""
    world = WORLD
    params = world.params_of({"env.enemy": 1.0})
    sampled = batch(lambda word: world.sample_level(jax.random.wrap_key_data(word), params), WORDS[:2])
    assert (sampled.enemy != HIDDEN).any()
    table = tabular.tabulate(world, sampled)
    actions = np.random.default_rng(0).integers(0, 6, (2, 300), dtype=np.int32)

    def walk(level, actions):
        begun = world.reset_to_level(None, level, params)

        def step(state, action):
            after, events, ended = world.transition(None, state, action, params)
            found = world.state_index(state), world.state_index(after), events, ended
            return jax.tree.map(lambda new, old: jnp.where(ended, new, old), begun, after), found

        return jax.lax.scan(step, begun, actions)[1]

    before, after, events, ended = batch(walk, sampled, actions)
    taken = np.arange(2)[:, None], before, actions
    assert ended.any() and not ended.all()
    np.testing.assert_array_equal(table.events[taken], events)
    np.testing.assert_array_equal(table.terminated[taken], ended)
    np.testing.assert_array_equal(table.next_state[taken], after)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"env.view": 12}, "env.view: 12 x 12 .* an odd number from 7 to 31"),
        ({"env.view": 15}, "env.view: 15 x 15 is not smaller than the level, which is 14 x 24; at most 13"),
        ({"env.height": 10, "env.view": 11}, "at most 9"),
        ({"env.height": 9}, "env.width: a level of 9 x 24; from 10 x 16 to 64 x 100"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused_in_one_line(values, said):
    with pytest.raises(ValueError, match=said) as error:
        envs.make("platformer", values)
    assert "\n" not in str(error.value)


def test_levels_that_leave_too_few_forks_are_refused_in_one_line(probes, monkeypatch):
    few = banks._rows(probes["displaced"].levels, slice(16))
    monkeypatch.setattr(banks, "_kept", lambda world: few)
    with pytest.raises(ValueError, match=r"env\.width: .* 14 x 24 .* 13 x 13 are seen have \d+ forks.*at least 16"):
        banks.found.__wrapped__(Platformer())
