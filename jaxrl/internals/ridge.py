"""Ridge regression, cross-validated over groups, from products alone: the rows themselves need not be kept."""

import itertools
from typing import NamedTuple

import numpy as np

PENALTIES = 10.0 ** np.arange(-4, 3)
"""Times the mean variance of a feature; the greatest leaves hardly more than the mean."""


class Fitted(NamedTuple):
    """What predicts targets from features for every penalty, of some rows whose products are known."""

    mean: np.ndarray
    """f64[..., features + targets]."""
    slope: np.ndarray
    """f64[..., penalties, features, targets]."""


def explained(gram: np.ndarray, features: int) -> np.ndarray:
    """The share of the variance of targets that features explain in folds that had no part in the fit.

    It is 1 - (sum of squared errors) / (that of the mean of the other folds), over all folds: 0 for what is not known
    at all. The penalty of a fold is the one that does best within the others.

    Args:
      gram: f64[..., folds, n, n], of the rows of each fold the sums of products of (1, features, targets) by weight.
      features: how many there are.
    Returns:
      f64[..., targets]; NaN where a target does not vary or rows are not finite.
    """
    folds, targets = gram.shape[-3], gram.shape[-1] - 1 - features
    finite = np.isfinite(gram).all(axis=(-3, -2, -1)) & (gram[..., 0, 0] > 0).all(axis=-1)
    gram = np.where(finite[..., None, None, None], gram, np.eye(gram.shape[-1]))
    total = gram.sum(axis=-3)
    one = [gram[..., fold, :, :] for fold in range(folds)]
    within = np.zeros((folds, *gram.shape[:-3], len(PENALTIES), targets))
    for fold, other in itertools.combinations(range(folds), 2):
        fitted = _fit(total - one[fold] - one[other], features)
        within[fold] += _errors(one[other], fitted)
        within[other] += _errors(one[fold], fitted)
    left, all_there_is = np.zeros((2, *gram.shape[:-3], targets))
    for fold in range(folds):
        fitted = _fit(total - one[fold], features)
        best = within[fold].argmin(axis=-2)[..., None, :]
        left += np.take_along_axis(_errors(one[fold], fitted), best, axis=-2)[..., 0, :]
        nothing = Fitted(fitted.mean, np.zeros_like(fitted.slope[..., :1, :, :]))
        all_there_is += _errors(one[fold], nothing)[..., 0, :]
    varies = finite[..., None] & (all_there_is > 1e-6 * total[..., :1, 0])
    return np.where(varies, 1 - left / np.where(varies, all_there_is, 1), np.nan)


def _fit(gram: np.ndarray, features: int) -> Fitted:
    n = gram[..., :1, 0]
    mean = gram[..., 0, 1:] / n
    spread = gram[..., 1:, 1:] - n[..., None] * mean[..., :, None] * mean[..., None, :]
    values, vectors = np.linalg.eigh(spread[..., :features, :features])
    along = np.swapaxes(vectors, -1, -2) @ spread[..., :features, features:]
    scale = np.maximum(np.trace(spread[..., :features, :features], axis1=-2, axis2=-1) / features, 1e-9)
    shrunk = np.maximum(values, 0)[..., None, :] + PENALTIES[:, None] * scale[..., None, None]
    return Fitted(mean, vectors[..., None, :, :] @ (along[..., None, :, :] / shrunk[..., None]))


def _errors(gram: np.ndarray, fitted: Fitted) -> np.ndarray:
    """f64[..., penalties, targets], sums of squared errors on rows with these products."""
    features = fitted.slope.shape[-2]
    mean_of, targets = fitted.mean[..., None, :features], fitted.mean[..., None, features:]
    begin = targets - (mean_of[..., None, :] @ fitted.slope)[..., 0, :]
    weights = np.concatenate([begin[..., None, :], fitted.slope], axis=-2)  # of (1, features)
    known, cross = gram[..., None, : 1 + features, : 1 + features], gram[..., None, : 1 + features, 1 + features :]
    squares = np.diagonal(gram, axis1=-2, axis2=-1)[..., None, 1 + features :]
    return squares - 2 * (weights * cross).sum(axis=-2) + (weights * (known @ weights)).sum(axis=-2)
