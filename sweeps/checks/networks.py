"""Two-layer networks of finite width on the coin line at ε = 0."""

from pathlib import Path

import numpy as np

from analysis.intervals import interval
from sweeps.checks.coin_line import ISSUES, sweep, trajectories
from sweeps.checks.registry import Verdict, check

WIDTHS = [1, 2, 4, 8]
SEEDS = 256
LEVEL = 0.999
"""Of each interval where several are judged together."""
ROUNDING = 1e-3
"""By how much a logit may fall between two points, in units of max(1, |logit|): thousands of steps in float32."""

_TRAINED = [
    sweep(
        f"network-{learner}",
        learner,
        {"learner.total_steps": 3000, "learner.learning_rate": 0.03, "env.diversity": 0.0},
        {"learner.width": [*WIDTHS, 32]},
        seeds=SEEDS,
    )
    for learner in ("cloning", "exact-gradient")
]
SETTING = (
    f"Checked at L = 4, η = 0.03, up to k = 3,000, with initial weights of standard deviation 1 and {SEEDS} seeds for "
    "each of the widths 1, 2, 4, 8 and 32."
)


@check(
    "network-initial-signs",
    claim="Before training, the probe logit of a network of width m is 0 with probability 2⁻ᵐ, else of a fair sign.",
    source="Candidate solution to MAIS-O83, issue 25 (not verified); the symmetry of normal weights gives it at once",
    address=f"{ISSUES}/25",
    theirs="P(f = 0) = 2⁻ᵐ and P(f > 0) = (1 − 2⁻ᵐ)/2",
    rule=f"the {LEVEL:.1%} Wilson interval of each of the eight shares contains its number",
    specs=[
        sweep(
            "network-initial",
            "cloning",
            {"learner.total_steps": 1, "learner.learning_rate": 0.0},
            {"learner.width": WIDTHS},
            seeds=2000,
        )
    ],
)
def _(folders: list[Path]) -> Verdict:
    _, lanes, logit = trajectories(folders[0])
    found, passed = [], True
    for width in WIDTHS:
        of_width = logit[lanes["learner.width"] == width, -1]
        shares = {"= 0": (of_width == 0, 2.0**-width), "> 0": (of_width > 0, (1 - 2.0**-width) / 2)}
        told = []
        for sign, (share, expected) in shares.items():
            low, high = interval(np.sum(share), len(share), "wilson", LEVEL)
            passed &= bool(low <= expected <= high)
            told.append(f"P(f {sign}) = {np.mean(share):.4f} [{low:.4f}, {high:.4f}] for {expected:.4f}")
        found.append(f"m = {width}: {', '.join(told)}")
    return Verdict(f"{'; '.join(found)} ({LEVEL:.1%} intervals)", passed)


@check(
    "network-monotone",
    claim="At ε = 0 the probe logit of a network never falls, whatever its width, seed and step size.",
    source="Candidate solution to MAIS-O82, issue 26 (not verified), for cloning; for the policy gradient no source, "
    "by the same argument with the positive gradients of Proposition 6.1",
    address=f"{ISSUES}/26",
    theirs="no fall in any lane",
    rule=f"between two points of the curve no lane's logit falls by more than {ROUNDING:g} × max(1, |logit|), "
    "which allows for float32",
    specs=_TRAINED,
    remark=SETTING,
)
def _(folders: list[Path]) -> Verdict:
    found, passed = [], True
    for spec, folder in zip(_TRAINED, folders, strict=True):
        _, lanes, logit = trajectories(folder)
        fall = -np.diff(logit, axis=1) / np.maximum(1, np.abs(logit[:, 1:]))
        worst = abs(float(np.max(fall, initial=0.0)))
        falling = int(np.sum(np.any(~(fall <= ROUNDING), axis=1)))
        low, high = interval(falling, len(lanes), "wilson")
        share = f"{falling} of {len(lanes)} lanes fall ({low:.3f} to {high:.3f})"
        found.append(f"{spec['learner']}: {share}, the largest fall {worst:.1e}")
        passed &= falling == 0
    return Verdict("; ".join(found), passed)


@check(
    "network-seldom-negative",
    claim="At ε = 0 a network of width m goes left at the probe with probability at most (1 − 2⁻ᵐ)/2, at every step.",
    source="Candidate solution to MAIS-O83, issue 25 (not verified), for cloning; for the policy gradient no source",
    address=f"{ISSUES}/25",
    theirs="P(f < 0) ≤ (1 − 2⁻ᵐ)/2",
    rule=f"at every point of the curve the lower end of the {LEVEL:.1%} Wilson interval is at most that",
    specs=_TRAINED,
    remark=SETTING,
)
def _(folders: list[Path]) -> Verdict:
    found, passed = [], True
    for spec, folder in zip(_TRAINED, folders, strict=True):
        _, lanes, logit = trajectories(folder)
        shares = []
        for width in [*WIDTHS, 32]:
            negative = logit[lanes["learner.width"] == width] < 0
            low, _ = interval(negative.sum(axis=0), len(negative), "wilson", LEVEL)
            passed &= bool(np.all(low <= (1 - 2.0**-width) / 2))
            ends = interval(negative[:, -1].sum(), len(negative), "wilson")
            shares.append(f"m = {width}: {negative[:, -1].mean():.3f} [{ends[0]:.3f}, {ends[1]:.3f}]")
        found.append(f"{spec['learner']}, at the last step: {', '.join(shares)}")
    return Verdict("; ".join(found), passed)
