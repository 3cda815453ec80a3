"""The doctor finds this machine sound and says what is not; the benchmark counts its work as it should."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from sweeps import doctor
from sweeps.bench import as_markdown, bench, cases, driver, plain
from sweeps.cli import main


@pytest.mark.slow
def test_the_doctor_passes_here_but_for_a_folder_that_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setattr("sweeps.doctor.LANES", 2)  # two programs to compile, and not three
    assert main(["doctor", "--out", "/proc/none"]) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines if line.startswith("FAIL")]
    assert len(failed) == 1 and failed[0].startswith("FAIL  store: /proc cannot be written")
    assert "choose another --out" in lines[lines.index(failed[0]) + 1]
    assert sum("agreement" in line for line in lines) == 2
    assert "ok    repetition: 2 lanes twice: the same bits" in lines


@pytest.mark.parametrize(("bits", "good"), [(23, True), (10, False), (7, False)])
def test_the_doctor_finds_a_device_that_rounds_what_it_multiplies(monkeypatch, bits, good):
    """To as many bits of fraction: those of float32, TF32 and bfloat16."""

    def rounded(numbers):
        dropped = 23 - bits
        return (((numbers.view(np.uint32) + ((1 << dropped) >> 1)) >> dropped) << dropped).view(np.float32)

    monkeypatch.setattr(jnp, "matmul", lambda left, right: rounded(left) @ rounded(right))
    assert doctor._products().good == good


class Process:
    """A participant that does nothing, at once."""

    def __init__(self, command, core):
        self.stdin = SimpleNamespace(write=lambda text: None, flush=lambda: None)
        self.stdout = SimpleNamespace(readline=lambda: '{"ready": 1.0, "temporary": 2e6, "peak": 3e9, "share": 0.05}')


def test_on_a_gpu_a_participant_is_one_process_with_all_lanes_at_once(monkeypatch):
    started = []

    def start(command, core, stack):
        started.append((core, *command[3:]))
        return Process(command, core)

    monkeypatch.setattr(driver, "device", lambda: ("gpu", 2))
    monkeypatch.setattr(driver, "_start", start)
    monkeypatch.setattr(driver, "_first_update", lambda rounds: {"cold": 20.0, "warm": 3.0})
    found = bench(1, peer=False, say=lambda line: None)
    assert found["platform"] == "gpu" and {core for core, *_ in started} == {None}
    assert (None, "chisel", "cartpole", "8192", str(driver.LEAST_UPDATES), "8192") in started
    names = [row["name"] for row in found["rows"]]
    others = [f"{case} {how}" for case, lanes in driver.BESIDE_PLAIN.items() for how in (lanes, "plain")]
    assert (None, "plain", "pixels", "64", "1") in started
    assert names == [*(f"cartpole {lanes}" for lanes in (1, 128, 1024, 8192)), *others]
    text = as_markdown(found)
    assert "GFLOP/s on one device." in text and "| cartpole 8192 lanes over 128 |" in text and "| 3,000.0 MB |" in text


def test_flops_of_cartpole_by_hand():
    """Two towers of 4 x 64 and 64 x 64, heads of 64 x 2 and 64 x 1; one forward pass and four gradient steps."""
    weights = 2 * (4 * 64 + 64 * 64) + 64 * 3
    assert cases.flops_per_step(cases.CASES["cartpole"]) == 2 * weights * 13


def test_flops_of_pixels_by_hand():
    """Two convolutions of 4, 16 and 32 channels, 512 x 64 and 64 x 64, heads; a forward pass and two gradient steps."""
    weights = 49 * 36 * 16 + 16 * 144 * 32 + 512 * 64 + 64 * 64 + 64 * 5
    assert cases.flops_per_step(cases.CASES["pixels"]) == 2 * weights * 7


def test_the_plain_network_of_pixels_has_the_weights_of_the_one_that_is_timed():
    case = cases.CASES["pixels"]
    world, learner = case.world(), case.make()
    dense = plain.Dense(world.num_actions, learner, world.layout.image.shape)
    usual = jax.eval_shape(dense.init, jax.random.key(0), jnp.zeros(world.layout.size))
    context = jax.tree.map(lambda leaf: leaf[0], learner.context(world, 1))
    ours = jax.eval_shape(
        lambda key: learner.make_variables(world, key, world.layout.blank(), context), jax.random.key(0)
    )
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert count(usual) == count(ours)


@pytest.mark.slow
def test_the_plain_learner_that_is_timed_learns():
    case = cases.CASES["coin-run"]._replace(learner={"n_envs": 16, "n_steps": 32, "total_steps": 512})
    world = case.world()
    env_params, params = world.default_params, case.make().Params(learning_rate=np.float32(3e-3))
    _, returns = jax.jit(lambda key: plain.train(world, case.make(), env_params, params, 60, key))(jax.random.key(0))
    early, late = np.nanmean(returns[:5]), np.nanmean(returns[-5:])
    assert late > 0.9 and late > early


def test_the_table_names_the_machine_and_every_row():
    row = {
        "name": "cartpole 128",
        "steps_per_second": 463e3,
        "low": 460e3,
        "high": 501e3,
        "gflops": 107.0,
        "share": 0.58,
    }
    row |= {"compile_seconds": 13.0, "temporary_bytes": 2e6, "peak_bytes": None}
    found = {
        "machine": "a machine",
        "platform": "cpu",
        "ceiling_gflops": 186.0,
        "rows": [row],
        "ratios": {"a over b": 2.64},
    }
    text = as_markdown(found | {"probing_share": 0.05, "first_update": {"cold": 13.4, "warm": 2.9}})
    assert (
        "Machine: a machine." in text and "| cartpole 128 | 463k (460k, 501k) | 107 | 58% | 13 s | 2.0 MB |  |" in text
    )
    assert "| a over b | 2.64 |" in text


@pytest.mark.parametrize("name", cases.CASES)
def test_every_case_that_is_timed_is_a_program(name):
    case = cases.CASES[name]
    assert jaxrl.Program(case.world(), case.make(), 8, (1,)).env_steps == 102_400
