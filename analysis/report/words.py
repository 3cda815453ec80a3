"""How a report writes counts."""

from collections.abc import Sequence


def count(n: int, word: str) -> str:
    """1 seed, 2 seeds."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def span(numbers: Sequence[int]) -> str:
    """16, or 16 to 64."""
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
