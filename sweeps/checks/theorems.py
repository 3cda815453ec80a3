"""Linear and tabular policies on the coin line: what is proved about where their training ends."""

from pathlib import Path
from typing import Any

import numpy as np

from analysis.intervals import interval
from sweeps.checks.coin_line import AGENDA, agenda, sweep, trajectories
from sweeps.checks.registry import Verdict, check

CHANCELESS = "no interval, since nothing here is random"


@check(
    "always-right",
    claim="Going right always collects the deployment coin with probability (L + 2) / (2(L + 1)); the oracle, always.",
    source=agenda("Lemma 3.2"),
    address=AGENDA,
    theirs="3/5 at L = 4 and 5/9 at L = 8; 1 for the oracle",
    rule="equal, up to rounding",
    specs=[sweep("always-right", "cloning", {"learner.total_steps": 1}, {"env.length": [4, 8]}, seeds=1)],
)
def _(folders: list[Path]) -> Verdict:
    import analysis

    baselines = analysis.load_baselines(folders[0]).set_index(["program", "actor"])["success.deployment"]
    lanes = analysis.load(folders[0])
    found, passed = [], True
    for program, length in zip(lanes["program"], lanes["env.length"], strict=True):
        success = baselines[program]
        right, oracle = float(success["always:right"]), float(success["oracle:coin"])
        found.append(f"{right:.6f} at L = {length} (oracle {oracle:.6f})")
        passed &= bool(np.isclose(right, (length + 2) / (2 * (length + 1))) and oracle == 1)
    return Verdict(f"{'; '.join(found)}; {CHANCELESS}: every level is played once", passed)


@check(
    "tabular-frozen",
    claim="With a weight for each state and ε = 0, training never moves the logit of the probe state.",
    source=agenda("Proposition 3.3"),
    address=AGENDA,
    theirs="a change of 0 at every step, for cloning and for the policy gradient",
    rule="exactly 0 in every lane and at every point of the curve, while every lane's loss falls",
    specs=[
        sweep(
            f"tabular-{learner}",
            learner,
            {"env.encoding": "one-hot", "learner.policy": "tabular", "learner.total_steps": 1000},
            {"learner.learning_rate": [0.0, 0.5]},
            keys="paired",
        )
        for learner in ("cloning", "exact-gradient")
    ],
    remark="Each trained lane is compared with one of the same initial weights and step size 0.",
)
def _(folders: list[Path]) -> Verdict:
    largest, fell, lanes_seen = 0.0, True, 0
    for folder in folders:
        _, lanes, logit = trajectories(folder)
        _, _, loss = trajectories(folder, "loss")
        still = lanes["learner.learning_rate"] == 0
        # Both halves are sorted by seed.
        largest = max(largest, float(np.max(np.abs(logit[~still] - logit[still]))))
        fell &= bool(np.all(loss[~still, -1] < loss[still, -1]))
        lanes_seen += int(np.sum(~still))
    ours = f"largest change {largest:g} over {lanes_seen} lanes; every lane's loss fell: {'yes' if fell else 'no'}"
    return Verdict(f"{ours}; {CHANCELESS} but the initial weights", largest == 0 and fell)


def _long_run(name: str, part: str, claim: str, side: str, spec: dict[str, Any], remark: str, least: float = 0) -> None:
    """Registers: in the long run every lane's probe logit is on one side, and its competence at least `least`."""
    competent = f", with an expected return of at least {least}" if least else ""

    @check(
        name,
        claim=claim,
        source=agenda(part),
        address=AGENDA,
        theirs=f"the limit is {side}, from every initialisation",
        rule=f"every seed of every condition is on the {side} side after the last step{competent}",
        specs=[spec],
        remark=remark,
    )
    def _(folders: list[Path]) -> Verdict:
        updates, lanes, logit = trajectories(folders[0])
        competence = trajectories(folders[0], "competence")[2][:, -1]
        last = logit[:, -1] if side == "right" else -logit[:, -1]
        count, n = int(np.sum(last > 0)), len(lanes)
        low, high = interval(count, n, "wilson")
        ours = f"{count} of {n} lanes ({low:.2f} to {high:.2f}) after {updates[-1]:,} steps"
        ends = f"probe logits from {logit[:, -1].min():.3g} to {logit[:, -1].max():.3g}"
        worst = f", expected return at least {competence.min():.6f}" if least else ""
        return Verdict(f"{ours}; {ends}{worst}", count == n and bool(np.all(competence >= least)))


def _linear(name: str, learner: str, encoding: str, scale: float, factors: dict[str, list]) -> dict[str, Any]:
    fixed = {"env.encoding": encoding, "learner.policy": "linear", "learner.total_steps": 20_000}
    return sweep(name, learner, fixed | {"learner.learning_rate": 0.1, "learner.scale": scale}, factors)


_SLOW = (
    "The logit of the probe changes like log k, so the limit shows only if the initial weights are small. Their "
    "standard deviation is {scale} here, η is 0.1, and the last step is at t = 2,000."
)

_long_run(
    "linear-absolute-right",
    "Proposition 4.2",
    "Cloned with absolute positions at ε = 0, a linear policy goes right at the probe.",
    "right",
    _linear("linear-absolute", "cloning", "absolute", 0.1, {"env.diversity": [0.0]}),
    _SLOW.format(scale=0.1),
)
_long_run(
    "linear-absolute-left",
    "Proposition 4.3",
    "Cloned with absolute positions at any ε > 0, a linear policy goes left, to the coin, at the probe.",
    "left",
    _linear("linear-absolute-diverse", "cloning", "absolute", 0.1, {"env.diversity": [0.1, 0.5, 1.0]}),
    _SLOW.format(scale=0.1),
)
_long_run(
    "linear-relative-left",
    "Proposition 4.4",
    "Cloned with relative positions at ε = 0, a linear policy goes left, to the coin, at the probe.",
    "left",
    _linear("linear-relative", "cloning", "relative", 0.1, {"env.diversity": [0.0]}),
    _SLOW.format(scale=0.1),
)
_long_run(
    "linear-one-hot-right",
    "Example 4.5",
    "Cloned with one-hot positions at ε = 0, a linear policy goes right at the probe.",
    "right",
    _linear("linear-one-hot", "cloning", "one-hot", 0.1, {"env.diversity": [0.0]}),
    _SLOW.format(scale=0.1),
)
_long_run(
    "linear-gradient-right",
    "Proposition 6.1",
    "Under the exact policy gradient at ε = 0, a linear policy's return tends to 1, and it goes right at the probe.",
    "right",
    _linear("linear-gradient", "exact-gradient", "absolute", 0.01, {"env.diversity": [0.0]}),
    _SLOW.format(scale=0.01)
    + " Here it grows more slowly still: in the limit by 7/157 while t grows by a factor of e.",
    least=0.999,
)
