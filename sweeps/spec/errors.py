"""How a mistake is reported: in one line that says where, what was found and what would be accepted."""

import difflib
from collections.abc import Iterable


class SpecError(ValueError):
    """A mistake in a spec or a request, in one line: `FILE: key.path: what was found; what would be accepted.`"""

    def __init__(self, *parts: object):
        line = ": ".join(str(part) for part in parts)
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that looks most like `word`."""
    candidates = list(known)
    # Long input would make the comparison slow, and says nothing more about what was meant.
    return (difflib.get_close_matches(word[:100], candidates, n=1, cutoff=0.0) or candidates)[0]


def short(value: object) -> str:
    """A value as it was found, cut where it would fill the screen."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python is willing to print
        text = "a very large number"
    return text if len(text) <= 80 else f"{text[:77]}..."
