"""Which goal a policy has, as told by a classifier from other columns, on policies that it was not fitted to."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.intervals import check_level, interval
from analysis.names import check_name

PENALTIES = 10.0 ** np.arange(-2, 4)
"""Of a ridge regression on features of variance 1, times the number of rows. With the greatest, slopes are as the
covariances of features and target."""


def decoded(
    df: pd.DataFrame,
    features: Sequence[str],
    target: str,
    *,
    hold_out: str = "seed",
    by: Sequence[str] = (),
    folds: int = 8,
    permutations: int = 200,
    level: float = 0.95,
) -> pd.DataFrame:
    """How well features predict which of two policies has more of a goal, on policies held out of the fit.

    A ridge regression predicts the target from the features; its penalty is chosen by generalised cross-validation
    (Golub, Heath and Wahba 1979) in the policies that it is fitted to. The *concordance* is the share of pairs of
    policies with different targets that it puts in their order, the area under the ROC curve where the target is true
    or false; 0.5 is chance. Each pair is judged by a regression that was fitted without the parts of both, since others
    put pairs in the wrong order where nothing is known (Airola et al. 2011, doi:10.1016/j.csda.2010.11.023).

    Args:
      df: one row a policy.
      features: columns of numbers; each is brought to a mean of 0 and a variance of 1, without the target.
      target: a column of numbers, such as the share of a goal, or of true and false; rows without it are left out.
      hold_out: the column whose values are held out, as a rule `seed`, so that no policy's seed is in the fit that
        predicts it, or the factor of conditions, or `world`.
      by: columns of which only rows with the same values are compared, while one regression is fitted to all of them.
      folds: into how many parts those values are cut, at most.
      permutations: of the targets among the rows with the same values in `by`: what is found where there is nothing.
    Returns:
      One row a group: the columns of `by`, policies, pairs (how many there are to compare), concordance, its interval
      low and high, permuted (the mean concordance of permuted targets) and p (the share of permutations, the one that
      was found among them, that do as well). The interval is Wilson's of a share of as many independent seeds as would
      spread as permuted targets do, so that it has a width where all pairs are in order.
    Raises:
      ValueError: a column that there is not, features that some policies lack, or fewer than two values to hold out.
    """
    check_level(level)
    features, by = list(features), list(by)
    for one in [*features, *by, target, hold_out]:
        check_name("column", one, df.columns)
    df = df[df[target].notna()].reset_index(drop=True)
    known = df[features].to_numpy(float)
    lacking = ~np.isfinite(known)
    if lacking.any():
        which = features[int(lacking.any(axis=0).argmax())]
        raise ValueError(f"{which}: {lacking.any(axis=1).sum()} policies lack it or another feature; leave either out")
    fold = _folds(df[hold_out], folds)
    group = df.groupby(by, observed=True).ngroup().to_numpy() if by else np.zeros(len(df), int)
    targets = _permuted(df[target].to_numpy(float), group, permutations)
    pairs, found = concordance(known, targets, fold, group)
    rows = []
    for place, (count, scores) in enumerate(zip(pairs, found, strict=True)):
        inside = df[group == place]
        named = {name: inside[name].iloc[0] for name in by}
        rows.append({**named, "policies": len(inside), "pairs": int(count), **_summed_up(scores, level)})
    return pd.DataFrame(rows)


def _permuted(target: np.ndarray, group: np.ndarray, permutations: int) -> np.ndarray:
    """f64[rows, 1 + permutations], first the target as it is."""
    generator = np.random.default_rng(0)
    found = np.repeat(target[:, None], 1 + permutations, axis=1)
    for one in np.unique(group):
        found[group == one, 1:] = generator.permuted(found[group == one, 1:], axis=0)
    return found


def _folds(held_out: pd.Series, folds: int) -> np.ndarray:
    """i64[rows], from 0."""
    values = np.unique(held_out.to_numpy(), return_inverse=True)[1]
    if values.max(initial=0) < 1:
        raise ValueError(f"{held_out.name}: has one value or none among the policies; expected two or more to hold out")
    return values % min(folds, values.max() + 1)


def concordance(
    features: np.ndarray, targets: np.ndarray, fold: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The share of pairs of rows within a group that regressions fitted without the folds of both put in order.

    Pairs of equal predictions count half; those of folds beside which there is no other are left out.

    Args:
      features: f64[rows, features].
      targets: f64[rows, targets]; each is told by itself.
      fold, group: i64[rows], numbered from 0.
    Returns:
      i64[groups], the number of pairs whose first target differs, and f64[groups, targets]; NaN where there is none.
    """
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    pairs, order = np.zeros((2, group.max(initial=0) + 1, targets.shape[1]))
    for one, other in itertools.combinations_with_replacement(np.unique(fold), 2):
        rest = (fold != one) & (fold != other)
        if not rest.any():
            continue
        predicted = features @ _slopes(features[rest], targets[rest])
        left, right = np.nonzero((fold == one)[:, None] & (fold == other) & (group[:, None] == group))
        twice = left < right if one == other else slice(None)
        left, right = left[twice], right[twice]
        sign = np.sign(targets[left] - targets[right])
        agreed = sign * np.sign(predicted[left] - predicted[right])
        for place in np.unique(group[left]):
            inside = group[left] == place
            pairs[place] += np.abs(sign[inside]).sum(axis=0)
            order[place] += agreed[inside].sum(axis=0)
    return pairs[:, 0], np.where(pairs > 0, 0.5 + order / np.maximum(2 * pairs, 1), np.nan)


def _slopes(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """f64[features, targets], of ridge regressions with penalties that are chosen for each target."""
    rows = len(features)
    left, values, right = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    centred = targets - targets.mean(axis=0)
    along = left.T @ centred
    kept = values**2 / (values**2 + PENALTIES[:, None] * rows)  # [penalties, directions]
    outside = np.maximum((centred**2).sum(axis=0) - (along**2).sum(axis=0), 0)
    errors = outside + ((1 - kept) ** 2) @ along**2
    best = (errors / (1 - (1 + kept.sum(axis=1)) / rows)[:, None] ** 2).argmin(axis=0)
    shrunk = values / (values**2 + PENALTIES[best, None] * rows)  # [targets, directions]
    return right.T @ (shrunk.T * along)


def _summed_up(found: np.ndarray, level: float) -> dict[str, float]:
    score, chance = found[0], found[1:]
    mean, variance = (chance.mean(), chance.var()) if len(chance) else (np.nan, np.nan)
    low = high = np.nan
    if variance > 0:
        seeds = mean * (1 - mean) / variance
        low, high = (float(end) for end in interval(score * seeds, seeds, method="wilson", level=level))
    as_well = (1 + (chance >= score).sum()) / (1 + len(chance)) if np.isfinite(score) else np.nan
    return {"concordance": score, "low": low, "high": high, "permuted": mean, "p": as_well}
