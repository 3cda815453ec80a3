"""What came of trying out whether results could be written to a place."""

from typing import NamedTuple


class Trial(NamedTuple):
    """One finding."""

    is_good: bool
    found: str
    advice: str
    """What to do where it is not good."""
