"""Curricula: buffers, ranks, staleness and scores by hand, and what each makes of a lane's training."""

import dataclasses
import itertools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from envs import Editable, Solved
from envs.coin_line import CoinLine, Level
from jaxrl.curricula import ACCEL, CURRICULA, PLR, Finite, RobustPLR, level_buffer, regret
from jaxrl.curricula.curriculum import Experience
from jaxrl.program import params_of
from jaxrl.rollout import Steps
from jaxrl.schedules import Settings

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "own-curriculum.md").read_text()
SMALL = {
    "learner.total_steps": 2048, "learner.n_envs": 8, "learner.n_steps": 16, "learner.width": 8, "learner.depth": 1,
    "learner.n_epochs": 1,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Line(Editable, Solved, CoinLine):
    """A coin line with edits, which move the start by a cell and draw the kind anew, and with exact returns."""

    def edit_level(self, key, level, params, keep_kind):
        fresh = self.sample_level(key, params)
        coin = jnp.where(keep_kind, level.coin, fresh.coin)
        return Level(jnp.mod(level.start + 1, self.length + 1), coin)

    def optimal_return(self, level, params, discount):
        steps = jnp.maximum(jnp.abs(level.coin - level.start), 1)
        return params.reward[0] * discount ** (steps - 1).astype(jnp.float32)


WORLD = Line()


def lines(*starts, coin=8):
    """Levels that differ in their start; the coin is at the right end, where the goals agree, unless it is said."""
    return Level(jnp.array(starts, jnp.int32), jnp.broadcast_to(jnp.int32(coin), len(starts)))


def buffer_of(levels, score, best, played, size):
    n = len(score)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), levels)
    buffer = level_buffer.empty(one, size)
    return buffer._replace(
        levels=jax.tree.map(lambda whole, part: whole.at[:n].set(part), buffer.levels, levels),
        code=buffer.code.at[:n].set(level_buffer.codes(levels)),
        score=buffer.score.at[:n].set(jnp.array(score)),
        best=buffer.best.at[:n].set(jnp.array(best)),
        played=buffer.played.at[:n].set(jnp.array(played)),
    )


# The buffer.


def test_the_score_s_share_goes_by_rank_and_of_equal_scores_by_place():
    by_score = jax.jit(level_buffer.by_score)
    buffer = buffer_of(lines(0, 1, 2), [0.1, 0.4, 0.2], [1.0] * 3, [0] * 3, size=4)
    np.testing.assert_allclose(by_score(buffer, 1.0), np.array([2, 6, 3, 0]) / 11, atol=1e-6)  # 1/3, 1, 1/2
    np.testing.assert_allclose(by_score(buffer, 0.5), np.array([4, 36, 9, 0]) / 49, atol=1e-6)  # 1/9, 1, 1/4
    equal = buffer_of(lines(0, 1), [0.3, 0.3], [1.0] * 2, [5, 5], size=4)
    np.testing.assert_allclose(by_score(equal, 1.0), [2 / 3, 1 / 3, 0, 0], atol=1e-6)


@pytest.mark.parametrize("staleness_coef", [0.0, 0.4, 1.0])
def test_replayed_batches_follow_the_stated_distribution(staleness_coef):
    """Every batch of three from three levels that have waited 0, 3 and 1 updates, against 40,000 batches."""
    buffer, count, batches = buffer_of(lines(0, 1, 2), [0.1, 0.4, 0.2], [1.0] * 3, [10, 7, 9], size=4), 3, 40_000
    expected = {}
    for batch in itertools.product(range(3), repeat=count):
        waited, chance = [0, 3, 1], 1.0
        for place in batch:
            stale = waited[place] / sum(waited) if sum(waited) else 1 / 3
            chance *= (1 - staleness_coef) * [2, 6, 3][place] / 11 + staleness_coef * stale
            waited[place] = 0
        expected[batch] = chance
    assert sum(expected.values()) == pytest.approx(1)
    keys = jax.random.split(jax.random.key(0), batches)
    drawn = jax.jit(jax.vmap(lambda key: level_buffer.draw(key, buffer, 10, 1.0, staleness_coef, count)))(keys)
    assert np.asarray(drawn).max() == 2, "never an empty place"
    times = np.bincount(np.asarray(drawn) @ [9, 3, 1], minlength=27)
    chances = np.array(list(expected.values()))
    assert not times[chances == 0].any()
    np.testing.assert_array_less(
        np.abs(times / batches - chances), 1e-9 + 5 * np.sqrt(chances * (1 - chances) / batches)
    )


def test_a_new_level_takes_an_empty_place_and_then_that_of_the_lowest_score_where_its_own_is_higher():
    buffer = buffer_of(lines(0, 1, 2), [0.5, 0.1, 0.3], [1.0, 1.0, 1.0], [4, 4, 4], size=4)
    put, played = jax.jit(level_buffer.put), lines(5, 0, 6, 6)
    place = level_buffer.find(buffer, played)
    assert place.tolist() == [4, 0, 4, 4]
    after = put(buffer, place, played, jnp.array([0.2, 0.05, 0.9, 0.8]), jnp.full(4, 2.0), jnp.int32(9))
    # Level 0 falls to 0.05, below all. Of the new ones, 6 takes the empty place with 0.9, and 5 that of level 0 with
    # 0.2. The second 6 does not count.
    assert after.levels.start.tolist() == [5, 1, 2, 6]
    np.testing.assert_allclose(after.score, [0.2, 0.1, 0.3, 0.9])
    assert after.best.tolist() == [2, 1, 1, 2] and after.played.tolist() == [9, 4, 4, 9]
    assert level_buffer.find(after, played).tolist() == [0, 4, 3, 3], "codes have moved along"
    others = lines(7, 4, 3, 8)
    scores = jnp.array([0.01, 0.1, 0.25, 0.15])
    last = put(after, level_buffer.find(after, others), others, scores, jnp.ones(4), jnp.int32(10))
    # 3 replaces level 1, whose 0.1 is the lowest; then 0.15 is not above 0.2.
    assert last.levels.start.tolist() == [5, 3, 2, 6] and last.played.tolist() == [9, 10, 4, 9]


def test_equal_codes_alone_are_not_taken_for_equal_levels(monkeypatch):
    monkeypatch.setattr(level_buffer, "codes", lambda levels: jnp.zeros(len(levels.start), jnp.uint32))
    buffer = buffer_of(lines(0), [0.5], [1.0], [4], size=2)
    assert level_buffer.find(buffer, lines(3, 0)).tolist() == [2, 0]


# The scores.


@pytest.fixture(scope="module")
def experience():
    """Four steps of three environments at a discount of 1/2: one episode and a half, none whole, two whole."""
    done = jnp.array([[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    reward = jnp.array([[0.0, 1, 1], [1, 0, 0], [0, 4, 4], [2, 8, 9]])
    value = jnp.array([[1.0, 0, 1], [0, 0, 3], [0.5, 0, 0], [1, 0, 0]])
    next_value = jnp.array([[0.0, 0, 0], [9, 0, 0], [1, 0, 0], [2, 0, 0]])
    steps = Steps(None, None, None, None, value, next_value, reward, done, done)
    return Experience(steps, jnp.float32(0.5), jnp.float32(1.0))


def test_returns_are_those_of_the_episodes_that_ended_or_of_what_there_is(experience):
    mean, highest, expected = jax.jit(regret.returns)(experience)
    np.testing.assert_allclose(mean, [0 + 1 / 2, 1 + 4 / 4 + 8 / 8, (1 + (0 + 4 / 2)) / 2])
    np.testing.assert_allclose(highest, [0.5, 3, 2])
    np.testing.assert_allclose(expected, [1, 0, (1 + 3) / 2])


def test_scores_by_hand(experience):
    levels, best = lines(6, 7, 5), jnp.array([0.75, 3.0, 2.0])
    params = WORLD.params_of({})

    @jax.jit
    def scores(experience):
        played = regret.returns(experience)
        kinds = ("max-latest", "max-mc", "pvl", "exact")
        return {kind: regret.score(kind, WORLD, levels, best, played, experience, params) for kind in kinds}

    found = scores(experience)
    np.testing.assert_allclose(found["max-latest"], [0.25, 0, 0.5])
    np.testing.assert_allclose(found["max-mc"], [-0.25, 3, 0])
    # The coin is 2, 1 and 3 steps away.
    np.testing.assert_allclose(found["exact"], [1 / 2 - 0.5, 1 - 3, 1 / 4 - 1.5])
    # Environment 0: errors -1, 1, 0, 2, and so advantages -1/2, 1, and after the end 1, 2.
    np.testing.assert_allclose(found["pvl"][0], (0 + 1 + 1 + 2) / 4)


def test_a_level_that_a_batch_has_several_times_gets_one_score_the_mean(experience):
    """Level 6 is in the buffer, with 1 as its highest return, and on two environments; 5 is new."""
    plr, params = PLR(buffer_size=4), WORLD.params_of({})
    state = plr.init(WORLD, jax.random.key(0), params, None, 3)
    state = state._replace(buffer=buffer_of(lines(6), [0.1], [1.0], [0], size=4), levels=lines(6, 6, 5))
    state = state._replace(replays=jnp.array(True), learns=jnp.array(True))
    after = jax.jit(lambda state: plr.update(WORLD, state, experience, params, None))(state)
    assert after.buffer.best[:2].tolist() == [3, 2], "of both environments, and of the past"
    np.testing.assert_allclose(after.buffer.score[:2], [(3 - 0.5 + 3 - 3) / 2, 2 - 1.5])
    assert plr.outcomes(WORLD, after)["levels.distinct"] == pytest.approx(2 / 3)


# In training.


class Lane:
    """A lane under a curriculum, one update at a time."""

    def __init__(self, curriculum):
        learner = jaxrl.make("ppo", SMALL)
        self.learner, self.curriculum = learner, curriculum
        self.begin = jax.jit(lambda settings: learner.init(WORLD, jax.random.key(3), settings)[0])
        self.advance = jax.jit(lambda state, settings: learner.advance(WORLD, state, settings, 1)[0])

    def settings(self, values):
        of_learner = params_of(self.learner.Params, "learner", values)
        of_curriculum = params_of(self.curriculum.Params, "curriculum", values)
        return Settings(WORLD.params_of(values), of_learner, {}, (), of_curriculum, self.curriculum)

    def states(self, updates, values):
        """Before training, and after each of the first updates."""
        settings = self.settings(values)
        found = [self.begin(settings)]
        for _ in range(updates):
            found.append(self.advance(found[-1], settings))
        return found


@pytest.fixture(scope="module")
def robust():
    return Lane(RobustPLR(buffer_size=16))


def moved(before, after):
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(not np.array_equal(one, other) for one, other in pairs)


ALWAYS = {"curriculum.replay_prob": 1.0, "curriculum.min_fill": 0.1, "env.diversity": 1.0}


@pytest.mark.slow
def test_robust_plr_learns_from_replayed_levels_alone_and_plr_from_all(robust):
    robust, plain = robust.states(2, ALWAYS), Lane(PLR(buffer_size=16)).states(2, ALWAYS)
    assert [bool(state.curriculum.replays) for state in robust] == [False, False, True]
    for part in ("variables", "optimiser_state"):
        assert not moved(getattr(robust[0], part), getattr(robust[1], part)), "new levels: bitwise as before"
        assert moved(getattr(robust[1], part), getattr(robust[2], part))
        assert moved(getattr(plain[0], part), getattr(plain[1], part))
    played, kept = robust[2].curriculum.levels, robust[1].curriculum.buffer
    assert np.all(np.asarray(level_buffer.find(kept, played)) < 16), "what is replayed was in the buffer"
    assert robust[2].curriculum.learnt.tolist() == [8, np.sum(np.asarray(played.coin) != 8)]
    places = np.asarray(level_buffer.find(robust[2].curriculum.buffer, played))
    assert np.all(np.asarray(robust[2].curriculum.buffer.played)[places] == 2), "staleness begins at 0 again"


@pytest.mark.slow
def test_adam_starts_anew_at_its_time_even_where_new_levels_are_not_learnt_from(robust):
    settings = robust.settings({"learner.reset_optimiser_at": 0.0, "curriculum.replay_prob": 0.0})
    state = robust.begin(settings)
    state = state._replace(optimiser_state=jax.tree.map(jnp.ones_like, state.optimiser_state))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(robust.advance(state, settings).optimiser_state))


@pytest.mark.slow
def test_accel_plays_edits_of_what_it_has_just_replayed_and_learns_nothing_from_them():
    values = ALWAYS | {"curriculum.n_edits": 2, "curriculum.keep_kind": 1.0}
    states = Lane(ACCEL(buffer_size=16)).states(6, values)
    replays = [bool(state.curriculum.replays) for state in states]
    first = replays.index(True)
    assert replays[first : first + 3] == [True, False, True]
    parents, children = states[first].curriculum.levels, states[first + 1].curriculum.levels
    np.testing.assert_array_equal(children.start, (np.asarray(parents.start) + 2) % 9)
    np.testing.assert_array_equal(children.coin, parents.coin)
    assert not moved(states[first].variables, states[first + 1].variables)
    places = level_buffer.find(states[first + 1].curriculum.buffer, children)
    assert np.any(np.asarray(places) < 16), "edits that score high join the buffer"


@pytest.fixture(scope="module")
def program():
    learner = jaxrl.make("ppo", SMALL)
    return jaxrl.Program(WORLD, learner, 4, (1,), curriculum=ACCEL(buffer_size=16, score="exact"))


KEYS = np.random.default_rng(0).integers(0, 2**32, (4, 2), dtype=np.uint32)
VALUES = [
    {"env.diversity": 0.5, "curriculum.min_fill": 0.1},
    {"env.diversity": 0.5, "curriculum.replay_prob": 0.0},
    ALWAYS | {"curriculum.n_edits": 3, "curriculum.keep_kind": 0.0},
    ALWAYS | {"curriculum.temperature": 1.0, "curriculum.staleness_coef": 0.5},
]


@pytest.mark.slow
def test_a_lane_does_not_depend_on_its_neighbours_and_says_what_it_replayed(program):
    trained = program.train(KEYS, VALUES)
    order = [2, 3, 3, 3]
    other = program.train(KEYS[order], [VALUES[i] for i in order])
    for name, column in trained.outcomes.items():
        np.testing.assert_array_equal(other.outcomes[name][:2], column[[2, 3]], err_msg=name)
    assert not moved(*(jax.tree.map(lambda leaf, i=i: leaf[i], t.policies) for t, i in ((trained, 2), (other, 0))))
    replayed, kept = trained.outcomes["levels.replayed"], trained.outcomes["levels.kept"]
    assert replayed[1] == 0 and 0 < replayed[0] < 0.5
    assert np.all((replayed[2:] > 0.4) & (replayed[2:] <= 0.5)), "new ones at first, then replays and edits in turn"
    assert np.all((kept > 8) & (kept <= 16))
    assert np.isnan(trained.outcomes["levels.learnt_apart"][1]), "without replay, nothing is learnt from"
    # 16 updates of 8 levels; one in eight of the displaced coins is at the right end all the same.
    share = trained.outcomes["displaced_episodes"][1] / trained.outcomes["episodes"][1]
    assert share == pytest.approx(0.5 * 7 / 8, abs=5 * np.sqrt(1 / 4 / 128))
    assert np.all(trained.outcomes["levels.kept_apart"] > 0)
    assert set(name for name in trained.outcomes if name.startswith("levels.")) == {
        f"levels.{name}" for name in ("replayed", "distinct", "learnt_apart", "kept", "kept_apart", "score")
    }


def test_of_a_finite_set_each_level_is_drawn_equally_often_and_lanes_have_sets_of_their_own():
    world, curriculum = CoinLine(1000), Finite()
    params = curriculum.Params(n_levels=jnp.int32(4))
    env_params = world.params_of({"env.diversity": 1.0})

    @jax.jit
    def begin(key):
        return curriculum.init(world, key, env_params, params, 8)

    @jax.jit
    def play(state, keys):
        return jax.vmap(lambda key: curriculum.levels(world, state, key, env_params, params, 8)[1])(keys)

    def drawn(lane):
        state = begin(jax.random.key(lane))
        levels = play(state, jax.random.split(jax.random.key(7), 100))
        pairs = np.stack([np.asarray(levels.start).ravel(), np.asarray(levels.coin).ravel()], axis=1)
        return np.unique(pairs, axis=0, return_counts=True)

    (some, counts), (others, _) = drawn(0), drawn(1)
    assert len(some) == 4 and not {*map(tuple, some)} & {*map(tuple, others)}
    draws = counts.sum()
    np.testing.assert_allclose(counts, draws / 4, atol=5 * np.sqrt(draws * 3 / 16))


@pytest.mark.parametrize(
    ("name", "static", "world", "learner", "said"),
    [
        ("plr", {"buffer_size": 4}, WORLD, "ppo", r"curriculum\.buffer_size: 4 is less than learner\.n_envs 8"),
        ("plr", {"score": "exact"}, CoinLine(), "ppo", r"curriculum\.score: coin-line has no exact optimal returns"),
        ("accel", {}, CoinLine(), "ppo", r"curriculum\.name: coin-line has no edits; expected plr or robust-plr"),
        ("plr", {}, WORLD, "cloning", r"curriculum\.name: this learner takes no curriculum"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(name, static, world, learner, said):
    counts = SMALL if learner == "ppo" else {}
    with pytest.raises(ValueError, match=f"^{said}") as error:
        jaxrl.Program(world, jaxrl.make(learner, counts), 1, curriculum=CURRICULA[name](**static))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_curriculum_of_the_page_trains(tmp_path, monkeypatch):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "until_paid.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    import until_paid

    curriculum = until_paid.UntilPaid()
    lane = Lane(curriculum)
    one, many = (lane.states(3, {"curriculum.patience": patience})[-1] for patience in (1, 100))
    assert curriculum.outcomes(WORLD, one.curriculum)["levels.given_up"] > 0
    assert curriculum.outcomes(WORLD, many.curriculum)["levels.given_up"] == 0
