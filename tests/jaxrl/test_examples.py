"""The worked examples of docs/networks.md and docs/own-learner.md: a network and a learner of one's own."""

import re
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from tests.jaxrl import probe_world

DOCS = Path(__file__).parents[2] / "docs"
SMALL = {"learner.total_steps": 512, "learner.n_envs": 8, "learner.n_steps": 16, "learner.width": 8}


def example(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.S)[0]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a module that can be imported while the test runs; its name."""

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return write


@pytest.mark.slow
def test_a_convolutional_network_of_ones_own_trains(written):
    module = written("small_cnn", example("networks.md"))
    learner = jaxrl.make("a2c", SMALL | {"learner.network": f"{module}:SmallCNN"})
    program = jaxrl.Program(envs.make("gymnax:Catch-bsuite"), learner, 1, (1,))
    init, advance = (jax.jit(program._functions[name]) for name in ("init", "advance"))
    settings = program.settings([{}])
    before = init(np.zeros((1, 2), np.uint32), settings)[0]
    assert before.variables["params"]["Dense_0"]["kernel"].shape == (1, 10 * 5 * 16, 8), "it is given learner.width"
    after, tally, metrics = advance(before, settings, np.int32(4))
    assert tally.episodes[0] > 0 and np.isfinite(metrics.loss_value[0])
    kernels = [state.variables["params"]["convolution"]["kernel"] for state in (before, after)]
    assert np.abs(kernels[1] - kernels[0]).max() > 1e-4


def test_a_dense_layer_on_patches_is_a_convolution():
    names: dict = {}
    exec(example("networks.md"), names)
    generator = np.random.default_rng(0)
    image, kernel = generator.normal(size=(3, 6, 5, 2)), generator.normal(size=(3, 3, 2, 4))
    expected = nn.Conv(4, (3, 3), use_bias=False).apply({"params": {"kernel": jnp.asarray(kernel)}}, image)
    np.testing.assert_allclose(names["patches"](image) @ kernel.reshape(18, 4), expected, atol=1e-5)


BROKEN = """
import flax.linen as nn, jax.numpy as jnp
class Base(nn.Module):
    num_actions: int
    cardinalities: tuple
    vector_size: int
    @nn.compact
    def __call__(self, memory, observation, *before):
        logits = nn.Dense(self.actions())(observation.vector)
        return logits, nn.Dense(1)(observation.vector)[..., 0], memory
    def actions(self):
        return self.num_actions
class OneActionMore(Base):
    def actions(self):
        return self.num_actions + 1
class Fails(Base):
    def actions(self):
        raise KeyError("no actions")
class Bare(nn.Module):
    pass
Number = 3
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere:Net", r"^learner\.network: nowhere:Net cannot be imported \(ModuleNotFoundError: .*'nowhere'\)$"),
        ("broken:Absent", r"^learner\.network: broken:Absent cannot be imported \(AttributeError: .*'Absent'\)$"),
        ("broken:Number", r"^learner\.network: broken:Number is not a subclass of Module$"),
        ("broken:Bare", r"^learner\.network: broken:Bare cannot be used \(TypeError: .*num_actions'\)$"),
        ("broken:Fails", r"^learner\.network: broken:Fails cannot be used \(KeyError: 'no actions'\)$"),
        (
            "broken:OneActionMore",
            r"^learner\.network: broken:OneActionMore gives \(\(\(3, 3\).* expected logits, value and memory, .*3, 2",
        ),
    ],
)
def test_a_network_that_cannot_serve_is_refused_in_one_line_before_anything_compiles(written, name, said):
    written("broken", BROKEN)
    learner = jaxrl.make("ppo", SMALL | {"learner.network": name})
    with pytest.raises(ValueError, match=said) as error:
        jaxrl.Program(probe_world.ProbeWorld(), learner, 1)
    assert "\n" not in str(error.value)


def test_a_network_without_a_picture_keeps_fields_that_settings_of_convolutions_are_called_by(written):
    written("own", BROKEN + "class Own(Base):\n    channels: int = 7\n    width: int = 3\n")
    network = jaxrl.make("ppo", SMALL | {"learner.network": "own:Own"}).make_network(probe_world.ProbeWorld())
    assert network.channels == 7 and network.width == SMALL["learner.width"]


@pytest.mark.slow
def test_a_learner_of_ones_own_learns(written):
    name = written("one_step", example("own-learner.md")) + ":OneStep"
    assert jaxrl.settings(name)["learner.value_coef"].doc == "Weight of the value loss."
    counts = {"learner.total_steps": 20_480, "learner.n_envs": 8, "learner.n_steps": 8, "learner.width": 8}
    program = jaxrl.Program(probe_world.ProbeWorld(), jaxrl.make(name, counts), 1)
    init, advance = (jax.jit(program._functions[name]) for name in ("init", "advance"))
    settings = program.settings([{"env.kind": probe_world.BOTH, "learner.learning_rate": 1e-2}])
    state, *_ = advance(init(np.zeros((1, 2), np.uint32), settings)[0], settings, np.int32(300))
    _, tally, _ = advance(state, settings, np.int32(20))
    assert tally.returns / tally.episodes > 0.9
