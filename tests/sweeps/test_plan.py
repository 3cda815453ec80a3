import dataclasses
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

import jaxrl
from jaxrl.schedules import VERSIONS
from sweeps import SpecError, compiling, load_spec, make_plan, tables
from sweeps.cli import main
from sweeps.plan import content_id, lane_key
from sweeps.spec import PRESETS

SPEC = {
    "name": "a",
    "world": "coin-line",
    "seeds": 5,
    "factors": {"env.diversity": [0.0, 1.0], "env.length": [6, 8], "learner.learning_rate": [1e-3, 1e-2]},
    "run": {"chunk": 4},
}


def plan(**changes):
    return make_plan(load_spec(SPEC | changes))


def ids(plan):
    return [condition.id for condition in plan.conditions]


def test_conditions_that_differ_in_traced_values_alone_share_a_program():
    found = plan()
    assert [len(one.conditions) for one in found.programs] == [4, 4]
    assert {one.program.static["env.length"] for one in found.programs} == {6, 8}
    assert found.lanes == 40


def test_what_is_saved_besides_makes_another_program_of_the_same_conditions():
    plain, more = plan(), plan(save={"kernel": True})
    assert ids(plain) == ids(more) and not set(plain.shard_ids) & set(more.shard_ids)


def test_a_kind_of_schedule_that_means_something_else_makes_other_conditions(monkeypatch):
    moving = {kind: {"schedules": {"env.diversity": {"kind": kind, "to": 1.0}}, "factors": {}} for kind in VERSIONS}
    moving["linear"] = {"schedules": {"env.diversity": {"kind": "linear", "to": 1.0}}, "factors": {}}
    before = {kind: ids(plan(**changes)) for kind, changes in moving.items()}
    for kind in VERSIONS:
        monkeypatch.setitem(VERSIONS, kind, 99)
    assert {kind for kind, changes in moving.items() if ids(plan(**changes)) != before[kind]} == set(VERSIONS)


def test_a_conditions_id_is_its_meaning_and_nothing_else():
    reference = ids(plan())
    assert len(set(reference)) == 8
    assert (
        ids(plan(name="b", seeds=9, master_seed=7, keys="paired", run={"chunk": 2}, save={"policies": True}))
        == reference
    )
    assert ids(plan(fixed={"learner.discount": 0.97})) == reference  # the default, spelt out
    assert ids(plan(probes={"at": [1]})) == reference, "to look more often is not to train otherwise"
    assert set(ids(plan(fixed={"learner.discount": 0.9}))).isdisjoint(reference)
    alone = plan(factors={"env.diversity": [1.0]}, fixed={"env.length": 6, "learner.learning_rate": 1e-2})
    assert set(ids(alone)) < set(reference)


def test_ids_do_not_drift():
    """A change here makes every folder of earlier versions another spec's: raise a version instead, knowingly."""
    assert lane_key(0, "0123456789abcdef", 3) == (0x96598E2F, 0x5EEA30D0)
    assert content_id({"b": [1e-3, True], "a": "x"}) == "d5e6dffe28c6e3ae"


def test_a_setting_that_came_later_is_part_of_an_id_only_where_it_is_not_at_its_default():
    spec, key = load_spec(SPEC), "learner.discount"
    of_ppo = spec.of_learner["ppo"]

    def having(own, **changes):
        return ids(make_plan(dataclasses.replace(spec, of_learner={"ppo": own}, **changes)))

    marked = of_ppo | {key: dataclasses.replace(of_ppo[key], later=True)}
    without = having({name: one for name, one in of_ppo.items() if name != key})
    assert having(marked) == without != having(of_ppo)
    assert set(having(marked, fixed={key: 0.9})).isdisjoint(without)


LEARNERS = {
    "name": "a",
    "world": "coin-line",
    "seeds": 2,
    "fixed": {"env.length": 6, "learner.total_steps": 2048, "learner.entropy_coef": 0.02},
    "schedules": {"learner.clip_eps": {"kind": "linear", "to": 0.1}},
    "arms": {
        "ppo": {"learner.n_epochs": [1, 2]},
        "some-levels": {"curriculum.name": "finite", "curriculum.n_levels": 8},
        "cloning": {"learner.name": "cloning", "learner.scale": [0.1, 1.0]},
    },
}


def test_learners_and_curricula_are_factors_with_settings_of_their_own():
    found = make_plan(load_spec(LEARNERS))
    told = [(one.program.learner, one.program.curriculum, len(one.conditions)) for one in found.programs]
    assert sorted(told) == [("cloning", "random", 2), ("ppo", "finite", 1), ("ppo", "random", 1), ("ppo", "random", 1)]
    alone = make_plan(load_spec({key: value for key, value in LEARNERS.items() if key != "arms"}))
    assert alone.conditions[0].id not in ids(found), "the arm has another number of epochs"
    by_arm = {one.factors["arm"]: one for one in found.conditions}
    assert by_arm["cloning"].factors["learner.n_epochs"] is None
    assert not any("clip_eps" in key or "entropy" in key for key in by_arm["cloning"].settings)
    assert by_arm["some-levels"].settings["curriculum.n_levels"] == 8
    assert found.versions["learner.cloning"] == found.versions["curriculum.finite"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fixed": {"learner.name": "ppo"}}, "fixed.learner.name: is the same for all conditions; give it at the top"),
        ({"factors": {"learner.name": ["ppo", "pop"]}}, "factors.learner.name: 'pop' is not a learner; nearest: ppo"),
        (
            {"factors": {"learner.name": ["ppo", "cloning"], "learner.clip_eps": [0.1, 0.2]}},
            "factors.learner.clip_eps: cloning has no setting of this name; give it in an arm.",
        ),
        (
            {"arms": {"a": {"learner.name": "cloning", "learner.clip_eps": 0.1}, "b": {}}},
            "arms.b: is empty",
        ),
        ({"curriculum": "finite", "learner": "cloning"}, "curriculum.name: this learner takes no curriculum"),
        ({"curriculum": "fnite"}, "curriculum: 'fnite' is not a curriculum; nearest: finite"),
        ({"curriculum": "finite", "fixed": {"curriculum.n_levels": 0}}, "0 is not an integer in [1, 16,777,216]"),
        ({"fixed": {"curriculum.n_levels": 8}}, "random has no setting of this name"),
        (
            {"learner": "a2c", "save": {"kernel": True}},
            "save.kernel: shares are predicted for the learners ppo and cloning; expected false.",
        ),
        ({"learner": "no_such_module:Mine"}, "learner: no_such_module:Mine cannot be imported (ModuleNotFoundError"),
        ({"world": "envs:Goal"}, "world: 'envs:Goal' cannot be made here (envs:Goal is not a subclass of World)"),
    ],
)
def test_bad_choices_of_learner_and_curriculum_are_told_in_one_line(changes, said):
    with pytest.raises(SpecError) as error:
        make_plan(load_spec({"name": "a", "world": "coin-line", "seeds": 1} | changes))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_world_without_goals_has_no_rates_to_be_precise_about():
    spec = {"name": "a", "world": "gymnax:CartPole-v1", "seeds": 2, "precision": 0.1, "max_seeds": 8}
    with pytest.raises(SpecError, match="spec: precision: gymnax:CartPole-v1 has no goals, so no rates of labels"):
        make_plan(load_spec(spec))


def test_a_lanes_key_is_a_hash_of_master_seed_condition_and_seed():
    words = hashlib.blake2b(b'[7,"0123456789abcdef",3]').digest()[:8]
    assert lane_key(7, "0123456789abcdef", 3) == tuple(np.frombuffer(words, ">u4"))
    paired = hashlib.blake2b(b"[7,null,3]").digest()[:8]
    assert lane_key(7, None, 3) == tuple(np.frombuffer(paired, ">u4"))


def test_paired_conditions_share_keys_and_independent_ones_do_not():
    def keys(found):
        return {
            (condition.id, seed): tuple(key)
            for shard in found.shards()
            for (condition, seed), key in zip(shard.lanes, shard.keys(), strict=True)
        }

    independent, paired = keys(plan()), keys(plan(keys="paired"))
    assert len(set(independent.values())) == 40
    assert len(set(paired.values())) == 5
    assert next(plan().shards()).keys().dtype == np.uint32


def test_shards_cover_every_lane_once_in_order_of_condition_then_seed():
    found = plan(run={"chunk": 4, "shard_chunks": 2})
    shards = list(found.shards())
    assert [len(shard.lanes) for shard in shards] == [8, 8, 4] * 2
    lanes = [(condition.id, seed) for shard in shards for condition, seed in shard.lanes]
    assert lanes == [(one, seed) for one in ids(found) for seed in range(5)]
    assert len({shard.id for shard in shards}) == 6


def test_a_shards_id_says_what_is_in_it():
    reference = set(plan().shard_ids)
    assert reference == set(plan(name="b").shard_ids)
    for change in ({"master_seed": 1}, {"keys": "paired"}, {"run": {"chunk": 5}}, {"probes": {"at": [1]}}):
        assert reference.isdisjoint(plan(**change).shard_ids)


def test_a_lanes_values_are_its_traced_settings():
    shard = next(plan().shards())
    values = shard.values()[0]
    assert values.keys().isdisjoint(shard.program.static)
    assert values["env.diversity"] == 0.0
    assert values["learner.learning_rate"] == 1e-3


def test_a_default_that_depends_on_a_static_value_is_resolved():
    limits = {c.settings["env.length"]: c.settings["env.max_steps_in_episode"] for c in plan().conditions}
    assert limits == {6: 12, 8: 16}


def test_the_manifest_records_every_setting_of_every_condition():
    layer = plan().layer()
    assert layer.conditions.keys() == set(ids(plan()))
    conditions = {one: layer.settings_of(one) for one in layer.conditions}
    assert {one.id: one.settings for one in plan().conditions} == conditions
    assert {tuple(sorted(own)) for own in layer.conditions.values()} == {
        ("env.diversity", "env.length", "env.max_steps_in_episode", "learner.learning_rate")
    }, "what all conditions share is written once"
    assert layer.goals == [{"name": "coin", "role": "intended"}, {"name": "right-end", "role": "proxy"}]
    assert layer.versions.keys() >= {"world", "learner", "jax", "jaxlib"}


def test_a_factor_has_one_type_in_every_table_whatever_a_learner_knows():
    """ES has neither setting."""
    arms = {
        "ppo": {"learner.name": "ppo", "learner.previous_action": [True, False], "learner.n_epochs": [2, 4]},
        "es": {"learner.name": "es"},
    }
    found = make_plan(load_spec({"name": "a", "world": "coin-line", "seeds": 1, "arms": arms}))
    trained = SimpleNamespace(outcomes={"diverged": np.zeros(8, bool)})
    written = [tables.outcomes(shard, shard.lanes, {}, trained) for shard in found.shards()]
    for name, kind in {
        "learner.previous_action": pa.bool_(),
        "learner.n_epochs": pa.int64(),
        "arm": pa.string(),
    }.items():
        assert {table.schema.field(name).type for table in written} == {kind}
    both = pa.concat_tables(written, promote_options="permissive")
    assert sorted(both["learner.previous_action"].to_pylist(), key=str) == [False, False, None, True, True]
    assert sorted(both["learner.n_epochs"].to_pylist(), key=str) == [2, 2, 4, 4, None]


def test_goals_are_those_of_every_program():
    """The last program's world has one mark; the first has three."""
    found = make_plan(load_spec({"name": "a", "world": "objects", "seeds": 1, "factors": {"env.correlates": [3, 1]}}))
    assert [goal["name"] for goal in found.goals] == ["colour", "mark-1", "mark-2", "mark-3"]


ARMS = {
    "near": {"env.length": 6, "env.diversity": [0.0, 0.5]},
    "far": {"env.length": 8, "learner.discount": 0.9},
}


def test_an_arm_has_values_and_factors_of_its_own_and_shares_the_others():
    found = plan(factors={"learner.learning_rate": [1e-3, 1e-2]}, arms=ARMS, fixed={"env.diversity": 0.25})
    assert [one.factors for one in found.conditions] == [
        {"arm": arm, "env.diversity": diversity, "learner.learning_rate": rate}
        for arm, diversity in (("near", 0.0), ("near", 0.5), ("far", 0.25))
        for rate in (1e-3, 1e-2)
    ]
    told = [(one.settings["env.length"], one.settings["learner.discount"]) for one in found.conditions]
    assert told == [(6, 0.97)] * 4 + [(8, 0.9)] * 2
    assert len(found.programs) == 2, "the length is static"
    alone = plan(factors={"learner.learning_rate": [1e-3, 1e-2]}, fixed=ARMS["far"] | {"env.diversity": 0.25})
    assert ids(alone) == ids(found)[4:], "the name of an arm is no part of what is trained"


def test_arms_that_train_the_same_are_refused():
    arms = {"one": {"env.diversity": [0.0, 0.5]}, "two": {"env.diversity": 0.5}}
    with pytest.raises(SpecError, match=r"^spec: arms\.two: has a condition that arms\.one has too; give it in one"):
        plan(factors={}, arms=arms)


def test_a_complaint_names_the_arm_that_it_is_about():
    arms = {"near": {"env.button_forced": 0.4}, "far": {"env.button_forced": 0.7, "env.bin_forced": 0.5}}
    with pytest.raises(SpecError, match=r"^spec: arms\.far\.env\.button_forced: with env\.bin_forced the sum is 1\.2"):
        plan(world="trash-room", factors={}, arms=arms)
    scheduled = {"learner.learning_rate": {"kind": "piecewise", "at": [0.2, 0.5], "to": [0.1, 0.2]}}
    late = {"late": {"schedules.learner.learning_rate.at.1": 0.9}}
    with pytest.raises(
        SpecError, match=r"arms\.late\.schedules\.learner\.learning_rate\.at\.1: \[0\.9, 0\.5\] is not accepted"
    ):
        plan(factors={}, schedules=scheduled, arms=late)


def test_each_lane_draws_its_own_value_whatever_its_neighbours_and_the_condition_keeps_the_law():
    law = {"learner.learning_rate": {"low": 1e-4, "high": 1e-2, "scale": "log"}}
    factors = {"env.diversity": [0.0, 1.0]}
    found = plan(factors=factors, sampled=law, seeds=200)
    assert {str(one.settings["learner.learning_rate"]) for one in found.conditions} == {
        "{'low': 0.0001, 'high': 0.01, 'scale': 'log'}"
    }
    assert set(ids(found)).isdisjoint(ids(plan(factors=factors)))
    rates = [lane["learner.learning_rate"] for shard in found.shards() for lane in shard.values()]
    again = [
        one
        for shard in plan(factors=factors, sampled=law, seeds=3).shards()
        for one in shard.drawn("learner.learning_rate")
    ]
    assert again == [*rates[:3], *rates[200:203]]
    assert len(set(rates)) == 400
    places = np.log(np.array(rates) / 1e-4) / np.log(100)
    np.testing.assert_allclose(np.quantile(places, [0, 0.25, 0.5, 0.75, 1]), [0, 0.25, 0.5, 0.75, 1], atol=0.07)
    paired = plan(factors=factors, sampled=law, keys="paired")
    rates = [lane["learner.learning_rate"] for shard in paired.shards() for lane in shard.values()]
    assert rates[:5] == rates[5:] and len(set(rates)) == 5


@pytest.mark.slow
@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_preset_can_be_planned_and_has_its_name(preset):
    found = make_plan(load_spec(preset))
    assert found.spec.name == preset and found.lanes > 0


def test_plan_trains_nothing_and_prints_json_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jaxrl.Program, "memory", lambda self: {"per_lane_bytes": 4_000, "temporary_bytes": 6_000})
    times = iter([24.0, None])
    monkeypatch.setattr(compiling, "compile", lambda program, name: None)
    monkeypatch.setattr(compiling, "seconds", lambda name: next(times))
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "coin-run", "--json", "--set", "factors.env.height=[5, 6]"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["lanes"], len(plan["conditions"]), len(plan["programs"]), plan["shards"]) == (768, 12, 2, 96)
    assert plan["memory"] == {"per_lane": 4_000, "temporary": 6_000, "device": 8 * 4_000 + 6_000}
    assert plan["compiling"] == {"timed": 1, "seconds": 24.0}
    assert plan["half_width"] == pytest.approx(0.1277, abs=1e-4)
    assert plan["found"] == {"pairs": 66, "difference": 0.2639, "with_holm": 0.3735}
    assert plan["rarest"] == pytest.approx(1 - 0.05 ** (1 / 64))
    assert list(tmp_path.iterdir()) == []
