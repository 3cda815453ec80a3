"""The effect of a dose that policies bring about themselves, by an assignment that they did not choose."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import fdtri

from analysis.design import warn_of_pooling
from analysis.intervals import check_level
from analysis.names import check_name

WEAK = 10.0
"""Below this F of the first stage an instrument is called weak (Staiger and Stock 1997)."""
MORE = 4
"""Seeds that are added to all of a sample, half of them at each end of the range (Agresti and Caffo 2000)."""
ALL = 1 - 1e-9
"""The leverage of a seed that decides a fitted value alone."""
FEWEST = 8
"""Seeds of which coverage was measured, at least."""
UNMOVED = "unbounded: the assignment may not move the dose"
ALONE = "unbounded: a single seed has its assignment, and nothing says how its dose and outcome might have varied"
LEVEL = "unbounded: all outcomes are the same, and are no rates or shares in [0, 1], whose range is known"
FAINT = "weak: the assignment hardly moves the dose; rely on the interval, not on the estimate"
FEW = f"few: below {FEWEST} seeds the interval may cover less than its level"
"""What a result says of itself."""


class Effect(NamedTuple):
    """What `effect_of_dose` finds; `low` and `high` bound the doses' effect."""

    n: int
    per_assignment: float
    first_stage_f: float
    weak: bool
    estimate: float
    low: float
    high: float
    note: str


def effect_of_dose(
    df: pd.DataFrame,
    assignment: str,
    dose: str,
    outcome: str,
    by: str | Sequence[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """The effect of a unit of dose on an outcome, with the assignment as the instrument.

    Measured dose is behaviour: a policy that likes the button presses it, and is paid for it. A regression on it, or
    matching on it, finds that. Forced presses are assigned by the experimenter, whatever the policy is like, and add to
    the dose. With one assignment the estimate is cov(assignment, outcome) / cov(assignment, dose) (Wald 1940; two-stage
    least squares): an average over policies of the effect of the doses that the assignment added, weighted by how many
    it did (Angrist and Imbens 1995).

    The interval holds the effects b at which the outcome less b x dose does not depend on the assignment (Anderson and
    Rubin 1949), by a test with HC3 errors and n - 2 degrees of freedom. It keeps its level however weak the instrument;
    it is unbounded where the data do not say that the assignment moves the dose.

    Few seeds may all have the same outcome although its rate is not 0 or 1, and then show no error at all. To outcomes
    in [0, 1] the variance is added of four more seeds, spread over the assignments, half of them 0 and half 1, as in
    Agresti and Caffo's interval of a difference of rates (2000; Price and Bonett 2004 for more than two assignments).
    An effect belongs to the interval if it is not rejected about the observed rates or about those that include the
    four. Doses, and outcomes of other ranges, are treated so where all seeds of an assignment have the same, with the
    range that was seen.

    What is assumed and cannot be tested: seeds were assigned independently of anything else (conditions that differ in
    nothing but the assignment); and the assignment acts through the dose alone, so let `dose` count whatever is
    reinforced, forced presses included. Forced presses also begin episodes beside the button: what that does by itself
    is seen where they are forced and not paid.

    Args:
      df: one row a seed.
      assignment: a column of numbers or truths that the experimenter set.
      dose: a column of numbers, what was measured.
      outcome: a column of numbers or truths, such as `share.GOAL` or whether a label was given; rows without are left
        out. With 0 or 1 the effect is one on the rate.
      by: columns that define a group.
      level: confidence of the two-sided interval.
    Returns:
      One row a group, sorted: the `by` columns; n; per_assignment (dose per unit of assignment); first_stage_f (NaN
      where a single seed has its assignment), and whether it is weak (below 10); estimate, low, high (outcome per unit
      of dose); note, "" where all is well.
    Raises:
      ValueError: a column that does not exist or is not of numbers, or an assignment that does not vary.
    """
    by = [by] if isinstance(by, str) else list(by)
    check_level(level)
    for column in (assignment, dose, outcome, *by):
        check_name("column", column, df.columns)
    for column in (assignment, dose, outcome):
        if not pd.api.types.is_numeric_dtype(df[column]):
            raise ValueError(f"{column}: not numbers; make a label a column of truths: df.label == 'intended'")
    warn_of_pooling(df, [assignment, *by])
    rows = []
    for key, members in df.groupby(by, observed=True, dropna=False) if by else [((), df)]:
        values = members[[assignment, dose, outcome]].astype(float).dropna().to_numpy()
        if len(values) < 4 or len(np.unique(values[:, 0])) < 2:
            where = f" in group {key!r}" if by else ""
            raise ValueError(f"{assignment}: expected at least two values, over at least four seeds{where}")
        rows.append(
            dict(zip(by, key, strict=True)) | instrumented(values[:, 0], values[:, 1], values[:, 2], level)._asdict()
        )
    return pd.DataFrame(rows)


def instrumented(assignment: np.ndarray, dose: np.ndarray, outcome: np.ndarray, level: float = 0.95) -> Effect:
    """`effect_of_dose`, of arrays f64[seeds]."""
    n = len(assignment)
    z = assignment - assignment.mean()
    size = z @ z
    both = np.stack([dose, outcome])
    first, reduced = both @ z / size
    still = np.ptp(dose) == 0
    estimate = float(reduced / first) if first and not still else np.nan
    leverage = 1 / n + z**2 / size
    bounded = bool(outcome.min() >= 0 and outcome.max() <= 1)
    reasons = {ALONE: leverage.max() > ALL, UNMOVED: still, LEVEL: np.ptp(outcome) == 0 and not bounded}
    if why := next((reason for reason, holds in reasons.items() if holds), ""):
        return Effect(n, float(first), np.nan, True, estimate, -np.inf, np.inf, why)
    # HC3: MacKinnon and White 1985.
    errors = (both - both.mean(axis=1, keepdims=True) - np.outer([first, reduced], z)) * z / size / (1 - leverage)
    _, arm = np.unique(assignment, return_inverse=True)
    share = np.bincount(arm, weights=z) / size
    _, _, vary_dose = _with_more(dose, arm, dose.min(), dose.max())
    mean, own, vary = _with_more(outcome, arm, *((0, 1) if bounded else (outcome.min(), outcome.max())))
    vary = vary if bounded else vary * _alike(outcome, arm)
    more = np.diag([(vary_dose * _alike(dose, arm)) @ share**2, vary @ share**2])
    observed, shrunken = (reduced, errors), (mean @ share, errors * np.stack([np.ones(n), own[arm]]))
    critical, strength, ends = fdtri(1, n - 2, level), 0.0, []
    for slope, error in (observed, shrunken) if bounded else (observed,):
        covariance = error @ error.T + more
        strength = first**2 / covariance[0, 0] if first else 0.0
        ends.append(_effects(first, slope, critical * covariance))
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    note = UNMOVED if np.isinf(low) else FAINT if strength < WEAK else ""
    notes = [note, FEW if n < FEWEST else ""]
    weak = bool(strength < WEAK)
    return Effect(n, float(first), float(strength), weak, estimate, low, high, "; ".join(filter(None, notes)))


def _alike(values: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Of each arm of several seeds, whether all have the same value: bool[arms]."""
    n = np.bincount(arm)
    least, most = np.full(len(n), np.inf), np.full(len(n), -np.inf)
    np.minimum.at(least, arm, values)
    np.maximum.at(most, arm, values)
    return (least == most) & (n > 1)


def _with_more(values: np.ndarray, arm: np.ndarray, low: float, high: float) -> tuple[np.ndarray, ...]:
    """Of each arm, with more seeds, half of them at each end: mean, weight of its own seeds, variance, f64[arms].

    The variance is the mean's but for the spread of the arm's own seeds.
    """
    n = np.bincount(arm)
    more, own = MORE / len(n), np.bincount(arm, weights=values) / n
    mean = (n * own + more * (low + high) / 2) / (n + more)
    spread = n * (own - mean) ** 2 + more * ((low - mean) ** 2 + (high - mean) ** 2) / 2
    return mean, n / (n + more), spread / (n + more) ** 2


def _effects(first: float, reduced: float, allowed: np.ndarray) -> tuple[float, float]:
    """The ends of {b: (reduced - b first)^2 <= the allowed f64[dose, outcome] of outcome less b x dose}."""
    a, b = first**2 - allowed[0, 0], -2 * (first * reduced - allowed[0, 1])
    if a <= 0:
        return -np.inf, np.inf
    root = np.sqrt(max(b**2 - 4 * a * (reduced**2 - allowed[1, 1]), 0.0))
    return float((-b - root) / (2 * a)), float((-b + root) / (2 * a))
