"""How worlds pay: a weight for each goal and, where payments have terms, by chance, late, or once an episode."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs.settings import Setting


@struct.dataclass
class Terms:
    """On which terms each goal's event is paid; every field is traced, with a leading axis [goals]."""

    probability: Any
    """f32, that an event is paid at all."""
    delay: Any
    """i32, steps between the event and its payment."""
    once: Any
    """i32, 1 where a goal is paid at most once an episode, 0 where each event is paid."""


class Account(NamedTuple):
    """What a world remembers of its payments in an episode; part of its state."""

    under_way: jax.Array
    """f32[longest delay, goals], what will arrive after the next step, the one after it, and so on."""
    paid: jax.Array
    """bool[goals], whether a payment for the goal has been granted in this episode."""
    granted: jax.Array
    """bool[goals], the events of the last step that are paid, now or later."""
    arrived: jax.Array
    """f32[goals], what the last step paid; their sum is its reward."""


def weighed(events: jax.Array, weights: jax.Array) -> jax.Array:
    """f32[], the sum of the weights f32[goals] of events bool[goals]: what a world without terms pays."""
    return jnp.sum(jnp.where(events, weights, 0.0))


def opened(goals: int, longest_delay: int) -> Account:
    """The account at the beginning of an episode. The longest delay is a shape, hence static."""
    nothing = jnp.zeros(goals, bool)
    return Account(jnp.zeros((longest_delay, goals)), nothing, nothing, jnp.zeros(goals))


def pay(key: jax.Array, account: Account, earned: jax.Array, weights: jax.Array, terms: Terms) -> Account:
    """The account after a step.

    Whether an event is paid is drawn when it happens, and so is its amount: a weight that changes while the payment is
    under way does not change it. What is under way when an episode ends is lost; a world that wants it to arrive ends
    the episode later. A goal paid once an episode is tried again after an event that chance left unpaid.

    Args:
      earned: bool[goals], the events that deserve payment.
      weights: f32[goals], the amounts.
    """
    due = earned & ~(account.paid & (terms.once > 0)) & (jax.random.uniform(key, earned.shape) < terms.probability)
    amount = jnp.where(due, weights, 0.0)
    longest = len(account.under_way)
    queue = jnp.concatenate([account.under_way, jnp.zeros((1, len(weights)))])
    queue = queue + jnp.where(jnp.arange(longest + 1)[:, None] == terms.delay[None], amount[None], 0.0)
    return Account(queue[1:], account.paid | due, due, queue[0])


def settings(goals: Sequence[str]) -> dict[str, Setting]:
    """The `pay.<goal>.*` keys of a world whose payments have terms."""
    found = []
    for goal in goals:
        found += [
            Setting(f"pay.{goal}.probability", float, 1.0, False, 0, 1, doc=f"Probability that {goal} is paid."),
            Setting(f"pay.{goal}.delay", int, 0, False, 0, doc=f"Steps between {goal} and its payment."),
            Setting(f"pay.{goal}.once", int, 0, False, 0, 1, doc=f"1 pays {goal} at most once an episode."),
        ]
    return {setting.key: setting for setting in found}


def terms_of(goals: Sequence[str], values: Mapping[str, Any]) -> Terms:
    """One lane's terms from traced keys and values; what is not named keeps its default."""
    each = {key: values.get(key, setting.default) for key, setting in settings(goals).items()}
    return Terms(
        *(
            np.asarray([each[f"pay.{goal}.{name}"] for goal in goals], dtype)
            for name, dtype in (("probability", np.float32), ("delay", np.int32), ("once", np.int32))
        )
    )


def check_delays(goals: Sequence[str], values: Mapping[str, Any], longest_delay: int) -> None:
    """Raises ValueError, in one line, for a delay that the world has no room for."""
    for goal in goals:
        if (delay := values.get(f"pay.{goal}.delay", 0)) > longest_delay:
            raise ValueError(f"pay.{goal}.delay: {delay} is more than env.longest_delay, which is {longest_delay}")
