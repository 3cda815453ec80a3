"""The exact learners: lane by lane against an implementation in float64 that shares nothing with them."""

import jax
import numpy as np
import pytest

import envs
import jaxrl
from jaxrl.exact import two_layer
from tests.jaxrl import coin_line_reference as reference

LANES = 16
KEYS = np.random.default_rng(0).integers(0, 2**32, (LANES, 2), dtype=np.uint32)


def made(learner, length, encoding, policy, steps, width=8, **values):
    """A program, and the settings of its lanes."""
    world = envs.make("coin-line", {"env.length": length, "env.encoding": encoding})
    made = jaxrl.make(learner, {"learner.total_steps": steps, "learner.policy": policy, "learner.width": width})
    lane = {"env.diversity": values["eps"], "learner.learning_rate": values["eta"], "learner.scale": values["sigma"]}
    return jaxrl.Program(world, made, LANES, (0, 1)), [lane] * LANES


def trained(learner, length, encoding, policy, steps, **values):
    """The program's stops, metrics at each [lanes, stops], the last state, and the first weights in float64."""
    program, lanes = made(learner, length, encoding, policy, steps, **values)
    settings, functions = program.settings(lanes), program._functions
    state, _ = jax.jit(functions["init"])(KEYS, settings)
    weights = {name: np.asarray(leaf, np.float64) for name, leaf in state.weights.items()}
    advance, seen = jax.jit(functions["advance"]), []
    for updates in np.diff([0, *program.stops]):
        state, _, metrics = advance(state, settings, np.int32(updates))
        seen.append(metrics)
    match policy:
        case "network":
            initial = {"a": weights["output"], "u": weights["hidden"].swapaxes(1, 2)}
        case "linear":
            initial = {"w": weights["weights"]}
        case _:
            initial = {"theta": weights["weights"].reshape(LANES, length + 1, length + 1)}
    return program.stops, jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *seen), state, initial


CELLS = [
    ("network", "absolute", 4, 0.0, 0.3, 0.03),
    ("network", "absolute", 8, 0.05, 1.0, 0.01),
    ("network", "absolute", 5, 1.0, 0.1, 0.1),
    ("linear", "absolute", 8, 0.2, 0.3, 0.02),
    ("linear", "relative", 4, 0.0, 1.0, 0.1),
    ("linear", "one-hot", 4, 0.1, 1.0, 0.3),
    ("tabular", "one-hot", 4, 0.5, 1.0, 0.5),
]


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "encoding", "length", "eps", "sigma", "eta"), CELLS)
@pytest.mark.parametrize("learner", ["cloning", "exact-gradient"])
def test_every_lane_follows_the_float64_trajectory(learner, policy, encoding, length, eps, sigma, eta):
    steps = 200
    stops, found, state, initial = trained(learner, length, encoding, policy, steps, eps=eps, sigma=sigma, eta=eta)
    seen = "state" if policy == "tabular" else encoding
    if learner == "cloning":
        expected = reference.clone(initial, seen, length, eps, eta, steps, stops)
        loss, competence = expected.loss, 1 - expected.error
    else:
        expected = reference.ascend(initial, seen, length, eps, eta, steps, stops, delta=0.01)
        loss, competence = -expected.success, expected.success
        np.testing.assert_array_equal(state.competent_at, expected.first_step)
    np.testing.assert_allclose(found.probe_logit, expected.score, atol=2e-3, rtol=2e-3)
    np.testing.assert_allclose(found.loss, loss, atol=1e-4)
    np.testing.assert_allclose(found.competence, competence, atol=1e-4)


def test_the_network_and_its_gradients_are_those_of_automatic_differentiation():
    keys = jax.random.split(jax.random.key(0), 4)
    inputs, hidden, output, pull = (
        jax.random.normal(key, shape) for key, shape in zip(keys, [(30, 3), (3, 16), (16,), (30,)], strict=True)
    )
    hidden = hidden.at[:, 0].set(0.0)  # a unit at the kink, whose derivative is 0
    plain = lambda hidden, output: jax.nn.relu(inputs @ hidden) @ output  # noqa: E731
    value, back = jax.vjp(lambda *weights: two_layer(inputs, *weights), hidden, output)
    expected, plain_back = jax.vjp(plain, hidden, output)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for one, other in zip(back(pull), plain_back(pull), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.slow
def test_the_probed_policy_is_the_trained_one():
    """The greedy fork episode goes right where the logit at the probe is positive, and left where it is negative.

    Curves and outcomes are those of the same steps without probes.
    """
    case, values = ("cloning", 4, "absolute", "network", 50), {"eps": 0.2, "sigma": 1.0, "eta": 0.01}
    program, lanes = made(*case, **values)
    found = program.train(KEYS, lanes)
    _, metrics, state, _ = trained(*case, **values)
    np.testing.assert_array_equal(found.outcomes["competent_at"], state.competent_at)
    for name in ("probe_logit", "loss", "competence"):
        np.testing.assert_allclose(found.curves[name], getattr(metrics, name), rtol=1e-5)
    (fork,) = [
        record
        for record in found.probes
        if (record["probe"], record["sampled"], record["checkpoint"]) == ("fork", False, 1.0)
    ]
    logit = found.curves["probe_logit"][:, -1]
    assert np.all((fork["reached.right-end"][:, 0] < 0) | (logit > 0))
    assert (logit > 0).any() and (logit < 0).any()


def test_worlds_that_cannot_be_written_out_are_refused_in_one_line():
    for world, static, message in (
        ("coin-run", {}, "learner: exact learners need a world with two actions"),
        ("coin-line", {"learner.policy": "tabular"}, "learner.policy: tabular needs observations that are indices"),
    ):
        with pytest.raises(ValueError, match=message):
            jaxrl.Program(envs.make(world), jaxrl.make("cloning", static), 2)
