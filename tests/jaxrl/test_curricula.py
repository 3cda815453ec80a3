"""Curricula: buffers, ranks, staleness and scores by hand, and what each makes of a lane's training."""

import dataclasses
import functools
import pathlib
import re
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from envs.coin_line import CoinLine, Level
from jaxrl import curricula
from jaxrl.curricula import level_buffer, regret
from jaxrl.curricula.curriculum import Experience
from jaxrl.lanes import params_of
from jaxrl.rollout import Steps
from jaxrl.schedules import Settings

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "curricula.md").read_text()
SMALL = {"learner.total_steps": 2048, "learner.n_envs": 8, "learner.n_steps": 16, "learner.width": 8}


@dataclasses.dataclass(frozen=True)
class Line(CoinLine):
    """A coin line with edits, which move the start by a cell and draw the kind anew, and with exact returns."""

    editable: ClassVar[bool] = True

    def edit_level(self, key, level, params, keep_kind):
        fresh = self.sample_level(key, params)
        coin = jnp.where(keep_kind, level.coin, fresh.coin)
        return Level(jnp.mod(level.start + 1, self.length + 1), coin)

    def optimal_return(self, level, params, discount):
        steps = jnp.maximum(jnp.abs(level.coin - level.start), 1)
        return params.reward[0] * discount ** (steps - 1.0)


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


@pytest.mark.parametrize(
    ("temperature", "staleness_coef", "now", "expected"),
    [
        (1.0, 0.0, 10, np.array([2, 6, 3, 0]) / 11),  # ranks 3, 1, 2: in proportion to 1/3, 1, 1/2
        (0.5, 0.0, 10, np.array([4, 36, 9, 0]) / 49),  # to 1/9, 1, 1/4
        (1.0, 1.0, 10, np.array([0, 3, 1, 0]) / 4),  # 0, 3 and 1 updates since they were played
        (1.0, 0.2, 10, 0.8 * np.array([2, 6, 3, 0]) / 11 + 0.2 * np.array([0, 3, 1, 0]) / 4),
    ],
)
def test_levels_are_replayed_by_rank_and_staleness(temperature, staleness_coef, now, expected):
    buffer = buffer_of(lines(0, 1, 2), [0.1, 0.4, 0.2], [1.0] * 3, [10, 7, 9], size=4)
    found = jnp.exp(level_buffer.log_probabilities(buffer, now, temperature, staleness_coef))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_levels_that_were_all_just_played_are_equally_stale_and_equal_scores_rank_by_place():
    buffer = buffer_of(lines(0, 1), [0.3, 0.3], [1.0] * 2, [5, 5], size=4)
    chances = functools.partial(level_buffer.log_probabilities, buffer, 5, 1.0)
    np.testing.assert_allclose(jnp.exp(chances(1.0)), [1 / 2, 1 / 2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(jnp.exp(chances(0.0)), [2 / 3, 1 / 3, 0, 0], atol=1e-6)


def test_draws_follow_the_probabilities_are_distinct_and_never_of_an_empty_place():
    buffer = buffer_of(lines(0, 1, 2), [0.1, 0.4, 0.2], [1.0] * 3, [0, 0, 0], size=8)
    chances = level_buffer.log_probabilities(buffer, 1, 1.0, 0.0)
    drawn = jax.vmap(lambda key: level_buffer.draw(key, chances, 3))(jax.random.split(jax.random.key(0), 4000))
    assert np.array_equal(np.sort(drawn, axis=1), np.tile([0, 1, 2], (4000, 1)))
    np.testing.assert_allclose(np.bincount(drawn[:, 0], minlength=3) / 4000, np.array([2, 6, 3]) / 11, atol=0.03)
    cold = level_buffer.log_probabilities(buffer, 1, 1e-3, 0.0)
    assert level_buffer.draw(jax.random.key(0), cold, 3).tolist() == [1, 0, 2], "by rank, then what cannot be drawn"


def test_a_new_level_takes_an_empty_place_and_then_that_of_the_lowest_score_where_its_own_is_higher():
    buffer = buffer_of(lines(0, 1, 2), [0.5, 0.1, 0.3], [1.0, 1.0, 1.0], [4, 4, 4], size=4)
    played = lines(5, 0, 6, 7, 6, 4)
    place = level_buffer.find(buffer, played)
    assert place.tolist() == [4, 0, 4, 4, 4, 4]
    after = level_buffer.put(
        buffer, place, played, jnp.array([0.2, 0.05, 0.9, 0.01, 0.8, 0.04]), jnp.full(6, 2.0), jnp.int32(9)
    )
    # Level 0 falls to 0.05 and is then the lowest. The new ones in order: 6 with 0.9 takes the empty place; 5 with 0.2
    # replaces level 0; 4 with 0.04 is no higher than level 1. The second 6 does not count.
    assert after.levels.start.tolist() == [5, 1, 2, 6]
    np.testing.assert_allclose(after.score, [0.2, 0.1, 0.3, 0.9])
    assert after.best.tolist() == [2, 1, 1, 2] and after.played.tolist() == [9, 4, 4, 9]
    assert level_buffer.find(after, played).tolist() == [0, 4, 3, 4, 3, 4], "codes have moved along"


def test_equal_codes_alone_are_not_taken_for_equal_levels(monkeypatch):
    monkeypatch.setattr(level_buffer, "codes", lambda levels: jnp.zeros(len(levels.start), jnp.uint32))
    buffer = buffer_of(lines(0), [0.5], [1.0], [4], size=2)
    assert level_buffer.find(buffer, lines(3, 0)).tolist() == [2, 0]


# The scores.


@pytest.fixture(scope="module")
def experience():
    """Four steps of three environments at a discount of 1/2: one episode and a half, none whole, two whole."""
    cut = jnp.array([[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    reward = jnp.array([[0.0, 1, 1], [1, 0, 0], [0, 4, 4], [2, 8, 9]])
    value = jnp.array([[1.0, 0, 1], [0, 0, 3], [0.5, 0, 0], [1, 0, 0]])
    next_value = jnp.array([[0.0, 0, 0], [9, 0, 0], [1, 0, 0], [2, 0, 0]])
    steps = Steps(None, None, None, None, value, next_value, reward, cut, cut)
    return Experience(steps, jnp.float32(0.5), jnp.float32(1.0))


def test_returns_are_those_of_the_episodes_that_ended_or_of_what_there_is(experience):
    mean, highest, expected = regret.returns(experience)
    np.testing.assert_allclose(mean, [0 + 1 / 2, 1 + 4 / 4 + 8 / 8, (1 + (0 + 4 / 2)) / 2])
    np.testing.assert_allclose(highest, [0.5, 3, 2])
    np.testing.assert_allclose(expected, [1, 0, (1 + 3) / 2])


def test_scores_by_hand(experience):
    levels, best = lines(6, 7, 5), jnp.array([0.75, 3.0, 2.0])
    params = WORLD.params_of({})
    found = {
        kind: regret.score(kind, WORLD, levels, best, regret.returns(experience), experience, params)
        for kind in ("max-latest", "max-mc", "pvl", "exact")
    }
    np.testing.assert_allclose(found["max-latest"], [0.25, 0, 0.5])
    np.testing.assert_allclose(found["max-mc"], [-0.25, 3, 0])
    # The coin is 2, 1 and 3 steps away.
    np.testing.assert_allclose(found["exact"], [1 / 2 - 0.5, 1 - 3, 1 / 4 - 1.5])
    # Environment 0: errors -1, 1, 0, 2, and so advantages -1/2, 1, and after the end 1, 2.
    np.testing.assert_allclose(found["pvl"][0], (0 + 1 + 1 + 2) / 4)


# In training.


def lane(name, values=None, world=WORLD, **static):
    """A learner and the settings of one lane under a curriculum."""
    learner = jaxrl.make("ppo", SMALL)
    curriculum = curricula.CURRICULA[name](**static)
    of_curriculum = params_of(curriculum.Params, "curriculum", values or {})
    of_learner = params_of(learner.Params, "learner", {})
    settings = Settings(world.params_of(values or {}), of_learner, {}, of_curriculum, (), curriculum)
    return learner, settings


def walk(name, updates, values=None, **static):
    """The states of a lane after each of its first updates; the first is that before them."""
    learner, settings = lane(name, values, **static)
    states = [learner.init(WORLD, jax.random.key(3), settings)[0]]
    advance = jax.jit(lambda state: learner.advance(WORLD, state, settings, 1)[0])
    for _ in range(updates):
        states.append(advance(states[-1]))
    return states


def moved(before, after):
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(not np.array_equal(one, other) for one, other in pairs)


ALWAYS = {"curriculum.replay_prob": 1.0, "curriculum.min_fill": 0.1, "env.diversity": 1.0}


def test_robust_plr_learns_from_replayed_levels_alone_and_plr_from_all():
    robust, plain = (walk(name, 2, ALWAYS, buffer_size=16) for name in ("robust-plr", "plr"))
    assert [bool(state.curriculum.replays) for state in robust] == [False, False, True]
    for part in ("variables", "optimiser"):
        assert not moved(getattr(robust[0], part), getattr(robust[1], part)), "new levels: bitwise as before"
        assert moved(getattr(robust[1], part), getattr(robust[2], part))
        assert moved(getattr(plain[0], part), getattr(plain[1], part))
    played, kept = robust[2].curriculum.levels, robust[1].curriculum.buffer
    assert np.all(np.asarray(level_buffer.find(kept, played)) < 16), "what is replayed was in the buffer"
    places = np.asarray(level_buffer.find(robust[2].curriculum.buffer, played))
    assert np.all(np.asarray(robust[2].curriculum.buffer.played)[places] == 2), "staleness begins at 0 again"


def test_adam_starts_anew_at_its_time_even_where_new_levels_are_not_learnt_from():
    learner, settings = lane("robust-plr", {"curriculum.replay_prob": 0.0}, buffer_size=16)
    settings = dataclasses.replace(settings, learner=settings.learner.replace(reset_optimiser_at=np.float32(0)))
    state, _ = learner.init(WORLD, jax.random.key(3), settings)
    state = state._replace(optimiser=jax.tree.map(jnp.ones_like, state.optimiser))
    after, *_ = jax.jit(lambda state: learner.advance(WORLD, state, settings, 1))(state)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(after.optimiser))


def test_accel_plays_edits_of_what_it_has_just_replayed_and_learns_nothing_from_them():
    values = ALWAYS | {"curriculum.n_edits": 2, "curriculum.keep_kind": 1.0}
    states = walk("accel", 5, values, buffer_size=16)
    assert [bool(state.curriculum.replays) for state in states[1:]] == [False, True, False, True, False]
    for i in (3, 5):
        parents, children = states[i - 1].curriculum.levels, states[i].curriculum.levels
        np.testing.assert_array_equal(children.start, (np.asarray(parents.start) + 2) % 9)
        np.testing.assert_array_equal(children.coin, parents.coin)
        assert not moved(states[i - 1].variables, states[i].variables)
    places = level_buffer.find(states[3].curriculum.buffer, states[3].curriculum.levels)
    assert np.any(np.asarray(places) < 16), "edits that score high join the buffer"


@pytest.fixture(scope="module")
def program():
    learner = jaxrl.make("ppo", SMALL)
    return jaxrl.Program(WORLD, learner, 4, (1,), curriculum=curricula.ACCEL(buffer_size=16, score="exact"))


KEYS = np.random.default_rng(0).integers(0, 2**32, (4, 2), dtype=np.uint32)
VALUES = [
    {"env.diversity": 0.5, "curriculum.min_fill": 0.1},
    {"env.diversity": 0.5, "curriculum.replay_prob": 0.0},
    ALWAYS | {"curriculum.n_edits": 3, "curriculum.keep_kind": 0.0},
    ALWAYS | {"curriculum.temperature": 1.0, "curriculum.staleness_coef": 0.5},
]


def test_a_lane_does_not_depend_on_its_neighbours_and_says_what_it_replayed(program):
    trained = program.train(KEYS, VALUES)
    order = [2, 3, 3, 3]
    other = program.train(KEYS[order], [VALUES[i] for i in order])
    for name, column in trained.outcomes.items():
        np.testing.assert_array_equal(other.outcomes[name][:2], column[[2, 3]], err_msg=name)
    assert not moved(*(jax.tree.map(lambda leaf, i=i: leaf[i], t.policies) for t, i in ((trained, 2), (other, 0))))
    replayed, kept = trained.outcomes["levels.replayed"], trained.outcomes["levels.kept"]
    assert replayed[1] == 0 and 0 < replayed[0] < 0.5
    np.testing.assert_allclose(replayed[2:], 0.5, err_msg="1 new, then replay and edit in turn, of 16 updates")
    assert np.all((kept > 8) & (kept <= 16))
    assert np.isnan(trained.outcomes["levels.learnt_apart"][1]), "nothing was learnt from"
    assert np.all(trained.outcomes["levels.kept_apart"] > 0)
    assert set(name for name in trained.outcomes if name.startswith("levels.")) == {
        f"levels.{name}" for name in ("replayed", "learnt_apart", "kept", "kept_apart", "score")
    }


def test_plr_without_replay_is_domain_randomisation():
    learner = jaxrl.make("ppo", SMALL)
    program = jaxrl.Program(WORLD, learner, 4, (1,), curriculum=curricula.PLR(buffer_size=16))
    outcomes = program.train(KEYS, [{"env.diversity": 0.5, "curriculum.replay_prob": 0.0}] * 4).outcomes
    # An episode in eight of the displaced coins is at the right end all the same. Episodes on one level are not
    # independent: 16 updates of 8 levels in 4 lanes are 512 levels.
    levels = 4 * 16 * 8
    assert outcomes["levels.learnt_apart"].mean() == pytest.approx(0.5 * 7 / 8, abs=5 * np.sqrt(1 / 4 / levels))
    assert np.all(outcomes["episodes"] > 0)


def test_of_a_finite_set_each_level_is_drawn_equally_often_and_lanes_have_sets_of_their_own():
    world, curriculum = CoinLine(1000), curricula.Finite()
    params = curriculum.Params(n_levels=jnp.int32(4))
    env_params = world.params_of({"env.diversity": 1.0})

    def drawn(lane):
        state = curriculum.init(world, jax.random.key(lane), env_params, params, 8)
        keys = jax.random.split(jax.random.key(7), 100)
        play = lambda key: curriculum.levels(world, state, key, env_params, params, 8)[1]  # noqa: E731
        levels = jax.vmap(play)(keys)
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
        ("plr", {}, WORLD, "cloning", r"curriculum\.name: this learner plays no levels"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(name, static, world, learner, said):
    counts = SMALL if learner == "ppo" else {}
    with pytest.raises(ValueError, match=f"^{said}") as error:
        jaxrl.Program(world, jaxrl.make(learner, counts), 1, curriculum=curricula.CURRICULA[name](**static))
    assert "\n" not in str(error.value)


def test_the_curriculum_of_the_page_trains(tmp_path, monkeypatch):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "until_paid.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    import until_paid

    learner = jaxrl.make("ppo", SMALL)
    program = jaxrl.Program(CoinLine(), learner, 2, (1,), curriculum=until_paid.UntilPaid())
    outcomes = program.train(KEYS[:2], [{"curriculum.patience": 1}, {"curriculum.patience": 100}]).outcomes
    assert outcomes["levels.given_up"][0] > 0 and outcomes["levels.given_up"][1] == 0
