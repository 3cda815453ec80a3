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
      One row a group, sorted: the `by` columns; n; per_assignment (dose per unit of assignment); first_stage_f, and
      whether it is weak (below 10); estimate, low, high (outcome per unit of dose); note, "" where all is well.
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
    slopes = both @ z / size
    left = both - both.mean(axis=1, keepdims=True) - slopes[:, None] * z
    # HC3: MacKinnon and White 1985.
    left = left / (1 - 1 / n - z**2 / size)
    (vary, covary), (_, vary_outcome) = (left * z**2) @ left.T / size**2
    first, reduced = slopes
    critical = fdtri(1, n - 2, level)
    strength = first**2 / vary if vary > 0 else np.inf if first else 0.0
    estimate = reduced / first if first else np.nan
    low, high, note = _quadratic(
        first**2 - critical * vary,
        -2 * (first * reduced - critical * covary),
        reduced**2 - critical * vary_outcome,
    )
    weak = bool(strength < WEAK)
    if weak and not note:
        note = "weak: the assignment hardly moves the dose; rely on the interval, not on the estimate"
    return Effect(n, float(first), float(strength), weak, float(estimate), low, high, note)


def _quadratic(a: float, b: float, c: float) -> tuple[float, float, str]:
    """The ends of {x: a x^2 + b x + c <= 0}, and why there are none."""
    if a > 0:
        root = np.sqrt(max(b**2 - 4 * a * c, 0.0))
        return float((-b - root) / (2 * a)), float((-b + root) / (2 * a)), ""
    return -np.inf, np.inf, "unbounded: the assignment may not move the dose"
