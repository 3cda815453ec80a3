"""A user's own code is a part of what a folder holds."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.folder import read_manifest
from envs import CoinLine
from jaxrl import Policy
from jaxrl.networks import Linear
from sweeps import SpecError, load_spec, make_plan, policies, run, worker
from sweeps.layers import Part, opened
from tests.jaxrl.internals.known import zeros

CODE = """
from envs import CoinLine


class {name}(CoinLine):
    pass
"""


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Opens `out` for a sweep of a world in a file of its own, as `chisel run` does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def opening(module):
        spec = load_spec({"name": "own", "world": f"{module}:Meadow", "seeds": 2})
        with opened(tmp_path / "out", spec, Part(), "cpu", lambda: 2) as (sweep, _):
            return sweep

    return opening


def test_a_changed_world_file_is_named_and_refused(begin, tmp_path):
    code = tmp_path / "meadow_changed.py"
    code.write_text(CODE.format(name="Meadow"))
    assert begin("meadow_changed").grew == 0
    (layer,) = read_manifest(tmp_path / "out").layers
    assert list(layer.sources) == ["meadow_changed:Meadow"]
    begin("meadow_changed")
    code.write_text(CODE.format(name="Meadow") + "    # right is left\n")
    with pytest.raises(SpecError) as error:
        begin("meadow_changed")
    assert str(error.value) == (
        f"{tmp_path}/out: was trained with other code: meadow_changed.py, the file of meadow_changed:Meadow, has "
        "changed since; give another --out, or restore the file."
    )


def test_policies_of_a_changed_world_file_are_not_played(begin, tmp_path):
    code = tmp_path / "meadow_watched.py"
    code.write_text(CODE.format(name="Meadow"))
    begin("meadow_watched")
    (layer,) = read_manifest(tmp_path / "out").layers
    (condition,), (program,) = layer.conditions, layer.programs
    lane = {"condition": condition, "program": program, "world": layer.world, "learner": layer.learner}
    shard = policies._shard(layer, [lane | {"seed": 0, "master_seed": 0}], chunk=1)
    assert policies.built(tmp_path / "out", layer, shard).world.name == "coin-line"
    code.write_text(CODE.format(name="Meadow") + "    # right is left\n")
    with pytest.raises(SpecError) as error:
        policies.built(tmp_path / "out", layer, shard)
    assert str(error.value) == (
        f"{tmp_path}/out: its policies were trained with other code: meadow_watched.py, the file of "
        "meadow_watched:Meadow, has changed since; train again, or restore the file."
    )


def test_a_folder_of_before_sources_were_recorded_is_gone_on_with(begin, tmp_path):
    (tmp_path / "meadow_old.py").write_text(CODE.format(name="Meadow"))
    begin("meadow_old")
    manifest = tmp_path / "out" / "manifest.json"
    record = json.loads(manifest.read_text())
    assert record["layers"][0].pop("sources")
    manifest.write_text(json.dumps(record))
    assert begin("meadow_old").lanes == 2


def test_code_of_the_package_has_versions_and_no_digest():
    plan = make_plan(load_spec({"name": "ours", "world": "coin-line", "seeds": 1}))
    assert plan.sources == {} and plan.versions["world"] >= 1


@pytest.fixture
def cell(monkeypatch):
    """Runs a cell of a notebook, which defines a world and a network of no file."""
    session = sys.modules["__main__"]
    monkeypatch.delattr(session, "__file__", raising=False)

    def run_cell(*names):
        for name, base in {"Meadow": CoinLine, "Net": Linear}.items():
            if name in names:
                monkeypatch.setattr(session, name, type(name, (base,), {"__module__": "__main__"}), raising=False)
        return session

    return run_cell


OF_A_CELL = {"name": "own", "world": "__main__:Meadow", "seeds": 2, "fixed": {"learner.network": "__main__:Net"}}


def test_a_cell_that_runs_again_is_trained_as_it_is_now(cell, monkeypatch):
    monkeypatch.setattr(worker, "_programs", {})
    session = cell("Meadow", "Net")
    (planned,) = make_plan(load_spec(OF_A_CELL)).programs
    first = worker.built_here(planned.program)
    assert worker.built_here(planned.program) is first and type(first.world) is session.Meadow
    cell("Meadow")
    second = worker.built_here(planned.program)
    assert second is not first and type(second.world) is session.Meadow
    weights = jax.tree.map(np.ones_like, zeros(second.world, second.learner))
    _, state = second.world.reset(jax.random.key(0))
    played = Policy(second.world, second.world.default_params, second.learner, weights)
    assert played.logits(state).any()
    cell("Net")
    whole = Linear.__call__
    monkeypatch.setattr(session.Net, "__call__", lambda *given: jax.tree.map(jnp.zeros_like, whole(*given)))
    (probed,) = make_plan(load_spec(OF_A_CELL | {"probes": {"at": [1.0]}})).programs
    worker.built_here(probed.program)
    assert not played.logits(state).any(), "another program of the same classes"
    third = worker.built_here(planned.program)
    assert third is not second and type(third.learner.make_network(third.world)) is session.Net
    assert worker.built_here(planned.program) is third and len(worker._programs) == 2


def test_a_folder_of_a_cells_class_is_not_continued(cell, tmp_path):
    cell("Meadow", "Net")
    with opened(tmp_path / "out", load_spec(OF_A_CELL), Part(), "cpu", lambda: 2):
        pass
    with pytest.raises(SpecError) as error:
        run(OF_A_CELL, tmp_path / "out", executor_name="inline", quiet=True)
    assert str(error.value) == (
        f"{tmp_path}/out: has results already, but no file shows whether __main__:Meadow is still the class that "
        "trained them; give another folder, or move the class into a file."
    )
