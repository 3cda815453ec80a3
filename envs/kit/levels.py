"""What levels are: written out as they are played, solvable, apart from those of probes, and visible."""

import functools
from collections import Counter
from typing import Any

import jax
import numpy as np

from envs import tabular
from envs.abilities import Starting
from envs.batching import batch
from envs.kit.rules import Fault, as_rows, difference, first, intended_goal, rule, same, timeless
from envs.layout import HIDDEN
from envs.trial import NotOfferedError, Trial, words

SIGMAS = 6
"""Standard deviations by which a start may be more or less frequent than `start_distribution` says."""
FEWEST = 16
"""Layouts that a gate takes, even of a policy that never fails."""


@rule(
    "tabular",
    "states lists each state that can occur, by state_index; tabular is transition, written out",
    "key",
    "agreement",
    of="states",
)
def _tabular(trial: Trial, fault: Fault) -> str:
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
    if wrong := first((walks.place < 0).any(-1) | (walks.place >= listed).any(-1)):
        fault(f"a state has an index beyond the {listed} that are listed, on a {trial.level(wrong[0])}")
        return ""
    occurred = jax.tree.map(lambda leaf: leaf[each, before], tables.states)
    if wrong := first(~same(occurred, walks.before)):
        fault(f"a state is not the one listed at its index {before[wrong]}, on a {trial.level(wrong[0])}")
    said = tables.next_state[each, before, actions], tables.events[each, before, actions]
    ended = tables.terminated[each, before, actions]
    for what, differ in (
        ("next state", (said[0] != after) & ~walks.terminated),
        ("events", (said[1] != walks.events).any(-1)),
        ("end", ended != walks.terminated),
    ):
        if wrong := first(differ):
            fault(
                f"the {what} of state {before[wrong]} and action {actions[wrong]} differ on a {trial.level(wrong[0])}"
            )
    return f"{count} levels of {listed} states, {before.size} steps"


@rule(
    "starts",
    "list in start_distribution what sample_level and reset_to_level yield",
    "tabular",
    of="start_distribution",
)
def _starts(trial: Trial, fault: Fault) -> str:
    """`start_distribution` says where training episodes begin, and how often."""
    world: Any = trial.world
    (_, variant, levels) = trial.sampled
    if not world.offers(Starting):
        raise NotOfferedError("the world does not list its training levels")
    key = jax.random.key(0)
    states = batch(functools.partial(world.reset_to_level, key), levels, trial.params(variant))
    begun = as_rows(timeless(states, ".level.start"))
    for chosen in (0, 5):
        listed, probability = world.start_distribution(world.params_of(trial.values[chosen]))
        each = trial.params(np.full(len(probability), chosen))
        probable: Counter = Counter()
        places = as_rows(timeless(batch(world.states, listed, each), ".level.start"), axes=2)
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


@rule("reachable", "leave out a goal that no level offers", "tabular")
def _reachable(trial: Trial, fault: Fault) -> str:
    """Every goal can be reached on some level."""
    somewhere = np.isfinite(trial.distances).sum(axis=1)
    for goal, count in zip(trial.world.goals, somewhere, strict=True):
        if not count:
            fault(f"{goal.name} cannot be reached on any of {trial.distances.shape[1]} levels")
    return ", ".join(
        f"{goal.name} on {count} of {trial.distances.shape[1]} levels"
        for goal, count in zip(trial.world.goals, somewhere, strict=True)
    )


@rule(
    "solvable",
    "sample levels that have a way to the goal, or raise max_steps_in_episode",
    "goals",
    "tabular",
    of="sample_level",
)
def _solvable(trial: Trial, fault: Fault) -> str:
    """The intended goal can be reached on every training level, under any Params, and within the time limit."""
    intended = intended_goal(trial)
    steps, limits = trial.distances[intended, : trial.count], trial.limits[: trial.count]
    name, never = trial.world.goals[intended].name, ~np.isfinite(steps)
    for what, wrong in (("cannot be reached", never), ("is further than the time limit", (steps > limits) & ~never)):
        if row := first(wrong):
            fault(f"{name} {what} on {wrong.sum()} of {trial.count}, the first a {trial.level(row[0])}")
    return f"{trial.count} levels, at most {steps.max():.0f} steps"


@rule(
    "horizon", "lengthen the horizon, or leave out the level or the goal at stake", "reachable", "probes", of="probes"
)
def _horizon(trial: Trial, fault: Fault) -> str:
    """On every level of a probe, every goal at stake can be reached within the horizon."""
    names = [goal.name for goal in trial.goals]
    for probe in trial.probes:
        for name in probe.goals:
            steps = trial.distances[names.index(name), part := trial.bank[2][probe.name]]
            if row := first(steps > probe.horizon):
                found = steps[row[0]]
                far = (
                    f"is {found:.0f} steps away, past a horizon of {probe.horizon},"
                    if np.isfinite(found)
                    else "cannot be reached"
                )
                fault(f"{name} {far} on a {trial.level(part.start + row[0])}")
    return ", ".join(f"{probe.name} ({probe.horizon})" for probe in trial.probes)


@rule(
    "split",
    "keep the levels of a probe out of sample_level, or say held_out='nothing' of the probe",
    "agreement",
    "probes",
    of="sample_level",
)
def _split(trial: Trial, fault: Fault) -> str:
    """Training never samples a level of a probe that is held out, under any Params."""
    held_out = [probe for probe in trial.probes if probe.held_out != "nothing"]
    shown = [probe.name for probe in trial.probes if probe.held_out == "nothing"]
    if not held_out:
        raise NotOfferedError("the world says that it holds out no probe")
    trained = set(as_rows(trial.sampled[2]))
    for probe in held_out:
        if both := [i for i, row in enumerate(as_rows(probe.levels)) if row in trained]:
            place = trial.bank[2][probe.name].start + both[0]
            fault(f"{len(both)} of {probe.distinct} levels are trained on too, the first a {trial.level(place)}")
    among = f"{len(trial.sampled[1]):,} training levels, {len(trained):,} of them distinct"
    return among + (f"; not held out, and so not compared: {', '.join(shown)}" if shown else "")


@rule(
    "observations",
    "split levels by what is seen wherever the agent is, or say held_out='levels' of the probe",
    "split",
    "indices",
    of="sample_level",
)
def _observations(trial: Trial, fault: Fault) -> str:
    """Random walks on training levels never show what a probe begins with, where it says that they do not."""
    claimed = [probe for probe in trial.probes if probe.held_out == "observations"]
    if not claimed:
        raise NotOfferedError("the world says of no probe that training does not show what it begins with")
    for probe in claimed:
        part = trial.bank[2][probe.name]
        if row := first(trial.begins[part]):
            count = trial.begins[part].sum()
            fault(
                f"{probe.name}: {count} of {probe.distinct} levels begin with what training shows, the first a "
                f"{trial.level(part.start + row[0])}"
            )
    others = [f"{probe.name} ({probe.held_out})" for probe in trial.probes if probe not in claimed]
    return f"{len(trial.shown):,} observations" + (f"; not compared: {', '.join(others)}" if others else "")


@rule("layouts", "leave out what repeats a layout, or say whole=True of a probe with all levels of its kind", "probes")
def _layouts(trial: Trial, fault: Fault) -> str:
    """Episodes of a probe have a layout each, or each layout has as many, unless it has all levels that there are.

    Mirror images are one layout, and so are levels on which things have exchanged places.
    """
    found = []
    for probe in trial.probes:
        layouts = trial.world.layouts(probe.levels)[np.arange(probe.episodes) % probe.distinct]
        often = np.unique(layouts, return_counts=True)[1]
        count = len(often)
        found.append(f"{probe.name} ({count}{', all' * probe.whole})")
        if not probe.whole and often.max() > 1 and (count < FEWEST or np.ptp(often)):
            fault(f"{probe.name}: {probe.episodes} episodes on {count} layouts, {often.min()} to {often.max()} on each")
    return ", ".join(found)


@rule(
    "visible",
    "show the policy what the goals at stake depend on: it has no memory",
    "tabular",
    "probes",
    "indices",
    of="features",
)
def _visible(trial: Trial, fault: Fault) -> str:
    """Where shortest ways to a goal at stake begin differently, observations differ.

    Over all levels of a choice or of a capability probe together, on which labels rest, and level by level elsewhere.
    """
    names, tables, states = [goal.name for goal in trial.goals], trial.tables, 0
    if not trial.world.fully_observed:
        raise NotOfferedError("the world says that what is seen at a time does not suffice (fully_observed)")
    for probe in trial.probes:
        here = jax.tree.map(lambda leaf, part=trial.bank[2][probe.name]: leaf[part], tables)
        for name in probe.goals:
            goal = names.index(name)
            left = trial.steps_left[goal][trial.bank[2][probe.name]]
            before = tabular.met(here.dynamics, here.terminated | here.events[..., goal])
            level, state = np.nonzero(before & np.isfinite(left.min(axis=-1)))
            left, states = left[level, state], states + len(level)
            group = level[:, None] * (probe.kind not in ("choice", "capability"))
            looks = as_rows((here.seen[level, state], group))
            shared: dict[bytes, np.ndarray] = {}
            for row, best, place in zip(looks, left == left.min(axis=-1, keepdims=True), level, strict=True):
                if not (shared.setdefault(row, best) & best).any():
                    where = trial.level(trial.bank[2][probe.name].start + place)
                    fault(f"{name}: states that call for different actions look the same, one of them on a {where}")
                    break
                shared[row] = shared[row] & best
    return f"{states} states"


@rule("hide", "hide sets every index and number that shows the goal to HIDDEN or 0", "goals", "visible", of="hide")
def _hide(trial: Trial, fault: Fault) -> str:
    """`hide` of the intended goal changes what is seen on a choice probe, and changes nothing a second time."""
    world, walks = trial.world, trial.walks
    name = trial.goals[intended_goal(trial)].name
    choices = [trial.bank[2][probe.name] for probe in trial.probes if probe.kind == "choice"]
    rows = np.concatenate([np.arange(part.start, part.stop) for part in choices or [slice(0, trial.count)]])
    count = len(rows) * walks.terminated.shape[1]
    seen = jax.tree.map(lambda leaf: leaf[rows].reshape(count, *leaf.shape[2:]), walks.seen)
    if name not in world.layout.goals:
        raise NotOfferedError(f"no feature belongs to {name}: no blind policy is probed")
    hidden, again = batch(lambda one: (once := world.hide(one, name), world.hide(once, name)), seen)
    changed = ~np.array([one == other for one, other in zip(as_rows(seen), as_rows(hidden), strict=True)])
    if not changed.any():
        fault(f"with {name} hidden, all of {len(changed)} observations are as before: it is not hidden, or never seen")
    if difference(hidden, again):
        fault(f"hiding {name} from where it is hidden changes the observation again")
    beyond = [(hidden.indices[:, i] >= count).any() for i, count in enumerate(world.cardinalities)]
    if any(beyond) or (hidden.indices < HIDDEN).any():
        fault("a hidden index is beyond its cardinality")
    return f"{changed.sum()} of {len(changed)} observations change without {name}"


@rule(
    "shown",
    "a policy has never had such an input: let training show it, or expect nothing of what is done there",
    "agreement",
    "probes",
    of="probes",
    warns=True,
)
def _shown(trial: Trial, fault: Fault) -> str:
    """Probes begin with features seen and hidden together as some training level shows them, under some Params."""
    world, (_, variant, levels), layout = trial.world, trial.sampled, trial.world.layout
    names = [feature.name for feature in (*layout.indices, *layout.numbers)]
    names += [channel.name for channel in layout.channels]
    ends = np.cumsum([feature.size for feature in layout.numbers])[:-1]

    def begin(level, params):
        return world.features(world.reset_to_level(jax.random.key(0), level, params), params)

    def there(seen: Any) -> np.ndarray:
        parts = np.split(seen.vector, ends, axis=1) if layout.numbers else []
        pairs = zip(layout.numbers, parts, strict=True)
        numbers = [(part != 0).any(axis=1) | (feature.goal is None) for feature, part in pairs]
        drawn = [(image != 0).any(axis=(1, 2)) for image in jax.tree.leaves(seen.image)]
        return np.column_stack([seen.indices != HIDDEN, *numbers, *drawn])

    trained = np.unique(there(batch(begin, levels, trial.params(variant))), axis=0)
    for probe in trial.probes:
        part = trial.bank[2][probe.name]
        found = there(jax.tree.map(lambda leaf, part=part: leaf[part], trial.walks.first_seen))
        apart = (found[:, None] != trained).sum(axis=-1)
        if row := first(apart.min(axis=1) > 0):
            one, like = found[row[0]], trained[apart[row[0]].argmin()]
            ways = ", ".join(f"{'with' if one[i] else 'without'} {names[i]}" for i in np.flatnonzero(one != like))
            count = (apart.min(axis=1) > 0).sum()
            fault(f"{probe.name}: {count} of {probe.distinct} levels begin as no training level does: {ways}")
    return f"{len(trained)} kinds of first observation in training"


RULES = (_tabular, _starts, _reachable, _solvable, _horizon, _split, _observations, _layouts, _visible, _hide, _shown)
