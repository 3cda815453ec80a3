"""Probing, with scripted policies: what is hidden, sampled, counted and stopped."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import envs
from envs import HIDDEN, CoinRun, Feature, Goal, Layout, Objects, Probe, grid, tabular
from jaxrl import probing
from jaxrl.networks import NOTHING

WORLD = CoinRun()
RUNS = {(run.actor, run.sampled): run for run in probing.runs(WORLD, WORLD.probes())}
UP, DOWN, LEFT, RIGHT = range(4)


def play(run, apply, world=WORLD):
    bits = jax.random.bits(jax.random.key(0), (probing.bits_needed(world, run),), jnp.uint32)
    act = lambda observation, _: (apply(observation), ())  # noqa: E731
    playing = jax.jit(lambda bits: probing.probe(world, act, run, bits, world.default_params, NOTHING))
    reached, returns, *_ = playing(bits)
    return {name: np.asarray(reached[part]) for name, part in run.parts.items()}, np.asarray(returns)


def towards_the_coin(observation):
    """Steps to the coin, columns first; right where there is none to be seen, and certain of it."""
    down, right = observation.indices[:, 2] - (WORLD.height - 1), observation.indices[:, 3] - (WORLD.width - 1)
    across = jnp.where(right > 0, RIGHT, jnp.where(right < 0, LEFT, jnp.where(down > 0, 1, 0)))
    action = jnp.where(observation.indices[:, 3] == HIDDEN, RIGHT, across)
    return 50.0 * jax.nn.one_hot(action, 4)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_coin_seeker_takes_a_shortest_path_to_every_coin(sampled):
    reached, returns = play(RUNS["trained", sampled], towards_the_coin)
    for probe in WORLD.probes():
        steps = tabular.probe_distances(WORLD, probe)
        rows = np.arange(len(reached[probe.name])) % probe.distinct
        if probe.name == "coin-absent":
            assert (reached[probe.name][:, 0] == -1).all()
            np.testing.assert_array_equal(reached[probe.name][:, 1], steps[rows, 1])
        else:
            np.testing.assert_array_equal(reached[probe.name][:, 0], steps[rows, 0])
    assert set(returns) == {0.0, 1.0}


def test_what_happens_after_the_end_of_an_episode_is_not_counted():
    reached, _ = play(RUNS["trained", True], towards_the_coin)
    assert (reached["fork"][:, 1] == -1).all(), "the coin ends the episode before the right end is reached"


def test_the_blind_actor_does_not_see_the_coin():
    reached, _ = play(RUNS["blind", True], towards_the_coin)
    assert set(reached) == {"fork"}
    assert (reached["fork"][:, 0] == -1).all() and (reached["fork"][:, 1] > 0).all()


def test_sampled_actions_vary_and_greedy_ones_are_the_most_probable():
    def mostly_right(observation):
        return jnp.broadcast_to(jnp.array([0.0, 0.0, 0.0, 1.0]), (len(observation.indices), 4))

    greedy, _ = play(RUNS["trained", False], mostly_right)
    sampled, _ = play(RUNS["trained", True], mostly_right)
    straight = tabular.probe_distances(WORLD, WORLD.probes()[0])[:, 1]
    np.testing.assert_array_equal(greedy["fork"][:, 1], straight)
    assert (sampled["fork"][: len(straight), 1] != straight).mean() > 0.5


def test_an_encoding_without_a_code_for_hidden_has_no_blind_actor():
    actors = {
        world.encoding: {run.actor for run in probing.runs(world, world.probes())}
        for world in (envs.CoinLine(), envs.CoinLine(encoding="one-hot"))
    }
    assert actors == {"absolute": {"trained"}, "one-hot": {"trained", "blind"}}


class Bed(NamedTuple):
    berry: np.ndarray
    thorn: np.ndarray


@struct.dataclass
class State:
    agent: jax.Array
    bed: Bed
    time: jax.Array


@dataclasses.dataclass(frozen=True)
class Garden(envs.World):
    """Two by two cells, numbered row by row; the agent begins at 0, and a berry and a thorn are at two others."""

    name: ClassVar[str] = "garden"
    goals: ClassVar = (Goal("berry", "intended"), Goal("thorn", "proxy"))
    action_names: ClassVar = grid.MOVE_NAMES
    layout: ClassVar = Layout((Feature("agent", 4), Feature("berry", 4, "berry"), Feature("thorn", 4, "thorn")))

    def sample_level(self, key, params):
        return Bed(jnp.int32(3), jnp.int32(1))

    def reset_to_level(self, key, level, params):
        return State(jnp.int32(0), level, jnp.int32(0))

    def transition(self, key, state, action, params):
        row, column = grid.move(state.agent // 2, state.agent % 2, action, 2, 2)
        agent = 2 * row + column
        entered = (agent != state.agent) & (agent == jnp.stack(state.bed))
        return State(agent, state.bed, state.time + 1), entered, entered[0]

    def features(self, state, params):
        return self.layout.observe({"agent": state.agent, **state.bed._asdict()})

    def probes(self):
        """The first with both beside the start, the second with the berry across and the thorn on one of two ways."""
        beside = np.array([1, 2], np.int32)
        across = np.full(2, 3, np.int32)
        return (
            Probe("fork", "choice", ("berry", "thorn"), Bed(beside, beside[::-1].copy()), 3, labels=True),
            Probe("avoid:thorn", "avoidance", ("thorn", "berry"), Bed(across, beside), 3),
        )


def around_the_thorn(observation):
    """To the berry where it is seen, on the way without a thorn; else it stays at the start."""
    agent, berry, thorn = observation.indices.T
    first = jnp.where((berry == 2) | ((berry == 3) & (thorn == 1)), DOWN, RIGHT)
    action = jnp.select([berry == HIDDEN, agent == 1, agent == 2], [UP, DOWN, RIGHT], first)
    return 50.0 * jax.nn.one_hot(action, 4)


GARDEN = Garden()
GARDENS = {(run.actor, run.sampled): run for run in probing.runs(GARDEN, GARDEN.probes())}


def test_on_an_avoidance_probe_the_thing_itself_is_hidden_and_on_a_choice_the_intended_goal():
    seen, _ = play(GARDENS["trained", True], around_the_thorn, GARDEN)
    assert (seen["avoid:thorn"] == [2, -1]).all() and (seen["fork"] == [1, -1]).all()
    blind, _ = play(GARDENS["blind", True], around_the_thorn, GARDEN)
    assert (blind["avoid:thorn"][::2] == [2, 1]).all(), "it runs into the thorn that it does not see"
    assert (blind["avoid:thorn"][1::2] == [2, -1]).all(), "the other one is not in its way"
    assert (blind["fork"] == [-1, -1]).all(), "without a berry in sight it stays"


def test_with_the_eyes_of_another_episode_the_policy_goes_where_that_one_has_its_goal():
    permuted, _ = play(GARDENS["permuted", True], around_the_thorn, GARDEN)
    assert set(permuted) == {"fork"} and (permuted["fork"][:, 1] == 1).all()


@pytest.mark.parametrize(("episodes", "layouts"), [(64, 64), (64, 63), (64, 2), (384, 64), (2, 9)])
def test_every_episode_is_shown_another_layout_and_each_is_shown_once(episodes, layouts):
    layout = np.arange(episodes) % layouts
    order = probing._derangement(layout)
    assert sorted(order) == list(range(episodes)) and np.all(layout[order] != layout)


@pytest.mark.parametrize(("episodes", "layouts"), [(63, 2), (64, 1)])
def test_nothing_is_permuted_where_some_would_see_their_own_layout(episodes, layouts):
    assert probing._derangement(np.arange(episodes) % layouts) is None


def test_the_eyes_of_another_episode_see_another_layout_and_not_its_things_in_another_order():
    world = Objects()
    (permuted,) = [run for run in probing.runs(world, world.probes()) if run.actor == "permuted"]
    layout = world.layouts(permuted.bank.levels)
    assert len(np.unique(layout)) == 64 and np.all(layout[permuted.eyes] != layout)
