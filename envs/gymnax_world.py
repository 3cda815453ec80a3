"""Any registered gymnax environment as a training target: its outcome is its return."""

import dataclasses
import functools
import importlib
import sys
import types
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.interpreters import partial_eval

from envs.base import Probe, World
from envs.layout import NUMBER, Feature, Layout, Observation
from envs.promotion import implicit_promotion
from envs.settings import Setting


@struct.dataclass
class State:
    inner: Any
    observed: jax.Array
    paid: jax.Array
    time: jax.Array


DERIVED: dict[str, dict[str, Callable[[Any], Any]]] = {
    "CartPole-v1": {
        "total_mass": lambda params: params.masscart + params.masspole,
        "polemass_length": lambda params: params.masspole * params.length,
    },
}
"""Parameters that follow from others: gymnax computes them once, for its defaults."""


DRAWN_WITH = ("matplotlib.pyplot", "seaborn")
"""What two environments of gymnax draw with: importing it takes six times as long as all the rest."""


class _Later(types.ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


@functools.cache
def package() -> Any:
    """gymnax, imported without what it draws with, unless that is there already."""
    import matplotlib  # noqa: F401 - the package of a module that stands in; it is quick itself

    later = {name: _Later(name) for name in DRAWN_WITH if name not in sys.modules}
    sys.modules.update(later)
    try:
        import gymnax
    finally:
        for name in later:
            del sys.modules[name]
    return gymnax


@functools.cache
def _environment(identifier: str) -> tuple[Any, Any]:
    environment, params = package().make(identifier)
    from gymnax.environments import spaces

    space = environment.action_space(params)
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"world: gymnax:{identifier} has continuous actions; Chisel's learners need discrete ones")
    try:
        jax.eval_shape(_played(environment), jax.random.key(0), jnp.int32(0), params)
    except Exception as error:  # whatever an environment raises
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(f"world: gymnax:{identifier} fails at its first step ({why})") from error
    return environment, params


def _played(environment: Any) -> Callable[[Any, Any, Any], Any]:
    """A reset and a step, all that they return, and whether the time limit has been reached."""

    @implicit_promotion()
    def played(key, action, params):
        first, state = environment.reset_env(key, params)
        after = environment.step_env(key, state, action, params)
        return first, after, environment.is_truncated(after[1], params)

    return played


@functools.cache
@implicit_promotion()
def _uses_its_key(identifier: str) -> bool:
    """Whether a step depends on its key: many environments take one and do not, and drawing it costs time."""
    environment, params = _environment(identifier)
    key = jax.random.key(0)
    _, state = jax.eval_shape(environment.reset_env, key, params)

    def step(key, state, action):
        return environment.step_env(key, state, action, params)

    traced = jax.make_jaxpr(step)(key, state, jnp.int32(0)).jaxpr
    return any(traced.invars[0] in equation.invars for equation in traced.eqns)


@functools.cache
def _without_effect(identifier: str) -> frozenset[str]:
    """Parameters that neither a reset nor a step nor the time limit reads, in this version of gymnax."""
    environment, params = _environment(identifier)
    names = [field.name for field in dataclasses.fields(params)]
    numbers = {name: getattr(params, name) for name in names if _is_number(getattr(params, name))}

    def played(numbers, key, action):
        return _played(environment)(key, action, derived(identifier, params.replace(**numbers)))

    traced = jax.make_jaxpr(played)(numbers, jax.random.key(0), jnp.int32(0)).jaxpr
    _, used = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    return frozenset(name for name, read in zip(sorted(numbers), used, strict=False) if not read)


def _is_number(value: Any) -> bool:
    return not np.ndim(value) and not isinstance(value, bool) and np.asarray(value).dtype.kind in "if"


def derived(identifier: str, params: Any) -> Any:
    """An environment's parameters, with those that follow from others computed from them."""
    return params.replace(**{name: value(params) for name, value in DERIVED.get(identifier, {}).items()})


@dataclasses.dataclass(frozen=True)
class GymnaxWorld(World):
    """A gymnax environment with discrete actions; it has no goals, and its reward is its own.

    Observation: the environment's, flattened, f32[m]. Level: the key of a reset. Time limit: the environment's.
    """

    identifier: str
    """The environment's registered id."""

    goals: ClassVar[tuple] = ()

    def __post_init__(self):
        _environment(self.identifier)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"gymnax:{self.identifier}"

    @property
    def action_names(self) -> tuple[str, ...]:  # type: ignore[override]
        environment, params = _environment(self.identifier)
        return tuple(str(i) for i in range(environment.action_space(params).n))

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        return _uses_its_key(self.identifier)

    @property
    def layout(self) -> Layout:
        environment, params = _environment(self.identifier)
        size = int(np.prod(environment.observation_space(params).shape, dtype=int))
        return Layout((Feature("observation", NUMBER, size=size),))

    @property
    def default_params(self) -> Any:
        return _environment(self.identifier)[1]

    @staticmethod
    def settings_of(identifier: str) -> dict[str, Setting]:
        """The numbers among the environment's own parameters; one that has no effect of its own has one value."""
        params, found = _environment(identifier)[1], {}
        for field in dataclasses.fields(params):
            value = getattr(params, field.name)
            if not _is_number(value):
                continue
            kind = int if np.asarray(value).dtype.kind == "i" else float
            low: float | None = 1 if field.name == "max_steps_in_episode" else None
            high: float | None = None
            doc = f"{identifier}'s own parameter {field.name}."
            if field.name in DERIVED.get(identifier, {}):
                low, high, doc = kind(value), kind(value), f"{identifier} computes it from its other parameters."
            elif field.name in _without_effect(identifier):
                low, high, doc = kind(value), kind(value), f"{identifier} never reads it."
            key = f"env.{field.name}"
            found[key] = Setting(key, kind, kind(value), False, low, high, doc=doc)
        return found

    def params_of(self, values: dict[str, Any]) -> Any:
        chosen = {}
        for setting in self.settings_of(self.identifier).values():
            dtype = np.int32 if setting.kind is int else np.float32
            chosen[setting.key.removeprefix("env.")] = dtype(values.get(setting.key, setting.default))
        return self.default_params.replace(**chosen)

    def sample_level(self, key: jax.Array, params: Any) -> jax.Array:
        return jax.random.key_data(key)

    def reset_to_level(self, key: jax.Array, level: jax.Array, params: Any) -> State:
        params = derived(self.identifier, params)
        with implicit_promotion():
            observed, inner = _environment(self.identifier)[0].reset_env(jax.random.wrap_key_data(level), params)
        return State(inner, _flat(observed), jnp.zeros(()), jnp.zeros((), jnp.int32))

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        environment, params = _environment(self.identifier)[0], derived(self.identifier, params)
        with implicit_promotion():
            observed, inner, paid, terminated, _ = environment.step_env(key, state.inner, action, params)
        inner = jax.tree.map(lambda new, old: jnp.asarray(new, jnp.result_type(old)), inner, state.inner)
        after = State(inner, _flat(observed), jnp.asarray(paid, jnp.float32), state.time + 1)
        return after, jnp.zeros((0,), bool), jnp.asarray(terminated, bool)

    def is_truncated(self, state: State, params: Any) -> jax.Array:
        with implicit_promotion():
            return jnp.asarray(_environment(self.identifier)[0].is_truncated(state.inner, params), bool)

    def reward(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return state.paid

    def features(self, state: State, params: Any) -> Observation:
        return self.layout.observe({"observation": state.observed})

    def probes(self) -> tuple[Probe, ...]:
        """Sixteen resets, run to the environment's own default time limit, for their returns."""
        levels = np.stack([np.asarray([0x6368, i], np.uint32) for i in range(16)])
        limit = int(getattr(self.default_params, "max_steps_in_episode", 1000))
        return (Probe("evaluation", "performance", (), levels, limit, episodes=16, held_out="levels"),)


def _flat(observed: Any) -> jax.Array:
    return jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(observed)])
