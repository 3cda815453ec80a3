"""Ridge regression from sums of products is that of the rows, and knows no more than there is to know."""

import numpy as np

from jaxrl.internals import ridge

FOLDS, ROWS, FEATURES = 4, 100, 6


def products(features, targets):
    """The sums of products of each fold of rows f64[folds, rows, ...]."""
    rows = np.concatenate([np.ones((FOLDS, ROWS, 1)), features, targets], axis=2)
    return np.swapaxes(rows, 1, 2) @ rows


def drawn():
    """Features, and what they tell all about, half of the variance of, and nothing; and what does not vary."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(FOLDS, ROWS, FEATURES)) + 3
    known, noise = features[..., 0] - features[..., 1], np.sqrt(2) * generator.normal(size=(2, FOLDS, ROWS))
    return features, np.stack([known, known + noise[0], noise[1], np.ones((FOLDS, ROWS))], axis=2)


def test_it_explains_what_is_linear_half_of_what_is_half_noise_and_nothing_of_noise():
    found = ridge.explained(products(*drawn())[None], FEATURES)[0]
    assert found[0] > 0.999 and np.isnan(found[3])
    assert np.abs(found[1:3] - [0.5, 0.0]).max() < 0.05


def test_fits_and_errors_are_those_of_the_rows():
    features, targets = drawn()
    gram = products(features, targets)
    errors = ridge._errors(gram[0], ridge._fit(gram[1:].sum(axis=0), FEATURES))
    x, y = features[1:].reshape(-1, FEATURES), targets[1:].reshape(-1, targets.shape[-1])
    centred = x - x.mean(axis=0)
    for place, penalty in enumerate(ridge.PENALTIES):
        square = centred.T @ centred
        shrunk = square + penalty * np.trace(square) / FEATURES * np.eye(FEATURES)
        slope = np.linalg.solve(shrunk, centred.T @ (y - y.mean(axis=0)))
        predicted = y.mean(axis=0) + (features[0] - x.mean(axis=0)) @ slope
        assert np.allclose(errors[place], ((targets[0] - predicted) ** 2).sum(axis=0), atol=1e-6)


def test_what_is_not_finite_or_empty_is_not_known_and_leaves_others_alone():
    good = products(*drawn())
    spoilt, empty = good.copy(), good.copy()
    spoilt[1, 2, 3], empty[0] = np.nan, 0.0
    found = ridge.explained(np.stack([spoilt, good, empty]), FEATURES)
    assert np.isnan(found[[0, 2]]).all()
    assert np.array_equal(found[1], ridge.explained(good[None], FEATURES)[0], equal_nan=True)
