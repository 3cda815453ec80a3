"""Training that goes on from a state in its midst ends with the bits of training that was never interrupted."""

import functools

import jax
import numpy as np
import pytest

import envs
import jaxrl
from jaxrl.internals import untrained

pytestmark = pytest.mark.slow
SMALL = {"learner.total_steps": 1024, "learner.n_envs": 4, "learner.n_steps": 16, "learner.width": 8}
OWN = {"cloning": {"learner.total_steps": 7}}
KEYS = np.random.default_rng(0).integers(0, 2**32, (2, 2), dtype=np.uint32)
LANES = [{"env.diversity": 0.5}, {"env.diversity": 1.0}]


@functools.cache
def program(learner, curriculum="random"):
    made = jaxrl.make(learner, SMALL | OWN.get(learner, {})), jaxrl.make_curriculum(curriculum)
    return jaxrl.Program(envs.make("coin-line"), made[0], 2, (0, 0.5, 1), curriculum=made[1])


@functools.cache
def trained(*names):
    """The outcome, and the state after every stretch."""
    states = []
    whole = program(*names).train(KEYS, LANES, on_state=lambda state: states.append(state()), keep=True)
    return whole, states


@pytest.mark.parametrize("names", [("ppo", "plr"), ("cloning",)], ids=lambda names: names[0])
def test_any_state_on_the_way_leads_to_the_same_bits(names):
    one, (whole, states) = program(*names), trained(*names)
    assert len(states) == len(one.stops) - 1
    for place in (0, len(states) // 2, len(states) - 1):
        seen = []
        again = one.train(KEYS, LANES, seen.append, resume=[leaf.copy() for leaf in states[place]], keep=True)
        assert seen == one.stops[place + 1 :], "it begins where it was left"
        jax.tree.map(np.testing.assert_array_equal, again._asdict(), whole._asdict())
        assert list(again.curves) == list(whole.curves), "columns keep their order"
    assert one.compiles == 1


def test_policies_are_kept_from_the_untrained_one_to_the_last_and_keeping_them_changes_nothing():
    one, (whole, states) = program("ppo", "plr"), trained("ppo", "plr")
    plain = one.train(KEYS, LANES)
    assert list(whole.kept) == [0.0, 0.5, 1.0] and plain.kept == {}
    jax.tree.map(np.testing.assert_array_equal, whole._replace(kept={})._asdict(), plain._asdict())
    jax.tree.map(np.testing.assert_array_equal, whole.kept[1.0], plain.policies)
    begun = untrained(one.world, one.learner, 2, KEYS)
    jax.tree.map(np.testing.assert_array_equal, whole.kept[0.0], begun)
    halves = [jax.tree.leaves(whole.kept[at]) for at in (0.0, 0.5, 1.0)]
    assert all((a != b).any() and (b != c).any() for a, b, c in zip(*halves, strict=True))
    with pytest.raises(jaxrl.UnfitStateError):
        one.train(KEYS, LANES, resume=states[0])


def test_a_state_of_another_program_is_refused():
    mine, theirs = trained("cloning")[1][0], trained("ppo", "plr")[1][0]
    for wrong in (theirs, mine[:-1], [], [np.array(10**6), *mine[1:]], [np.array("x"), *mine[1:]]):
        with pytest.raises(jaxrl.UnfitStateError):
            program("cloning").train(KEYS, LANES, resume=wrong)
