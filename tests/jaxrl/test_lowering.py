"""Every program lowers for CUDA and for TPUs, which takes none, and to nothing that would go wrong there.

Here every world with one learner, and every learner, network and curriculum with one small world;
`python -m tests.jaxrl.test_lowering [WORLD ...]` takes the whole product, in a quarter of an hour, and prints faults.
Shapes are the defaults, so that sizes are those of a user.
"""

import functools
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

import envs
import jaxrl
import sweeps
from envs import Platformer, Probe
from envs.platformer import banks
from jaxrl.program import REPEATABLE

PLATFORMS = ("cuda", "tpu")
CALLS = {
    "cuda": {"AllocateBuffer", "cusolver_geqrf_ffi", "cusolver_orgqr_ffi"},
    "tpu": {"AllocateBuffer", "Qr", "ProductOfElementaryHouseholderReflectors"},
}
"""Custom calls that jax has on a platform: those of an orthogonal initialisation, and of ranks in jax 0.11, which fill
the whole buffer that they allocate."""
WRONG = {
    "f64>": "computes in float64",
    "stablehlo.infeed": "waits for the host",
    "stablehlo.outfeed": "waits for the host",
    "stablehlo.recv": "waits for the host",
    "stablehlo.send": "waits for the host",
    "stablehlo.rng": "draws numbers that depend on the platform",
    "stablehlo.select_and_scatter": "has a scatter that is in no fixed order",
}
"""What a lowered function must not contain, and why."""
LANES = 2
A_UNIT = 16
"""Numbers alive at once for each step and each input and hidden unit, at most; with memory twice as many. In one tower
without memory 2 to 7 were found: what a model of these sizes does not explain is an array of another size."""
PROBED = 1024
"""Steps that probes or a table of states count as, where an update has fewer."""
NETWORKS = {
    "shared": {},
    "separate": {"learner.towers": "separate", "learner.activation": "relu"},
    "memory": {"learner.memory": "gru", "learner.previous_action": True, "learner.previous_reward": True},
    "linear": {"learner.policy": "linear"},
    "tabular": {"learner.policy": "tabular", "env.encoding": "one-hot"},
    "pretrained": {"learner.pretraining_updates": 1},
    "convolutional": {"learner.network": "convolutional"},
    "residual": {
        "learner.network": "convolutional", "learner.pooling": "max", "learner.residual_blocks": 1,
        "learner.towers": "separate",
    },
}  # fmt: skip
"""Settings that make another network, or none; a learner has some of them."""


class Case(NamedTuple):
    """What makes a program."""

    world: str
    learner: str
    network: str = "shared"
    curriculum: str = "random"

    def program(self) -> jaxrl.Program:
        """Raises ValueError where they do not go together."""
        values, known = NETWORKS[self.network], envs.settings(self.world) | jaxrl.settings(self.learner)
        if envs.make(self.world).layout.image is not None:
            values = {"learner.network": "convolutional"} | values
        if not values.keys() <= known.keys():
            raise ValueError("of another learner or world")
        world, learner = envs.make(self.world, values), jaxrl.make(self.learner, values)
        curriculum = jaxrl.make_curriculum(self.curriculum)
        return jaxrl.Program(world, learner, LANES, (1,), curriculum=curriculum)

    def __str__(self) -> str:
        return ", ".join(self)


def faults_of(case: Case, functions: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a case's functions, with all of them by default; a line each."""
    try:
        program = case.program()
    except ValueError as error:
        return [f"{case}: {error}"]
    return [
        f"{case}: {name}: {what}"
        for name in functions or program._functions
        for what in faults(functools.partial(program._traced, name), most(program))
    ]


def most(program: jaxrl.Program) -> int:
    """Bytes that a lane may need for a while, by the sizes of its world and learner."""
    world, learner = program.world, program.learner
    inputs = world.layout.size * (learner.kernel**2 if world.layout.image else 1)  # patches
    twice = 2 if getattr(learner, "memory", "none") != "none" else 1
    return 4 * max(learner.steps_per_update, PROBED) * (inputs + learner.width) * A_UNIT * twice


def faults(trace: Callable[[], Any], allowed: float = 1e6) -> list[str]:
    """What is wrong with a function of some lanes on an accelerator, each of which may need so many bytes."""
    try:
        traced = trace()
        if called := {name for name in primitives(traced.jaxpr.jaxpr) if "callback" in name}:
            return [f"calls the host ({', '.join(sorted(called))})"]
        text = traced.lower(lowering_platforms=PLATFORMS).as_text()
        of_each = {one: traced.lower(lowering_platforms=(one,)).as_text() for one in PLATFORMS if "custom_call" in text}
    except Exception as error:
        return [f"cannot be lowered ({type(error).__name__}: {' '.join(str(error).split())[:200]})"]
    found = [
        f"{platform} has no {call}"
        for platform, lowered in of_each.items()
        for call in sorted({*re.findall(r"custom_call @(\w+)", lowered)} - CALLS[platform])
    ]
    found += [what for operation, what in WRONG.items() if operation in text]
    found += sorted({f"adds to {kind} in no fixed order" for kind in unordered(text)})
    if (needed := peak(traced.jaxpr.jaxpr) / LANES) > allowed:
        found.append(f"{needed / 1e6:.1f} MB a lane, of {allowed / 1e6:.1f} MB that its sizes explain")
    return found


def unordered(text: str) -> list[str]:
    """Types of what is scattered to with more than one number to a place, where the sum depends on the order."""
    scatters = re.findall(r'"stablehlo.scatter"(.*?)\(\{\n(.*?)\n *\}\).*? -> (\S+)', text, re.DOTALL)
    return [
        kind
        for options, combine, kind in scatters
        if "unique_indices = false" in options and "= stablehlo." in combine and re.search(r"f\d\d>", kind)
    ]


def primitives(jaxpr: Any) -> set[str]:
    """Names of all operations."""
    inside = (primitives(one) for equation in jaxpr.eqns for one in jaxprs_in_params(equation.params))
    return {equation.primitive.name for equation in jaxpr.eqns}.union(*inside)


@functools.cache
def peak(jaxpr: Any) -> int:
    """Bytes that a program needs beside its arguments if each operation writes its whole result: an upper bound."""
    last = {one: i for i, equation in enumerate(jaxpr.eqns) for one in equation.invars if not _literal(one)}
    last |= {one: len(jaxpr.eqns) for one in jaxpr.outvars if not _literal(one)}
    ends: dict[int, list[int]] = {}
    alive, most = 0, 0
    for i, equation in enumerate(jaxpr.eqns):
        within = max(map(peak, jaxprs_in_params(equation.params)), default=0)
        for one in equation.outvars:
            alive += _bytes(one.aval)
            ends.setdefault(last.get(one, i), []).append(_bytes(one.aval))
        most = max(most, alive + within)
        alive -= sum(ends.get(i, ()))
    return most


def _literal(variable: Any) -> bool:
    return hasattr(variable, "val")


def _bytes(kind: Any) -> int:
    return int(np.prod(kind.shape, dtype=int)) * kind.dtype.itemsize if hasattr(kind, "shape") else 0


@pytest.mark.parametrize("world", envs.WORLDS)
def test_every_world_lowers(world):
    assert faults_of(Case(world, "reinforce"), ("advance",)) == []


@pytest.mark.parametrize("name", ["CartPole-v1", "Breakout-MinAtar", "Catch-bsuite"])
def test_a_step_of_gymnax_and_the_reset_before_it_lower(name):
    world = envs.make(f"gymnax:{name}")

    def step(key):
        params = world.default_params
        state = world.reset_to_level(key, world.sample_level(key, params), params)
        return world.step(key, state, jnp.int32(0), params)

    keys = jax.random.split(jax.random.key(0), LANES)
    assert faults(functools.partial(jax.jit(jax.vmap(step)).trace, keys)) == []


@pytest.mark.parametrize("learner", jaxrl.LEARNERS)
def test_every_learner_lowers(learner):
    whole = learner in ("ppo", "es", "cloning")  # networks of the three kinds; the others differ in how they train
    assert faults_of(Case("coin-line", learner), () if whole else ("advance",)) == []


@pytest.mark.parametrize(
    "case",
    [
        *(Case("coin-line", "ppo", network) for network in ("separate", "memory", "pretrained")),
        Case("tests.envs.pictured:Pictured", "ppo", "residual"),
        Case("tests.envs.pictured:Pictured", "pqn", "convolutional"),
        *(Case("coin-line", "exact-gradient", network) for network in ("linear", "tabular")),
        *(Case("coin-line", "ppo", curriculum=name) for name in jaxrl.CURRICULA if name != "accel"),
        Case("maze-corner", "ppo", curriculum="accel"),
    ],
    ids=str,
)
def test_every_network_and_every_curriculum_lowers(case):
    assert faults_of(case, ("advance",)) == []


def test_coinruns_own_scale_lowers(monkeypatch):
    monkeypatch.setattr(banks, "DRAWN", 64)
    of_the_kept = lambda self: (Probe("at-end", "performance", ("coin",), banks._kept(self), 192),)  # noqa: E731
    monkeypatch.setattr(Platformer, "probes", of_the_kept)  # its own take 20 s to find
    values = sweeps.load_spec("platformer-coinrun").fixed
    world, learner = envs.make("platformer", values), jaxrl.make("ppo", values)
    program = jaxrl.Program(world, learner, LANES, (1,))
    assert world.layout.image[:2] == (13, 13) and learner.steps_per_update == 2**16
    assert faults(functools.partial(program._traced, "advance"), most(program)) == []


def test_what_would_go_wrong_is_found():
    def of_the_host(x):
        jax.debug.callback(lambda x: None, x)
        return x

    def of_repeated_rows(x):
        return jax.grad(lambda x: jnp.sum(x[jnp.array([0, 1, 1])] ** 2))(x)

    def of_pairs(x):
        wide = jnp.tile(x, 2_000)
        return jnp.sum(jnp.tanh(wide[:, None] - wide[None, :]))

    def of_the_cpu(x):
        return jax.scipy.linalg.schur(x[:, None] * x[None, :])

    def drawn(x):
        return jax.random.uniform(jax.random.key(0, impl="rbg"), x.shape)

    def found(function, x=np.arange(2, dtype=np.float32)):  # noqa: B008
        return faults(functools.partial(jax.jit(function).trace, x))

    assert found(jnp.tanh) == []
    assert found(of_the_host) == ["calls the host (debug_callback)"]
    (what,) = found(of_the_cpu)
    assert what.startswith("cannot be lowered (NotImplementedError: ")
    assert found(of_repeated_rows) == ["adds to tensor<2xf32> in no fixed order"]
    assert found(of_pairs) == ["64.0 MB a lane, of 1.0 MB that its sizes explain"]
    assert found(drawn) == ["draws numbers that depend on the platform"]
    with jax.enable_x64(True):
        assert found(jnp.tanh, np.arange(2.0)) == ["computes in float64"]
    assert faults_of(Case("coin-line", "ppo", "linear")) == [
        "coin-line, ppo, linear, random: of another learner or world"
    ]


def test_what_repeats_bits_on_a_gpu_is_an_option_of_xla():
    lowered = jax.jit(jnp.tanh).lower(1.0)
    assert lowered.compile(compiler_options=REPEATABLE)(1.0) == lowered.compile()(1.0)
    with pytest.raises(jax.errors.JaxRuntimeError, match="No such compile option"):
        lowered.compile(compiler_options={"xla_gpu_nonesuch": True})


def test_what_a_function_needs_at_most_is_what_is_alive_at_once():
    def needed(lanes):
        one = lambda x: jnp.sum(jnp.tanh(x @ x.T))  # noqa: E731
        return peak(jax.make_jaxpr(jax.vmap(one))(jnp.ones((lanes, 8, 4))).jaxpr)

    assert needed(1) == 4 * (8 * 8 + 8 * 8), "the product, and its tanh"
    assert needed(6) == 6 * needed(1)


def playable() -> list[str]:
    """Environments of gymnax that Chisel can play here."""
    names = []
    for name in envs.names():
        try:
            envs.make(name)
            names.append(name)
        except (ValueError, OSError):  # continuous actions, or no data to download
            continue
    return [name for name in names if name not in envs.WORLDS]


def product(worlds: list[str]) -> Iterator[Case]:
    """Every case that there may be; curricula with one learner."""
    for world in worlds or [*envs.WORLDS, *playable()]:
        for learner in jaxrl.LEARNERS:
            for network in NETWORKS:
                yield Case(world, learner, network)
        for curriculum in jaxrl.CURRICULA:
            yield Case(world, "ppo", curriculum=curriculum)


def main(*worlds: str) -> int:
    """All worlds by default. Of a world and a network, what does not depend on the learner is lowered once."""
    done, count, found = set(), 0, []
    for case in product([*worlds]):
        try:
            case.program()
        except ValueError:  # they do not go together
            continue
        network = case.world, jaxrl.LEARNERS[case.learner].apply, case.network
        what = faults_of(case, ("advance",) if network in done else ())
        done.add(network)
        count, found = count + 1, found + what
        print(f"{case}: {'; '.join(what) or 'lowers'}", flush=True)
    print(f"{count} programs, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
