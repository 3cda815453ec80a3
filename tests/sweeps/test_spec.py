"""Every mistake in a spec is one line that says where, what was found and what would do, with exit code 2."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import envs
from sweeps import SpecError, load_spec
from sweeps.cli import main
from sweeps.plan import make_plan
from sweeps.spec.keys import KEYS, REQUIRED, SECTIONS

GOOD = """
name = "sweep"
world = "coin-run"
seeds = 2
[fixed]
learner.learning_rate = 1e-3
[factors]
env.diversity = [0.0, 1.0]
"""


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs a spec that must be refused, and returns the line."""
    monkeypatch.chdir(tmp_path)

    def run(content: str | bytes | None, *arguments: str, spec: str = "sweep.toml") -> str:
        if content is not None:
            (tmp_path / "sweep.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
        assert main(["run", spec, *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert not (tmp_path / "results").exists()
        assert len(err.splitlines()) == 1
        return err.removesuffix("\n")

    return run


def test_the_message_for_an_unknown_factor_reads_as_documented(refused):
    line = refused(GOOD.replace("env.diversity", "env.divresity"))
    assert line == (
        "sweep.toml: factors.env.divresity: coin-run has no factor of this name; "
        "nearest: env.diversity (a probability in [0, 1])."
    )


PROBABILITY = "a probability in [0, 1]"
OVERRIDES = {
    # what is set: where the line points, what it says
    "world='coin-rum'": ("world", "'coin-rum' is not a world; nearest: coin-run"),
    "world=3": ("world", "3 is not a name"),
    "learner='pop'": ("learner", "'pop' is not a learner; nearest: ppo"),
    "sede=3": ("sede", "a spec has no such key; nearest: seeds"),
    "env.diversity=0.5": (
        "env.diversity",
        "the spec gives it as factors.env.diversity; change that: --set 'factors.env.diversity=[VALUE, ...]'",
    ),
    "env.height=[5, 6]": ("env.height", "[5, 6] is a list; for a factor: --set 'factors.env.height=[VALUE, ...]'"),
    "env.heihgt=5": ("env.heihgt", "a spec has no such key; nearest: env.height."),
    "learner.discount=1.5": ("fixed.learner.discount", f"1.5 is not {PROBABILITY}"),
    "learner.discount=.5": ("fixed.learner.discount", "TOML writes 0.5."),
    "run.chunks=3": ("run.chunks", "nearest: run.chunk"),
    "fixed.learner.learning_rat=1": (
        "fixed.learner.learning_rat",
        "ppo has no setting of this name; nearest: learner.le",
    ),
    "fixed=3": ("fixed", "a spec has no such key"),
    "fixed.env.max_steps_in_episode=2.5": ("fixed.env.max_steps_in_episode", "2.5 is not an integer of at least 1"),
    "fixed.learner.discount=1.5": ("fixed.learner.discount", f"1.5 is not {PROBABILITY}"),
    "fixed.learner.discount=nan": ("fixed.learner.discount", f"nan is not {PROBABILITY}"),
    "fixed.learner.discount=true": ("fixed.learner.discount", f"True is not {PROBABILITY}"),
    "fixed.learner.discount=high": ("fixed.learner.discount", f"'high' is not {PROBABILITY}"),
    "fixed.learner.discount=[1]": ("fixed.learner.discount", f"[1] is not {PROBABILITY}"),
    "fixed.learner.discount=1979-05-27": ("fixed.learner.discount", f"is not {PROBABILITY}"),
    "fixed.learner.learning_rate=inf": ("fixed.learner.learning_rate", "inf is not a finite number of at least 0"),
    f"fixed.learner.learning_rate=0x{'f' * 9000}": (
        "fixed.learner.learning_rate",
        "a very large number is not a finite number of",
    ),
    "fixed.learner.total_steps=-5": ("fixed.learner.total_steps", "-5 is not an integer in [1, 800,000,000]"),
    "fixed.learner.towers='twin'": ("fixed.learner.towers", "'twin' is not one of shared, separate"),
    "factors.env.diversity=[0, 2]": ("factors.env.diversity", f"2 is not {PROBABILITY}"),
    "factors.env.diversity=[]": ("factors.env.diversity", f"is empty; expected one value or more, each {PROBABILITY}"),
    "factors.env.diversity=0.5": ("factors.env.diversity", "0.5 is not a list; expected a list of values"),
    "factors.env.diversity=[0, 0.0]": ("factors.env.diversity", "0.0 is given twice"),
    "factors.learner.learning_rate=[0.1]": ("fixed.learner.learning_rate", "is a factor too"),
    "schedules.env.diversity.to=1": (
        "schedules.env.diversity.kind",
        "is missing; expected one of linear, cosine, step",
    ),
    "schedules.env.diversity={kind='linaer', to=1}": (
        "schedules.env.diversity.kind",
        "'linaer' is not a kind of schedule; nearest: linear",
    ),
    "schedules.env.divresity.kind='step'": ("schedules.env.divresity.kind", "nearest: env.diversity"),
    "schedules=3": ("schedules", "a spec has no such key"),
    "schedules.env.diversity=0.5": ("schedules.env.diversity", "0.5 is not a schedule; expected a table with kind"),
    "schedules.env.diversity={kind=3, to=1}": ("schedules.env.diversity.kind", "3 is not a name; expected text in"),
    "schedules.env.height={kind='step', to=5}": ("schedules.env.height", "only numbers that are neither static nor"),
    "schedules.env.diversity={kind='step'}": ("schedules.env.diversity.to", f"is missing; expected {PROBABILITY}"),
    "schedules.env.diversity={kind='step', to=2}": ("schedules.env.diversity.to", f"2 is not {PROBABILITY}"),
    "schedules.env.diversity={kind='step', to=1, end=1}": (
        "schedules.env.diversity.end",
        "a step schedule has no such number; it has kind, to, begin",
    ),
    "schedules.env.diversity={kind='piecewise', to=1}": ("schedules.env.diversity", "two lists of as many numbers"),
    "schedules.env.diversity={kind='piecewise', at=[0.5, 0.2], to=[1, 0]}": (
        "schedules.env.diversity.at",
        "expected rising shares of training",
    ),
    "arms=3": ("arms", "a spec has no such key"),
    "arms.late=3": ("arms.late", "3 is not an arm; expected a table of settings"),
    "arms.late={env.divresity=0.5}": ("arms.late.env.divresity", "nearest: env.diversity"),
    "arms.late={learner.discount=2}": ("arms.late.learner.discount", f"2 is not {PROBABILITY}"),
    "arms.late={learner.gae_lambda=[]}": ("arms.late.learner.gae_lambda", "is empty; expected one value or more"),
    "arms.late={env.diversity=0.5}": ("arms.late.env.diversity", "is a factor of all arms too"),
    "arms.late={}": ("arms.late", "is empty; expected settings, or leave it out"),
    "arms.late={schedules.learner.clip_eps.kind='step'}": ("arms.late.schedules.learner.clip_eps.kind", "nearest:"),
    "sampled.learner.clip_eps={}": ("sampled.learner.clip_eps", "is empty"),
    "sampled.learner.clip_eps=0.5": (
        "sampled.learner.clip_eps",
        "0.5 is not a distribution for a setting; expected KEY = {",
    ),
    "sampled.learner.clip_esp={low=0.1, high=0.2}": ("sampled.learner.clip_esp", "nearest: learner.clip_eps"),
    "sampled.learner.clip_eps={low=0.1}": ("sampled.learner.clip_eps.high", "is missing; expected a finite number"),
    "sampled.learner.clip_eps={low=0.3, high=0.2}": ("sampled.learner.clip_eps.high", "0.2 is not above low, 0.3"),
    "sampled.learner.gae_lambda={low=0.5, high=2}": ("sampled.learner.gae_lambda.high", f"2 is not {PROBABILITY}"),
    "sampled.learner.gae_lambda={low=0, high=1, scale='log'}": (
        "sampled.learner.gae_lambda.low",
        "0 has no logarithm here; expected at least 1e-30",
    ),
    "sampled.learner.gae_lambda={low=0, high=1, scale='lin'}": ("sampled.learner.gae_lambda.scale", "nearest: linear"),
    "sampled.learner.width={low=8, high=64}": ("sampled.learner.width", "only numbers that are neither counts nor"),
    "sampled.env.diversity={low=0, high=1}": ("sampled.env.diversity", "is fixed, a factor or scheduled too"),
    "sampled.learner.learning_rate={low=0.1, high=0.2}": ("sampled.learner.learning_rate", "is fixed, a factor"),
    "seeds=0": ("seeds", "0 is not an integer of at least 1"),
    "seeds=-1": ("seeds", "-1 is not"),
    "seeds=2.0": ("seeds", "2.0 is not an integer"),
    "seeds=2000000000": ("seeds", "is more than 10,000,000 lanes"),
    "precision=0.1": ("precision", "is given without max_seeds; expected both, or seeds alone"),
    "max_seeds=9": ("max_seeds", "is given without precision"),
    "precision=0": ("precision", "0 is not a finite number in [0.001, 0.5]"),
    "max_seeds=0": ("max_seeds", "0 is not an integer of at least 1"),
    "precisoin=0.1": ("precisoin", "nearest: precision"),
    "master_seed=-1": ("master_seed", "-1 is not an integer in [0, 9,223,372,036,854,775,807]"),
    "master_seed=9223372036854775808": ("master_seed", "is not an integer in [0, 9,223,372,036,854,775,807]"),
    "fixed.env.max_steps_in_episode=2147483648": (
        "fixed.env.max_steps_in_episode",
        "2147483648 is not an integer in [1, 2,147,483,647]",
    ),
    "fixed.learner.learning_rate=1e39": (
        "fixed.learner.learning_rate",
        "1e+39 is not a finite number of at least 0, smaller than 1e+38",
    ),
    "fixed.learner.clip_eps=1e-50": (
        "fixed.learner.clip_eps",
        "1e-50 is 0 in float32, and not a finite number above 0",
    ),
    "fixed.learner.clip_eps=1e-40": ("fixed.learner.clip_eps", "1e-40 is 0 in float32"),
    "factors.learner.discount=[0.99999999, 1.0]": (
        "factors.learner.discount",
        "0.99999999 and 1.0 are one number in float32; expected distinct values",
    ),
    "arms.a.learner.discount=[0.99999999, 1.0]": ("arms.a.learner.discount", "are one number in float32"),
    "sampled.learner.clip_eps={low=0.2, high=0.200000001}": (
        "sampled.learner.clip_eps.high",
        "0.200000001 is not above low, 0.2, in float32",
    ),
    "schedules.env.diversity={kind='piecewise', at=[0.5, 0.500000001], to=[1, 0]}": (
        "schedules.env.diversity.at.1",
        "expected rising shares of training",
    ),
    "fixed.learner.learning_rate=.001": (
        "fixed.learner.learning_rate",
        "'.001' is not a finite number of at least 0; TOML writes 0.001.",
    ),
    "fixed.learner.learning_rate=1.": ("fixed.learner.learning_rate", "; TOML writes 1.0."),
    "save.policies=True": (
        "save.policies",
        "'True' is not true or false, or 'checkpoints'; TOML writes true.",
    ),
    "factors.learner.activation=[tanh,relu]": (
        "factors.learner.activation",
        '; TOML writes ["tanh", "relu"] (put the argument in single quotes).',
    ),
    "factors.env.diversity=[.5, 1.]": ("factors.env.diversity", "; TOML writes [0.5, 1.0]."),
    "fixed.approval.horizon=0": ("fixed.approval.horizon", "0 is not an integer of at least 1"),
    "factors.approval.noise=[0.5, -0.1]": ("factors.approval.noise", "-0.1 is not a finite number of at least 0"),
    "fixed.learner.labels=0": ("fixed.learner.labels", "0 is not an integer of at least 1"),
    "factors.learner.label_noise=[-0.1]": ("factors.learner.label_noise", "-0.1 is not a probability in [0, 1]"),
    "keys='shared'": ("keys", "'shared' is not one of independent, paired"),
    "save.policies=1": ("save.policies", "1 is not true or false, or 'checkpoints'"),
    "run.chunk=0": ("run.chunk", "0 is not an integer in [1, 1,000,000]"),
    "probes.at=[0, 2]": ("probes.at", "[0, 2] is not accepted; expected rising fractions of training"),
    "probes.at=[true]": ("probes.at", "[True] is not accepted"),
    "probes.at=[0.5, 0.25, 1]": ("probes.at", "is not accepted"),
    "probes.at=[0.5]": ("probes.at", "that end with 1"),
    "name='../x'": ("name", "'../x' is not a plain folder name"),
    "name='/abs'": ("name", "'/abs' is not a plain folder name"),
    "name=''": ("name", "'' is not a plain folder name"),
    "name='a\\nb'": ("name", "is not a plain folder name"),
}


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda text: text[:40])
def test_a_wrong_value_is_refused(refused, override):
    path, message = OVERRIDES[override]
    line = refused(GOOD, "--set", override)
    origin, _, told = line.partition(": ")
    assert origin in ("--set", "sweep.toml") and told.startswith(f"{path}: ")
    assert message in line


def test_max_seeds_are_not_fewer_than_the_first_round_nor_more_than_a_sweep_holds(refused):
    line = refused(GOOD, "--set", "precision=0.1", "--set", "max_seeds=1")
    assert line == "--set: max_seeds: 1 is fewer than the first round's, seeds = 2."
    line = refused(GOOD, "--set", "precision=0.1", "--set", "max_seeds=9000000")
    assert line.startswith("--set: max_seeds: 9000000 for each of 2 conditions is more than 10,000,000 lanes")


def test_an_override_that_is_no_assignment_is_refused(refused):
    assert refused(GOOD, "--set", "seeds") == "--set: seeds: is not KEY=VALUE; for example seeds=8."


def test_static_values_that_do_not_fit_point_at_the_key(refused):
    line = refused(GOOD, "--set", "fixed.env.height=1")
    assert line.startswith("sweep.toml: fixed.env.height: a room of 1 x 9 has too few cells")
    line = refused(GOOD, "--set", "factors.learner.n_minibatches=[4, 3]")
    assert line == (
        "sweep.toml: factors.learner.n_minibatches: 3 does not divide the batch of 1024 (n_envs 32 x n_steps 32)."
    )
    line = refused(GOOD, "--set", "fixed.learner.total_steps=100")
    assert line.startswith("sweep.toml: fixed.learner.total_steps: 100 is less than one batch of 1024")


def test_approval_that_a_world_or_a_learner_cannot_have_points_at_the_key(refused):
    asked = "--set", "fixed.approval.kind='decoupled'"
    line = refused(GOOD, *asked, "--set", "learner='reinforce'")
    assert line.startswith(
        "sweep.toml: fixed.approval.kind: this learner cannot learn from decoupled approval; expected none"
    )
    line = refused(GOOD, *asked, "--set", "factors.approval.horizon=[1, 2]")
    assert line.startswith("sweep.toml: factors.approval.horizon: 2, and approval.kind is decoupled, of one action")
    line = refused(GOOD.replace('"coin-run"', '"bandit"').replace("env.diversity", "env.lamp_presence"), *asked)
    assert "fixed.approval.kind: bandit has no setting of this name" in line


def test_a_learnt_reward_that_a_world_or_a_learner_cannot_have_points_at_the_key(refused):
    asked = "--set", "fixed.learner.reward_model_updates=1"
    line = refused(GOOD, *asked, "--set", "factors.learner.labels=[16, 2048]")
    assert line.startswith("sweep.toml: factors.learner.labels: 2048 is more than learner.most_labels, which is 1024")
    line = refused(GOOD.replace('"coin-run"', '"bandit"').replace("env.diversity", "env.lamp_presence"), *asked)
    assert line.startswith("sweep.toml: fixed.learner.reward_model_updates: an overseer judges by an intended goal")
    line = refused(GOOD, *asked, "--set", "learner='es'")
    assert "fixed.learner.reward_model_updates: es has no setting of this name" in line


FILES = {
    "syntax": (GOOD + "x = = 3\n", "sweep.toml: line 9, column 5: Invalid value; expected TOML."),
    "syntax at the end": ("name = [1,", "sweep.toml: line 1, end of document: "),
    "not UTF-8": (b"name = '\xff'", "sweep.toml: byte 0xff on line 1 is not UTF-8; save the file as UTF-8."),
    "nested without end": ("a = " + "[" * 5000, "sweep.toml: is nested too deeply"),
    "a number without end": ("seeds = " + "9" * 5000, "sweep.toml: line 1: "),
    "given twice": (GOOD + 'learner."learning_rate" = [1]\n"learner.learning_rate" = [2]\n', "is given twice"),
    "an arm of no name": (GOOD + '[arms."a\\nb"]\nlearner.gae_lambda = 0.5\n', "is not a plain name; expected letters"),
    "no name": (GOOD.replace('name = "sweep"', ""), "sweep.toml: name: is missing"),
    "no seeds": (GOOD.replace("seeds = 2", ""), "sweep.toml: seeds: is missing; expected an integer of at least 1"),
    "empty": ("", "sweep.toml: world: is missing"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_spec_is_refused(refused, kind):
    content, message = FILES[kind]
    assert message in refused(content)


def test_a_missing_file_and_an_unknown_preset_are_refused(refused, tmp_path):
    line = refused(None, spec="none.toml")
    assert line.startswith("none.toml: no such file; expected a .toml file or a preset (breadth, breeding, ")
    assert refused(None, spec="coin-rum").startswith("coin-rum: no preset has this name; nearest: coin-run; or give")
    (tmp_path / "folder.toml").mkdir()
    assert refused(None, spec="folder.toml").startswith("folder.toml: cannot be read (Is a directory)")


def test_a_wrong_command_line_is_one_line(capsys):
    assert main(["run"]) == 2
    assert main(["run", "coin-run", "--workers", "0"]) == 2
    assert main(["status", "no-such-folder"]) == 2
    assert main(["rates", "no-such-folder", "--by", "x"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "chisel run: the following arguments are required: SPEC (see chisel run --help)",
        "chisel run: argument --workers: '0' is not an integer of at least 1 (see chisel run --help)",
        "no-such-folder: is not a results folder: there is no such folder.",
        "no-such-folder: is not a results folder: there is no such folder.",
    ]


def test_nested_and_quoted_keys_mean_the_same():
    head = {"name": "a", "world": "coin-run", "seeds": 1}
    nested = load_spec({**head, "factors": {"env": {"diversity": [0, 1]}}})
    assert nested == load_spec({**head, "factors": {"env.diversity": [0.0, 1.0]}})
    assert nested.factors == {"env.diversity": (0.0, 1.0)}


def test_overrides_are_toml_or_bare_strings_and_replace_whole_tables():
    spec = load_spec("coin-run", ["seeds=8", "keys=paired", "factors={env.height=[5, 6]}", "fixed.env.diversity = 1"])
    assert (spec.seeds, spec.keys, spec.factors, spec.fixed) == (
        8, "paired", {"env.height": (5, 6)}, {"env.diversity": 1.0},
    )  # fmt: skip


def test_a_setting_by_its_own_key_is_fixed_unless_the_spec_gives_it_elsewhere():
    head = {"name": "a", "world": "coin-run", "seeds": 1}
    short = load_spec({**head, "fixed": {"env.height": 5}}, ["env.height=6", "learner.learning_rate=0.1"])
    assert short == load_spec(head, ["fixed.env.height=6", "fixed.learner.learning_rate=0.1"])
    for there, given in (
        ("arms.one.env.height", {"arms": {"one": {"env.height": 5}, "two": {"env.width": 6}}}),
        ("sampled.env.diversity", {"sampled": {"env.diversity": {"low": 0.1, "high": 0.5}}}),
        ("fixed.env.height", {}),
    ):
        key = there.split(".", 1)[1].removeprefix("one.")
        more = [f"fixed.{key}=7"] * (not given)
        with pytest.raises(SpecError, match=rf"^--set: {key}: (the spec gives it|is given) as {there}"):
            load_spec(head | given, [*more, f"{key}=0.25"])
    stages = {"stages": {"red": {"env.paid_colour": 1}}, "pipelines": {"red": ["red"]}}
    with pytest.raises(SpecError, match=r"^--set: env.paid_colour: the spec gives it as stages.red.env.paid_colour"):
        load_spec({**head, "world": "kinds", **stages}, "env.paid_colour=0")


def test_values_from_a_notebook_mean_what_they_print():
    head = {"name": "a", "world": "coin-run"}
    python = load_spec(
        {
            **head, "seeds": 2, "save.policies": True, "probes.at": [0, 1],
            "factors": {"env.diversity": [0.0, 0.1], "learner.width": [8, 16]},
        }
    )  # fmt: skip
    numpy = load_spec(
        {
            **head, "seeds": np.int64(2), "save.policies": np.bool_(True), "probes.at": (0, np.float64(1)),
            "factors": {"env.diversity": np.array([0.0, 0.1], np.float32), "learner.width": jnp.array([8, 16])},
        }
    )  # fmt: skip
    assert numpy == python
    assert json.dumps(numpy.given)  # goes into the manifest
    assert [one.id for one in make_plan(numpy).conditions] == [one.id for one in make_plan(python).conditions]
    assert load_spec({**head, "seeds": 1}, "seeds=3").seeds == 3


def test_two_arms_with_a_condition_that_is_one_in_float32_are_refused():
    head = {"name": "a", "world": "coin-run", "seeds": 1}
    arms = {"one": {"learner.discount": 0.99}, "two": {"learner.discount": 0.9900000001}}
    with pytest.raises(SpecError, match="arms.two: has a condition that arms.one has too; give it in one of them"):
        make_plan(load_spec({**head, "arms": arms}))


def test_an_arm_that_names_its_learner_takes_what_that_learner_takes():
    head = {"name": "sweep", "world": "coin-run", "seeds": 1}
    bred, gradient = {"learner.name": "es", "learner.depth": 0}, {"learner.name": "a2c"}
    assert load_spec({**head, "arms": {"bred": bred, "gradient": gradient}}).arms["bred"].fixed["learner.depth"] == 0
    for arms, line in (
        ({"bred": bred, "gradient": {**gradient, "learner.depth": 0}}, "arms.gradient.learner.depth: 0 is not an int"),
        ({"bred": {**bred, "learner.name": ["es", "a2c"]}}, "arms.bred.learner.depth: 0 is not an integer"),
        ({"all": {"learner.depth": 0}, "bred": bred}, "arms.all.learner.depth: 0 is not an integer"),
    ):
        with pytest.raises(SpecError, match=line):
            load_spec({**head, "arms": arms})


def test_a_class_is_refused_with_what_works():
    head = {"name": "a", "seeds": 1}
    with pytest.raises(SpecError, match="is a class; expected text, such as 'envs.coin_run:CoinRun', that workers"):
        load_spec({**head, "world": envs.CoinRun})


def test_master_seeds_of_63_bits_are_taken():
    spec = load_spec("coin-run", [f"master_seed={2**63 - 1}"])
    assert next(make_plan(spec).shards()).master_seed == 2**63 - 1


def test_the_page_on_specs_lists_every_key():
    text = (Path(__file__).parents[2] / "docs" / "specs.md").read_text()
    for key in KEYS:
        default = "required" if key.default is REQUIRED else "" if key.default is None else f"`{_toml(key.default)}`"
        assert f"| `{key.path}` | {default} | {key.doc} |" in text
    for name, doc in SECTIONS.items():
        assert f"| `[{name}]` | | {doc} |" in text


def _toml(value):
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def test_an_override_cannot_smuggle_in_another_key():
    with pytest.raises(SpecError, match="seeds = 3' is not a plain folder name"):
        load_spec("coin-run", ["name=1\nseeds = 3"])


def test_the_numbers_of_a_schedule_are_settings_that_a_sweep_may_vary():
    head = {"name": "a", "world": "coin-run", "seeds": 1}
    step = {"env.diversity": {"kind": "step", "to": 1}}
    spec = load_spec({**head, "schedules": step, "factors": {"schedules.env.diversity.begin": [0, 0.5]}})
    assert spec.fixed == {"schedules.env.diversity.kind": "step", "schedules.env.diversity.points": 1,
                          "schedules.env.diversity.to": 1.0}  # fmt: skip
    plan = make_plan(spec)
    assert len(plan.programs) == 1 and len(plan.conditions) == 2
    unscheduled = make_plan(load_spec({**head, "fixed": {"env.diversity": 0.0}}))
    assert unscheduled.conditions[0].id not in {one.id for one in plan.conditions}
    through = {"env.diversity": {"kind": "piecewise", "at": [0.5, 1], "to": [1, 0]}}
    assert load_spec({**head, "schedules": through}).fixed["schedules.env.diversity.to.2"] == 0.0
