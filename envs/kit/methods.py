"""What methods do: the same whenever they are called, however they are called, with a key where they say so."""

import dataclasses
import functools
import re

import jax
import numpy as np

from envs.kit.rules import Fault, difference, rule, uses_first
from envs.layout import HIDDEN
from envs.trial import Trial

PLAIN = 3
"""Levels on which a batch is compared with plain calls."""


@rule("pure", "let what a method returns follow from its arguments and the world's fields alone", "shapes")
def _pure(trial: Trial, fault: Fault) -> str:
    """The same arguments give the same results, traced or not, and are left as they were."""
    for name, (method, given) in trial.methods.items():
        # A new function each time: traces are kept by function.
        traces = [jax.make_jaxpr(lambda *a, method=method: method(*a))(*given) for _ in range(2)]
        text = [re.sub("0x[0-9a-f]+", "", str(trace)) for trace in traces]
        if text[0] != text[1] or difference(traces[0].consts, traces[1].consts):
            fault(f"{name} is another program when it is traced again")
    for one, other in zip(trial.probes, trial.world.probes(), strict=True):
        again = dataclasses.replace(other, levels=one.levels)
        if again != one or difference(one.levels, other.levels):
            fault(f"probe {one.name} is another when it is asked for again")
    (given, left), first = trial.first
    _, second = trial.plain(0)
    if where := difference(given, left):
        fault(f"transition changes the state, level or Params that it is given ({where})")
    for name in first:
        if where := difference(first[name], second[name]):
            fault(f"{name} gives something else when it is called again ({where})")
    return f"{len(trial.methods)} methods, traced twice and called twice"


@rule(
    "key",
    "World.stochastic says whether transition uses its key; a level has one start where states are listed",
    "pure",
    of="transition",
)
def _key(trial: Trial, fault: Fault) -> str:
    """`transition` uses its key if and only if the world is stochastic, and the start of a written-out level is one."""
    transition, (key, *given) = trial.methods["transition"]
    reset, taken = trial.methods["reset_to_level"]
    uses = uses_first(transition, key, *given)
    if uses and not trial.world.stochastic:
        fault("transition uses its key, and stochastic is False: learners give None there")
    elif not trial.world.stochastic:
        jax.eval_shape(functools.partial(transition, None), *given)
    elif not uses:
        fault("transition does not use its key, and stochastic is True: learners draw keys, which takes time")
    if not trial.unlisted and uses_first(reset, *taken):
        fault("reset_to_level uses its key, and so distances have no one start")
    return "used" if uses else "not used"


@rule("agreement", "branch by jnp.where on values, never by Python on types, tracers or shapes of a batch", "pure")
def _agreement(trial: Trial, fault: Fault) -> str:
    """Under jit and vmap, methods return what they return when called plainly."""
    count = len(trial.bank[1])
    for row in sorted({round(place) for place in np.linspace(0, count - 1, PLAIN)}):
        (_, plain), batched = trial.plain(row) if row else trial.first, trial.batched(row)
        for name in plain:
            if where := difference(plain[name], batched[name]):
                fault(f"{name} gives something else in a compiled batch ({where}) on a {trial.level(row)}")
    return f"{PLAIN} plain calls and a batch of {count}"


@rule(
    "indices",
    "count cardinalities from 0, with HIDDEN for what is absent; keep numbers finite",
    "agreement",
    of="features",
)
def _indices(trial: Trial, fault: Fault) -> str:
    """Each observed index is below its cardinality, or HIDDEN; each observed number is finite."""
    walks = trial.walks
    for seen in (walks.first_seen, walks.seen):
        for i, cardinality in enumerate(trial.world.cardinalities):
            wrong = (seen.indices[..., i] < HIDDEN) | (seen.indices[..., i] >= cardinality)
            if wrong.any():
                found, row = seen.indices[..., i][wrong][0], np.argwhere(wrong)[0][0]
                fault(f"index {i} is {found}, of a cardinality of {cardinality}, on a {trial.level(row)}")
                return ""
        if not np.isfinite(seen.vector).all():
            row = np.argwhere(~np.isfinite(seen.vector))[0][0]
            fault(f"a number is not finite on a {trial.level(row)}")
            return ""
    return f"{walks.terminated.size} steps"


RULES = (_pure, _key, _agreement, _indices)
