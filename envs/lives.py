"""Lives: rounds of a world in a row, in one of which payment may move to another source, with nothing to show it."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs.abilities import Priced, Sources, Starting, Tabular
from envs.base import Probe, World
from envs.settings import Setting
from envs.wrapper import Wrapper

EVERY = -1
"""In place of a round: the events of all rounds count."""
LIVES = 64
"""Of a probe of lives."""


@struct.dataclass
class Terms:
    """The numbers of lives, as `Params.lives`; every field is traced."""

    sources: Any
    """i32[], of the world's sources, in their order, how many payment can come from."""
    others: Any
    """f32[], probability that at the beginning of a life another source than the first is paid."""
    moves: Any
    """f32[], probability that in a life payment moves to another source, as some round but the first begins."""


class Level(NamedTuple):
    rounds: Any
    """A level of the world for each round, leaves [rounds, ...]; in each, one source is paid."""
    count: Any
    """i32[], rounds that are played."""
    asked: Any
    """i32[], the round whose events count; `EVERY` in training."""


@struct.dataclass
class State:
    inner: Any
    """The state of the round that is played, or in which one has ended."""
    level: Level
    round: jax.Array
    """i32[], rounds that have ended."""
    between: jax.Array
    """bool[], whether a round has ended and the next begins with the next step, whatever the action."""
    fired: jax.Array
    """bool[goals], the events of the step that led here, by which it is paid whether they count or not."""


@dataclasses.dataclass(frozen=True)
class Lives(Wrapper):
    """A world whose episode is a life: several rounds, each an episode of the world on a level of its own.

    A round ends as an episode of the world does, also at the time limit. The policy sees the final observation together
    with the reward; the next round begins one step later, whatever the action. The last round ends the life. In each
    life one source pays and the others do not; in some lives, another one pays from a random round on. No observation
    shows which pays: the policy needs memory, and rewards among its inputs.

    Probes: those of the world, as lives of one round; and lives in which events count in the last round alone.
    steady:SOURCE: it is paid throughout. moved:FROM-TO: payment moves half-way. All on the same levels, those of the
    world's choice, so that what is approached first in the last round differs by the move alone.
    """

    rounds: int
    """Of a life in training."""

    @property
    def default_params(self) -> Any:
        return self.inner.default_params.replace(lives=_terms(self.inner, {}))

    def params_of(self, values: dict[str, Any]) -> Any:
        self.check_values(values)
        return self.inner.params_of(values).replace(lives=_terms(self.inner, values))

    def check_values(self, values: dict[str, Any]) -> None:
        self.inner.check_values(values)
        most, terms = len(self.inner.sources), _terms(self.inner, values)
        if terms.sources > most:
            raise ValueError(f"lives.sources: {terms.sources} is more than {self.name} has; at most {most}")
        if terms.sources == 1 and (terms.others > 0 or terms.moves > 0):
            raise ValueError(
                "lives.sources: 1 source, so nothing else can pay; expected lives.others and lives.moves 0"
            )

    def offers(self, ability: type) -> bool:
        """No planner knows which source pays, so that nothing can be foreseen; lives are too many to list."""
        return ability not in (Priced, Starting) and super().offers(ability)

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        keys = jax.random.split(key, self.rounds + 1)
        levels = jax.vmap(self.inner.sample_level, in_axes=(0, None))(keys[1:], params)
        terms, draws = params.lives, jax.random.uniform(keys[0], (5,))
        first = jnp.where(draws[0] < terms.others, 1 + _one_of(terms.sources - 1, draws[1]), 0)
        second = (first + 1 + _one_of(terms.sources - 1, draws[2])) % terms.sources
        when = jnp.where(draws[3] < terms.moves, 1 + _one_of(self.rounds - 1, draws[4]), self.rounds)
        source = jnp.where(jnp.arange(self.rounds) < when, first, second)
        return Level(jax.vmap(self.inner.paid_by)(levels, source), jnp.int32(self.rounds), jnp.int32(EVERY))

    def reset_to_level(self, key: jax.Array, level: Level, params: Any) -> State:
        inner, none = self._begun(level, 0, params), jnp.zeros(len(self.goals), bool)
        return State(inner, level, jnp.zeros((), jnp.int32), jnp.zeros((), bool), none)

    def _begun(self, level: Level, number: Any, params: Any) -> Any:
        one = jax.tree.map(lambda leaf: leaf[number], level.rounds)
        return self.inner.reset_to_level(jax.random.key(0), one, params)

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        level, between = state.level, state.between
        after, fired, ended = self.inner.transition(key, state.inner, action, params)
        fired &= ~between
        ended = (ended | self.inner.is_truncated(after, params)) & ~between
        events = fired & ((level.asked == EVERY) | (level.asked == state.round))
        number = state.round + ended.astype(jnp.int32)
        fresh = self._begun(level, jnp.minimum(number, self.rounds - 1), params)
        inner = jax.tree.map(lambda new, old: jnp.where(between, new, old), fresh, after)
        return State(inner, level, number, ended, fired), events, number >= level.count

    def reward(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return self.inner.reward(state.inner, state.fired, params)

    def earned(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return self.reward(state, events, params)

    def gold(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return self.inner.gold(state.inner, state.fired, params)

    def is_truncated(self, state: State, params: Any) -> jax.Array:
        """Never: a life ends with its last round."""
        return jnp.zeros((), bool)

    def displaced(self, level: Level) -> jax.Array:
        return jnp.any(jax.vmap(self.inner.displaced)(level.rounds))

    def layouts(self, levels: Level) -> np.ndarray:
        """Of the round whose events count."""
        row, asked = np.arange(len(levels.asked)), np.maximum(np.asarray(levels.asked), 0)
        return self.inner.layouts(jax.tree.map(lambda leaf: np.asarray(leaf)[row, asked], levels.rounds))

    def states(self, level: Level, params: Any) -> State:
        """Those of each round, and then those in which it may have ended; where time runs out is left out."""

        def of_round(number, one):
            inner, none = self.inner.states(one, params), jnp.zeros(len(self.goals), bool)

            def state(ended, each):
                return State(each, level, number + ended, ended == 1, none)

            in_each = jax.vmap(jax.vmap(state, in_axes=(None, 0)), in_axes=(0, None))
            return in_each(jnp.arange(2, dtype=jnp.int32), inner)

        every = jax.vmap(of_round)(jnp.arange(self.rounds, dtype=jnp.int32), level.rounds)
        return jax.tree.map(lambda leaf: leaf.reshape(math.prod(leaf.shape[:3]), *leaf.shape[3:]), every)

    def state_index(self, state: State) -> jax.Array:
        ended = state.between.astype(jnp.int32)
        number = jnp.minimum(state.round - ended, state.level.count - 1)  # a life that is over goes no further
        part = 2 * number + ended
        return part * self._a_round(state.level) + self.inner.state_index(state.inner)

    def _a_round(self, level: Level) -> int:
        """How many states a round has."""
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), level.rounds)
        params = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, self.inner.default_params))
        return len(jax.tree.leaves(jax.eval_shape(self.inner.states, one, params))[0])

    def tabular(self, level: Any, params: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        return Tabular.tabular(self, level, params)

    def probes(self) -> tuple[Probe, ...]:
        found = [dataclasses.replace(one, levels=self._alone(one.levels)) for one in self.inner.probes()]
        choice = next(one for one in self.inner.probes() if one.labels)
        sources = self.inner.sources
        generator = np.random.default_rng(0x6C69766573)
        rows = np.stack([generator.permutation(choice.distinct) for _ in range(self.rounds)], axis=1)[:LIVES]
        for first, before in enumerate(sources):
            for second, after in enumerate(sources):
                paid = np.where(np.arange(self.rounds) < self.rounds // 2, first, second)
                levels = self._lives(choice.levels, rows, paid)
                name = f"steady:{before}" if first == second else f"moved:{before}-{after}"
                pays = (before,) if first == second else (before, after)
                found.append(
                    Probe(
                        name,
                        "life",
                        sources,
                        levels,
                        self.rounds * (choice.horizon + 1) - 1,
                        episodes=LIVES,
                        paid=pays,
                        held_out=choice.held_out,
                    )  # fmt: skip
                )
        return tuple(found)

    def _alone(self, levels: Any) -> Level:
        """Lives of one round."""
        n = len(jax.tree.leaves(levels)[0])
        rounds = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[:, None], self.rounds, axis=1), levels)
        return Level(rounds, np.ones(n, np.int32), np.zeros(n, np.int32))

    def _lives(self, levels: Any, rows: np.ndarray, paid: np.ndarray) -> Level:
        """Args: rows: i64[lives, rounds], the level of each round; paid: i64[rounds], the source that is paid in it."""
        rounds = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], levels)
        with jax.ensure_compile_time_eval():
            by_round = jax.vmap(self.inner.paid_by)
            rounds = jax.tree.map(np.asarray, jax.vmap(by_round, in_axes=(0, None))(rounds, jnp.asarray(paid)))
        n = np.full(len(rows), self.rounds, np.int32)
        return Level(rounds, n, n - 1)


def _one_of(n: Any, draw: jax.Array) -> jax.Array:
    """i32[] in [0, n), from a uniform number in [0, 1); 0 where there is none."""
    n = jnp.asarray(n, jnp.int32)
    return jnp.clip((draw * n.astype(jnp.float32)).astype(jnp.int32), 0, jnp.maximum(n - 1, 0))


def _terms(world: World, values: dict[str, Any]) -> Terms:
    known = settings(type(world))
    number = {name: values.get(f"lives.{name}", known[f"lives.{name}"].default) for name in ("others", "moves")}
    return Terms(
        np.int32(values.get("lives.sources", known["lives.sources"].default)),
        **{name: np.float32(value) for name, value in number.items()},
    )


def settings(cls: type[World]) -> dict[str, Setting]:
    """The `lives.*` keys of a world; none where it has no sources."""
    if not issubclass(cls, Sources):
        return {}
    most = len(cls.sources)
    far = "Rounds of an episode, in one of which payment may move; 1 for episodes of the world as they are."
    begin = "Probability that a life begins with another source paid than the first."
    found = [
        Setting("lives.rounds", int, 1, True, 1, 100, doc=far, later=True),
        Setting(
            "lives.sources", int, most, False, 1, most, doc="Sources that can be paid, the first ones.", later=True
        ),
        Setting("lives.others", float, 0.5, False, 0, 1, doc=begin, later=True),
        Setting("lives.moves", float, 0.5, False, 0, 1, doc="Probability that payment moves in a life.", later=True),
    ]
    return {setting.key: setting for setting in found}
