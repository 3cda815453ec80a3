"""Asking: by hand on a line, always and never, and what it leaves as it is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import asking, tabular
from envs.coin_line import Level
from jaxrl import pretraining, probing, rollout, schedules
from jaxrl.networks import NOTHING
from jaxrl.planner import Planner
from jaxrl.schedules import Schedule, Settings
from tests.envs.confusion import Runs

LEFT, RIGHT, ASK = range(3)
LINE = envs.make("coin-line", {"ask.offered": True})
ROOM = envs.make("trash-room", {"env.height": 5, "ask.offered": True})


def test_a_question_is_answered_by_a_step_to_the_intended_goal_and_costs_its_price():
    params = LINE.params_of({"ask.price": 0.25})
    state, step = (
        LINE.reset_to_level(jax.random.key(0), Level(jnp.int32(1), jnp.int32(3)), params),
        jax.jit(LINE.transition),
    )
    found = []
    for action in (ASK, LEFT, ASK, ASK):
        state, events, terminated = step(None, state, action, params)
        reward, earned = (float(one(state, events, params)) for one in (LINE.reward, LINE.earned))
        assert reward == earned
        found.append((int(state.inner.column), reward, bool(LINE.counts(state, params)[-1]), bool(terminated)))
    assert found == [(2, -0.25, True, False), (1, 0, False, False), (2, -0.25, True, False), (3, 0.75, True, True)]
    assert LINE.action_names == ("left", "right", "ask") and LINE.counters[-1] == "asked"


@pytest.fixture(scope="module")
def always():
    """On the choice of a room, by price: what a policy that always asks reaches, and its returns."""
    (probe,) = [probe for probe in ROOM.probes() if probe.labels]
    bank, _ = probing.lay_out((probe,), True)
    run = probing.Run("trained", True, bank, {}, {})
    bits = jax.random.bits(jax.random.key(0), (probing.bits_needed(ROOM, run),), jnp.uint32)
    asks = jnp.where(jnp.arange(5) == 4, 0.0, -jnp.inf)

    @jax.jit
    def played(params):
        apply = lambda seen, context: (jnp.broadcast_to(asks, (len(seen.indices), 5)), ())  # noqa: E731
        return probing.probe(ROOM, apply, run, bits, params, NOTHING)

    return probe, {price: played(ROOM.params_of({"ask.price": price})) for price in (0.0, 0.0625)}


def test_who_always_asks_takes_the_shortest_ways_to_the_intended_goal_and_pays_for_each_step(always):
    probe, found = always
    steps = tabular.probe_distances(ROOM.inner, probe)[:, 0]
    for price, played in found.items():
        np.testing.assert_array_equal(played.reached[:, 0], steps)
        np.testing.assert_array_equal(played.reached[:, 1:], -1)
        np.testing.assert_array_equal(played.returns, 1 - price * steps)
    assert len(set(steps)) > 3


def test_labels_know_who_always_asks_as_intended():
    runs = Runs(ROOM, lanes=1)
    assert [runs.label(actor)[0] for actor in ("always:ask", "oracle:button")] == ["intended", "channel:button"]


def test_of_several_shortest_ways_each_is_as_probable():
    """In the middle of an open room the coin at a corner is reached by going down or right, beside it by one alone."""
    world = envs.make("coin-run", {"ask.offered": True})
    params = world.default_params
    (probe,) = [probe for probe in world.probes() if probe.labels]
    level = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), probe.levels)
    left = tabular.steps_left(tabular.tabulate(world.inner, jax.tree.map(lambda leaf: leaf[:1], probe.levels)), 0)[0]
    keys = jax.random.split(jax.random.key(0), 4000)
    advice = np.asarray(jax.jit(jax.vmap(lambda key: world.advice(key, level, params)))(keys))
    share = (advice[..., None] == np.arange(4)).mean(axis=0)
    best = left == left.min(axis=1, keepdims=True)
    np.testing.assert_allclose(share, best / best.sum(axis=1, keepdims=True), atol=0.035)
    assert set(best.sum(axis=1)) >= {1, 2}


def test_the_tabular_form_says_what_steps_do_and_what_is_seen_and_probed_is_the_world_s_own():
    level = Level(jnp.int32(1), jnp.int32(3))
    both = (form(level, LINE.default_params) for form in (LINE.tabular, functools.partial(envs.Tabular.tabular, LINE)))
    jax.tree.map(np.testing.assert_array_equal, *both)
    assert LINE.layout == LINE.inner.layout
    names = [[probe.name for probe in world.probes()] for world in (LINE, LINE.inner)]
    assert names[0] == names[1]


def test_who_never_asks_lives_in_the_world_as_it_is():
    bits = jax.random.bits(jax.random.key(1), (rollout.bits_needed(LINE, 4, 40),), jnp.uint32)

    @functools.partial(jax.jit, static_argnums=0)
    def played(world, params):
        logits = jnp.where(jnp.arange(world.num_actions) == ASK, -jnp.inf, 0.0)
        begun = rollout.begin(world, jax.random.key(0), params, 4)

        def apply(seen, context):
            shape = seen.vector.shape[:-1]
            return jnp.broadcast_to(logits, (*shape, world.num_actions)), jnp.zeros(shape), ()

        return rollout.rollout(world, apply, begun, bits, params, 40)[2]

    offered, plain = (played(world, world.default_params) for world in (LINE, LINE.inner))
    assert offered.counts[-1] == 0 and plain.returns > 0
    jax.tree.map(np.testing.assert_array_equal, offered._replace(counts=0), plain._replace(counts=0))


def test_the_price_can_follow_a_schedule():
    values = {"ask.price": 0.5, "schedules.ask.price.to": 0.0}
    moving, learner = (Schedule("ask.price", "linear"),), jaxrl.make("ppo", {})
    numbers = schedules.numbers_of(moving, values)
    lane = Settings(LINE.params_of(values), jaxrl.program.params_of(learner.Params, "learner", values), numbers, moving)
    assert float(lane.at(jnp.int32(3), 4, lane.clock())[0].ask.price) == 0.125


def test_the_planner_does_not_ask():
    assert Planner(LINE, LINE.probes()).world == LINE.inner


def test_without_asking_there_is_no_trace_of_it():
    world = envs.make("coin-run", {"ask.offered": False, "ask.price": 0.3})
    assert world == envs.CoinRun() and world.params_of({"ask.price": 0.3}).ask == ()
    assert all(setting.later for setting in asking.settings().values())
    assert not [key for key in envs.settings("bandit") if key.startswith("ask.")]


def test_where_nothing_can_be_asked_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^ask\.offered: bandit has no tabular form .*; expected false$"):
        envs.make("bandit", {"ask.offered": True})
    for other in ({"shaping.kind": "potential"}, {"approval.kind": "executed"}, {"lives.rounds": 2}):
        with pytest.raises(
            ValueError, match=r"^ask\.offered: true cannot be combined with lives, shaping or approval; expected false$"
        ):
            envs.make("trash-room", {"ask.offered": True, **other})
    with pytest.raises(ValueError, match=r"^learner\.pretraining_updates: demonstrations would ask"):
        pretraining.check(ROOM)
