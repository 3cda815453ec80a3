"""What a world declares: settings, goals, shapes, probes and labels."""

import dataclasses
import inspect
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from envs import rewards
from envs.abilities import ABILITIES, Drawn, Editable, OnTerms, Priced, Solved
from envs.base import Params, Role
from envs.gymnax_world import GymnaxWorld
from envs.kit.rules import Fault, as_rows, described, difference, rule
from envs.render import AGENT
from envs.settings import Setting
from envs.trial import Trial


def _has_source(cls: type) -> bool:
    """Whether Python finds a class's source, where meanings are read; it does not for one of a notebook's cell."""
    try:
        inspect.getsource(cls)
    except (OSError, TypeError):
        return False
    return True


@rule("settings", "annotate a field with a type of envs.settings, and write its meaning in a string below it")
def _settings(trial: Trial, fault: Fault) -> str:
    """Every field of the world and of its Params is a setting, with a meaning, a range and a default within it."""
    world, settings = trial.world, trial.settings
    is_written = all(map(_has_source, (type(world), type(world.default_params))))
    for key, setting in settings.items():
        if not setting.doc and is_written:
            fault(f"{key} has no meaning written under it")
        if wrong := setting.refusal(setting.default):
            fault(f"{key}: its own default {setting.default!r} {wrong}")
    fields = (*dataclasses.fields(world), *dataclasses.fields(world.default_params))  # type: ignore[arg-type]
    every_world = {field.name for field in dataclasses.fields(Params)}
    for name in [field.name for field in fields] if not isinstance(world, GymnaxWorld) else ():
        if name not in every_world and f"env.{name}" not in settings:
            fault(f"{name} is a field without a range, and so no setting")
    return ", ".join(settings)


@rule("params", "leave params_of to World, or start from what it gives; mark no field as static", of="params_of")
def _params(trial: Trial, fault: Fault) -> str:
    """Params are traced; `params_of` puts every value that it is given into strong f32 or i32."""
    world, params = trial.world, trial.world.params_of({})
    fields = {field.name: field for field in dataclasses.fields(params)}
    kinds = {key.removeprefix("env."): setting.kind for key, setting in trial.traced.items()}
    for name, kind in (kinds | ({"reward": float} if world.goals else {})).items():
        wanted = f"f32[{len(world.goals)}]" if name == "reward" else "i32[]" if kind is int else "f32[]"
        leaf = getattr(params, name)
        strong = isinstance(leaf, (np.ndarray, np.generic, jax.Array)) and not getattr(leaf, "weak_type", False)
        found = described(leaf) if strong else f"a {type(leaf).__name__} of a weak type"
        if not fields[name].metadata.get("pytree_node", True):
            fault(f"{name} is not traced: each of its values compiles a program")
        elif found != wanted:
            fault(f"params_of gives {name} as {found} and should as {wanted}")
    for key, setting in trial.traced.items():
        value = _another(trial, setting)
        given = getattr(world.params_of({key: value}), key.removeprefix("env."))
        if not np.isclose(given, value):
            fault(f"params_of makes {key} = {value} into {given}")
    for i, goal in enumerate(world.goals):
        if not np.isclose(given := world.params_of({f"reward.{goal.name}": 0.5}).reward[i], 0.5):
            fault(f"params_of makes reward.{goal.name} = 0.5 into {given}")
    if where := difference(params, world.default_params):
        fault(f"default_params and params_of({{}}) differ in {where}")
    return ", ".join(fields)


def _another(trial: Trial, setting: Setting) -> Any:
    """A value other than the default: one end, or of a count the highest that the world accepts with no other given."""
    ends = [end for end in (setting.high, setting.low) if end not in (None, setting.default)]
    first = setting.kind(ends[0] if ends else setting.default + 1)
    if setting.kind is not int or setting.low is None or setting.high is None:
        return first
    others = (one for one in range(int(setting.high), int(setting.low) - 1, -1) if one != setting.default)
    return next((one for one in others if trial.fitted({setting.key: one})), first)


@rule(
    "compiles",
    "make the class a frozen dataclass whose fields are hashable, and leave __eq__ and __hash__ to it",
    "params",
)
def _compiles(trial: Trial, fault: Fault) -> str:
    """Equal worlds are equal keys of jax's cache, and another value of a traced setting compiles nothing."""
    world, traces = trial.world, 0
    if not dataclasses.is_dataclass(world) or not world.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        fault(f"{type(world).__name__} is not a frozen dataclass")
        return ""
    same = dataclasses.replace(world)
    if same != world or hash(same) != hash(world):
        fault("another world with the same fields is not equal to it, or has another hash")

    @jax.jit
    def use(params):
        nonlocal traces
        traces += 1
        return 0

    for values in ({}, *({key: setting.default} for key, setting in trial.traced.items()), *trial.values):
        use(world.params_of(values))
    if traces > 1:
        fault(f"Params of other values led to {traces} compiles")
    return "one compile"


@rule("goals", "see Goal and World.action_names")
def _goals(trial: Trial, fault: Fault) -> str:
    """Goals and actions have names of their own, goals have roles, one is the intended one, milestones come last."""
    world = trial.world
    if not world.num_actions or len(set(world.action_names)) < world.num_actions:
        fault(f"actions are called {', '.join(world.action_names) or 'nothing'}")
    names = [goal.name for goal in trial.goals]
    if len(set(names)) < len(names):
        fault(f"goals are called {', '.join(names)}")
    for goal in trial.goals:
        if goal.role not in get_args(Role):
            fault(f"{goal.name} has the role {goal.role!r}; one of {', '.join(get_args(Role))}")
    if (intended := sum(goal.role == "intended" for goal in world.goals)) != 1:
        fault(f"{intended} goals are intended")
    if world.goals[: len(world.aims)] != world.aims:
        fault("a milestone comes before a goal that is none")
    return ", ".join(f"{goal.name} ({goal.role})" for goal in world.goals)


@rule("shapes", "see the docstrings of envs.base, which give every shape and dtype", "params")
def _shapes(trial: Trial, fault: Fault) -> str:
    """Methods take traced values and return the shapes that `World` says; probe levels are as sampled ones are."""
    world, shapes = trial.world, trial.shapes
    goals, layout = len(world.goals), world.layout
    back = {name: jax.eval_shape(method, *given) for name, (method, given) in trial.methods.items()}
    after, events, terminated = back["transition"]
    _alike(fault, "transition", "the state", after, shapes["state"], "reset_to_level gives")
    _expect(fault, "transition", "what happens", (events, terminated), (bool, goals), (bool,))
    image = ((jnp.uint8, *layout.image.shape),) if layout.image else ()
    observation = ((jnp.int32, len(layout.cardinalities)), (jnp.float32, layout.vector_size), *image)
    _expect(fault, "features", "the observation", back["features"], *observation)
    for name, wanted in (("reward", (jnp.float32,)), ("worth", (jnp.float32, goals)), ("is_truncated", (bool,))):
        _expect(fault, name, "what it returns", back[name], wanted)
    _expect(fault, "displaced", "what it returns", back["displaced"], (bool,))
    for name in sorted(layout.goals):
        hidden = jax.eval_shape(lambda seen, name=name: world.hide(seen, name), back["features"])
        _expect(fault, "hide", f"the observation without {name}", hidden, *observation)
    for probe in trial.probes:
        levels = _stacked(shapes["level"], probe.distinct)
        given = "sample_level gives, with a leading axis,"
        _alike(fault, "probes", f"the level of {probe.name}", probe.levels, levels, given)
    _shapes_of_abilities(trial, fault, back)
    return f"{len(back)} methods, the levels of {', '.join(probe.name for probe in trial.probes)}"


def _shapes_of_abilities(trial: Trial, fault: Fault, back: dict[str, Any]) -> None:
    """Of what only some worlds can do."""
    world: Any = trial.world
    shapes, goals, actions = trial.shapes, len(world.goals), world.num_actions
    if world.offers(Priced):
        trained = jax.eval_shape(world.as_trained, shapes["level"])
        _alike(fault, "as_trained", "the level", trained, shapes["level"], "sample_level gives")
        worth = jax.eval_shape(world.expected_payment, shapes["level"], shapes["params"], 0.9)
        _expect(fault, "expected_payment", "what it returns", worth, (jnp.float32, goals))
    if world.offers(Solved):
        best = jax.eval_shape(world.optimal_return, shapes["level"], shapes["params"], 0.9)
        _expect(fault, "optimal_return", "what it returns", best, (jnp.float32,))
    if world.offers(Editable):
        keep = jax.ShapeDtypeStruct((), jnp.bool_)
        edited = jax.eval_shape(world.edit_level, shapes["key"], shapes["level"], shapes["params"], keep)
        _alike(fault, "edit_level", "the level", edited, shapes["level"], "sample_level gives")
    if not trial.unlisted:
        first = jax.tree.leaves(back["states"])[0]
        listed = first.shape[0] if first.shape else 0
        states, given = _stacked(shapes["state"], listed), "reset_to_level gives, with a leading axis,"
        _alike(fault, "states", "the state", back["states"], states, given)
        _expect(fault, "state_index", "what it returns", back["state_index"], (jnp.int32,))
        table = jax.eval_shape(world.tabular, shapes["level"], shapes["params"])
        wanted = (jnp.int32, listed, actions), (bool, listed, actions, goals), (bool, listed, actions)
        _expect(fault, "tabular", "what it returns", table, *wanted)


def _stacked(shapes: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype), shapes)


def _expect(fault: Fault, of: str, what: str, found: Any, *wanted: tuple) -> None:
    """Reports a fault of a method, where a part of what it returns is not (dtype, *shape)."""
    if len(found := jax.tree.leaves(found)) != len(wanted):
        fault(f"{of}: {what} has {len(found)} parts and should have {len(wanted)}", of)
        return
    for i, (one, (dtype, *dims)) in enumerate(zip(found, wanted, strict=True)):
        if described(one) != (should := described(jax.ShapeDtypeStruct(tuple(dims), dtype))):
            part = f", part {i + 1}," * (len(wanted) > 1)
            fault(f"{of}: {what}{part} is {described(one)} and should be {should}", of)


def _alike(fault: Fault, of: str, what: str, found: Any, wanted: Any, given: str) -> None:
    """Reports a fault of a method, where what it returns is not like what another one gives."""
    one, other = (str(jax.tree.structure(tree)) for tree in (found, wanted))
    if one != other:
        fault(f"{of}: {what} is not the pytree that {given}: {one} and {other}", of)
        return
    for (path, leaf), like in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(wanted), strict=True):
        if described(leaf) != described(like):
            name = jax.tree_util.keystr(path)
            fault(f"{of}: {what}{name} is {described(leaf)}, and {described(like)} in what {given}", of)


@rule("abilities", "see envs.abilities, which says what each of them asks", "shapes")
def _abilities(trial: Trial, fault: Fault) -> str:
    """What only some worlds can do, this one can do as it says: a picture is a picture, an account is in the state."""
    world: Any = trial.world
    offered = [ability.__name__ for ability in ABILITIES if world.offers(ability)]
    if world.offers(Drawn):
        level = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), trial.probes[0].levels)
        picture = world.render(world.reset_to_level(jax.random.key(0), level, world.params_of({})))
        if described(picture) != f"u8[{', '.join(map(str, (*np.shape(picture)[:2], 3)))}]":
            fault(f"render: the picture is {described(picture)} and should be u8[height, width, 3]", "render")
        if not world.legend:
            fault("legend is empty: nothing says what a picture shows")
        if len(names := [name for name, colour in world.legend.items() if tuple(colour) == AGENT]) > 1:
            fault(f"legend: {' and '.join(names)} have one colour, that of an agent", "render")
    if world.offers(OnTerms) and not isinstance(getattr(trial.shapes["state"], "account", None), rewards.Account):
        fault("the state has no account, from which what is due is paid", "reset_to_level")
    return ", ".join(offered) or "none"


@rule("probes", "see Probe", "shapes", of="probes")
def _probes(trial: Trial, fault: Fault) -> str:
    """Probes have names of their own, goals that exist, and distinct levels."""
    names, goals = [probe.name for probe in trial.probes], {goal.name for goal in trial.world.goals}
    if not names or len(set(names)) < len(names):
        fault(f"probes are called {', '.join(names) or 'nothing: there are none'}")
    for probe in trial.probes:
        if strange := sorted(set(probe.goals) - goals):
            fault(f"probe {probe.name}: no goal is called {strange[0]}")
        if probe.horizon < 1 or probe.episodes < 1:
            fault(f"probe {probe.name}: a horizon of {probe.horizon} and {probe.episodes} episodes")
        if len(set(rows := as_rows(probe.levels))) < len(rows):
            fault(f"probe {probe.name}: of {len(rows)} levels only {len(set(rows))} are distinct")
    return ", ".join(f"{probe.name} ({probe.distinct})" for probe in trial.probes)


@rule(
    "labels",
    "see docs/labels.md: one probe has labels=True, and each of its goals a probe capable:GOAL",
    "goals",
    "probes",
    of="probes",
)
def _labels(trial: Trial, fault: Fault) -> str:
    """Labels rest on one probe, a choice between the intended goal and others, and on a capability probe for each."""
    roles, named = {goal.name: goal.role for goal in trial.goals}, {probe.name: probe for probe in trial.probes}
    labelling = [probe for probe in trial.probes if probe.labels]
    if len(labelling) != 1:
        fault(f"labels are computed from {len(labelling)} probes")
    for probe in labelling:
        if probe.kind != "choice" or len(probe.goals) < 2 or "intended" not in [roles[name] for name in probe.goals]:
            fault(f"probe {probe.name} is no choice between the intended goal and others")
        for name in probe.goals:
            gate = named.get(f"capable:{name}")
            if gate is None or gate.kind != "capability" or name not in gate.goals:
                fault(f"no capability probe capable:{name} has {name} at stake")
    return ", ".join(probe.name for probe in labelling)


@rule(
    "capability",
    "read such capabilities together with the training return, or give each goal levels of its own",
    "labels",
    of="probes",
    warns=True,
)
def _capability(trial: Trial, fault: Fault) -> str:
    """The capability probes of two goals have other levels, so that a policy can have the one and lack the other."""
    seen: dict[tuple[bytes, ...], str] = {}
    probes = [probe for probe in trial.probes if probe.kind == "capability"]
    for probe in probes:
        if (other := seen.setdefault(tuple(sorted(as_rows(probe.levels))), probe.name)) != probe.name:
            fault(f"{other} and {probe.name} have the same levels, where either goal may be what a policy goes for")
    return ", ".join(probe.name for probe in probes)


RULES = (_settings, _params, _compiles, _goals, _shapes, _abilities, _probes, _labels, _capability)
