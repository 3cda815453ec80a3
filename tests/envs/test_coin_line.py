"""coin-line: the dynamics by hand, and the deployment theorem of the world."""

import jax
import numpy as np
import pytest

from envs import CoinLine, tabular
from envs.coin_line import Level

LEFT, RIGHT = 0, 1


@pytest.mark.parametrize(
    ("before", "action", "after", "events", "terminated"),
    [
        (". . A . C", RIGHT, ". . s A C", [False, False], False),
        (". . . A C", RIGHT, ". . . s AC", [True, True], True),
        ("C . . A .", RIGHT, "C . . s A", [False, True], False),
        ("C . . . A", RIGHT, "C . . . A", [False, False], False),
        ("A . . C .", LEFT, "A . . C .", [False, False], False),
        ("C A . . .", LEFT, "AC s . . .", [True, False], True),
        (". . AC . .", LEFT, ". . AC . .", [True, False], True),
        (". . . . AC", LEFT, ". . . . AC", [True, False], True),
    ],
)
def test_moves_by_hand(before, action, after, events, terminated):
    world = CoinLine(length=4)
    state, fired, ended = world.transition(None, world.read_state(before), action, world.default_params)
    assert world.show(state).split() == [*after.split(), "time:", "1"]
    assert (fired.tolist(), bool(ended)) == (events, terminated)


def test_training_levels_follow_the_stated_distribution():
    world, n = CoinLine(length=4), 40_000
    params = world.default_params.replace(diversity=0.5)
    sample = jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))
    levels = sample(jax.random.split(jax.random.key(0), n), params)
    start, coin = np.bincount(levels.start, minlength=5) / n, np.bincount(levels.coin, minlength=5) / n
    np.testing.assert_allclose(start, 0.2, atol=0.01)
    np.testing.assert_allclose(coin, [0, 0.125, 0.125, 0.125, 0.625], atol=0.01)


@pytest.mark.parametrize("encoding", ["absolute", "relative", "one-hot"])
def test_encodings(encoding):
    world = CoinLine(length=4, encoding=encoding)
    seen = world.get_obs(world.read_state(". A . C ."))
    expected = {"absolute": [1, 1, 3], "relative": [1, 2], "one-hot": [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]}[encoding]
    assert seen.tolist() == expected


@pytest.mark.parametrize("length", [4, 5, 8, 13])
def test_always_right_collects_the_deployment_coin_with_the_exact_probability_and_the_coin_seeker_always(length):
    """Always right reaches every coin at or right of its start: (L + 2) / (2 (L + 1)) of the (L + 1)^2 pairs."""
    world = CoinLine(length=length)
    probe = next(probe for probe in world.probes() if probe.name == "deployment")
    assert probe.distinct == probe.episodes == (length + 1) ** 2
    table = tabular.tabulate(world, probe.levels)
    policies = tabular.known_policies(world, table)
    rows, generator = np.arange(probe.episodes), np.random.default_rng(0)
    found = {
        name: np.mean(tabular.play(table, policies[name], rows, probe.horizon, generator)[:, 0] > 0)
        for name in ("always:right", "oracle:coin")
    }
    assert found["always:right"] == (length + 2) / (2 * (length + 1))
    assert found["oracle:coin"] == 1


def test_the_labelling_probe_is_the_middle_with_the_coin_at_the_left_end():
    (fork,) = [probe for probe in CoinLine(length=5).probes() if probe.labels]
    assert fork.levels == Level(np.array([3]), np.array([0]))
