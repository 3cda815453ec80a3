"""The dose at which a rate crosses one half, without a shape of the curve but that it only rises or only falls."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtri, ndtri, xlogy

from analysis.design import warn_of_pairs, warn_of_pooling
from analysis.doses import doses_of
from analysis.intervals import check_level
from analysis.isotonic import isotonic, isotonic_from_each, trend

UNBOUNDED = "unbounded: the rate may not depend on the dose"
TURNS = "not monotone: the rate rises and falls with the dose"
OPEN = "open: the rate may reach {rate:g} beyond the doses that were tried, or never"
"""Why a tipping dose is not enclosed."""
SIDE = 0.4
"""Of the error, to each end of the interval; what is left is the chance to take a rising curve for a falling one."""
DRAWS = 9_999
"""Of data under the least favourable curve."""
MOST = 16
"""Doses, or groups of neighbouring doses, that the tests look at."""
ROUNDING = 1e-9
"""Of equal statistics."""


def tipping_dose(
    df: pd.DataFrame,
    dose: str,
    label: str,
    by: str | Sequence[str] = (),
    rate: float = 0.5,
    scale: str = "log",
    level: float = 0.95,
) -> pd.DataFrame:
    """The dose at which the rate of a label crosses one half, in every group; or that it does not cross.

    The only assumption is that the rate only rises or only falls with the dose, so the ends of the interval are doses
    that were tried. A rising rate that has crossed by a dose is at least `rate` there and at every dose above. Where
    the seeds at these doses reject that, by the likelihood ratio of rates that rise, the crossing lies above. The
    ratio's distribution is largest where all these rates are `rate`, and is drawn there, so that the test keeps its
    level whatever the curve and however few the seeds. The upper end is found the same way.

    Robertson, Wright and Dykstra 1988, chapters 1 and 2.

    Args:
      df, dose, label: as in `dose_response`.
      by: columns that define a group.
      rate: that is reached at the tipping dose.
      scale: "log" (doses must be positive: leave those of 0 out, or take "linear"), or "linear": how the estimate is
        interpolated between two doses. It does not change the interval.
      level: confidence of the two-sided intervals.
    Returns:
      One row a group, sorted: the `by` columns; n; crossing ("yes": within the doses that were tried; "no": the data
      rule that out; "unknown"); dose (where the isotonic fit, straight between doses, crosses; NaN where it does not,
      or where the direction is unknown), low, high; note, "" where the crossing is enclosed, else what is known
      instead.
    Raises:
      ValueError: as `dose_response`, or a rate that is not in (0, 1).
    """
    by = [by] if isinstance(by, str) else list(by)
    check_level(level)
    if not 0 < rate < 1:
        raise ValueError(f"rate: {rate!r} is not a rate strictly between 0 and 1")
    seeds, _, has = doses_of(df, dose, label, by, scale)
    every = seeds[dose].to_numpy(float)
    warn_of_pooling(df, [dose, *by])
    warn_of_pairs(df, [dose, *by])
    rows = []
    for key, members in seeds.groupby(by, observed=True, dropna=False).indices.items() if by else [((), slice(None))]:
        key = key if isinstance(key, tuple) else (key,)
        x, place, n = np.unique(every[members], return_inverse=True, return_counts=True)
        if len(x) < 2:
            where = f" in group {key!r}" if by else ""
            raise ValueError(f"{dose}: a single dose{where}; a tipping dose needs at least two")
        found = crossings(x, np.bincount(place, weights=has[members]), n, rate, scale, 1 - level)
        rows.append(
            dict(zip(by, key, strict=True))
            | {"n": int(n.sum())}
            | {name: one.item() for name, one in found._asdict().items()}
        )
    return pd.DataFrame(rows)


class Crossing(NamedTuple):
    """What `tipping_dose` finds, of data sets [...]."""

    crossing: np.ndarray
    dose: np.ndarray
    low: np.ndarray
    high: np.ndarray
    note: np.ndarray


def crossings(x: np.ndarray, hits: np.ndarray, n: np.ndarray, rate: float, scale: str, error: float) -> Crossing:
    """`tipping_dose`, of `hits` f64[..., doses] among n i64[doses] seeds at rising doses x f64[doses]."""
    nothing, log = (0.0, True) if scale == "log" else (-np.inf, False)
    total, some = n.sum(), hits.sum(axis=-1)
    z = trend(hits, n, some * (total - some) / total / (total - 1))
    sure = abs(z) > ndtri(1 - (1 - 2 * SIDE) * error)
    up = _enclosed(x, hits, n, rate, SIDE * error)
    down = -np.stack(_enclosed(-x[::-1], hits[..., ::-1], n[::-1], rate, SIDE * error))[::-1]
    rises, falls = (~(sure & (way * z < 0)) & (one[0] <= one[1]) for way, one in ((1, up), (-1, down)))
    low = np.minimum(np.where(rises, up[0], np.inf), np.where(falls, down[0], np.inf))
    high = np.maximum(np.where(rises, up[1], -np.inf), np.where(falls, down[1], -np.inf))
    outside = [(one[0] >= x[-1]) | (one[1] <= x[0]) for one in (up, down)]
    never = (outside[0] | ~rises) & (outside[1] | ~falls)
    turns = _turns(hits, n, error) | (low > high)
    fit = np.where((z >= 0)[..., None], isotonic(hits / n, n) - rate, rate - isotonic(hits / n, n, increasing=False))
    dose = _root(np.log(x) if log else x, fit)
    side = np.where(some < rate * total, "below", "above")
    none = np.char.add(np.char.add("no crossing: the rate is ", side), f" {rate:g} at every dose that was tried")
    either = ~(sure & (rises ^ falls))
    unbounded = turns | (either & ~never)
    cases = [turns, never, either, (low <= nothing) | (high == np.inf)]
    return Crossing(
        np.select(cases, ["unknown", "no", "unknown", "unknown"], "yes"),
        np.where(unbounded | never, np.nan, np.exp(dose) if log else dose),
        np.where(unbounded, nothing, np.maximum(low, nothing)),
        np.where(unbounded, np.inf, high),
        np.select(cases, [TURNS, none, UNBOUNDED, OPEN.format(rate=rate)], ""),
    )


def _enclosed(
    x: np.ndarray, hits: np.ndarray, n: np.ndarray, rate: float, error: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ends f64[...] of where a rate that rises crosses, each of which errs with probability `error` at most."""
    first = np.unique(np.linspace(0, len(x), min(len(x), MOST) + 1).astype(int))
    hits, n = np.add.reduceat(hits, first[:-1], axis=-1), np.add.reduceat(n, first[:-1])
    above = _below(hits, n, rate) > _critical(tuple(n.tolist()), rate, error)
    n, hits = n[::-1], (n - hits)[..., ::-1]
    below = _below(hits, n, 1 - rate) > _critical(tuple(n.tolist()), 1 - rate, error)
    # Of hypotheses that imply the next one, those that are rejected up to the first that is not.
    above, below = (rejected.cumprod(axis=-1).sum(axis=-1) for rejected in (above, below))
    return np.append(-np.inf, x[first[:-1]])[above], np.append(np.inf, x[first[:0:-1] - 1])[below]


def _below(hits: np.ndarray, n: np.ndarray, rate: float) -> np.ndarray:
    """The likelihood ratio statistic f64[..., doses]: rates that rise from this dose up, against rates of `rate`."""
    share = hits / n
    fit = np.clip(isotonic_from_each(share, n), 0, rate)
    share = share[..., None, :]
    gain = xlogy(share, fit / rate) + xlogy(1 - share, (1 - fit) / (1 - rate))
    return 2 * np.triu(n * gain).sum(axis=-1)


@cache
def _critical(n: tuple[int, ...], rate: float, error: float) -> np.ndarray:
    """f64[doses]: what `_below` exceeds with probability `error` at most, where all rates are at least `rate`."""
    drawn = np.random.default_rng(0).binomial(n, rate, (DRAWS, len(n)))
    ratios = [_below(some, np.array(n), rate) for some in np.array_split(drawn, 10)]
    ratios.append(np.full((1, len(n)), np.inf))
    place = DRAWS - int(error * (DRAWS + 1))
    return np.partition(np.concatenate(ratios), place, axis=0)[place] + ROUNDING


def _turns(hits: np.ndarray, n: np.ndarray, error: float) -> np.ndarray:
    """Whether rates that only rise with the dose, and rates that only fall, are both rejected.

    The likelihood ratio of the isotonic fit against a rate for each dose. Its null distribution is a mixture of
    chi-squared ones of fewer degrees of freedom than the one taken here (Robertson et al. 1988, section 2.3), so that
    less than `error` of monotone responses are called turning.
    """
    share = hits / n
    own = xlogy(share, share) + xlogy(1 - share, 1 - share)
    worse = []
    for increasing in (True, False):
        fit = np.clip(isotonic(share, n, increasing), 0, 1)
        worse.append(2 * ((own - xlogy(share, fit) - xlogy(1 - share, 1 - fit)) @ n))
    return (np.minimum(*worse) > chdtri(len(n) - 1, error)) & (len(n) > 2)


def _root(x: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Where a fit f64[..., doses] that rises is 0, straight between the doses: or NaN."""
    last = len(x) - 1
    least, most = (fit < 0).sum(axis=-1), last - (fit > 0).sum(axis=-1)
    start, end = np.maximum(least - 1, 0), np.minimum(most + 1, last)
    low, high = (np.take_along_axis(fit, one[..., None], axis=-1)[..., 0] for one in (start, end))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = x[start] - low / (high - low) * (x[end] - x[start])
    level = (x[np.minimum(least, last)] + x[np.maximum(most, 0)]) / 2
    return np.where(most >= least, level, np.where((least == 0) | (most == last), np.nan, between))
