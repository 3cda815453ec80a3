"""Which of two things policies came to first, as measured, and how far a prediction is from it."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Measured:
    """Counts of episodes by pipeline, seed and pair of kinds."""

    names: tuple[str, ...]
    """Of the pipelines."""
    first: np.ndarray
    """i64[pipelines, seeds, pairs], episodes in which the pair's first thing was reached first."""
    decided: np.ndarray
    """i64[pipelines, seeds, pairs], those in which either was; 0 for a seed that there is not."""

    def __post_init__(self) -> None:
        if self.first.shape != self.decided.shape or self.first.ndim != 3 or len(self.first) != len(self.names):
            raise ValueError(f"measured: {len(self.names)} pipelines, counts {self.first.shape}, {self.decided.shape}")
        if (self.first > self.decided).any() or (self.first < 0).any():
            raise ValueError("measured: a count below 0, or above the episodes that were decided")

    def only(self, chosen: np.ndarray) -> "Measured":
        """The pipelines at places, or where a mask is true."""
        places = np.arange(len(self.names))[chosen]
        return Measured(tuple(self.names[place] for place in places), self.first[places], self.decided[places])

    def of_seeds(self, chosen: np.ndarray) -> "Measured":
        return Measured(self.names, self.first[:, chosen], self.decided[:, chosen])

    @property
    def seeds(self) -> np.ndarray:
        """i64[pipelines, pairs], those that decided in some episode."""
        return (self.decided > 0).sum(axis=1)

    @property
    def preference(self) -> np.ndarray:
        """f64[pipelines, pairs], the mean over seeds of the share that went for the first thing, smoothed.

        Seeds count alike. Half a seed is added on either side (Jeffreys' prior), since seeds that all do the same do
        not say that every seed would: (sum of shares + 1/2) / (seeds + 1).
        """
        shares = np.where(self.decided > 0, self.first / np.maximum(self.decided, 1), 0.0)
        return (shares.sum(axis=1) + 0.5) / (self.seeds + 1)

    @property
    def weights(self) -> np.ndarray:
        """f64[pipelines, pairs], which sum to 1 for each pipeline: pairs that no seed decided do not count."""
        counts = (self.seeds > 0).astype(float)
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def divergence(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """f64[...], the Kullback-Leibler divergence of a predicted choice between two from the measured one, in nats."""
    m, p = measured, predicted
    return m * np.log(m / p) + (1 - m) * np.log((1 - m) / (1 - p))


def divergences(measured: Measured, predicted: np.ndarray) -> np.ndarray:
    """f64[pipelines], the mean over pairs. Predictions f64[pipelines, pairs] are drawn in to the most extreme
    preference that so many seeds can have, 1 / (2 seeds + 2), which treats all predictors alike."""
    edge = 0.5 / (measured.seeds + 1)
    inside = np.clip(predicted, edge, 1 - edge)
    return (measured.weights * divergence(measured.preference, inside)).sum(axis=1)


def between_halves(measured: Measured, repeats: int = 20, seed: int = 0) -> np.ndarray:
    """f64[pipelines], the divergence between the preferences of two halves of the seeds, a mean over random halvings.

    Each half is noisy by itself, and twice as noisy as all seeds: to second order this is four times the divergence at
    which a predictor would be judged that knows the true preferences.
    """
    seeds = measured.first.shape[1]
    if seeds < 2:
        raise ValueError(f"measured: {seeds} seed has no halves; at least 2")
    random, found = np.random.default_rng(seed), []
    for _ in range(repeats):
        one, other = np.array_split(random.permutation(seeds), 2)
        found.append(divergences(measured.of_seeds(one), measured.of_seeds(other).preference))
    return np.mean(found, axis=0)
