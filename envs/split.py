"""Which layouts training leaves out: one in so many, by a hash."""

import numpy as np


def one_in(many: int, table: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """bool[n], the layouts kept for probes: of each kind the part whose hash is lowest, and at least one.

    table: i32[n, 3], equal rows for mirror images, which share the least of their kinds.
    """
    _, place = np.unique(mixed(table), return_inverse=True)
    least = np.full(place.max() + 1, kind.max())
    np.minimum.at(least, place, kind)
    kept = np.zeros(len(least), bool)
    for each in range(3):
        of_kind = np.flatnonzero(least == each)
        kept[of_kind[: max(len(of_kind) // many, 1)]] = True
    return kept[place]


def mixed(table: np.ndarray) -> np.ndarray:
    """u64[n], a fixed mixing of each row (splitmix64; Steele, Lea and Flood 2014)."""
    code = (table.astype(np.int64) + 1).astype(np.uint64) @ np.array([1 << 40, 1 << 20, 1], np.uint64)
    code += np.uint64(0x9E3779B97F4A7C15)
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))
