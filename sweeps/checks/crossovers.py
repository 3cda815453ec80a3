"""How long a linear policy on the coin line goes right before its rare displaced coins correct it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.checks.coin_line import AGENDA, ISSUES, agenda, first_crossing, sweep, trajectories
from sweeps.checks.registry import Verdict, check

PREPRINT = "R. Sneiderman, Correction times for linear policy gradient on a coin line (preprint, 2026)"
PREPRINT_ADDRESS = "https://github.com/Robby955/coin-line-policy-gradient"

FLOW = {0.1: 4.85, 0.05: 10.75, 0.02: 30.1, 0.01: 64.9}
"""ε → the time at which the gradient flow of cloning crosses, from our own quadrature."""
GRADIENT_FLOW = {4: 388.307, 5: 281.956, 6: 163.832}
"""Length → the time at which the flow of the return crosses at ε = 0.01."""
RARE_FLOW = 213_270.0
"""The same at length 4 and ε = 0.0001."""


def _finely(first: float, points: int) -> list[float]:
    """Shares of training, evenly spread over the logarithm from `first` to 1."""
    return [round(float(share), 8) for share in np.geomspace(first, 1, points)]


def _times(folder: Path, eta: float, key: str) -> dict[float, tuple[float, float, float]]:
    """Value of the factor `key` → η times the first crossing, and times the steps recorded before and after it."""
    updates, lanes, logit = trajectories(folder)
    return {
        float(value): tuple(eta * step for step in first_crossing(updates, curve))  # type: ignore[misc]
        for value, curve in zip(lanes[key], logit, strict=True)
    }


def _told(times: dict[float, tuple[float, float, float]], theirs: Mapping[Any, float], name: str) -> tuple[str, float]:
    """In words, and the largest relative deviation."""
    off = {value: times[value][0] / theirs[value] - 1 for value in theirs}
    told = []
    for value in theirs:
        time, before, after = map(_number, times[value])
        told.append(f"{name} = {value:g}: {time} [{before}, {after}] ({off[value]:+.2%})")
    return "; ".join(told), max(map(abs, off.values()))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.5g}"


def _slopes(times: dict[float, float]) -> list[float]:
    """Local slopes of log T against log ε, between neighbouring values of ε."""
    eps = sorted(times, reverse=True)
    logs = np.log([times[one] for one in eps])
    return list(np.diff(logs) / np.diff(np.log(eps)))


def _rare_slope(at_a_hundredth: float, at_a_ten_thousandth: float) -> float:
    return -float(np.log(at_a_ten_thousandth / at_a_hundredth) / np.log(100))


def _listed(numbers: Sequence[float], digits: int = 3) -> str:
    return ", ".join(f"{number:.{digits}f}" for number in numbers)


BRACKET = "interpolated linearly between the two recorded steps in brackets; nothing here is random"


@check(
    "cloning-crossover",
    claim="Cloned from zero weights, a linear policy goes right at the probe until the time that the flow predicts.",
    source="Our own quadrature of the gradient flow of the agenda's Problem 5.7; nobody has published these times",
    address=AGENDA,
    theirs="; ".join(f"ηk* = {time:g} at ε = {eps:g}" for eps, time in FLOW.items()),
    rule="each within 2%, at η = 0.005",
    specs=[
        sweep(
            "cloning-crossover",
            "cloning",
            {
                "learner.policy": "linear", "learner.scale": 0.0, "learner.learning_rate": 0.005,
                "learner.total_steps": 15_000,
            },
            {"env.diversity": sorted(FLOW)},
            seeds=1,
            at=_finely(0.05, 200),
        )
    ],
)  # fmt: skip
def _(folders: list[Path]) -> Verdict:
    told, worst = _told(_times(folders[0], 0.005, "env.diversity"), FLOW, "ε")
    return Verdict(f"{told}; {BRACKET}", worst <= 0.02)


@check(
    "cloning-crossover-exponent",
    claim="As ε → 0 the first step at which a cloned linear policy goes left at the probe is k* = ε^(−1+o(1)).",
    source=agenda("Problems 5.7 and 7.2, a conjecture") + "; issue 16 claims a proof (not verified)",
    address=f"{ISSUES}/16",
    theirs="slope −1 in the limit ε → 0; no rate at finite ε",
    rule="none: an open conjecture, confronted and not assumed; another slope at finite ε says nothing against it",
    specs=[
        sweep(
            "cloning-crossover-small",
            "cloning",
            {
                "learner.policy": "linear", "learner.scale": 0.0, "learner.learning_rate": 0.1,
                "learner.total_steps": 120_000,
            },
            {"env.diversity": [1e-4, 1e-3, 1e-2, 1e-1]},
            seeds=1,
            at=_finely(3e-4, 300),
        )
    ],
    remark="If T were C ε⁻¹ log(1/ε), the slopes of T / log(1/ε) would all be −1. Under the conjecture both kinds of "
    "slope tend to −1. Our quadrature of the flow has 64.9, 805 and 9,578 for ε = 0.01, 0.001 and 0.0001.",
)  # fmt: skip
def _(folders: list[Path]) -> Verdict:
    times = {eps: time for eps, (time, _, _) in _times(folders[0], 0.1, "env.diversity").items()}
    eps = sorted(times, reverse=True)
    told = ", ".join(_number(times[one]) for one in eps)
    corrected = _slopes({one: time / np.log(1 / one) for one, time in times.items()})
    ours = (
        f"ηk* = {told} at ε = {', '.join(f'{one:g}' for one in eps)}; local slopes {_listed(_slopes(times))}; "
        f"those of T / log(1/ε) {_listed(corrected)}; εT / log(1/ε) = "
        f"{_listed([one * times[one] / np.log(1 / one) for one in eps], 4)}"
    )
    return Verdict(f"{ours}; nothing here is random", None)


_CORRECTION = sweep(
    "gradient-correction",
    "exact-gradient",
    {
        "learner.policy": "linear", "learner.scale": 0.0, "learner.learning_rate": 0.02,
        "learner.total_steps": 25_000, "env.diversity": 0.01,
    },
    {"env.length": sorted(GRADIENT_FLOW)},
    seeds=1,
    at=_finely(0.2, 150),
)  # fmt: skip


@check(
    "gradient-correction",
    claim="Under the exact policy gradient from zero weights, a linear policy goes right at the probe until the time "
    "that the flow predicts.",
    source=PREPRINT,
    address=PREPRINT_ADDRESS,
    theirs="; ".join(f"T(0.01) = {time:g} at L = {length}" for length, time in GRADIENT_FLOW.items()),
    rule="each within 2%, at η = 0.02",
    specs=[_CORRECTION],
    remark="The finite step size alone delays the crossing: from η = 0.02 to 0.01 the deviation halves.",
)
def _(folders: list[Path]) -> Verdict:
    told, worst = _told(_times(folders[0], 0.02, "env.length"), GRADIENT_FLOW, "L")
    return Verdict(f"{told}; {BRACKET}", worst <= 0.02)


@check(
    "gradient-correction-rare",
    claim="The same where one level in ten thousand is randomised: correction is late, and later than 1/ε.",
    source=PREPRINT,
    address=PREPRINT_ADDRESS,
    theirs=f"T(0.0001) = {RARE_FLOW:,.0f} at L = 4, hence a slope of {_rare_slope(GRADIENT_FLOW[4], RARE_FLOW):.3f} "
    "from ε = 0.01; in the limit ε → 0 the slope is −157/138 = −1.138",
    rule="T within 2%, at η = 0.1; the slope is described, as the limit is far below any ε that float32 can train at",
    specs=[
        _CORRECTION,
        sweep(
            "gradient-correction-rare",
            "exact-gradient",
            {
                "learner.policy": "linear", "learner.scale": 0.0, "learner.learning_rate": 0.1,
                "learner.total_steps": 2_300_000,
            },
            {"env.diversity": [1e-4]},
            seeds=1,
            at=_finely(0.8, 60),
            run={"chunk": 1},
        ),
    ],
    remark="The finite step size delays the crossing: with the first 5,000 steps of η = 0.1 in float64, and the flow "
    "from there, it comes 1.3% late. η was chosen after trials at 1, whose first step is too long to return from, and "
    "at 0.2, which crossed 2.9% late (in float64 3.2%). The tolerance had been fixed before.",
)  # fmt: skip
def _(folders: list[Path]) -> Verdict:
    at_001 = _times(folders[0], 0.02, "env.length")[4]
    times = _times(folders[1], 0.1, "env.diversity")
    told, worst = _told(times, {1e-4: RARE_FLOW}, "ε")
    slope = _rare_slope(at_001[0], times[1e-4][0])
    return Verdict(f"{told}, a slope of {slope:.3f} from ε = 0.01; {BRACKET}", worst <= 0.02)
