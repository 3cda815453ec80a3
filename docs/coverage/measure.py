"""How often intervals hold the truth."""

import numpy as np


def covered(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    """The share of intervals that hold the truth."""
    return float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean())
