"""How a rate depends on a dose: penalised logistic regression, and monotone curves.

A dose is a setting of the training distribution (diversity, exposure) or a count of what happened in training. Where it
is such a count it is behaviour, and a curve against it is no effect: see `analysis.instrument`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.special import expit

from analysis.design import is_paired, warn_of_pairs, warn_of_pooling
from analysis.intervals import check_level
from analysis.isotonic import isotonic, trend
from analysis.names import check_name
from analysis.shares import check_shares

SCALES = ("linear", "log")
ITERATIONS = 200
"""Of a Newton search, at most; some tens where the data are separated."""
DRAWS = 2000
"""Weightings of the seeds from which a band is taken; data sets with which a misfit is compared."""
APART = "separated: the data do not bound this term on the open side"
STEEP = "steep: seeds disagree at fewer than {least} doses, and the interval may cover less than its level"
MISFIT = "misfit: the rates are further from a logistic curve than chance brings, and its terms describe them badly"
FLAT = "flat: the curve may be level, and the band at its ends may then cover less than its level"
"""Why a term of a dose-response, or a band, is not to be relied on."""
SURE = 2.0
"""Standard errors of a trend that is none."""


class _Cells(NamedTuple):
    """Rows with equal regressors counted together: x f64[cells, k] without intercept, y bool, weight f64[cells]."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def _cells(x: np.ndarray, y: np.ndarray) -> _Cells:
    """Raises ValueError where the columns of x and an intercept depend on each other linearly."""
    unique, place = np.unique(x, axis=0, return_inverse=True)
    with_one = np.column_stack([unique / np.maximum(abs(unique).max(axis=0), 1e-300), np.ones(len(unique))])
    if np.linalg.matrix_rank(with_one) < with_one.shape[1]:
        raise ValueError(
            "dose: too few values to fit: a dose needs two, and an interaction two at each value of the other column"
        )
    hits = np.bincount(place.ravel(), weights=y, minlength=len(unique))
    every = np.bincount(place.ravel(), minlength=len(unique))
    # firthmodels asks for both outcomes; the penalised likelihood does not need them.
    weight = np.maximum(np.concatenate([every - hits, hits]), 1e-12)
    return _Cells(np.tile(unique, (2, 1)), np.repeat([False, True], len(unique)), weight)


def _fit(cells: _Cells) -> Any:
    """Firth's penalised logistic regression: the Jeffreys prior's square root of |information| as the penalty."""
    from firthmodels import FirthLogisticRegression

    model = FirthLogisticRegression(backend="numpy", max_iter=ITERATIONS, gtol=1e-6, xtol=1e-6)
    return model.fit(cells.x, cells.y, sample_weight=cells.weight)


def dose_response(
    df: pd.DataFrame,
    dose: str,
    label: str,
    by: str | Sequence[str] = (),
    scale: str = "linear",
    level: float = 0.95,
) -> pd.DataFrame:
    """Log-odds of a label against a dose, and how its slope depends on other columns.

    logit P(label) = intercept + dose + each column of `by` + dose x each column of `by`, by Firth's penalised
    likelihood, which stays finite where a dose separates seeds with the label from those without, as is usual outside a
    transition. Intervals and p-values are those of the penalised likelihood ratio. Where the data separate along a
    term, the ends that the penalty alone would set are infinite.

    Firth 1993 (Biometrika 80, 27-38); Heinze and Schemper 2002 (Statistics in Medicine 21, 2409-2419); Albert and
    Anderson 1984 (Biometrika 71, 1-10) for what separates.

    Args:
      df: as from `load`, one row a lane.
      dose: a column of numbers.
      label: of `df["label"]`.
      by: columns that the rate and its slope may depend on. Numbers enter as they are; of other columns each value but
        the first (in sorted order) has a term, its difference from the first.
      scale: "linear", or "log": the dose enters as its natural logarithm.
      level: confidence of the two-sided intervals.
    Returns:
      One row a term: term, estimate, low, high (log-odds, of a slope per unit of dose or of its logarithm), p; note, ""
      where all is well. NaN, with firthmodels' warning, where a search for an end does not converge.
    Raises:
      ValueError: a column or label that does not exist, a dose that is no number or has no logarithm, or columns that
        the data do not distinguish.
    """
    by = [by] if isinstance(by, str) else list(by)
    check_level(level)
    seeds, x, y = doses_of(df, dose, label, by, scale)
    warn_of_pooling(df, [dose, *by])
    warn_of_pairs(df, [dose, *by])
    name = f"log {dose}" if scale == "log" else dose
    columns = {name: x}
    for column in by:
        for term, values in _contrasts(seeds[column]).items():
            columns |= {term: values, f"{name} x {term}": x * values}
    design = np.stack(list(columns.values()), axis=1)
    unit = np.where(design.std(axis=0) > 0, design.std(axis=0), 1)
    cells = _cells(design / unit, y)
    model = _fit(cells)
    model.lrt()
    apart = _separated(cells)
    ends = np.where(apart, [-np.inf, np.inf], model.conf_int(alpha=1 - level, method="pl", max_iter=ITERATIONS))
    table = pd.DataFrame({"term": [*columns, "intercept"], "estimate": np.append(model.coef_, model.intercept_)})
    table[["low", "high"]] = ends
    table[["estimate", "low", "high"]] = table[["estimate", "low", "high"]].div(np.append(unit, 1.0), axis=0)
    table["p"] = model.lrt_pvalues_
    hits, n = cells.weight[cells.y].round(), (cells.weight[cells.y] + cells.weight[~cells.y]).round()
    with_one = np.column_stack([cells.x[cells.y], np.ones(len(n))])
    disagree = int(((hits > 0) & (hits < n)).sum())
    least = min(len(apart) + 1, int((n > 1).sum()))
    notes = [MISFIT] if misfits(with_one, hits, n, np.append(model.coef_, model.intercept_), 1 - level) else []
    notes += [STEEP.format(least=least)] if disagree < least and not apart.any() else []
    table["note"] = ["; ".join([APART, *notes] if one.any() else notes) for one in apart]
    return table.iloc[[-1, *range(len(columns))]].reset_index(drop=True)


def _separated(cells: _Cells) -> np.ndarray:
    """Of each term and last the intercept, whether -infinity and whether infinity is as likely as any: bool[terms, 2].

    That is so where some change of all terms, in which this one falls (or rises), makes no outcome less likely.
    """
    seen = cells.weight > 0.5
    ways = np.column_stack([cells.x, np.ones(len(cells.y))])[seen] * np.where(cells.y, -1, 1)[seen, None]
    terms = ways.shape[1]
    found = np.zeros((terms, 2), bool)
    for term in range(terms):
        for place, change in enumerate((-1, 1)):
            bounds = [(change, change) if one == term else (None, None) for one in range(terms)]
            found[term, place] = linprog(np.zeros(terms), ways, np.zeros(len(ways)), bounds=bounds).status == 0
    return found


def misfits(x: np.ndarray, hits: np.ndarray, n: np.ndarray, terms: np.ndarray, error: float) -> bool:
    """Whether rates of `hits` of n f64[cells] differ from the logistic curve of terms f64[terms] by more than chance.

    Pearson's statistic of what is left of the residuals when x f64[cells, terms] has explained what it can, among those
    of data sets drawn from the curve. Single seeds a cell say next to nothing.
    """
    rate = expit(x @ terms)
    spread = np.sqrt(np.maximum(n * rate * (1 - rate), 1e-12))
    explained, _ = np.linalg.qr(spread[:, None] * x)

    def left(hits: np.ndarray) -> np.ndarray:
        residual = (hits - n * rate) / spread
        return (residual**2).sum(axis=-1) - ((residual @ explained) ** 2).sum(axis=-1)

    drawn = np.random.default_rng(0).binomial(n.astype(int), rate, (DRAWS, len(n)))
    return len(n) > len(terms) and bool((left(drawn) >= left(hits) - 1e-9).mean() < error)


def monotone(
    df: pd.DataFrame,
    dose: str,
    value: str,
    by: str | Sequence[str] = (),
    increasing: bool = True,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Isotonic fit of a rate or a mean share to a dose: the rising (or falling) curve nearest to the means.

    Isotonic regression. The band is pointwise, by a bootstrap over seeds: 2,000 random weightings, uniform over all
    weights that sum to 1 (Rubin's of 1981). At each dose one more seed takes part, of share 1 for the upper end and 0
    for the lower: a plain bootstrap has no width where all seeds agree. At a single dose it is `mean_interval`. Where
    keys were paired, a seed has the same weight at every dose.

    Args:
      df: as from `load`, one row a lane.
      dose: a column of numbers, or any that sorts.
      value: a label, whose rate is meant, or a column of shares in [0, 1]; seeds without a share are left out.
      by: columns that define a curve.
      increasing: whether the curve rises.
      level: confidence of the two-sided band at each dose.
      seed: of the weightings.
    Returns:
      One row a group and dose, sorted: the `by` columns, the dose, n, mean (of the seeds), fitted, low, high, note (""
      where the curve clearly rises, or falls).
    Raises:
      ValueError: a column or label that does not exist, or a column that is no share.
    """
    by = [by] if isinstance(by, str) else list(by)
    check_level(level)
    for column in (dose, *by):
        check_name("column", column, df.columns)
    if value in df:
        check_shares(df, value)
        given = df[value].astype(float)
        if given.min() < 0:
            raise ValueError(f"{value}: its least value is {given.min():.4g}; expected shares in [0, 1]")
    else:
        categories = df["label"].cat.categories
        check_name("label or column", value, [*categories, *df.columns])
        given = (df["label"] == value).astype(float)
    warn_of_pooling(df, [dose, *by])
    known = df.assign(_value=given)[given.notna() & df[dose].notna()]
    if known.empty:
        raise ValueError(f"{value}: no seed has both a dose and a value")
    unit = [*(["master_seed"] if "master_seed" in df else []), "seed"] if is_paired(df) else []
    parts = []
    for key, members in known.groupby(by, observed=True, dropna=False) if by else [((), known)]:
        doses, place = np.unique(members[dose].to_numpy(), return_inverse=True)
        y, n = members["_value"].to_numpy(), np.bincount(place)
        mean = np.bincount(place, weights=y) / n
        fitted = np.clip(isotonic(mean, n, increasing), 0, 1)
        who = members.groupby(unit).ngroup().to_numpy() if unit else np.arange(len(members))
        low, high = _band(y, place, who, increasing, level, np.random.default_rng(seed))
        rise = trend(n * mean, n, y.var(ddof=1)) if len(y) > 1 else 0.0
        note = "" if rise * (1 if increasing else -1) > SURE else FLAT
        front = {column: [one] * len(doses) for column, one in zip(by, key, strict=True)}
        parts.append(
            pd.DataFrame(
                front | {dose: doses, "n": n, "mean": mean, "fitted": fitted, "low": low, "high": high, "note": note}
            )
        )
    return pd.concat(parts, ignore_index=True)


def _band(
    y: np.ndarray, place: np.ndarray, who: np.ndarray, increasing: bool, level: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Ends f64[doses] for shares y f64[rows] at doses `place` of seeds `who`."""
    doses = place.max() + 1
    at = (place[:, None] == np.arange(doses)).astype(float)
    weights = generator.standard_exponential((DRAWS, who.max() + 1))[:, who]
    total, hits = weights @ at, weights @ (at * y[:, None])
    extra = generator.standard_exponential((DRAWS, doses))
    heavy, part = total + extra, (1 - level) / 2
    low, high = (isotonic(share / heavy, heavy, increasing) for share in (hits, hits + extra))
    low, high = np.quantile(low, part, axis=0), np.quantile(high, 1 - part, axis=0)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def doses_of(
    df: pd.DataFrame, dose: str, label: str, by: list[str], scale: str
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The frame without rows that lack a dose, the regressor f64[rows], and whether each has the label."""
    for column in (dose, *by):
        check_name("column", column, df.columns)
    check_name("label", label, df["label"].cat.categories)
    check_name("scale", scale, SCALES)
    if not pd.api.types.is_numeric_dtype(df[dose]) or pd.api.types.is_bool_dtype(df[dose]):
        raise ValueError(f"{dose}: not numbers; a dose is a number")
    seeds = df[df[dose].notna()]
    x = seeds[dose].to_numpy(float)
    if not len(x):
        raise ValueError(f"{dose}: no seed has a dose")
    if np.isinf(x).any():
        raise ValueError(f"{dose}: an infinite dose; leave such rows out")
    if scale == "log":
        if (x <= 0).any():
            raise ValueError(f"{dose}: {x.min():g} has no logarithm; leave such doses out, or take scale='linear'")
        x = np.log(x)
    return seeds, x, (seeds["label"] == label).to_numpy()


def _contrasts(column: pd.Series) -> dict[str, np.ndarray]:
    """The regressors of a column: itself, or one for each value but the first."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return {str(column.name): column.to_numpy(float)}
    values = sorted(column.unique())
    return {f"{column.name}={value}": (column == value).to_numpy(float) for value in values[1:]}
