"""The conformance kit: what `envs.base` asks of a world, tried out on one before anything is trained on it."""

import dataclasses
import functools
import inspect
import pathlib
import re
import sysconfig
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from envs import tabular
from envs.abilities import OnTerms, Priced, Starting
from envs.base import Role, World
from envs.gymnax_world import GymnaxWorld
from envs.layout import HIDDEN
from envs.shaping import Shaped
from envs.trial import SHORT_LIMIT, NotOfferedError, Trial, batch, words

PLAIN = 3
"""Levels on which a batch is compared with plain calls."""
TOLERANCE = 1e-4
"""Relative, between numbers from a plain call and from a compiled batch: fusion rounds otherwise."""
AT_START = ("goals", "shapes", "probes", "indices")
"""Rules that `check_contract` tries."""
SIGMAS = 6
"""Standard deviations by which a start may be more or less frequent than `start_distribution` says."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one rule came to, or one fault that it found."""

    rule: str
    verdict: Literal["passed", "failed", "skipped"]
    """Skipped: the world does not offer what the rule needs, or a rule that this one rests on failed."""
    found: str
    advice: str = ""
    """What to do where it failed."""
    where: str = ""
    """Where it failed: `file:line`."""

    def __str__(self) -> str:
        said = f"{self.verdict}: {self.rule}: {self.found}"
        return said + (f"; {self.advice} ({self.where})" if self.verdict == "failed" else "")


def check(world: World, levels: int = 200, seed: int = 0) -> list[Finding]:
    """Tries out what a world promises; takes some seconds, and trains nothing.

    Args:
      levels: training levels that are played and written out; a hundred times as many are compared with the probes.
      seed: of the levels and of the walks over them.
    Returns:
      a finding for each rule that holds or could not be tried, and one for each fault, in the order of `RULES`. What is
      sampled can only be found where it is sampled: no fault in two hundred levels is no proof.
    """
    trial, findings = Trial(world, levels, seed), []
    for rule in RULES:
        if broken := [name for name in rule.rests_on if name in trial.broken]:
            trial.broken.add(rule.name)
            findings.append(Finding(rule.name, "skipped", f"rests on {broken[0]}"))
            continue
        faults, otherwise = _faults(rule, trial)
        if faults:
            trial.broken.add(rule.name)
        findings += faults or [otherwise]
    return findings


def _faults(rule: "_Rule", trial: Trial) -> tuple[list[Finding], Finding]:
    """The faults that a rule finds, and what it says where there are none."""
    found: list[tuple[str, str]] = []
    verdict: Literal["passed", "skipped"] = "passed"
    said = ""
    try:
        said = rule.look(trial, lambda fault: found.append((fault, _defined(trial.world, rule.of))))
    except NotOfferedError as reason:
        verdict, said = "skipped", str(reason)
    except Exception as error:  # whatever a world raises is a fault of that world
        fault = f"raises {type(error).__name__}: {_first_line(error)}"
        found.append((fault, _raised(error) or _defined(trial.world, rule.of)))
    faults = [Finding(rule.name, "failed", fault, rule.advice, where) for fault, where in found]
    return faults, Finding(rule.name, verdict, said)


def _defined(world: World, name: str) -> str:
    """`file:line` of a world's method, or of its class where it only inherits it; empty where there is no file."""
    found = inspect.unwrap(_function(vars(type(world)).get(name, type(world))))
    try:
        return f"{inspect.getsourcefile(found)}:{inspect.getsourcelines(found)[1]}"
    except (OSError, TypeError):
        return ""


def _function(found: Any) -> Any:
    return found.fget if isinstance(found, property) else getattr(found, "__func__", found)


def _raised(error: Exception) -> str:
    """`file:line` of the last line of the user's through which an error came; empty where there is none."""
    ours = str(pathlib.Path(__file__).parent)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "<" not in frame.filename]
    own = [one for one in frames if not one.filename.startswith(ours) and not _installed(one.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _installed(path: str) -> bool:
    return "site-packages" in path or path.startswith(sysconfig.get_path("stdlib"))


def require(world: World, levels: int = 200, seed: int = 0) -> list[Finding]:
    """`check`, for a test: raises ValueError, with one line for each fault, where a world does not conform."""
    findings = check(world, levels, seed)
    if faults := [str(finding) for finding in findings if finding.verdict == "failed"]:
        raise ValueError(f"{world!r} does not keep the contract of a world\n" + "\n".join(faults))
    return findings


def check_contract(world: World) -> None:
    """A short `check` for the start of a sweep: shapes, dtypes and index ranges, on traced and on a few sampled steps.

    Chisel's own worlds are held to the whole kit by its tests, and pass at once.

    Raises:
      ValueError, in one line with the file and line of the world, where one of the rules fails.
    """
    while isinstance(world, Shaped):
        world = world.inner
    if type(world).__module__.partition(".")[0] == __package__:
        return
    trial = Trial(world, levels=4, seed=0)
    for rule in RULES:
        if rule.name in AT_START and (faults := _faults(rule, trial)[0]):
            raise ValueError(f"world: {faults[0].where}: {faults[0].found}; {_advice(world)}")


def _advice(world: World) -> str:
    return f"envs.check({type(world).__name__}()) tries out all that a world promises"


class _Rule(NamedTuple):
    """One thing that a world owes; `look` reports each fault, and returns what it looked at."""

    name: str
    advice: str
    rests_on: tuple[str, ...]
    of: str
    """The method of the world to look at where the rule fails."""
    look: Callable[[Trial, Callable[[str], None]], str]


RULES: list[_Rule] = []
"""In the order in which they are tried."""


def _rule(name: str, advice: str, *rests_on: str, of: str = "") -> Callable:
    def register(look):
        RULES.append(_Rule(name, advice, rests_on, of, look))
        return look

    return register


@_rule("settings", "annotate a field with a type of envs.settings, and write its meaning in a string below it")
def _settings(trial: Trial, fault: Callable[[str], None]) -> str:
    """Every field of the world and of its Params is a setting, with a meaning, a range and a default within it."""
    world, settings = trial.world, trial.settings
    for key, setting in settings.items():
        if not setting.doc:
            fault(f"{key} has no meaning written under it")
        if wrong := setting.refusal(setting.default):
            fault(f"{key}: its own default {setting.default!r} {wrong}")
    fields = (*dataclasses.fields(world), *dataclasses.fields(world.default_params))  # type: ignore[arg-type]
    for name in [field.name for field in fields] if not isinstance(world, GymnaxWorld) else ():
        if name not in ("reward", "pay", "shaping") and f"env.{name}" not in settings:
            fault(f"{name} is a field without a range, and so no setting")
    return ", ".join(settings)


@_rule("params", "leave params_of to World, or start from what it gives; mark no field as static", of="params_of")
def _params(trial: Trial, fault: Callable[[str], None]) -> str:
    """Params are traced; `params_of` puts every value that it is given into strong f32 or i32."""
    world, params = trial.world, trial.world.params_of({})
    fields = {field.name: field for field in dataclasses.fields(params)}
    kinds = {key.removeprefix("env."): setting.kind for key, setting in trial.traced.items()}
    for name, kind in (kinds | ({"reward": float} if world.goals else {})).items():
        wanted = f"f32[{len(world.goals)}]" if name == "reward" else "i32[]" if kind is int else "f32[]"
        leaf = getattr(params, name)
        strong = isinstance(leaf, (np.ndarray, np.generic, jax.Array)) and not getattr(leaf, "weak_type", False)
        found = _shape(leaf) if strong else f"a {type(leaf).__name__} of a weak type"
        if not fields[name].metadata.get("pytree_node", True):
            fault(f"{name} is not traced: each of its values compiles a program")
        elif found != wanted:
            fault(f"params_of gives {name} as {found} and should as {wanted}")
    for key, setting in trial.traced.items():
        ends = [end for end in (setting.high, setting.low) if end not in (None, setting.default)]
        value = setting.kind(ends[0] if ends else setting.default + 1)
        given = getattr(world.params_of({key: value}), key.removeprefix("env."))
        if not np.isclose(given, value):
            fault(f"params_of makes {key} = {value} into {given}")
    for i, goal in enumerate(world.goals):
        if not np.isclose(given := world.params_of({f"reward.{goal.name}": 0.5}).reward[i], 0.5):
            fault(f"params_of makes reward.{goal.name} = 0.5 into {given}")
    if where := _difference(params, world.default_params):
        fault(f"default_params and params_of({{}}) differ in {where}")
    return ", ".join(fields)


@_rule(
    "compiles",
    "make the class a frozen dataclass whose fields are hashable, and leave __eq__ and __hash__ to it",
    "params",
)
def _compiles(trial: Trial, fault: Callable[[str], None]) -> str:
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


@_rule("goals", "see Goal and World.action_names")
def _goals(trial: Trial, fault: Callable[[str], None]) -> str:
    """Goals and actions have names of their own, goals have roles, and one goal is the intended one."""
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
    return ", ".join(f"{goal.name} ({goal.role})" for goal in world.goals)


@_rule("shapes", "see the docstrings of envs.base, which give every shape and dtype", "params")
def _shapes(trial: Trial, fault: Callable[[str], None]) -> str:
    """Methods take traced values and return the shapes that `World` says; probe levels are as sampled ones are."""
    world, shapes = trial.world, trial.shapes
    goals, features, actions = len(world.goals), len(world.cardinalities), world.num_actions

    def expect(what, found, *wanted):
        if len(found := jax.tree.leaves(found)) != len(wanted):
            fault(f"{what} has {len(found)} parts and should have {len(wanted)}")
            return
        for i, (one, (dtype, *dims)) in enumerate(zip(found, wanted, strict=True)):
            if _shape(one) != (should := _shape(jax.ShapeDtypeStruct(tuple(dims), dtype))):
                fault(f"{what}{f', part {i + 1},' * (len(wanted) > 1)} is {_shape(one)} and should be {should}")

    def alike(what, found, wanted, of):
        if jax.tree.structure(found) != jax.tree.structure(wanted):
            fault(f"{what} is not the pytree that {of}: {jax.tree.structure(found)} and {jax.tree.structure(wanted)}")
            return
        for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(wanted), strict=True):
            if _shape(one) != _shape(other):
                name = jax.tree_util.keystr(path)
                fault(f"{what}{name} is {_shape(one)}, and {_shape(other)} in what {of}")

    back = {name: jax.eval_shape(method, *given) for name, (method, given) in trial.methods.items()}
    after, events, terminated = back["transition"]
    alike("the state after transition", after, shapes["state"], "reset_to_level gives")
    expect("transition's events", events, (bool, goals))
    expect("transition's terminated", terminated, (bool,))
    observation = ((jnp.int32, features), (jnp.float32, world.vector_size))
    expect("the observation", back["features"], *observation)
    expect("reward", back["reward"], (jnp.float32,))
    expect("worth", back["worth"], (jnp.float32, goals))
    expect("is_truncated", back["is_truncated"], (bool,))
    expect("displaced", back["displaced"], (bool,))
    able: Any = world
    if world.offers(Priced):
        trained = jax.eval_shape(able.as_trained, shapes["level"])
        alike("as_trained's level", trained, shapes["level"], "sample_level gives")
        worth = jax.eval_shape(able.expected_payment, shapes["level"], shapes["params"], 0.9)
        expect("expected_payment", worth, (jnp.float32, goals))
    for name in sorted(world.layout.goals):
        hidden = jax.eval_shape(lambda seen, name=name: world.hide(seen, name), back["features"])
        expect(f"the observation with {name} hidden", hidden, *observation)
    if not trial.unlisted:
        listed = len(jax.tree.leaves(back["states"])[0].shape) and jax.tree.leaves(back["states"])[0].shape[0]
        expect("state_index", back["state_index"], (jnp.int32,))
        rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((listed, *leaf.shape), leaf.dtype), shapes["state"])
        alike("what states lists", back["states"], rows, "reset_to_level gives, with a leading axis,")
        table = jax.eval_shape(able.tabular, shapes["level"], shapes["params"])
        expect("tabular", table, (jnp.int32, listed, actions), (bool, listed, actions, goals), (bool, listed, actions))
    for probe in trial.probes:
        rows = jax.tree.map(
            lambda leaf, n=probe.distinct: jax.ShapeDtypeStruct((n, *leaf.shape), leaf.dtype), shapes["level"]
        )
        alike(f"probe {probe.name}'s levels", probe.levels, rows, "sample_level gives, with a leading axis,")
    return f"{len(back)} methods, the levels of {', '.join(probe.name for probe in trial.probes)}"


@_rule("probes", "see Probe", "shapes", of="probes")
def _probes(trial: Trial, fault: Callable[[str], None]) -> str:
    """Probes have names of their own, goals that exist, and distinct levels."""
    names, goals = [probe.name for probe in trial.probes], {goal.name for goal in trial.world.goals}
    if not names or len(set(names)) < len(names):
        fault(f"probes are called {', '.join(names) or 'nothing: there are none'}")
    for probe in trial.probes:
        if strange := sorted(set(probe.goals) - goals):
            fault(f"probe {probe.name}: no goal is called {strange[0]}")
        if probe.horizon < 1 or probe.episodes < 1:
            fault(f"probe {probe.name}: a horizon of {probe.horizon} and {probe.episodes} episodes")
        if len(set(rows := _rows(probe.levels))) < len(rows):
            fault(f"probe {probe.name}: of {len(rows)} levels only {len(set(rows))} are distinct")
    return ", ".join(f"{probe.name} ({probe.distinct})" for probe in trial.probes)


@_rule(
    "labels",
    "see docs/labels.md: one probe has labels=True, and each of its goals a probe capable:GOAL",
    "goals",
    "probes",
    of="probes",
)
def _labels(trial: Trial, fault: Callable[[str], None]) -> str:
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


@_rule("pure", "let what a method returns follow from its arguments and the world's fields alone", "shapes")
def _pure(trial: Trial, fault: Callable[[str], None]) -> str:
    """The same arguments give the same results, traced or not, and are left as they were."""
    for name, (method, given) in trial.methods.items():
        # A new function each time: traces are kept by function.
        traces = [jax.make_jaxpr(lambda *a, method=method: method(*a))(*given) for _ in range(2)]
        text = [re.sub("0x[0-9a-f]+", "", str(trace)) for trace in traces]
        if text[0] != text[1] or _difference(traces[0].consts, traces[1].consts):
            fault(f"{name} is another program when it is traced again")
    for one, other in zip(trial.probes, trial.world.probes(), strict=True):
        again = dataclasses.replace(other, levels=one.levels)
        if again != one or _difference(one.levels, other.levels):
            fault(f"probe {one.name} is another when it is asked for again")
    (given, left), first = trial.plain(0)
    _, second = trial.plain(0)
    if where := _difference(given, left):
        fault(f"transition changes the state, level or Params that it is given ({where})")
    for name in first:
        if where := _difference(first[name], second[name]):
            fault(f"{name} gives something else when it is called again ({where})")
    return f"{len(trial.methods)} methods, traced twice and called twice"


@_rule(
    "key",
    "World.stochastic says whether transition uses its key; a level has one start where states are listed",
    "pure",
    of="transition",
)
def _key(trial: Trial, fault: Callable[[str], None]) -> str:
    """`transition` uses its key if and only if the world is stochastic, and the start of a written-out level is one."""
    transition, (key, *given) = trial.methods["transition"]
    reset, taken = trial.methods["reset_to_level"]
    uses = _uses_first(transition, key, *given)
    if uses and not trial.world.stochastic:
        fault("transition uses its key, and stochastic is False: learners give None there")
    elif not trial.world.stochastic:
        jax.eval_shape(functools.partial(transition, None), *given)
    elif not uses:
        fault("transition does not use its key, and stochastic is True: learners draw keys, which takes time")
    if not trial.unlisted and _uses_first(reset, *taken):
        fault("reset_to_level uses its key, and so distances have no one start")
    return "used" if uses else "not used"


@_rule("agreement", "branch by jnp.where on values, never by Python on types, tracers or shapes of a batch", "pure")
def _agreement(trial: Trial, fault: Callable[[str], None]) -> str:
    """Under jit and vmap, methods return what they return when called plainly."""
    count = len(trial.bank[1])
    for row in sorted({round(place) for place in np.linspace(0, count - 1, PLAIN)}):
        (_, plain), batched = trial.plain(row), trial.batched(row)
        for name in plain:
            if where := _difference(plain[name], batched[name]):
                fault(f"{name} gives something else in a compiled batch ({where}) on a {trial.level(row)}")
    return f"{PLAIN} plain calls and a batch of {count}"


@_rule(
    "indices",
    "count cardinalities from 0, with HIDDEN for what is absent; keep numbers finite",
    "agreement",
    of="features",
)
def _indices(trial: Trial, fault: Callable[[str], None]) -> str:
    """Each observed index is below its cardinality, or HIDDEN; each observed number is finite."""
    walks = trial.walks
    for seen in (walks.first_seen, walks.seen):
        for i, cardinality in enumerate(trial.world.cardinalities):
            wrong = (seen.indices[..., i] < HIDDEN) | (seen.indices[..., i] >= cardinality)
            if wrong.any():
                found, row = seen.indices[..., i][wrong][0], np.argwhere(wrong)[0][0]
                fault(f"index {i} is {found}, of a cardinality of {cardinality}, on a {trial.level(row)}")
                return ""
        if not np.isfinite(seen.vector).all():
            row = np.argwhere(~np.isfinite(seen.vector))[0][0]
            fault(f"a number is not finite on a {trial.level(row)}")
            return ""
    return f"{walks.terminated.size} steps"


@_rule(
    "tabular",
    "states lists each state that can occur, by state_index; tabular is transition, written out",
    "key",
    "agreement",
    of="states",
)
def _tabular(trial: Trial, fault: Callable[[str], None]) -> str:
    """`state_index` inverts `states`, and `tabular` says what `transition` does."""
    tables, walks = trial.tables, trial.walks
    _, actions = trial.draws
    count, listed, _ = tables.next_state.shape
    each = np.arange(count)[:, None]
    if (tables.place != np.arange(listed)).any():
        row, state = np.argwhere(tables.place != np.arange(listed))[0]
        fault(f"state {state} has the index {tables.place[row, state]} on a {trial.level(row)}")
        return ""
    before, after = walks.place[..., 0], walks.place[..., 1]
    if wrong := _first((walks.place < 0).any(-1) | (walks.place >= listed).any(-1)):
        fault(f"a state has an index beyond the {listed} that are listed, on a {trial.level(wrong[0])}")
        return ""
    occurred = jax.tree.map(lambda leaf: leaf[each, before], tables.states)
    if wrong := _first(~_same(occurred, walks.before)):
        fault(f"a state is not the one listed at its index {before[wrong]}, on a {trial.level(wrong[0])}")
    said = tables.next_state[each, before, actions], tables.events[each, before, actions]
    ended = tables.terminated[each, before, actions]
    for what, differ in (
        ("next state", (said[0] != after) & ~walks.terminated),
        ("events", (said[1] != walks.events).any(-1)),
        ("end", ended != walks.terminated),
    ):
        if wrong := _first(differ):
            fault(
                f"the {what} of state {before[wrong]} and action {actions[wrong]} differ on a {trial.level(wrong[0])}"
            )
    return f"{count} levels of {listed} states, {before.size} steps"


@_rule(
    "starts",
    "list in start_distribution what sample_level and reset_to_level yield",
    "tabular",
    of="start_distribution",
)
def _starts(trial: Trial, fault: Callable[[str], None]) -> str:
    """`start_distribution` says where training episodes begin, and how often."""
    world: Any = trial.world
    (_, variant, levels) = trial.sampled
    if not world.offers(Starting):
        raise NotOfferedError("the world does not list its training levels")
    key = jax.random.key(0)
    states = batch(functools.partial(world.reset_to_level, key), levels, trial.params(variant))
    begun = _rows(_timeless(states, ".level.start"))
    for chosen in (0, 5):
        listed, probability = world.start_distribution(world.params_of(trial.values[chosen]))
        each = trial.params(np.full(len(probability), chosen))
        probable: Counter = Counter()
        places = _rows(_timeless(batch(world.states, listed, each), ".level.start"), axes=2)
        for place, share in zip(places, np.ravel(probability).astype(float), strict=True):
            probable[place] += share
        if not np.isclose(sum(probable.values()), 1, atol=1e-4) or min(probable.values()) < 0:
            fault(f"probabilities sum to {sum(probable.values()):.4f}, the least is {min(probable.values()):.4f}")
            return ""
        rows = np.flatnonzero(variant == chosen)
        count = Counter(begun[row] for row in rows)
        for row in rows:
            if not probable[begun[row]]:
                fault(f"an episode begins where the probability is 0: {words(levels, int(row))}")
                return ""
        for place, share in probable.items():
            expected, spread = len(rows) * share, np.sqrt(len(rows) * share * (1 - share))
            if abs(count[place] - expected) > SIGMAS * spread + 1:
                fault(f"of {len(rows)} episodes {count[place]} begin in a state in which {expected:.1f} should")
                return ""
    return f"{len(probable)} starts, {len(begun)} episodes"


@_rule("reachable", "leave out a goal that no level offers", "tabular")
def _reachable(trial: Trial, fault: Callable[[str], None]) -> str:
    """Every goal can be reached on some level."""
    somewhere = np.isfinite(trial.distances).sum(axis=1)
    for goal, count in zip(trial.world.goals, somewhere, strict=True):
        if not count:
            fault(f"{goal.name} cannot be reached on any of {trial.distances.shape[1]} levels")
    return ", ".join(
        f"{goal.name} on {count} of {trial.distances.shape[1]} levels"
        for goal, count in zip(trial.world.goals, somewhere, strict=True)
    )


@_rule(
    "solvable",
    "sample levels that have a way to the goal, or raise max_steps_in_episode",
    "goals",
    "tabular",
    of="sample_level",
)
def _solvable(trial: Trial, fault: Callable[[str], None]) -> str:
    """The intended goal can be reached on every training level, under any Params, and within the time limit."""
    intended = _intended(trial)
    steps, limits = trial.distances[intended, : trial.count], trial.limits[: trial.count]
    name, never = trial.world.goals[intended].name, ~np.isfinite(steps)
    for what, wrong in (("cannot be reached", never), ("is further than the time limit", (steps > limits) & ~never)):
        if row := _first(wrong):
            fault(f"{name} {what} on {wrong.sum()} of {trial.count}, the first a {trial.level(row[0])}")
    return f"{trial.count} levels, at most {steps.max():.0f} steps"


@_rule(
    "horizon", "lengthen the horizon, or leave out the level or the goal at stake", "reachable", "probes", of="probes"
)
def _horizon(trial: Trial, fault: Callable[[str], None]) -> str:
    """On every level of a probe, every goal at stake can be reached within the horizon."""
    names = [goal.name for goal in trial.goals]
    for probe in trial.probes:
        for name in probe.goals:
            steps = trial.distances[names.index(name), part := trial.bank[2][probe.name]]
            if row := _first(steps > probe.horizon):
                found = steps[row[0]]
                far = (
                    f"is {found:.0f} steps away, past a horizon of {probe.horizon},"
                    if np.isfinite(found)
                    else "cannot be reached"
                )
                fault(f"{name} {far} on a {trial.level(part.start + row[0])}")
    return ", ".join(f"{probe.name} ({probe.horizon})" for probe in trial.probes)


@_rule(
    "split",
    "keep the levels of a probe out of sample_level, or say held_out=False of the probe",
    "agreement",
    "probes",
    of="sample_level",
)
def _split(trial: Trial, fault: Callable[[str], None]) -> str:
    """Training never samples a level of a probe that is held out, under any Params."""
    held_out = [probe for probe in trial.probes if probe.held_out]
    shown = [probe.name for probe in trial.probes if not probe.held_out]
    if not held_out:
        raise NotOfferedError("the world says that it holds out no probe")
    trained = set(_rows(trial.sampled[2]))
    for probe in held_out:
        if both := [i for i, row in enumerate(_rows(probe.levels)) if row in trained]:
            place = trial.bank[2][probe.name].start + both[0]
            fault(f"{len(both)} of {probe.distinct} levels are trained on too, the first a {trial.level(place)}")
    among = f"{len(trial.sampled[1]):,} training levels, {len(trained):,} of them distinct"
    return among + (f"; not held out, and so not compared: {', '.join(shown)}" if shown else "")


@_rule("entry", "compare the state before with the state after: an event is a change", "agreement", of="transition")
def _entry(trial: Trial, fault: Callable[[str], None]) -> str:
    """Events fire on entry: a step that changes nothing but the time fires none, unless it ends the episode."""
    goals, walks = trial.goals, trial.walks
    still = _same(walks.before, walks.after)[..., None] & walks.events & ~walks.terminated[..., None]
    looked = f"{walks.terminated.size} steps"
    if "tabular" not in trial.broken and not trial.unlisted:
        tables = trial.tables
        stays = tables.next_state == np.arange(tables.next_state.shape[1])[:, None]
        still = (stays & ~tables.terminated & tabular.met(tables.dynamics, tables.terminated)[..., None])[
            ..., None
        ] & tables.events
        still, looked = still.any(axis=2), f"every state and action of {len(still)} levels"
    for i, goal in enumerate(goals):
        if wrong := _first(still[..., i]):
            fault(f"{goal.name} fires on a step that leaves the state as it was, on a {trial.level(wrong[0])}")
    return looked


@_rule(
    "rewards",
    "let World.reward weigh events by Params.reward and `worth`, and put what else should be paid into a goal",
    "agreement",
    of="reward",
)
def _rewards(trial: Trial, fault: Callable[[str], None]) -> str:
    """With a weight on one goal alone, reward is paid when its event fires, unless worth 0, and never else."""
    goals, walks = trial.goals, trial.walks
    if trial.world.offers(OnTerms):
        raise NotOfferedError("payments have terms: they come by chance, or late")
    paid, fired = walks.reward != 0, walks.events.sum(axis=(0, 1))
    earned = walks.events & (walks.worth != 0)
    for i, goal in enumerate(goals):
        if row := _first(paid[..., i] & ~earned[..., i]):
            what = "for an event worth 0" if walks.events[row][i] else "without its event"
            fault(f"{walks.reward[row][i]:.3g} is paid for {goal.name} {what}, on a {trial.level(row[0])}")
        if row := _first(~paid[..., i] & earned[..., i]):
            fault(f"nothing is paid for an event of {goal.name}, on a {trial.level(row[0])}")
    if (row := _first(paid[..., -1])) and not paid[..., :-1].any():
        fault(f"{walks.reward[row][-1]:.3g} is paid where every weight is 0, on a {trial.level(row[0])}")
    if unseen := [goal.name for goal, count in zip(goals, fired, strict=True) if not count]:
        raise NotOfferedError(f"no event of {', '.join(unseen)} fired in {walks.terminated.size} steps")
    return ", ".join(f"{count} of {goal.name}" for goal, count in zip(goals, fired, strict=True)) + " events"


@_rule(
    "visible",
    "show the policy what the goals at stake depend on: it has no memory",
    "tabular",
    "probes",
    "indices",
    of="features",
)
def _visible(trial: Trial, fault: Callable[[str], None]) -> str:
    """Where shortest ways to a goal at stake begin differently, observations differ.

    Over all levels of a choice or of a capability probe together, on which labels rest, and level by level elsewhere.
    """
    names, tables, states = [goal.name for goal in trial.goals], trial.tables, 0
    for probe in trial.probes:
        here = jax.tree.map(lambda leaf, part=trial.bank[2][probe.name]: leaf[part], tables)
        for name in probe.goals:
            goal = names.index(name)
            left = trial.steps_left[goal][trial.bank[2][probe.name]]
            before = tabular.met(here.dynamics, here.terminated | here.events[..., goal])
            level, state = np.nonzero(before & np.isfinite(left.min(axis=-1)))
            left, states = left[level, state], states + len(level)
            group = level[:, None] * (probe.kind not in ("choice", "capability"))
            looks = _rows((jax.tree.map(lambda leaf, at=(level, state): leaf[at], here.seen), group))
            shared: dict[bytes, np.ndarray] = {}
            for row, best, place in zip(looks, left == left.min(axis=-1, keepdims=True), level, strict=True):
                if not (shared.setdefault(row, best) & best).any():
                    where = trial.level(trial.bank[2][probe.name].start + place)
                    fault(f"{name}: states that call for different actions look the same, one of them on a {where}")
                    break
                shared[row] = shared[row] & best
    return f"{states} states"


@_rule("hide", "hide sets every index and number that shows the goal to HIDDEN or 0", "goals", "visible", of="hide")
def _hide(trial: Trial, fault: Callable[[str], None]) -> str:
    """`hide` of the intended goal changes what is seen on a choice probe, and changes nothing a second time."""
    world, walks = trial.world, trial.walks
    name = trial.goals[_intended(trial)].name
    choices = [trial.bank[2][probe.name] for probe in trial.probes if probe.kind == "choice"]
    rows = np.concatenate([np.arange(part.start, part.stop) for part in choices or [slice(0, trial.count)]])
    count = len(rows) * walks.terminated.shape[1]
    seen = jax.tree.map(lambda leaf: leaf[rows].reshape(count, leaf.shape[-1]), walks.seen)
    hide = functools.partial(world.hide, goal=name)
    if name not in world.layout.goals:
        raise NotOfferedError(f"no feature belongs to {name}: no blind policy is probed")
    hidden = batch(hide, seen)
    changed = ~np.array([one == other for one, other in zip(_rows(seen), _rows(hidden), strict=True)])
    if not changed.any():
        fault(f"with {name} hidden, all of {len(changed)} observations are as before: it is not hidden, or never seen")
    if _difference(hidden, batch(hide, hidden)):
        fault(f"hiding {name} from where it is hidden changes the observation again")
    beyond = [(hidden.indices[:, i] >= count).any() for i, count in enumerate(world.cardinalities)]
    if any(beyond) or (hidden.indices < HIDDEN).any():
        fault("a hidden index is beyond its cardinality")
    return f"{changed.sum()} of {len(changed)} observations change without {name}"


@_rule("interface", "leave reset, step, step_env, get_obs and the spaces to World", "indices", of="step")
def _interface(trial: Trial, fault: Callable[[str], None]) -> str:
    """The world is a gymnax 1.x environment that starts afresh when an episode ends."""
    from gymnax.environments import spaces

    world, (key, action, params) = trial.world, (trial.shapes[name] for name in ("key", "action", "params"))
    space, actions = world.observation_space(world.default_params), world.action_space(world.default_params)
    reset = jax.eval_shape(world.reset, key, params)
    if len(reset) != 2:
        fault(f"reset returns {len(reset)} values and should return 2")
        return ""
    step = jax.eval_shape(world.step, key, reset[1], action, params)
    if len(step) != 6:
        fault(f"step returns {len(step)} values and should return 6")
        return ""
    if missing := {"events", "terminated", "truncated", "final_observation"} - set(step[5]):
        fault(f"step's info lacks {', '.join(sorted(missing))}")
        return ""
    wanted = [(space.shape, space.dtype)] * 2 + [((), jnp.float32), ((), jnp.bool_), ((), jnp.bool_)]
    parts = {"reset's observation": reset[0], "step's observation": step[0], "step's reward": step[2]}
    parts |= {"step's terminated": step[3], "step's truncated": step[4]}
    for (name, found), (shape, dtype) in zip(parts.items(), wanted, strict=True):
        if _shape(found) != (should := _shape(jax.ShapeDtypeStruct(shape, dtype))):
            fault(f"{name} is {_shape(found)} and should be {should}")
    if not isinstance(actions, spaces.Discrete) or actions.n != world.num_actions:
        fault(f"action_space is {actions}, and there are {world.num_actions} actions")
    played = trial.episodes
    final, ended = played.info["final_observation"], played.terminated | played.truncated
    seen = np.concatenate([played.observation.reshape(-1, *space.shape), final.reshape(-1, *space.shape)])
    if not ((seen >= np.asarray(space.low)) & (seen <= np.asarray(space.high))).all():
        fault("an observation is not in observation_space")
    with jax.disable_jit():
        begun, state = world.reset(jax.random.key(trial.seed), world.params_of({}))
        of_state = world.get_obs(state, world.params_of({}))
    if _difference((begun, played.observation), (of_state, played.of_state)):
        fault("an observation is not get_obs of the state beside it")
    if _difference(played.observation[~ended], final[~ended]):
        fault("final_observation is not the observation where the episode goes on")
    if (played.terminated & played.truncated).any():
        fault("a step is terminated and truncated at once: a time limit does not cut what the world has ended")
    return f"{ended.sum()} episodes"


@_rule(
    "time limit",
    "count time up in transition, from 0 in reset_to_level; is_truncated compares it",
    "interface",
    of="transition",
)
def _time_limit(trial: Trial, fault: Callable[[str], None]) -> str:
    """An episode that the world does not end is truncated by the step at its time limit, and by no other."""
    if "env.max_steps_in_episode" not in trial.traced:
        raise NotOfferedError("no setting sets a time limit")
    played = trial.episodes
    age, cut = np.zeros(len(played.truncated), int), 0
    for terminated, truncated in zip(played.terminated.T, played.truncated.T, strict=True):
        age += 1
        due = (age >= SHORT_LIMIT) & ~terminated
        if (wrong := _first(due != truncated)) is not None:
            said = "is truncated" if truncated[wrong] else "goes on"
            fault(f"under a limit of {SHORT_LIMIT}, an episode {said} after {age[wrong]} steps")
            return ""
        age, cut = np.where(terminated | truncated, 0, age), cut + truncated.sum()
    if not cut:
        raise NotOfferedError(f"all episodes ended before their limit of {SHORT_LIMIT} steps")
    return f"{cut} episodes cut after {SHORT_LIMIT} steps"


def _intended(trial: Trial) -> int:
    return [goal.role for goal in trial.goals].index("intended")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def _shape(leaf: Any) -> str:
    """An array's dtype and shape, as docstrings write them: `f32[3]`."""
    dtype, shape = getattr(leaf, "dtype", np.asarray(leaf).dtype), np.shape(leaf)
    short = f"{dtype.kind}{8 * dtype.itemsize}" if getattr(dtype, "kind", "") in ("f", "i", "u", "c") else dtype
    return f"{short}[{', '.join(map(str, shape))}]"


def _first(wrong: np.ndarray) -> tuple[int, ...] | None:
    """The place of the first True."""
    places = np.argwhere(wrong)
    return tuple(int(i) for i in places[0]) if len(places) else None


def _uses_first(function: Callable, *given: Any) -> bool:
    """Whether the trace of a function uses its first argument, a scalar."""
    trace = jax.make_jaxpr(function)(*given).jaxpr
    return any(trace.invars[0] in equation.invars for equation in trace.eqns)


def _rows(tree: Any, axes: int = 1) -> list[bytes]:
    """The bytes of each entry along the leading axes, taken as one, of a pytree of arrays."""
    leaves = [np.ascontiguousarray(leaf) for leaf in jax.tree.leaves(tree)]
    count = np.prod(leaves[0].shape[:axes], dtype=int)
    flat = [leaf.reshape(count, -1).view(np.uint8) for leaf in leaves if leaf.size]
    return [row.tobytes() for row in np.concatenate(flat, axis=1)] if flat else []


def _same(one: Any, other: Any) -> np.ndarray:
    """bool[n, m], where two pytrees of arrays with leading axes [n, m] are equal in everything but time."""
    pairs = zip(_timeless(one), _timeless(other), strict=True)
    return np.logical_and.reduce([(a == b).reshape(*a.shape[:2], -1).all(-1) for a, b in pairs])


def _timeless(state: Any, *others: str) -> list[Any]:
    """The leaves of states, but for time and others by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [leaf for path, leaf in leaves if jax.tree_util.keystr(path) not in (".time", "['time']", *others)]


def _difference(one: Any, other: Any) -> str:
    """Where two pytrees of arrays differ first, numbers by more than `TOLERANCE`; empty where nowhere."""
    if jax.tree.structure(one) != jax.tree.structure(other):  # type: ignore[operator]
        return "the structure"
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        close = functools.partial(np.allclose, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if a.shape != b.shape or not (close(a, b) if a.dtype.kind == "f" else np.array_equal(a, b)):
            return f"{jax.tree_util.keystr(path).strip('.') or 'the value'}: {_brief(a)} and {_brief(b)}"
    return ""


def _brief(value: np.ndarray) -> str:
    return " ".join(str(value).split()) if value.size <= 4 else f"an array {_shape(value)}"
