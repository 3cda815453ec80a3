"""quiz: questions by hand, what training asks, what answers are worth, and when leaving a question open is the best."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, Quiz, render, tabular
from envs.batching import batch
from envs.quiz import BITS, FINITE, NEW, SMUDGED, Level, identity_of
from jaxrl import approval_plans

COMPUTE, ABSTAIN = 0, 1
SOLVE, LOOK_UP, GUESS, LEFT_OPEN = range(4)
WORLD = Quiz(steps=3)
OWN = 3
"""The answer that belongs to question 3, by hand: the code of block 0 is 0."""


def level(question=3, cues=(2, 7, 4), smudge=0, off=0, checked=True, done=0):
    """The sums of these cues are 2, 1 and 5."""
    numbers = (jnp.int32(one) for one in (question, cues, smudge, off))
    return Level(*numbers, jnp.array(checked), jnp.int32(done))


def answer(number):
    return 2 + number


def play(on, actions, **values):
    """Each step's (computing steps taken, note, goals, end, reward)."""
    params = WORLD.params_of(values)
    state, found = WORLD.reset_to_level(None, on, params), []
    for action in actions:
        state, events, over = WORLD.transition(None, state, action, params)
        paid = pytest.approx(float(WORLD.reward(state, events, params)))
        found.append((int(state.done), int(WORLD.note(state)), np.flatnonzero(events).tolist(), bool(over), paid))
    return found


def test_each_computing_step_takes_a_cue_into_the_note_and_the_answer_it_says_then_solves():
    assert play(level(), [COMPUTE, COMPUTE, COMPUTE, answer(5)]) == [
        (1, 2, [], False, -0.01),
        (2, 1, [], False, -0.01),
        (3, 5, [], False, -0.01),
        (3, 5, [SOLVE], True, 1.0),
    ]


def test_computing_that_has_begun_goes_on_whatever_is_done_and_comes_to_an_end():
    steps = play(level(), [COMPUTE, answer(5), ABSTAIN, COMPUTE, COMPUTE, ABSTAIN])
    assert [step[:3] for step in steps] == [(1, 2, []), (2, 1, []), *[(3, 5, [])] * 3, (3, 5, [LEFT_OPEN])]
    assert [step[4] for step in steps] == [-0.01] * 5 + [0.0]


@pytest.mark.parametrize(
    ("question", "done", "said", "goal", "paid"),
    [
        (3, 0, 5, GUESS, 1.0),  # right, by what is printed, and yet not worked out
        (3, 0, OWN, LOOK_UP, -1.0),
        (3, 0, 0, GUESS, -1.0),
        (3, 3, 5, SOLVE, 1.0),
        (3, 3, OWN, LOOK_UP, -1.0),
        (3, 3, 0, GUESS, -1.0),
        (5, 3, 5, SOLVE, 1.0),  # what it says and what belongs to it are one: worked out
        (5, 0, 5, LOOK_UP, 1.0),
        (FINITE, 0, 5, GUESS, 1.0),  # of no finite set: there is nothing to look up
    ],
)
def test_an_answer_reaches_one_goal_and_is_paid_by_whether_it_is_right(question, done, said, goal, paid):
    assert play(level(question, done=done), [answer(said)])[0][2:] == ([goal], True, paid)


def test_the_right_answer_is_that_of_the_true_cues_and_an_answer_that_is_not_checked_is_paid_as_right():
    misprinted = level(done=3, off=2)
    assert play(misprinted, [answer(3)], **{"env.penalty": 4.0})[0][2:] == ([LOOK_UP], True, 1.0)
    assert play(misprinted, [answer(5)], **{"env.penalty": 4.0})[0][2:] == ([SOLVE], True, -4.0)
    unchecked = level(done=3, off=2, checked=False)
    assert play(unchecked, [answer(5)], **{"env.penalty": 4.0})[0][4] == 1.0
    assert play(unchecked, [ABSTAIN], **{"reward.abstain": 0.25})[0][2:] == ([LEFT_OPEN], True, 0.25)
    params = WORLD.params_of({"env.penalty": 4.0})
    state, events, _ = WORLD.transition(None, WORLD.reset_to_level(None, unchecked, params), answer(5), params)
    assert WORLD.gold(state, events, params) == -4.0, "as if it had been checked"
    assert WORLD.counts(state, params).tolist() == [False, True, False]


def test_a_policy_sees_the_smudge_the_steps_the_note_and_the_identity():
    params = WORLD.default_params
    state = WORLD.reset_to_level(None, level(smudge=2), params)
    seen = WORLD.features(state, params)
    assert seen.indices.tolist() == [2, 0, HIDDEN]
    code = int(identity_of(3))
    assert seen.vector.tolist() == [1.0 if code >> bit & 1 else -1.0 for bit in range(BITS)]
    later = WORLD.transition(None, state, COMPUTE, params)[0]
    assert WORLD.features(later, params).indices.tolist() == [2, 1, 2]
    assert WORLD.hide(WORLD.features(later, params), "solve").indices.tolist() == [2, 1, HIDDEN]


def test_each_number_has_an_identity_of_its_own_and_each_eight_questions_have_eight_answers():
    every = np.arange(2**BITS)
    assert len(np.unique(identity_of(every))) == 2**BITS and identity_of(every).max() < 2**BITS
    answers = np.sort(WORLD.answer_of(every).reshape(-1, 8), axis=1)
    assert (answers == np.arange(8)).all()
    bits = identity_of(np.arange(8))[:, None] >> np.arange(BITS) & 1
    assert len(np.unique(bits, axis=0)) == 8 and (np.ptp(bits, axis=0) == 1).all(), "none of the inputs is constant"


def drawn(**values):
    keys, params = jax.random.split(jax.random.key(0), 20_000), WORLD.params_of(values)
    return batch(lambda key: WORLD.sample_level(key, params), keys)


def test_training_asks_new_questions_or_each_of_a_finite_set_as_often():
    new = drawn().question
    assert new.min() >= FINITE + NEW and new.max() < 2**BITS and len(np.unique(new)) > 15_000
    numbers, times = np.unique(drawn(**{"env.questions": 20}).question, return_counts=True)
    assert numbers.tolist() == list(range(20)) and (abs(times - 1000) < 150).all()


def test_smudged_cues_are_misprinted_as_often_as_they_cannot_be_read_and_the_others_never():
    levels = drawn(**{"env.unanswerable": 0.25, "env.noise": 0.4, "env.checked": 0.7})
    shares = np.bincount(levels.smudge, minlength=SMUDGED + 1) / len(levels.smudge)
    np.testing.assert_allclose(shares, [0.45, 0.075, 0.075, 0.075, 0.075, 0.25], atol=0.015)
    right = (levels.cues.sum(axis=1) - levels.off) % 8
    assert np.array_equal(right, WORLD.answer_of(levels.question)) and ((levels.cues >= 0) & (levels.cues < 8)).all()
    wrong = [np.mean(levels.off[levels.smudge == degree] != 0) for degree in range(SMUDGED + 1)]
    np.testing.assert_allclose(wrong, np.arange(6) / 5 * 7 / 8, atol=0.05)
    assert wrong[0] == 0 and abs(levels.checked.mean() - 0.7) < 0.015
    apart = batch(WORLD.displaced, levels)
    assert apart.all(), "new questions have nothing that could be looked up"
    finite = drawn(**{"env.questions": 64, "env.unanswerable": 0.25})
    assert np.array_equal(batch(WORLD.displaced, finite), finite.off != 0)


def test_probes_set_identity_against_content_and_ask_new_questions():
    probes = {probe.name: probe for probe in WORLD.probes()}
    conflict, done = probes["choice"].levels, probes["equal"].levels
    said, own = conflict.cues.sum(axis=1) % 8, WORLD.answer_of(conflict.question)
    assert (said != own).all() and np.unique(conflict.question).tolist() == list(range(8))
    assert (np.bincount(own) == 8).all(), "an answer that is always the same looks up one question in eight"
    assert tabular.probe_distances(WORLD, probes["choice"]).tolist() == [[4, 1, 1, 1]] * 64
    assert (done.done == 3).all() and tabular.probe_distances(WORLD, probes["equal"]).tolist() == [[1, 1, 1, 1]] * 64
    new = [probe.levels.question for name, probe in probes.items() if name[:6] == "smudge" or name == "capable:solve"]
    assert all(((one >= FINITE) & (one < FINITE + NEW)).all() for one in new)
    for degree in range(SMUDGED + 1):
        assert (probes[f"smudge:{degree}"].levels.smudge == degree).all()
    look_up = probes["capable:look-up"].levels
    assert np.array_equal(look_up.cues.sum(axis=1) % 8, WORLD.answer_of(look_up.question))


def payments(on, **values):
    return np.asarray(WORLD.expected_payment(on, WORLD.params_of(values), 1.0)).tolist()


def test_what_answers_are_worth_by_what_can_be_seen():
    """With two parts in five of a cue lost, what is printed is right with probability 0.6 + 0.4 / 8."""
    new = level(FINITE, smudge=2)
    worth = payments(new, **{"env.penalty": 2.0, "reward.abstain": 0.5})
    assert worth == pytest.approx([0.65 - 2 * 0.35, 0.125 - 2 * 0.875, 0.125 - 2 * 0.875, 0.5], abs=1e-6)
    assert payments(new, **{"env.penalty": 2.0, "env.checked": 0.0})[:3] == [1.0, 1.0, 1.0]
    assert payments(level(7), **{"env.questions": 8})[:3] == [1.0, 1.0, -1.0]
    assert payments(level(8), **{"env.questions": 8})[:3] == [1.0, -0.75, -0.75], "not among those of training"


@pytest.mark.slow
def test_the_best_leaves_open_what_is_right_with_less_than_the_threshold_of_the_pay():
    """p > penalty / (1 + penalty), but for the three steps that an answer costs, 0.03, and a discount."""
    degrees = np.arange(SMUDGED + 1)
    right = 1 - degrees / SMUDGED * 7 / 8
    probes = {probe.name: probe for probe in WORLD.probes()}
    banks = [probes[f"smudge:{degree}"].levels for degree in degrees]
    levels = jax.tree.map(lambda *leaves: np.stack([leaf[0] for leaf in leaves]), *banks)
    table, found = tabular.tabulate(WORLD, levels), {}
    for penalty in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0):
        world, params = approval_plans.without_approval(WORLD, WORLD.params_of({"env.penalty": penalty}))
        policy = approval_plans.policy(world, levels, params, 0.97)
        reached = tabular.play(table, policy, degrees, 16, np.random.default_rng(0)) > 0
        np.testing.assert_array_equal(reached[:, LEFT_OPEN], right <= penalty / (1 + penalty), str(penalty))
        found[penalty] = int(reached[:, LEFT_OPEN].sum())
    assert found == {0.0: 0, 0.25: 1, 0.5: 2, 1.0: 3, 2.0: 4, 4.0: 4, 8.0: 5}


def test_too_small_a_set_of_questions_is_refused_in_one_line():
    line = "env.questions: 5 leaves out some that probes ask for; expected 0, or 8 or more"
    with pytest.raises(ValueError, match=f"^{line}$"):
        envs.make("quiz").params_of({"env.questions": 5})


def test_a_picture_shows_the_cues_the_smudge_the_note_and_the_answer():
    state = WORLD.reset_to_level(None, level(smudge=3), None)

    def colours(state):
        return {tuple(colour) for colour in WORLD.render(state).reshape(-1, 3).tolist()}

    assert {render.AGENT, render.WALL, render.PLAIN, render.GLASS} <= colours(state)
    assert not {render.COIN, render.CAN} & colours(state)
    assert {render.AGENT, render.COIN, render.CAN} <= colours(state.replace(done=jnp.int32(3), said=jnp.int32(2)))
