"""A user's own code is a part of what a folder holds."""

import json

import pytest

from analysis.folder import read_manifest
from sweeps import SpecError, load_spec, make_plan, policies
from sweeps.layers import Part, opened

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
        "changed since; give another --out, or bring the file back."
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
        "meadow_watched:Meadow, has changed since; train again, or bring it back."
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
