"""Payments by hand: weights, chance, delays and payments that come once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import rewards

GOALS = ("task", "button")
WEIGHTS = jnp.array([1.0, 2.0])


def play(events, longest=3, weights=WEIGHTS, keys=None, **values):
    """What arrives after each step, f32[steps, goals], and the last account."""
    terms = rewards.terms_of(GOALS, {f"pay.{key.replace('_', '.')}": value for key, value in values.items()})
    account, arrived = rewards.opened(2, longest), []
    for step, earned in enumerate(events):
        key = jax.random.key(step) if keys is None else keys[step]
        account = rewards.pay(key, account, jnp.array(earned, bool), weights, terms)
        arrived.append(account.arrived.tolist())
    return arrived, account


def test_by_default_every_event_is_paid_at_once_and_as_a_world_without_terms_would():
    events = [[1, 0], [1, 1], [0, 0], [1, 0]]
    arrived, _ = play(events, longest=0)
    assert arrived == [[1, 0], [1, 2], [0, 0], [1, 0]]
    for earned, came in zip(events, arrived, strict=True):
        assert rewards.weighed(jnp.array(earned, bool), WEIGHTS) == sum(came)


def test_each_goal_has_its_own_delay_and_payments_under_way_add_up():
    arrived, account = play([[1, 1], [1, 0], [0, 1], [0, 0], [0, 0]], task_delay=2, button_delay=1)
    assert arrived == [[0, 0], [0, 2], [1, 0], [1, 2], [0, 0]]
    assert not account.under_way.any()
    assert play([[1, 0]], task_delay=3)[1].under_way.tolist() == [[0, 0], [0, 0], [1, 0]]


def test_a_goal_paid_once_is_paid_at_its_first_event_alone():
    arrived, account = play([[1, 1], [1, 1], [1, 1]], button_once=1)
    assert arrived == [[1, 2], [1, 0], [1, 0]]
    assert account.granted.tolist() == [True, False] and account.paid.tolist() == [True, True]


def test_chance_leaves_the_stated_share_unpaid_and_a_payment_that_comes_once_is_tried_again():
    terms = rewards.terms_of(GOALS, {"pay.task.probability": 0.3, "pay.button.probability": 0.3, "pay.button.once": 1})
    both = jnp.ones(2, bool)

    def twice(key):
        first, second = jax.random.split(key)
        account = rewards.pay(first, rewards.opened(2, 0), both, WEIGHTS, terms)
        return account.arrived, rewards.pay(second, account, both, WEIGHTS, terms).arrived

    first, second = map(np.asarray, jax.jit(jax.vmap(twice))(jax.random.split(jax.random.key(0), 10_000)))
    np.testing.assert_allclose((first > 0).mean(axis=0), 0.3, atol=0.02)
    np.testing.assert_allclose((second > 0).mean(axis=0), [0.3, 0.7 * 0.3], atol=0.02)
    assert not ((first[:, 1] > 0) & (second[:, 1] > 0)).any()


def test_a_delay_that_the_ring_has_no_room_for_is_refused():
    rewards.check_delays(GOALS, {"pay.task.delay": 3}, 3)
    with pytest.raises(ValueError, match=r"^pay\.button\.delay: 4 is more than env\.longest_delay, which is 3$"):
        rewards.check_delays(GOALS, {"pay.button.delay": 4}, 3)
