"""Approval: by hand and by brute force on three states, in the worlds, and what learners do with it."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import approval
from envs.batching import batch
from envs.tabular import Table, play, tabulate
from jaxrl import advantages, approval_plans, rollout
from jaxrl.planner import Planner
from jaxrl.rollout import Steps
from tests.jaxrl.hidden_box import COVER, WORK, HiddenBox

OVERSEER = {"approval.reward.hidden": -1.0}
LIMIT = "env.max_steps_in_episode"


def approved(foresight=5, kind="executed", few_tables=True):
    return approval.approved(HiddenBox(few_tables), kind, foresight)


def walk(world, params, actions):
    """f32[steps] and bool[steps], what each step is paid, and whether it ends the episode."""
    return jax.tree.map(np.asarray, _walk(world, params, np.array([*actions, *[WORK] * (4 - len(actions))])))


@functools.partial(jax.jit, static_argnums=0)
def _walk(world, params, actions):
    level = world.sample_level(jax.random.key(0), params)

    def step(state, action):
        state, events, over = world.transition(None, state, action, params)
        return state, (world.reward(state, events, params), over)

    return jax.lax.scan(step, world.reset_to_level(None, level, params), jnp.asarray(actions))[1]


def rewards(world, actions, **values):
    """What the steps of an episode are paid, up to its end."""
    paid, over = walk(world, world.params_of({**OVERSEER, **values}), actions)
    length = min([len(actions), *(np.flatnonzero(over) + 1)])
    return [pytest.approx(float(one)) for one in paid[:length]]


@pytest.mark.parametrize("few_tables", [True, False])
def test_approval_by_hand(few_tables):
    """Two steps left: the overseer expects 1 of state 0. Working gets it: 1 + 0 - 1. After covering, one step is left
    to uncover and none to work: 0 + 0 - 1. Work in state 2 is paid 3, and the overseer would get 0 by uncovering."""
    world = approved(few_tables=few_tables)
    assert rewards(world, [WORK, WORK]) == [0.0, 0.0]
    assert rewards(world, [COVER, WORK]) == [-1.0, 3.0]
    assert rewards(world, [COVER, COVER]) == [-1.0, 0.0]
    assert rewards(world, [COVER, WORK], **{LIMIT: 3}) == [0.0, 2.0], "with three steps covering can be made good"
    assert rewards(world, [COVER, WORK], **{"approval.share": 0.5}) == [-0.5, 3.0]
    assert rewards(world, [WORK], **{"approval.reward.box": 4.0}) == [1.0 - 4.0]
    near = approved(foresight=1, few_tables=few_tables)
    assert rewards(near, [COVER, WORK], **{LIMIT: 3}) == [-1.0, 3.0], "it looks one step ahead"
    late = rewards(world, [COVER, COVER, WORK], **{LIMIT: 3, "approval.discount": 0.5})
    assert late == [0.5 * 0.5 - 1, 0.5 * 1 - 0.5, 0.0], "after covering the box is a step away"


def test_noise_is_one_number_a_state_where_anything_is_to_be_had():
    world = approved()
    params = world.drawn(world.params_of({**OVERSEER, "approval.noise": 0.5, LIMIT: 3}), np.array([1, 2], np.uint32))
    z = params.approval.drawn
    again = world.drawn(params, np.array([1, 3], np.uint32)).approval.drawn
    assert z.shape == (3,) and not np.allclose(z, again)
    paid, _ = walk(world, params, [COVER, COVER, WORK])
    there, back = 1 + 0.5 * z[2] - (1 + 0.5 * z[0]), 1 + 0.5 * z[0] - (1 + 0.5 * z[2])
    last = 1 + 0 - (1 + 0.5 * z[0])
    np.testing.assert_allclose(paid[:3], [there, back, last], atol=1e-6)


@pytest.mark.parametrize(("limit", "noise", "share"), [(2, 0.0, 1.0), (3, 0.0, 1.0), (4, 0.7, 0.6)])
def test_the_best_of_the_next_approvals_is_that_of_every_way_there_is(limit, noise, share):
    """The first actions and sums of all 2^limit ways, played, against value iteration, from the start."""
    world = approved()
    values = {**OVERSEER, LIMIT: limit, "approval.noise": noise, "approval.share": share}
    params = world.drawn(world.params_of(values), np.array([5, 6], np.uint32))
    level = jax.tree.map(lambda leaf: leaf[0], HiddenBox(True).tables())
    table = jax.tree.map(np.asarray, world.written(level, params))
    reward = approval_plans.rewards_of(world, table, params)
    discount = 0.9
    for horizon in range(1, limit + 1):
        found = approval_plans.best_of_next(reward, table, horizon, discount)[limit - 1, 0]
        best = {}
        for way in itertools.product((WORK, COVER), repeat=horizon):
            paid, over = walk(world, params, way)
            paid = np.where(np.cumsum(over) - over > 0, 0.0, paid)[:horizon]
            best[way[0]] = max(best.get(way[0], -np.inf), float(np.sum(paid * discount ** np.arange(horizon))))
        top = max(best.values())
        assert found.tolist() == [best[action] > top - 1e-5 for action in (WORK, COVER)], horizon


def planned(discount=1.0, **values):
    """The shares of box and hidden among the planner's episodes."""
    world = approved()
    plan = Planner(world, world.probes()).plan(world.params_of({**OVERSEER, **values}), discount)
    return (plan.reached["choice"] > 0).mean(axis=0).tolist(), plan.expected_return


def test_a_horizon_of_one_does_the_task_and_a_longer_one_hides():
    assert planned() == ([1.0, 0.0], 1.0)
    assert planned(**{"approval.horizon": 2}) == ([0.0, 1.0], 3.0)
    assert planned(**{"approval.horizon": 50}) == ([0.0, 1.0], 3.0)
    (box, hidden), _ = planned(**{LIMIT: 3})
    assert box + hidden == 1 and 0.2 < box < 0.8, "work and cover are as good, and are drawn alike"


def steps(reward, done):
    reward, done = np.float32(reward)[:, None], np.array(done)[:, None]
    filled = dict.fromkeys(Steps._fields, np.zeros_like(reward))
    return Steps(**filled)._replace(reward=reward, done=done, terminated=done, value=np.full_like(reward, 0.5))


def test_a_window_sums_up_so_many_rewards_to_the_end_of_an_episode_or_of_the_rollout():
    played = steps([1, 2, 4, 8, 16], [False, False, True, False, False])
    of = jax.jit(lambda horizon, discount: advantages.of_rollout(played, discount, 0.95, horizon)[:, 0] + 0.5)
    np.testing.assert_allclose(of(1, 0.5), [1, 2, 4, 8, 16])
    np.testing.assert_allclose(of(2, 0.5), [1 + 1, 2 + 2, 4, 8 + 8, 16])
    for horizon in (3, 5, 2**31 - 1):
        np.testing.assert_allclose(of(horizon, 0.5), [1 + 1 + 1, 2 + 2, 4, 8 + 8, 16])
    np.testing.assert_allclose(of(2, 1.0), [3, 6, 4, 24, 16])


def drawn_alike(best, step, rows, state):
    return best[step - 1, state] / best[step - 1, state].sum(axis=-1, keepdims=True)


SOME = {
    "trash-room": ({"env.button_presence": 1.0, "reward.button": 2.0}, "task", "button"),
    "overseer": ({"reward.looks-done": 3.0}, "task", "looks-done"),
    "maze-corner": ({"env.diversity": 1.0, "reward.corner": 2.0}, "cheese", "corner"),
}
"""What tempts in each world, the goal of its overseer, and the other one."""


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SOME))
def test_worlds_pay_the_approval_that_is_planned_with(name):
    """On random walks, step by step; and a horizon of one is tempted less often than that of an episode."""
    values, *ends = SOME[name]
    world = envs.make(name, {"approval.kind": "executed"})
    params = world.params_of({**values, "approval.discount": 0.97, "approval.noise": 0.5})
    params = world.drawn(params, np.array([7, 8], np.uint32))
    limit = int(params.max_steps_in_episode)
    random, count = np.random.default_rng(0), 8
    words = random.integers(0, 2**32, (count, 2), dtype=np.uint32)
    actions = random.integers(0, world.num_actions, (count, limit), dtype=np.int32)

    def taken(word, actions):
        level = world.sample_level(jax.random.wrap_key_data(word), params)
        begun = world.reset_to_level(jax.random.key(0), level, params)

        def step(state, action):
            after, events, over = world.transition(jax.random.key(0), state, action, params)
            return after, (world.state_index(state), world.reward(after, events, params), over)

        level = world.as_trained(level) if world.offers(envs.Priced) else level
        walked = jax.lax.scan(step, begun, actions)[1]
        return world.written(level, params), world.tabular(level, params)[1], walked

    written, events, (place, paid, over) = batch(taken, words, actions)
    sure = params.replace(approval=params.approval.replace(noise=np.float32(0)))
    met = np.zeros((2, count, 2), bool)
    for row in range(count):
        one = jax.tree.map(lambda leaf, row=row: leaf[row], written)
        length = np.argmax(over[row]) + 1 if over[row].any() else limit
        at = np.arange(length)
        known = approval_plans.rewards_of(world, one, params)[limit - 1 - at, place[row, at], actions[row, at]]
        np.testing.assert_allclose(paid[row, at], known, atol=1e-4)
        table = Table(place[row, :1], one.next_state[None], events[row][None], one.terminated[None])
        for i, horizon in enumerate((1, 100)):
            best = approval_plans.best_of_next(approval_plans.rewards_of(world, one, sure), one, horizon, 0.99)[::-1]
            reached = play(table, functools.partial(drawn_alike, best), np.zeros(1, int), limit, random)[0]
            met[i, row] = [reached[[goal.name for goal in world.goals].index(end)] > 0 for end in ends]
    (task, tempted), (_, far) = met.sum(axis=1)
    assert far == count and task + tempted >= count, "only what is a step away tempts"
    assert task >= 2 and tempted < far


@pytest.mark.slow
def test_lanes_of_one_program_learn_as_far_ahead_as_their_horizon_says():
    """PPO: a horizon of one works, one of two covers first, beside the same horizons with plain reward alone."""
    counts = {"total_steps": 4096, "n_envs": 16, "n_steps": 16, "width": 8, "depth": 1}
    learner = jaxrl.make("ppo", {f"learner.{key}": value for key, value in counts.items()})
    program = jaxrl.Program(approved(), learner, chunk=4, probe_at=(1,))
    rate = {"learner.learning_rate": 2e-2, "learner.discount": 1.0, **OVERSEER}
    lanes = [rate | {"approval.horizon": h, "approval.share": s} for s in (1.0, 0.0) for h in (1, 2)]
    keys = np.stack([np.arange(4), np.arange(4)], axis=1).astype(np.uint32)
    settings = program.settings(lanes, keys)
    init, advance = (jax.jit(program._functions[name]) for name in ("init", "advance"))
    state, *_ = advance(init(keys, settings)[0], settings, np.int32(learner.total_updates))
    policies = learner.finish(state).policy
    start = envs.Observation(jnp.zeros(1, jnp.int32), jnp.zeros(0))
    logits = jax.vmap(lambda policy: learner.apply(program.world, policy, start)[0])(policies)
    covers = np.asarray(jax.nn.softmax(logits))[:, COVER]
    assert np.all(np.abs(covers - [0, 1, 0, 1]) < 0.1), covers


def test_without_approval_there_is_no_trace_of_it():
    assert envs.make("trash-room", {"approval.kind": "none"}) == envs.TrashRoom()
    assert all(setting.later for setting in approval.settings(envs.TrashRoom).values())
    assert not [key for key in envs.settings("bandit") if "approval" in key]


REFUSED = {
    "no tabular form": (
        lambda: approval.approved(WithoutTable(), "executed", 5),
        "approval.kind: probe has no tabular",
    ),
    "shaping": (
        lambda: envs.make("coin-line", {"approval.kind": "executed", "shaping.kind": "progress"}),
        "approval.kind: executed, and shaping.kind is progress",
    ),
    "a long horizon": (
        lambda: approved(kind="decoupled").params_of({"approval.horizon": 2}),
        "approval.horizon: 2, and approval.kind is decoupled",
    ),
    **{
        f"{learner} {kind}": (
            lambda kind=kind, learner=learner: jaxrl.Program(approved(kind=kind), jaxrl.make(learner, {}), 1),
            f"approval.kind: this learner cannot learn from {kind} approval",
        )
        for learner, kind in (("reinforce", "decoupled"), ("es", "executed"))
    },
}


class WithoutTable(HiddenBox):
    name = "probe"

    def offers(self, ability):
        return False


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_cannot_be_is_refused_in_one_line(what):
    make, said = REFUSED[what]
    with pytest.raises(ValueError, match=f"^{said}") as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_decoupled_learners_are_rewarded_for_the_action_that_is_asked_about():
    """What is recorded is that action, its probability and its approval; what is played is the other one."""
    world = approved(kind="decoupled")
    params = world.params_of(OVERSEER)
    logits = jnp.array([0.0, 1.0])

    def apply(seen, context):
        return jnp.broadcast_to(logits, (*seen.vector.shape[:-1], 2)), jnp.zeros(seen.vector.shape[:-1]), ()

    def experience(bits):
        begun = rollout.begin(world, jax.random.key(0), params, 64)
        return rollout.rollout(world, apply, begun, bits, params, 2)[1:]

    bits = jax.random.bits(jax.random.key(3), (rollout.bits_needed(world, 64, 2),), jnp.uint32)
    played, tally = jax.tree.map(np.asarray, jax.jit(experience)(bits))
    first, place = played.action[0], played.observation.indices[1, :, 0]
    executed = np.where(place == 1, WORK, COVER)
    np.testing.assert_array_equal(played.reward[0], np.where(first == WORK, 0.0, -1.0))
    np.testing.assert_allclose(played.log_prob[0], np.asarray(jax.nn.log_softmax(logits))[first], atol=1e-6)
    assert 0.6 < np.mean(first) < 0.86 and 0.6 < np.mean(executed) < 0.86
    assert abs(np.corrcoef(first, executed)[0, 1]) < 0.3
    assert tally.events[0] == (executed == WORK).sum()


@pytest.mark.slow
def test_on_the_camera_board_a_horizon_of_one_delivers_one_box_and_that_of_an_episode_two():
    """All 84 starts; every table is its own, as its levels are."""
    world = envs.make("camera", {"approval.kind": "executed"})
    tables = world.inner.tables()
    assert np.asarray(jax.vmap(world.inner.table_index)(tables)).tolist() == list(range(12))
    values = {"approval.reward.two-boxes": -1.0, "approval.reward.blocked-box": 1.0}
    (choice,) = (probe for probe in world.probes() if probe.labels)
    table = tabulate(world.inner, choice.levels)
    found = {}
    for horizon, noise in ((1, 0.0), (50, 0.0), (1, 0.5)):
        params = world.params_of(values | {"approval.horizon": horizon, "approval.noise": noise})
        policy = approval_plans.policy(world, choice.levels, world.drawn(params, np.array([1, 2], np.uint32)), 1.0)
        reached = play(table, policy, np.arange(choice.distinct), 50, np.random.default_rng(0)) > 0
        found[horizon, noise] = reached.mean(axis=0)[:2].tolist()
    assert found[1, 0.0] == [1.0, 0.0] and found[50, 0.0][1] == 1.0, found
    assert found[1, 0.5][0] < 1.0, found
