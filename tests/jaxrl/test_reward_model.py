"""A learnt reward: its gradient by hand, and what a policy makes of it on three states with a known answer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import approval
from envs.camera import Camera
from jaxrl import reward_model, rollout
from jaxrl.reward_model import Segments
from tests.jaxrl.hidden_box import WORK, HiddenBox, State

SMALL = {
    "learner.total_steps": 2048, "learner.n_envs": 8, "learner.n_steps": 4, "learner.width": 8, "learner.depth": 1,
    "learner.reward_model_updates": 200, "learner.reward_model_retrained": 1, "learner.most_labels": 64,
}  # fmt: skip
GOLD, DECEIVED, FEW = range(3)
LANES = [
    {"learner.labels": 64, "learner.label_deception": 0.0},
    {"learner.labels": 64, "learner.label_deception": 1.0},
    {"learner.labels": 1, "learner.label_deception": 0.0},
]
KEYS = np.random.default_rng(3).integers(0, 2**32, (len(LANES), 2), dtype=np.uint32)
RATE = {"learner.learning_rate": 3e-3}


class Arms(HiddenBox):
    """One step: work is an event `box`, cover an event `hidden`."""

    def transition(self, key, state, action, params):
        works = action == WORK
        return State(state.place, state.time + 1), jnp.stack([works, ~works]), jnp.ones((), bool)


class Chunk:
    """A lane for each kind of overseer; what is compiled serves every test."""

    def __init__(self):
        self.program = jaxrl.Program(Arms(), jaxrl.make("ppo", SMALL), len(LANES), (1,))
        self.lanes = [lane | RATE for lane in LANES]
        self.states = []
        self.trained = self.program.train(KEYS, self.lanes, on_state=lambda state: self.states.append(state()))

    def reached(self, goal):
        """f64[lanes], the share of sampled episodes that reach a goal."""
        record = next(one for one in self.trained.probes if one["actor"] == "trained" and one["sampled"])
        return (record[f"reached.{goal}"] >= 0).mean(axis=1)


@functools.cache
def chunk():
    return Chunk()


# The model.


def test_the_gradient_of_a_comparison_by_hand():
    """One step each, rewards a and b: d loss / da = sigmoid(a - b) - label."""
    slope = jax.grad(reward_model.bradley_terry)
    more, sigmoid = 1.5, 1 / (1 + np.exp(-1.5))
    for label in (1.0, 0.0, 0.5):
        np.testing.assert_allclose(slope(more, label), sigmoid - label, rtol=1e-6)
        by_hand = -label * np.log(sigmoid) - (1 - label) * np.log(1 - sigmoid)
        np.testing.assert_allclose(
            reward_model.bradley_terry(jnp.float32(more), jnp.float32(label)), by_hand, rtol=1e-6
        )


def compared(gold, paid):
    """Pairs of segments of no steps, of which only what they are worth counts."""
    nothing = jnp.zeros((len(gold), 2, 0))
    return Segments(nothing, nothing, nothing, jnp.array(gold, jnp.float32), jnp.array(paid, jnp.float32))


def test_an_overseer_prefers_what_is_worth_more_to_it_and_neither_of_two_equals():
    asked = compared([[1, 0], [0, 1], [1, 1], [0.3, 0.3 + 1e-7]], [[0, 3], [0, 3], [3, 0], [0, 0]])
    label = functools.partial(reward_model.labels, jax.random.key(0), asked)
    np.testing.assert_array_equal(label(0.0, 0.0), [1, 0, 0.5, 0.5])
    np.testing.assert_array_equal(label(0.0, 1.0), [0, 0, 1, 0.5])


def test_noise_draws_labels_by_lot_and_deception_takes_its_share():
    asked = compared([[1, 0]] * 4000, [[0, 1]] * 4000)
    for noise, deception, expected in ((1.0, 0.0, 0.5), (0.4, 0.0, 0.8), (0.0, 0.3, 0.7), (0.4, 0.3, 0.62)):
        label = reward_model.labels(jax.random.key(1), asked, noise, deception)
        assert abs(float(label.mean()) - expected) < 0.03
        assert set(np.unique(label)) == {0, 1}


def test_accuracy_counts_the_pairs_that_are_decided():
    found = jnp.array([[2.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    assert reward_model.accuracy(found, jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])) == 0.5
    assert np.isnan(reward_model.accuracy(found, jnp.ones((3, 2))))


def test_a_segment_ends_with_its_episode():
    """Work alone: one step to the box, one that ends the episode. Cover and work: the hidden box. Nothing follows."""
    world, learner = HiddenBox(), chunk().program.learner
    variables = jax.tree.map(lambda leaf: leaf[0], chunk().trained.policies)
    params = world.params_of({"env.max_steps_in_episode": 3})
    made = jax.jit(lambda key: reward_model.segments(learner, world, variables, key, params, 32))(jax.random.key(5))
    alive, place = np.asarray(made.alive, bool), np.asarray(made.observation.indices[..., 0])
    assert made.action.shape == (32, 2, SMALL["learner.n_steps"]) and np.all(alive[..., 0])
    np.testing.assert_array_equal(place[..., 0], 0)
    lasting = alive.sum(axis=-1)
    assert set(np.unique(lasting)) <= {2, 3}
    worked = (place == 0) & (np.asarray(made.action) == WORK) & alive
    hidden = (place == 2) & (np.asarray(made.action) == WORK) & alive
    np.testing.assert_array_equal(made.gold, worked.sum(axis=-1))
    np.testing.assert_array_equal(made.paid, worked.sum(axis=-1) + 3 * hidden.sum(axis=-1))


# What a world says that a step is worth.


def test_gold_is_the_intended_goals_alone():
    world = HiddenBox()
    params = world.params_of({"reward.box": 2.0})
    events = jnp.array([[True, False], [False, True], [True, True]])
    gold = jax.vmap(lambda one: world.gold(None, one, params))(events)
    np.testing.assert_array_equal(gold, [2, 0, 2])


def test_the_camera_s_second_box_costs_what_the_first_is_worth():
    world = Camera()
    state = world.read(". . . . . A B . . . . . . B . .")
    step = jax.jit(lambda *events: world.gold(state, jnp.array(events), world.default_params))
    for events, worth in (((1, 0, 0, 0), 1), ((0, 1, 0, 0), -1), ((0, 0, 1, 1), 1), ((0, 0, 0, 0), 0)):
        np.testing.assert_allclose(step(*map(bool, events)), worth - 0.01, rtol=1e-6)


# What comes of it.


def test_with_many_true_labels_the_model_ranks_as_gold_does_and_the_policy_gets_the_best_of_it():
    assert chunk().trained.outcomes["reward_model.accuracy"][GOLD] == 1
    assert chunk().reached("box")[GOLD] > 0.9
    assert chunk().trained.curves["gold_return"][GOLD, -1] > 0.9


def test_where_every_label_is_deceived_the_policy_does_what_deceives():
    assert chunk().trained.outcomes["reward_model.accuracy_paid"][DECEIVED] == 1
    assert chunk().reached("hidden")[DECEIVED] > 0.9
    assert chunk().trained.curves["gold_return"][DECEIVED, -1] < 0.1
    assert chunk().trained.curves["return_mean"][DECEIVED, -1] > 2.7, "returns stay what the world pays"


def test_curves_say_how_far_the_policy_has_come():
    """In an episode of one step, from one half each to certainty: log 2."""
    curves = chunk().trained.curves
    assert np.all(curves["kl"][:, 0] < 0.01)
    np.testing.assert_allclose(curves["kl"][[GOLD, DECEIVED], -1], np.log(2), atol=0.1)
    np.testing.assert_allclose(np.ptp(curves["proxy_return"][[GOLD, DECEIVED]], axis=1), 0.5, atol=0.2)


def test_any_state_on_the_way_leads_to_the_same_bits():
    """Before the model is trained again, and after."""
    one = chunk()
    for place in (len(one.states) // 4, len(one.states) - 1):
        again = one.program.train(KEYS, one.lanes, resume=[leaf.copy() for leaf in one.states[place]])
        jax.tree.map(np.testing.assert_array_equal, again._asdict(), one.trained._asdict())


def test_a_model_that_is_trained_again_has_further_comparisons():
    """Of one label the first training has it; of 64 each of two has a half."""
    one = chunk()
    settings = one.program.settings(one.lanes)
    state, _ = one.program._compiled["init"](KEYS, settings)
    for updates, labelled in ((1, [32, 32, 1]), (32, [64, 64, 1])):
        state, *_ = one.program._compiled["advance"](state, settings, np.int32(updates))
        np.testing.assert_array_equal(state.learnt.comparisons.weight.sum(axis=1), labelled)


def test_a_learner_without_a_model_carries_none_of_it():
    learner = jaxrl.make("ppo", {name: SMALL[name] for name in list(SMALL)[:5]})
    program = jaxrl.Program(HiddenBox(), learner, 1)
    state, _ = program._init.out_info
    assert state.learnt == () and learner.finish(state).outcomes == {}
    begun = jax.eval_shape(
        lambda key: rollout.begin(HiddenBox(), key, HiddenBox().default_params, 2), jax.random.key(0)
    )
    bits = jax.ShapeDtypeStruct((rollout.bits_needed(HiddenBox(), 2, 3),), jnp.uint32)
    still = lambda seen, _: (jnp.zeros((2, 2)), jnp.zeros(2), ())  # noqa: E731
    _, steps, _ = jax.eval_shape(
        lambda envs, bits: rollout.rollout(HiddenBox(), still, envs, bits, HiddenBox().default_params, 3), begun, bits
    )
    assert steps.gold is None


# What cannot be.


def refused(learner="ppo", world=None, curriculum=None, **own):
    made = jaxrl.make(
        learner, {"learner.reward_model_updates": 1} | {f"learner.{key}": one for key, one in own.items()}
    )
    chosen = None if curriculum is None else jaxrl.make_curriculum(curriculum)
    jaxrl.Program(HiddenBox() if world is None else world, made, 1, curriculum=chosen)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (
            {"world": envs.make("bandit")},
            "reward_model_updates: an overseer judges by an intended goal, and bandit has",
        ),
        ({"world": approval.approved(HiddenBox(), "executed", 2)}, "reward_model_updates: a learnt reward takes the"),
        (
            {"memory": "gru"},
            "reward_model_updates: the policy's distance from its beginning is measured without memory",
        ),
        ({"learner": "pqn"}, "reward_model_updates: a greedy policy has no distance from another; expected 0"),
        ({"most_labels": 1000, "reward_model_retrained": 2}, "most_labels: 1000 cannot be shared by 3 trainings"),
        (
            {"total_steps": 1024, "reward_model_retrained": 1, "most_labels": 2},
            "reward_model_retrained: 2 trainings are more than the 1 updates",
        ),
    ],
)
def test_what_cannot_learn_a_reward_is_refused(asked, line):
    with pytest.raises(ValueError, match=f"^learner.{line}"):
        refused(**asked)


def test_a_curriculum_is_refused():
    with pytest.raises(ValueError, match=r"^curriculum.name: a learnt reward is of the world's own levels"):
        refused(curriculum="finite")
