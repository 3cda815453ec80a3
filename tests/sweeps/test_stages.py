"""Stages and pipelines: what they come to as arms and schedules, one program for all, and what is refused."""

import jax
import numpy as np
import pytest

from jaxrl.schedules import Settings, numbers_of, schedules_of
from sweeps.plan import make_plan
from sweeps.spec import SpecError, load_spec

HEAD = {"name": "a", "world": "kinds", "seeds": 2}
STAGES = {
    "red": {"env.paid_colour": 1},
    "square": {"env.paid_colour": 0, "env.paid_shape": 1},
    "loud": {"env.scale_colour": 2.0},
}
PIPELINES = {
    "red": ["red"],
    "red-square": ["red", "square"],
    "short": [{"stage": "square", "share": 0.25}, {"stage": "red", "share": 0.25}, {"stage": "loud", "share": 0.5}],
    "fresh": {"stages": ["red", "square"], "optimiser": "fresh"},
}


def spec(pipelines=PIPELINES, stages=STAGES, **more):
    return load_spec({**HEAD, "stages": stages, "pipelines": pipelines, **more})


def followed(condition, updates):
    """Some settings of a condition at each update."""
    plan = make_plan(spec())
    (planned,) = plan.programs
    program = planned.program.build()
    values = {key: value for key, value in condition.settings.items() if key not in planned.program.static}
    settings = jax.tree.map(lambda leaf: leaf[0], program.settings([values]))
    every = [settings.at(np.int32(update), updates, settings.clock()) for update in range(updates)]
    env, learner = zip(*every, strict=True)
    return {
        "colour": [int(one.paid_colour) for one in env],
        "shape": [int(one.paid_shape) for one in env],
        "scale": [float(one.scale_colour) for one in env],
        "reset": [
            update for update, one in enumerate(learner) if update == round(float(one.reset_optimiser_at) * updates)
        ],
    }


def test_each_pipeline_is_a_condition_and_all_share_a_program():
    plan = make_plan(spec())
    (planned,) = plan.programs
    assert [one.factors for one in planned.conditions] == [{"pipeline": name} for name in PIPELINES]
    assert plan.layer().part == "pipeline" and set(plan.layer().arms.values()) == set(PIPELINES)
    wanted = {
        "red": {"colour": [1] * 12, "shape": [0] * 12, "scale": [1.0] * 12, "reset": []},
        "red-square": {"colour": [1] * 6 + [0] * 6, "shape": [0] * 6 + [1] * 6, "scale": [1.0] * 12, "reset": []},
        "short": {"colour": [0] * 3 + [1] * 9, "shape": [1] * 3 + [0] * 9, "scale": [1.0] * 6 + [2.0] * 6, "reset": []},
        "fresh": {"colour": [1] * 6 + [0] * 6, "shape": [0] * 6 + [1] * 6, "scale": [1.0] * 12, "reset": [6]},
    }
    for one in planned.conditions:
        assert followed(one, 12) == wanted[one.factors["pipeline"]], one.factors


def test_what_a_stage_does_not_say_is_what_is_fixed_or_the_default():
    found = spec({"b": ["red", "loud"]}, fixed={"env.paid_colour": 3})
    (arm,) = found.arms.values()
    assert arm.fixed == {
        "env.paid_colour": 1, "schedules.env.paid_colour.at.1": 0.5, "schedules.env.paid_colour.to.1": 3,
        "env.scale_colour": 1.0, "schedules.env.scale_colour.at.1": 0.5, "schedules.env.scale_colour.to.1": 2.0,
    }  # fmt: skip


def test_pipelines_of_one_stage_need_no_schedule_and_cross_with_factors():
    found = spec({"red": ["red"], "loud": ["loud"]}, factors={"learner.entropy_coef": [0.01, 0.03]})
    assert not any(key.startswith("schedules.") for key in found.settings)
    (planned,) = make_plan(found).programs
    assert [tuple(one.factors.values()) for one in planned.conditions] == [
        ("red", 0.01), ("red", 0.03), ("loud", 0.01), ("loud", 0.03)
    ]  # fmt: skip


def test_a_spec_with_pipelines_is_the_same_when_it_is_read_again():
    found = spec()
    assert load_spec(found.given) == found
    assert [one.id for one in make_plan(load_spec(found.given)).conditions] == [
        one.id for one in make_plan(found).conditions
    ]


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"pipelines": {"a": ["reed"]}}, "pipelines.a", "'reed' is not a stage; nearest: red"),
        ({"pipelines": {"a": []}}, "pipelines.a", "[] is not a pipeline; expected a list of stages"),
        ({"pipelines": {"a": "red"}}, "pipelines.a", "'red' is not a pipeline; expected a list of stages"),
        ({"pipelines": {"a": ["red"]}, "stages": {}}, "pipelines.a", "'red' is not a stage; there are none"),
        ({"pipelines": {"a": [{"share": 1.0}]}}, "pipelines.a", "stage is missing in {'share': 1.0}"),
        ({"pipelines": {"a": [{"stage": "red", "for": 1}]}}, "pipelines.a", "for is no part of an entry"),
        ({"pipelines": {"a": {"stages": ["red"], "optimizer": "kept"}}}, "pipelines.a.optimizer", "no such key"),
        ({"pipelines": {"a": {"stages": ["red"], "optimiser": "new"}}}, "pipelines.a.optimiser", "(kept or fresh)"),
        ({"pipelines": {}}, "stages.red", "is in no pipeline"),
        (
            {"pipelines": {"a": [{"stage": "red", "share": 0.5}, {"stage": "square", "share": 0.4}]}},
            "pipelines.a",
            "the shares [0.5, 0.4] sum to 0.9; expected 1",
        ),
        (
            {"pipelines": {"a": [{"stage": "red", "share": 0.5}, "square"]}},
            "pipelines.a",
            "1 of 2 stages have a share; expected all or none",
        ),
        ({"pipelines": {"a": [{"stage": "red", "share": 0}]}}, "pipelines.a", "the share 0 is not a number in (0, 1]"),
        ({"stages": {"red": {"env.paid_color": 1}}}, "stages.red.env.paid_color", "nearest: env.paid_colour"),
        ({"stages": {"red": {"reward.payd": 1}}}, "stages.red.reward.payd", "nearest: reward.paid"),
        (
            {"stages": {"red": {"env.paid_colour": 0.5}}},
            "stages.red.env.paid_colour",
            "0.5 is not an integer in [0, 6]",
        ),
        ({"stages": {"red": {"env.colours": 3}}}, "stages.red.env.colours", "only numbers that are not compiled in"),
        ({"stages": {"red": 3}}, "stages.red", "3 is not a stage; expected a table of settings"),
        (
            {"schedules": {"env.scale_colour": {"kind": "step", "to": 2.0}}},
            "stages.loud.env.scale_colour",
            "schedules.env.scale_colour says what env.scale_colour is too",
        ),
        ({"factors": {"env.paid_shape": [1, 2]}}, "stages.square.env.paid_shape", "factors.env.paid_shape says"),
        ({"arms": {"x": {"env.pairs": 0.5}}}, "arms.x.env.pairs", "a spec has arms or pipelines"),
        (
            {"fixed": {"learner.reset_optimiser_at": 0.5}, "learner": "es"},
            "pipelines.fresh.optimiser",
            "no learner here has learner.reset_optimiser_at; expected kept",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(changes, where, said):
    with pytest.raises(SpecError) as error:
        spec(**{"pipelines": PIPELINES, "stages": STAGES, **changes})
    assert str(error.value).startswith(f"spec: {where}: ") and said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("stage", "where", "said"),
    [
        ({"env.paid_colour": 5}, "stages.late.env.paid_colour", "5, and there are 4 colours"),
        ({"env.paid_colour": 0}, "stages.late.env.paid_colour", "leaves no kind for the other thing"),
        ({"env.other_colour": 2}, "stages.late.env.other_colour", "every such thing is of a kind that pays"),
    ],
)
def test_a_stage_that_the_world_refuses_is_named_wherever_it_stands(stage, where, said):
    """After one in which green pays, which is fixed."""
    given = spec({"a": ["red", "late"]}, {"red": {"env.paid_colour": 1}, "late": stage}, fixed={"env.paid_colour": 2})
    with pytest.raises(SpecError) as error:
        make_plan(given)
    assert str(error.value).startswith(f"spec: {where}: ") and said in str(error.value)


def test_a_count_jumps_and_does_not_glide():
    kinds = {"schedules.env.paid_shape.kind": "step", "schedules.env.paid_shape.points": 1}
    lane = {"schedules.env.paid_shape.to": 6, "schedules.env.paid_shape.begin": 0.5}
    import envs
    import jaxrl

    schedules, world = schedules_of(kinds, []), envs.make("kinds")
    settings = Settings(world.params_of(lane), jaxrl.PPO().Params(), numbers_of(schedules, lane), schedules)
    values = [settings.at(update, 4, settings.clock())[0].paid_shape for update in range(4)]
    assert [int(one) for one in values] == [0, 0, 6, 6] and values[0].dtype == np.int32
    with pytest.raises(SpecError, match="schedules.env.paid_shape.kind: a count cannot be linear; expected step or"):
        load_spec({**HEAD, "schedules": {"env.paid_shape": {"kind": "linear", "to": 3}}})
    with pytest.raises(SpecError, match=r"schedules.env.paid_shape.to: 2.5 is not an integer in \[0, 6\]"):
        load_spec({**HEAD, "schedules": {"env.paid_shape": {"kind": "step", "to": 2.5}}})


def test_a_schedule_of_its_own_is_checked_after_each_jump_too():
    late = {"env.paid_colour": {"kind": "stages", "at": [0.5], "to": [5]}}
    with pytest.raises(SpecError, match="env.paid_colour: 5, and there are 4 colours"):
        make_plan(load_spec({**HEAD, "schedules": late}))
