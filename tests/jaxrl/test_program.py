"""A program: lanes together and apart, one compile, diverged lanes, and what the probes record.

That bits do not depend on neighbours where programs are compiled as users compile them is held in
tests/sweeps/test_training.py.
"""

import subprocess
import sys
from concurrent.futures import Future
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import envs
import jaxrl

SMALL = {"learner.total_steps": 2048, "learner.n_envs": 8, "learner.n_steps": 32, "learner.width": 16}
KEYS = np.random.default_rng(0).integers(0, 2**32, (4, 2), dtype=np.uint32)
APART = 27 * 39 / (27 * 39 + 5 * 40)
"""Of coin-run's training levels at diversity 1: 27 cells for a displaced coin and 5 in the last column, by starts."""
VALUES = [
    {"env.diversity": 0.0},
    {"env.diversity": 1.0, "learner.learning_rate": 3e-3},
    {"learner.entropy_coef": 0.1, "learner.discount": 1.0},
    {"env.diversity": 0.5, "learner.discount": 0.9},
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program():
    return jaxrl.Program(envs.make("coin-run"), jaxrl.make("ppo", SMALL), 4, (0, 0.5, 1), kernel=True)


@pytest.fixture(scope="module")
def trained(program):
    return program.train(KEYS, VALUES)


def reached(trained, lane):
    return np.concatenate([r[name][lane] for r in trained.probes for name in ("reached.coin", "reached.right-end")])


def test_a_lane_does_not_depend_on_its_place_or_its_neighbours(program, trained):
    order = [2, 0, 0, 0]
    other = program.train(KEYS[order], [VALUES[i] for i in order])
    for name, column in trained.outcomes.items():
        np.testing.assert_array_equal(other.outcomes[name][:2], column[[2, 0]], err_msg=name)
    for name, column in trained.curves.items():
        np.testing.assert_array_equal(other.curves[name][:2], column[[2, 0]], err_msg=name)
    for place, lane in enumerate(order):
        np.testing.assert_array_equal(reached(other, place), reached(trained, lane))
    assert program.compiles == 1, "other numbers do not compile again"


def test_the_kernel_of_where_each_lane_begins_says_which_goal_it_goes_for(trained):
    coin = trained.outcomes["kernel.share.coin"]
    np.testing.assert_allclose(coin + trained.outcomes["kernel.share.right-end"], 1, rtol=1e-5)
    assert coin[0] < 0.1 and coin[1] > 0.9, "at diversity 0 and at 1, with three times the step size"


def test_lanes_together_do_what_each_does_alone(trained):
    """To float32 tolerance: another width of vmap rounds otherwise, so only the first updates are compared."""
    alone = jaxrl.Program(envs.make("coin-run"), jaxrl.make("ppo", SMALL), 1, (1,))
    init, advance = (jax.jit(alone._functions[name]) for name in ("init", "advance"))
    for lane in range(4):
        settings = alone.settings(VALUES[lane : lane + 1])
        state, _ = init(KEYS[lane : lane + 1], settings)
        for update in range(2):
            state, tally, metrics = advance(state, settings, np.int32(1))
            found = metrics._asdict() | {"episodes": tally.episodes, "return_mean": tally.returns / tally.episodes}
            for name, value in found.items():
                expected = trained.curves[name][lane, update]
                np.testing.assert_allclose(value[0], expected, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_lane_that_diverges_is_flagged_and_spoils_no_neighbour(program, trained):
    other = program.train(KEYS, [VALUES[0], VALUES[1] | {"learner.learning_rate": 1e30}, *VALUES[2:]])
    assert other.outcomes["diverged"].tolist() == [False, True, False, False]
    for lane in (0, 2, 3):
        np.testing.assert_array_equal(reached(other, lane), reached(trained, lane))


def test_outcomes_and_curves_count_what_happened(program, trained):
    outcomes, curves = trained.outcomes, trained.curves
    assert outcomes["updates"].tolist() == [8] * 4 and outcomes["env_steps"].tolist() == [2048] * 4
    np.testing.assert_array_equal(outcomes["episodes"], curves["episodes"].sum(axis=1))
    assert np.all(outcomes["events.coin"] <= outcomes["episodes"])
    np.testing.assert_allclose(
        outcomes["return_total"], np.nansum(curves["return_mean"] * curves["episodes"], axis=1), rtol=1e-5
    )
    met, steps = outcomes["met.coin"], curves["env_step"]
    paid = np.nan_to_num(curves["return_mean"]) > 0
    first = np.where(paid.any(axis=1), np.take_along_axis(steps, paid.argmax(axis=1)[:, None], axis=1)[:, 0], -1)
    np.testing.assert_array_equal(met, first)
    assert outcomes["displaced_episodes"][0] == 0 and outcomes["displaced_episodes"][2] == 0
    ended = outcomes["episodes"][1]
    share = outcomes["displaced_episodes"][1] / ended
    assert share < 1 and share == pytest.approx(APART, abs=4 * np.sqrt(APART * (1 - APART) / ended))
    assert curves["env_step"][0].tolist() == [256 * i for i in range(1, 9)]


def test_probe_records_say_what_was_run(program, trained):
    seen = {(r["checkpoint"], r["probe"], r["actor"], r["sampled"]) for r in trained.probes}
    names = [probe.name for probe in program.probes]
    through = {(checkpoint, name, "trained", True) for checkpoint in (0.0, 0.5, 1.0) for name in names}
    at_the_end = {(1.0, name, "trained", False) for name in names}
    assert seen == through | at_the_end | {(1.0, "fork", actor, True) for actor in ("blind", "permuted", "planner")}
    levels = program.levels()
    for record in trained.probes:
        if record["actor"] == "planner":
            continue
        rows = (levels["probe"] == record["probe"]) & (record["sampled"] | levels["distinct"])
        assert record["reached.coin"].shape == (4, rows.sum()) and record["reached.coin"].dtype == np.int16
        steps, shortest = record["reached.coin"], levels["distance.coin"][rows]
        assert np.all((steps == -1) | ((steps >= shortest) & (shortest > 0))), "nobody beats a shortest path"


def test_the_best_policy_takes_the_coin_and_is_planned_for_each_lane_with_a_discount_below_1(program, trained):
    (record,) = [record for record in trained.probes if record["actor"] == "planner"]
    fork = program.levels()["probe"] == "fork"
    for lane in (0, 1, 3):
        np.testing.assert_array_equal(record["reached.coin"][lane], program.levels()["distance.coin"][fork])
        assert (record["reached.right-end"][lane] == -1).all()
    assert [len(lane) for lane in record["reached.coin"]] == [64, 64, 0, 64]
    np.testing.assert_array_equal(trained.outcomes["planner.return"], np.float32([1, 1, np.nan, 1]))


def test_untrained_policies_act_at_random_on_the_fork(program, trained):
    """The untrained network's logits are near zero: its first choices match the random walker's."""
    fork = [
        r
        for r in trained.probes
        if r["probe"] == "fork" and r["checkpoint"] == 0 and r["actor"] == "trained" and r["sampled"]
    ]
    walker = [r for r in program.baselines() if r["probe"] == "fork" and r["actor"] == "random"]
    share = lambda record: np.mean(record["reached.coin"] > 0)  # noqa: E731
    assert share(fork[0]) == pytest.approx(share(walker[0]), abs=0.15)


def test_a_program_says_what_memory_it_needs(program):
    memory = program.memory()
    assert 10_000 < memory["per_lane_bytes"] < memory["temporary_bytes"] < 100_000_000


def test_temporary_memory_is_that_of_the_function_that_needs_most():
    """Not of training alone: probes play many episodes at once, and on an accelerator a chunk is as wide as fits."""

    def compiled(temporary):
        sizes = SimpleNamespace(temp_size_in_bytes=temporary, argument_size_in_bytes=40, output_size_in_bytes=8)
        return SimpleNamespace(memory_analysis=lambda: sizes)

    program = jaxrl.Program(envs.make("coin-line"), jaxrl.make("ppo", SMALL), 4)
    program._compiled = {"advance": compiled(5), "init": compiled(1), "probe": compiled(7), "first_layer": compiled(2)}
    program._controls = Future()
    program._controls.set_result(compiled(9))
    assert program.memory() == {"per_lane_bytes": (40 + 8) // 4, "temporary_bytes": 9}


def test_batched_orthogonal_initialisation_ends():
    """Four batched QR decompositions in one program dead-lock XLA's CPU thread pool: it must not be a vmap."""
    script = """
import jax, numpy as np, envs, jaxrl
counts = {"learner.total_steps": 256, "learner.n_envs": 8, "learner.n_steps": 32, "learner.towers": "separate"}
learner = jaxrl.make("ppo", counts)
program = jaxrl.Program(envs.make("coin-line"), learner, 64, (1,))
keys, settings = np.arange(128, dtype=np.uint32).reshape(64, 2), program.settings([{}] * 64)
jax.block_until_ready(jax.jit(program._functions["init"])(keys, settings))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


@pytest.mark.parametrize(("updates", "found"), [(1, {0: 0.0, 1: 1.0}), (2, {0: 0.0, 1: 0.5, 2: 1.0})])
def test_in_a_very_short_training_the_first_and_the_last_checkpoint_stay_what_they_are(updates, found):
    learner = jaxrl.make("ppo", SMALL | {"learner.total_steps": 256 * updates})
    assert jaxrl.Program(envs.make("coin-line"), learner, 1, (0, 0.25, 0.5, 1)).checkpoints == found


def test_a_world_with_goals_and_no_states_is_refused():
    class Unlisted(envs.CoinLine):
        def offers(self, ability):
            return ability is not envs.Tabular

    with pytest.raises(ValueError, match=r"^world: coin-line has goals, so it has to be envs\.Tabular"):
        jaxrl.Program(Unlisted(), jaxrl.make("ppo", SMALL), 1)
