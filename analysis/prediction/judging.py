"""Predictors beside each other, on pipelines that were held out of their fits."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.intervals import check_level
from analysis.names import check_name
from analysis.prediction.measured import Measured, between_halves, divergences
from analysis.prediction.pipelines import Pipelines
from analysis.prediction.predictors import PREDICTORS, Fit, Fitted, aligned, fit, identity
from analysis.prediction.tables import as_measured

DRAWS = 2000
"""Of a bootstrap."""
FLOOR = "halves of the seeds"
"""The name of the noise floor among the predictors."""


def judged(fitted: Fitted, pipelines: Pipelines, measured: Measured) -> np.ndarray:
    """f64[pipelines], the divergence of what is predicted from what was measured, a mean over pairs, in nats.

    Raises ValueError for a pipeline that it was fitted on.
    """
    return divergences(aligned(pipelines, measured), fitted.predict(pipelines))


def predict(
    df: pd.DataFrame | Measured,
    pipelines: Pipelines,
    predictor: str = "latent-policy-gradient",
    predictors: Mapping[str, Fit] = PREDICTORS,
) -> pd.DataFrame:
    """Predicted preferences of policies from unmeasured pipelines, fitted to measured ones.

    Args:
      df: one row a lane and pair of kinds, as from `analysis.load_preferences`, with a column `pipeline`.
      pipelines: those that were measured and those that are asked about.
      predictor: one of `predictors`.
    Returns:
      One row a pipeline that was not measured and a pair: pipeline, kind, rival, probability (of going for the kind).
    Raises:
      ValueError: no such predictor, a table that does not fit the pipelines, or nothing to fit to or to predict.
    """
    measured = as_measured(df, pipelines)
    there = np.isin(pipelines.names, measured.names)
    if there.all():
        raise ValueError("pipelines: all were measured; expected some that are to be predicted")
    asked = pipelines.only(~there)
    found = fit(predictor, pipelines.only(there), measured, predictors).predict(asked)
    names, pairs = np.repeat(asked.names, len(asked.pairs)), np.tile(asked.pairs, (len(asked), 1))
    columns = {"pipeline": names, "kind": pairs[:, 0], "rival": pairs[:, 1], "probability": found.ravel()}
    return pd.DataFrame(columns)


def compare_predictors(
    df: pd.DataFrame | Measured,
    pipelines: Pipelines,
    held_out: Sequence[str],
    predictors: Mapping[str, Fit] = PREDICTORS,
    folds: int = 5,
    level: float = 0.95,
) -> pd.DataFrame:
    """The errors of every predictor, on held-out pipelines of known families and on held-out families.

    Args:
      df: as for `predict`, of all the pipelines.
      held_out: families of pipelines that no predictor is fitted on. The others are cut into `folds`, each judged by a
        predictor that was fitted on the rest of them; pipelines with the same stages stay together.
      level: of the bootstrap intervals over pipelines.
    Returns:
      One row a predictor, and the noise floor as the last: `pipelines`, the mean divergence on held-out pipelines of
      known families, in nats, and its interval, pipelines.low and .high; `families`, that on the held-out families,
      likewise, and NaN where there are none.
    Raises:
      ValueError: a family that there is not, or fewer different pipelines than folds.
    """
    check_level(level)
    return summed_up(details(df, pipelines, held_out, predictors, folds), level)


def summed_up(every: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """What `compare_predictors` returns, from `details`."""
    rows = []
    for name, table in every.groupby("predictor", sort=False):
        row: dict[str, object] = {"predictor": name}
        for column, there in (("pipelines", ~table["held_out"]), ("families", table["held_out"])):
            values = table.loc[there, "divergence"].to_numpy()
            row[column], row[f"{column}.low"], row[f"{column}.high"] = _interval(values, level)
        rows.append(row)
    return pd.DataFrame(rows)


def details(
    df: pd.DataFrame | Measured,
    pipelines: Pipelines,
    held_out: Sequence[str],
    predictors: Mapping[str, Fit] = PREDICTORS,
    folds: int = 5,
) -> pd.DataFrame:
    """What `compare_predictors` sums up: predictor, pipeline, family, held_out (whether the family is), divergence."""
    families = np.array([one.family for one in pipelines])
    for family in held_out:
        check_name("family of pipelines", family, sorted(set(families)))
    out = np.isin(families, list(held_out))
    fold = _folds(pipelines.only(~out), folds)
    measured = aligned(pipelines, as_measured(df, pipelines))
    found = {}
    for name in predictors:
        values = np.full(len(pipelines), np.nan)
        inside = np.flatnonzero(~out)
        for number in range(folds):
            rest, judge = inside[fold != number], inside[fold == number]
            values[judge] = judged(
                fit(name, pipelines.only(rest), measured, predictors), pipelines.only(judge), measured
            )
        if out.any():
            whole = fit(name, pipelines.only(inside), measured, predictors)
            values[out] = judged(whole, pipelines.only(out), measured)
        found[name] = values
    found[FLOOR] = between_halves(measured)
    one = pd.DataFrame({"pipeline": pipelines.names, "family": families, "held_out": out})
    parts = [one.assign(predictor=name, divergence=values) for name, values in found.items()]
    return pd.concat(parts, ignore_index=True)[["predictor", *one.columns, "divergence"]]


def _folds(pipelines: Pipelines, folds: int, seed: int = 0) -> np.ndarray:
    """i64[pipelines], the fold of each; those of one identity are in one, and families are spread evenly."""
    places: dict[object, list[int]] = {}
    for place, one in enumerate(pipelines):
        places.setdefault(identity(one), []).append(place)
    if len(places) < folds:
        raise ValueError(f"folds: {folds} of {len(places)} different pipelines; expected at most as many")
    random, groups = np.random.default_rng(seed), list(places.values())
    order = sorted(random.permutation(len(groups)), key=lambda group: pipelines[groups[group][0]].family)
    found = np.zeros(len(pipelines), int)
    for number, group in enumerate(order):
        found[groups[group]] = number % folds
    return found


def _interval(values: np.ndarray, level: float) -> tuple[float, float, float]:
    """The mean, and the ends of its percentile interval over resampled pipelines."""
    if not len(values):
        return np.nan, np.nan, np.nan
    drawn = values[np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)
