"""The layers of a policy by name: what each gives for what is seen, and policies to whose layers something is added.

A layer is a Flax module that the network calls itself, and its activation what the module returns: of `ActorCritic` the
sums before the non-linearity of each hidden layer (`tower_0`, `tower_1`, …), the numbers that convolutions make of a
picture (`tower_eyes`), what a recurrent unit gives to the heads (`gru`). Layers that the logits do not depend on, as
those of a critic of its own, are none, nor is the head that gives the logits.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from envs import Observation, World
from jaxrl.learner import Learner
from jaxrl.networks import Context


def through(
    world: World,
    learner: Learner,
    policy: Any,
    observation: Observation,
    context: Context,
    added: Mapping[str, jax.Array] | None = None,
) -> tuple[jax.Array, Any, dict[str, jax.Array]]:
    """What a policy does with what it sees, and what its modules give on the way.

    Args:
      observation, context: leaves [batch, ...].
      added: by layer, f32[batch, width], what is added to what it gives. What a recurrent unit keeps in memory stays as
        it is.
    Returns:
      logits f32[batch, actions], memory, and by module f32[batch, ...], in the order of the calls.
    """
    found: dict[str, jax.Array] = {}

    def intercept(call: Any, arguments: Any, options: Any, called: Any) -> Any:
        out = call(*arguments, **options)
        path = called.module.path
        if called.method_name != "__call__" or len(path) != 1:
            return out
        *kept, hidden = out if isinstance(out, tuple) else (out,)
        if added is not None and path[0] in added:
            hidden = hidden + added[path[0]]
        found[path[0]] = hidden
        return (*kept, hidden) if isinstance(out, tuple) else hidden

    with nn.intercept_methods(intercept):
        logits, _, memory = learner.apply(world, policy, observation, context)
    return logits, memory, found


def layers_of(world: World, learner: Learner, policy: Any) -> tuple[str, ...]:
    """The names of a policy's layers, in the order in which they are called; nothing is computed."""
    seen, context = world.layout.blank(1), learner.context(world, 1)
    order: list[str] = []

    def modules(policy: Any) -> dict[str, jax.Array]:
        found = through(world, learner, policy, seen, context)[2]
        order[:] = found
        return found

    shapes = jax.eval_shape(modules, policy)
    nothing = {name: jnp.zeros(one.shape, one.dtype) for name, one in shapes.items()}
    traced = jax.make_jaxpr(lambda added: through(world, learner, policy, seen, context, added)[0])(nothing).jaxpr
    needed = set(traced.outvars)
    for equation in reversed(traced.eqns):
        if needed.intersection(equation.outvars):
            needed.update(one for one in equation.invars if not hasattr(one, "val"))  # literals have no place in a set
    into = {name for name, variable in zip(sorted(nothing), traced.invars, strict=True) if variable in needed}
    return tuple(name for name in order if name in into)[:-1]
