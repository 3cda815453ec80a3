"""No program mixes arrays of different ranks or dtypes without saying so; programs are traced, and none is compiled."""

import jax
import jax.numpy as jnp
import pytest

import envs
import jaxrl

SMALL = {"learner.total_steps": 4096, "learner.n_envs": 4, "learner.n_steps": 16, "learner.width": 8}
MORE = {
    "ppo": {"learner.memory": "gru", "learner.previous_action": True, "learner.previous_reward": True},
    "a2c": {"learner.towers": "separate", "learner.pretraining_updates": 1},
}
PROGRAMS = [
    *((world, "ppo", "random") for world in (*envs.WORLDS, "gymnax:CartPole-v1")),
    *(("coin-line", learner, "random") for learner in jaxrl.LEARNERS),
    *(("maze-corner", "ppo", curriculum) for curriculum in jaxrl.CURRICULA),
]


def shapes(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


@pytest.mark.slow
@pytest.mark.parametrize(("world", "learner", "curriculum"), PROGRAMS)
def test_a_program_mixes_no_ranks_and_no_dtypes(world, learner, curriculum):
    more = MORE.get(learner, {}) if world == "coin-line" else {}
    made = jaxrl.make(learner, SMALL | more), jaxrl.make_curriculum(curriculum)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        program = jaxrl.Program(envs.make(world), made[0], 2, (1,), curriculum=made[1])
        functions, settings = program._functions, shapes(program.settings([{}] * 2))
        keys, count = jax.ShapeDtypeStruct((2, 2), jnp.uint32), jax.ShapeDtypeStruct((), jnp.int32)
        state, _ = jax.eval_shape(functions["init"], keys, settings)
        state = jax.eval_shape(functions["advance"], state, settings, count)[0]
        policy = made[0].finish(state).policy
        first = jax.eval_shape(functions["first_layer"], policy)
        for kind in ("probe", "controls"):
            jax.eval_shape(functions[kind], keys, policy, first, settings.env, count)
