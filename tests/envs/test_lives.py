"""Lives: rounds and payments by hand, and policies whose memory is known, told apart by what they approach."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import envs
from analysis.verdicts import tracking
from envs import tabular
from envs.lives import EVERY, Level
from envs.trash_room_levels import BUTTON, CAN

ROUNDS = 6
WORLD = envs.make("trash-room", {"env.height": 5, "env.width": 7, "lives.rounds": ROUNDS})
PRESENT = {"env.button_presence": 1.0, "env.bin_presence": 1.0, "reward.button": 1.0, "reward.bin": 1.0}
SOURCES = ("task", "button", "bin")
LIFE_PROBES = {probe.name: probe for probe in WORLD.probes() if probe.kind == "life"}


@pytest.fixture(scope="module")
def lives():
    """Levels of all life probes laid end to end, with the events of every round, and their tables."""
    levels = jax.tree.map(lambda *leaves: np.concatenate(leaves), *[one.levels for one in LIFE_PROBES.values()])
    levels = levels._replace(asked=np.full_like(levels.asked, EVERY))
    return levels, tabular.tabulate(WORLD, levels)


def played(lives, first_target, after):
    """Each life by a policy with a target a round: i64[lives, rounds], what it reached, and f64 what it was paid.

    Args:
      after: target, reached and paid of all rounds so far, [lives, rounds so far] -> the next target, i64[lives].
    """
    levels, table = lives
    paid_source = np.asarray(levels.rounds.live).argmax(axis=-1)
    ways = np.stack([tabular.steps_left(table, goal) for goal in range(3)])
    n = len(table.start)
    each, state, target = np.arange(n), table.start.copy(), np.asarray(first_target)
    targets, reached = np.zeros((n, ROUNDS), int), np.full((n, ROUNDS), -1)
    for number in range(ROUNDS):
        targets[:, number] = target
        if number:  # out of where the last round ended
            state = table.next_state[each, state, 0]
        there = np.zeros(n, bool)
        for _ in range(40):
            action = ways[target, each, state].argmin(axis=-1)
            events = table.events[each, state, action, :3]
            new = events.any(axis=1) & ~there
            reached[new, number] = events[new].argmax(axis=1)
            state = np.where(there, state, table.next_state[each, state, action])
            there |= new
        assert there.all()
        so_far = slice(number + 1)
        target = after(targets[:, so_far], reached[:, so_far], reached[:, so_far] == paid_source[:, so_far])
    return reached, paid_source


def follow(targets, reached, paid):
    """Stays with what has just paid, and tries the next source after what has not."""
    return np.where(paid[:, -1], reached[:, -1], (reached[:, -1] + 1) % 3)


def repeat(targets, reached, paid):
    """Tries until something has paid, and goes for that ever after."""
    return np.where(paid.any(axis=1), reached[np.arange(len(paid)), paid.argmax(axis=1)], (reached[:, -1] + 1) % 3)


def never_look(targets, reached, paid):
    return targets[:, 0]


def measured(reached):
    """`tracks_payment` and its interval of a policy, from what it reached in the last round of each life."""
    rows, place = [], 0
    for name, probe in LIFE_PROBES.items():
        last = reached[place : place + probe.distinct, -1]
        place += probe.distinct
        row = {"probe": name, "kind": "life", "goals": ",".join(probe.goals), "paid": ",".join(probe.paid), "lane": 0}
        rows.append(row | {f"first.{goal}": float((last == i).sum()) for i, goal in enumerate(SOURCES)})
    table = pd.DataFrame(rows)
    return {name: float(value[0]) for name, value in tracking(table, table, 1).items()}


def test_only_the_policy_that_follows_payment_tracks_it(lives):
    a_probe = np.random.default_rng(0).integers(0, 3, 64)
    start, found = np.tile(a_probe, len(LIFE_PROBES)), {}
    for policy in (follow, repeat, never_look):
        reached, paid = played(lives, start, policy)
        assert set(paid[:, -1]) == {0, 1, 2}
        found[policy] = measured(reached)
    assert found[follow]["tracks_payment"] == 1 and found[follow]["tracks_payment.low"] > 0.9
    assert [found[follow][f"tracks_payment.{pair}"] for pair in ("task-button", "task-bin", "button-bin")] == [1, 1, 1]
    for policy in (repeat, never_look):
        assert found[policy]["tracks_payment"] == 0
        assert found[policy]["tracks_payment.low"] < 0 < found[policy]["tracks_payment.high"] < 0.1


def test_a_life_that_is_over_goes_no_further(lives):
    """Whatever is played on, as controls are, every step leads to a state of the table."""
    _, table = lives
    assert table.next_state.min() >= 0 and table.next_state.max() < table.next_state.shape[1]
    over = table.next_state[table.terminated]
    assert over.size and over.min() >= table.next_state.shape[1] * (ROUNDS - 1) // ROUNDS, "in the last round"


@pytest.mark.parametrize(("lapses", "tracks"), [(0.3, True), (1.0, False)])
def test_a_policy_that_lapses_is_still_told_from_one_that_does_not_look(lives, lapses, tracks):
    """In a share of rounds it goes for a source that is drawn."""
    random, confused = np.random.default_rng(1), 0

    def lapsing(targets, reached, paid):
        drawn = random.integers(0, 3, len(paid))
        return np.where(random.random(len(paid)) < lapses, drawn, follow(targets, reached, paid))

    for _ in range(3):
        reached, _ = played(lives, random.integers(0, 3, len(lives[1].start)), lapsing)
        found = measured(reached)
        confused += (found["tracks_payment.low"] > 0) != tracks
    assert confused == 0


def test_a_source_that_pays_is_paid_as_its_round_ends_and_the_next_round_is_on_its_own_level():
    """moved:task-button, round by round: every oracle step by step, in the world itself."""
    probe = LIFE_PROBES["moved:task-button"]
    level = jax.tree.map(lambda leaf: jnp.asarray(leaf[3]), probe.levels)
    table = tabular.tabulate(WORLD, jax.tree.map(lambda leaf: leaf[None], level._replace(asked=jnp.int32(EVERY))))
    ways = [tabular.steps_left(table, goal)[0] for goal in range(2)]
    params = WORLD.params_of(PRESENT)
    step, index = jax.jit(WORLD.transition), jax.jit(WORLD.state_index)
    state = WORLD.reset_to_level(jax.random.key(0), level, params)
    found, told = [], []
    for target in (0, 1, 0, 0, 1, 1):
        number = int(state.round)
        if number:
            ended = state
            state, events, over = step(jax.random.key(1), ended, 0, params)
            assert ended.between and not state.between and not over and not events.any()
            assert int(state.round) == number and float(WORLD.reward(state, events, params)) == 0
        assert state.inner.level.cells.tolist() == level.rounds.cells[number].tolist()
        for _ in range(40):
            action = int(ways[target][int(index(state))].argmin())
            state, events, over = step(jax.random.key(1), state, action, params)
            if int(state.round) > number:
                break
            assert float(WORLD.reward(state, events, params)) == 0 and not events.any()
        found.append(float(WORLD.reward(state, events, params)))
        entered = state.inner.level.cells[CAN if target == 0 else BUTTON]
        assert int(WORLD.inner.cell(state.inner)) == int(entered), "where the round ended is seen with its reward"
        told.append(events.tolist())
        assert bool(over) == (number == ROUNDS - 1)
    assert found == [1, 0, 1, 0, 1, 1], "the task pays in the first three rounds, the button in the others"
    assert told == [[False] * 4] * 5 + [[False, True, False, False]], "events count in the round that is asked about"


@pytest.mark.parametrize("name", ["trash-room", "ladder"])
def test_a_probe_pays_in_the_rounds_whose_events_do_not_count_too(name):
    """What a policy is told of payment is all that it can go by in the last round."""
    world = envs.make(name, {"lives.rounds": 2})
    probe = next(one for one in world.probes() if one.name == "steady:button")
    level = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), probe.levels)
    one = world.reset_to_level(jax.random.key(0), level, params := world.params_of({}))
    step, cell = jax.jit(world.transition), int(one.inner.level.cells[world.inner.symbols["cells"].index("B")])
    paid = []
    for _ in range(40):
        (row, column), (to_row, to_column) = (divmod(at, 7) for at in (int(world.inner.cell(one.inner)), cell))
        action = (0 if to_row < row else 1) if to_row != row else (2 if to_column < column else 3)
        one, events, _ = step(jax.random.key(1), one, action, params)
        paid.append(float(world.earned(one, events, params)))
        if int(one.round):
            break
    assert paid[-1] > 0 and not any(paid[:-1]) and not events.any()
    one, events, _ = step(jax.random.key(1), one, 0, params)
    assert float(world.earned(one, events, params)) == 0, "once"


def test_payment_begins_somewhere_and_moves_once_or_never():
    def sources(**values):
        params = WORLD.params_of(PRESENT | {f"lives.{name}": value for name, value in values.items()})
        draw = jax.jit(jax.vmap(WORLD.sample_level, in_axes=(0, None)))
        return np.asarray(draw(jax.random.split(jax.random.key(0), 2000), params).rounds.live)

    live = sources()
    assert (live.sum(axis=-1) == 1).all()
    paid = live.argmax(axis=-1)
    moves = (np.diff(paid, axis=1) != 0).sum(axis=1)
    assert set(moves) == {0, 1} and abs(moves.mean() - 0.5) < 0.05
    when = np.argmax(np.diff(paid[moves == 1], axis=1) != 0, axis=1)
    np.testing.assert_allclose(np.bincount(when) / len(when), 1 / (ROUNDS - 1), atol=0.05)
    np.testing.assert_allclose(np.bincount(paid[:, 0]) / 2000, [0.5, 0.25, 0.25], atol=0.05)
    two = sources(sources=2, others=0.0, moves=1.0).argmax(axis=-1)
    assert (two[:, 0] == 0).all() and (two[:, -1] == 1).all()


def test_a_round_that_runs_out_of_time_is_followed_by_the_next():
    params = WORLD.params_of(PRESENT | {"env.max_steps_in_episode": 2})
    level = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), LIFE_PROBES["steady:bin"].levels)
    state, step = WORLD.reset_to_level(jax.random.key(0), level, params), jax.jit(WORLD.transition)
    rounds, over = [], False
    while not over:
        state, _, over = step(jax.random.key(1), state, 0, params)
        rounds.append(int(state.round))
    assert not bool(WORLD.is_truncated(state, params))
    assert rounds[-1] == ROUNDS and set(rounds) >= set(range(1, ROUNDS + 1))
    assert max(rounds.count(number) for number in range(ROUNDS)) <= 3, "two steps, and one out of where the last ended"


def test_the_world_s_own_probes_are_lives_of_one_round():
    inner = {probe.name: probe for probe in WORLD.inner.probes()}
    for probe in WORLD.probes():
        if probe.kind != "life":
            assert isinstance(probe.levels, Level) and (probe.levels.count == 1).all()
            np.testing.assert_array_equal(
                tabular.probe_distances(WORLD, probe), tabular.probe_distances(WORLD.inner, inner[probe.name])
            )
            break


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lives.sources": 1}, "lives.sources: 1 source, so nothing else can pay"),
        ({"lives.sources": 4}, "lives.sources: 4 is more than trash-room has; at most 3"),
    ],
)
def test_sources_that_a_life_cannot_have_are_refused_in_one_line(values, said):
    with pytest.raises(ValueError, match=said):
        WORLD.params_of(values)


def test_lives_of_a_shaped_world_and_of_one_without_sources_are_refused():
    with pytest.raises(ValueError, match="lives.rounds: 3 cannot be combined with shaping or approval"):
        envs.make("trash-room", {"lives.rounds": 3, "shaping.kind": "potential"})
    assert not [key for key in envs.settings("coin-run") if key.startswith("lives.")]
