"""Names that a caller gives: where one does not exist, the nearest that does."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def check_name(kind: str, name: object, names: Iterable[object]) -> None:
    """Raises ValueError, with the nearest valid name, where `name` is not one of `names`."""
    valid = [str(one) for one in names]
    if str(name) in valid:
        return
    nearest = get_close_matches(str(name), valid, n=1, cutoff=0.5)
    hint = f"nearest: {nearest[0]}" if nearest else f"expected one of: {', '.join(valid)}"
    raise ValueError(f"no {kind} named {name!r}; {hint}")


def labels_of(df: "pd.DataFrame", label: str | Sequence[str] | None) -> list[str]:
    """The labels that are meant, all of the world's for None. Raises ValueError where there is none of this name."""
    every = list(df["label"].cat.categories)
    labels = every if label is None else [label] if isinstance(label, str) else list(label)
    for one in labels:
        check_name("label", one, every)
    return labels
