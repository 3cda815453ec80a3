"""Summaries do not tell the order of hidden units, and tell what was written into weights."""

import jax
import numpy as np
import pandas as pd
import pytest

import analysis
import envs
import jaxrl
from jaxrl.internals import Summaries, layers_of
from jaxrl.internals.summaries import dimension, weights
from tests.envs.pictured import Pictured
from tests.jaxrl.internals.known import lanes_of, zeros

ROOM, LEARNER, WIDTH = envs.make("coin-run"), jaxrl.PPO(width=8), 8
SEEDS = 16


def drawn(seed):
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), zeros(ROOM, LEARNER))


def shuffled(policy, seed=0):
    """The same policy, with the hidden units of both layers in another order."""
    first, second = np.random.default_rng(seed).permuted(np.tile(np.arange(WIDTH), (2, 1)), axis=1)
    layers = jax.tree.map(np.copy, policy)["params"]
    for name, order in (("tower_0", first), ("tower_1", second)):
        layers[name] = {"kernel": layers[name]["kernel"][:, order], "bias": layers[name]["bias"][order]}
    layers["tower_1"]["kernel"] = layers["tower_1"]["kernel"][first]
    for head in ("policy", "value"):
        layers[head]["kernel"] = layers[head]["kernel"][:, second]
    return {"params": layers}


def louder(seed):
    """A policy, every other one of which has a second layer of larger weights."""
    policy = drawn(seed)
    policy["params"]["tower_1"]["kernel"] *= 1.5 if seed % 2 else 1.0
    return policy


@pytest.fixture(scope="module")
def found():
    """Of a policy and itself with its units in another order, and of policies with a label in the norm of a layer."""
    policies = [drawn(99), shuffled(drawn(99)), *map(louder, range(SEEDS))]
    columns = Summaries(ROOM, LEARNER, (), chunk=6)(lanes_of(policies, ["a"] * len(policies), ROOM))
    lanes = [pd.DataFrame({name: values[lane] for name, values in columns.items()}) for lane in range(len(policies))]
    return [one.set_index(["network", "of", "summary"])["value"].sort_index() for one in lanes]


def test_the_order_of_hidden_units_does_not_show(found):
    assert np.allclose(found[0]["trained"], found[1]["trained"], rtol=1e-4, atol=1e-5)
    assert not np.allclose(found[0]["trained"], found[2]["trained"], rtol=1e-2, atol=1e-2)


def test_they_are_of_weights_inputs_and_activations(found):
    of_weights, inputs, activations = (found[0]["trained", one] for one in ("weights", "inputs", "activations"))
    kernel = drawn(99)["params"]["tower_0"]["kernel"].astype(np.float64)
    assert of_weights["tower_0/kernel:std"] == pytest.approx(kernel.std())
    assert of_weights["tower_0/kernel:three-quarters"] == pytest.approx(np.quantile(kernel, 0.75))
    assert of_weights["tower_0/kernel:spectral"] == pytest.approx(np.linalg.svd(kernel)[1][0])
    rows = [name.startswith("coin_right=") for name in ROOM.layout.input_names]
    share = (kernel[rows] ** 2).sum() / (kernel**2).sum()
    assert inputs["tower_0:coin_right"] == pytest.approx(np.sqrt(share)) and len(inputs) == 4
    assert (inputs**2).sum() == pytest.approx(1)
    assert {name.partition(":")[0] for name in activations.index} == {"tower_0", "tower_1"}
    assert activations["tower_0:without:coin"] > 0.3


def test_untrained_networks_are_those_that_training_began_with(found):
    begun = found[0]["untrained", "weights"]
    assert begun["tower_1/kernel:spectral"] == pytest.approx(np.sqrt(2), rel=1e-4)  # orthogonal
    assert begun["tower_1/bias:max"] == 0
    assert not np.allclose(begun, found[2]["untrained", "weights"])


def test_a_label_in_the_norm_of_a_layer_is_told_and_a_random_one_is_not(found):
    df = pd.DataFrame([one["trained", "weights"] for one in found[2:]]).reset_index(drop=True)
    features, seeds = df.columns, np.arange(SEEDS)
    df = df.assign(seed=seeds, louder=seeds % 2 == 1, random=np.random.default_rng(1).permutation(seeds % 2 == 1))
    told = {one: analysis.decoded(df, features, one, permutations=50).iloc[0] for one in ("louder", "random")}
    assert told["louder"]["concordance"] > 0.95 and told["louder"]["p"] < 0.05
    assert told["random"]["low"] < 0.5 < told["random"]["high"]


def test_any_network_is_summed_up(monkeypatch):
    monkeypatch.setattr(
        "jaxrl.internals.summaries.OnPolicy", ()
    )  # without the untrained ones, which take long to compile
    linear = jaxrl.PPO(network="jaxrl.networks:Linear")
    columns = Summaries(ROOM, linear, (), chunk=1)(lanes_of([zeros(ROOM, linear)], ["a"], ROOM))
    assert not layers_of(ROOM, linear, zeros(ROOM, linear)) and "activations" not in columns["of"]
    world, learner = Pictured(), jaxrl.PPO(width=8, network="convolutional", memory="gru")
    columns = Summaries(world, learner, (), chunk=1)(lanes_of([zeros(world, learner)], ["a"], world))
    assert np.isfinite(columns["value"]).all() and "gru:std" in columns["summary"]


def test_a_policy_that_diverged_stops_nothing():
    kernels = np.stack([np.full((3, 2), np.nan), 2 * np.eye(3, 2)])
    found = weights({"params": {"tower_0": {"kernel": kernels}}})
    assert found["weights", "tower_0/kernel:spectral"][1] == 2 and np.isnan(found["weights", "tower_0/kernel:mean"][0])


def test_dimension_counts_directions():
    generator = np.random.default_rng(0)
    two = generator.normal(size=(1, 2000, 2)) @ np.linalg.qr(generator.normal(size=(5, 5)))[0][None, :2]
    assert dimension(two) == pytest.approx(2, abs=0.02) and dimension(two[:, :1]) == 0
    assert dimension(np.swapaxes(two[:, :4], 1, 2)).shape == (1,)
