"""What only some worlds can do: each is a class to inherit beside `World`, and `World.offers` says who has it."""

import abc
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import rewards
from envs.settings import Setting


class Tabular(abc.ABC):
    """Lists its states: for oracles, distances and exact learners. A sweep needs it of every world with goals."""

    @abc.abstractmethod
    def states(self, level: Any, params: Any) -> Any:
        """Every state that can occur on a level, as a pytree with a leading axis [S]."""

    @abc.abstractmethod
    def state_index(self, state: Any) -> jax.Array:
        """i32[], the place of a state in `states`."""

    def tabular(self: Any, level: Any, params: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The dynamics of one level of a deterministic world, written out.

        Returns:
          next_state: i32[S, A]; events: bool[S, A, goals]; terminated: bool[S, A].
        """
        key = jax.random.key(0)

        def entry(state, action):
            after, events, terminated = self.transition(key, state, action, params)
            return self.state_index(after), events, terminated

        each_action = jax.vmap(entry, in_axes=(None, 0))
        return jax.vmap(each_action, in_axes=(0, None))(self.states(level, params), jnp.arange(self.num_actions))

    def tables(self) -> Any:
        """Levels with a leading axis [n], one for each way in which steps lead on and are paid, where training has few.

        What is solved for a level is then solved for these once, and not for each one that training draws. None where
        each level is its own.
        """
        return None

    def table_index(self, level: Any) -> jax.Array:
        """i32[], the place among `tables` of the one that differs from a level in where an episode begins alone."""
        return jnp.zeros((), jnp.int32)


class Priced:
    """Says what its events are worth before they fire: for the planner."""

    def expected_payment(self, level: Any, params: Any, discount: Any) -> jax.Array:
        """What each event is worth when it fires, by the law that training levels follow and by what can be seen.

        Delays are discounted, chance and what is hidden are averaged over. The weights, unless a world says otherwise,
        as one must whose `reward` or `worth` is its own. NaN where payments do not follow from the events under these
        Params.

        Returns:
          f32[goals].
        """
        return params.reward

    def as_trained(self, level: Any) -> Any:
        """A probe level by the rules of training, where they differ in what no policy can see."""
        return level


class Starting(abc.ABC):
    """Lists its training levels: for exact learners."""

    @abc.abstractmethod
    def start_distribution(self, params: Any) -> Any:
        """Every training level, and f32[n, S], how probable it is that an episode begins there and in which state.

        The levels, NumPy arrays with a leading axis [n], do not depend on `params`; a level's own start has no meaning
        here.
        """


class Editable(abc.ABC):
    """Changes its levels: for curricula that edit."""

    @abc.abstractmethod
    def edit_level(self, key: jax.Array, level: Any, params: Any, keep_kind: jax.Array) -> Any:
        """A training level with one small random change; where that would do harm, the level as it was.

        No edit leads to a level that a probe holds out, nor to one that cannot be solved within the time limit.

        Args:
          keep_kind: bool[], whether the level is left as `displaced` as it was.
        """


class Solved(abc.ABC):
    """Knows the best return of a level: for curricula that score by regret."""

    @abc.abstractmethod
    def optimal_return(self, level: Any, params: Any, discount: Any) -> jax.Array:
        """f32[], the greatest discounted return of an episode on a level: what is paid at step d counts discount^(d-1).

        To be traced. Time goes on for ever unless the world ends the episode, as it does for `envs.tabular.optimal`.
        """


class Sources(abc.ABC):
    """Can choose on each level which of several goals pays: for lives (`envs.lives`)."""

    sources: ClassVar[tuple[str, ...]]
    """The goals that can be."""

    @abc.abstractmethod
    def paid_by(self, level: Any, source: Any) -> Any:
        """The level with one source paid, i32[] among `sources`, and no other."""

    @abc.abstractmethod
    def pays(self, level: Any) -> Any:
        """bool[sources], which of them pay on a level."""


class Comparisons(NamedTuple):
    """Two kinds of things at a time, side by side; arrays have a leading axis [pairs]."""

    kind: np.ndarray
    """The number of one kind, and of the other; each two kinds make one pair."""
    rival: np.ndarray
    levels: Any
    """Leaves [pairs * episodes, ...], the episodes of a pair together: on each of them the first of the world's goals
    is entering a thing of the one kind, the second entering one of the other."""
    episodes: int
    """On each pair; at most 127."""
    horizon: int


class Compared(abc.ABC):
    """Has things of many kinds, any two of which a policy may be offered: for tables of preferences."""

    @abc.abstractmethod
    def comparisons(self) -> Comparisons:
        """Every pair of kinds, on levels where nothing but the kind tells the things apart."""


class Drawn(abc.ABC):
    """Has a picture: for sheets of levels, films and `chisel watch`."""

    legend: ClassVar[dict[str, tuple[int, int, int]]] = {}
    """What `render` draws, by name, and the colour in which it does."""

    @abc.abstractmethod
    def render(self, state: Any) -> np.ndarray:
        """u8[height, width, 3], a picture of the state."""


class OnTerms:
    """Pays on terms, by `rewards.pay` in its `transition`: by chance, late or once an episode. Its state has `account`.

    It stands before `World` among a class's bases.
    """

    longest_delay: int = 0
    """The longest delay of a payment, in steps."""

    @classmethod
    def settings(cls: Any) -> dict[str, Setting]:
        return super().settings() | rewards.settings([goal.name for goal in cls.goals])  # type: ignore[misc]

    @property
    def default_params(self: Any) -> Any:
        return super().default_params.replace(pay=self._terms({}))  # type: ignore[misc]

    def params_of(self: Any, values: dict[str, Any]) -> Any:
        return super().params_of(values).replace(pay=self._terms(values))  # type: ignore[misc]

    def check_values(self: Any, values: dict[str, Any]) -> None:
        super().check_values(values)  # type: ignore[misc]
        rewards.check_delays([goal.name for goal in self.goals], values, self.longest_delay)

    def reward(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        return jnp.sum(state.account.arrived)

    def _terms(self: Any, values: dict[str, Any]) -> Any:
        return rewards.terms_of([goal.name for goal in self.goals], values)


ABILITIES: tuple[type, ...] = (Tabular, Priced, Starting, Editable, Solved, Sources, Compared, Drawn, OnTerms)
