"""How what the verbs return is printed: JSON, counts, sizes and times."""

import json
import math
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

SHOWN = 20
"""Conditions and programs that `plan` prints before it says how many more there are."""
EXIT_FAILED = 4


def print_json(value: Any) -> None:
    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def warn(warned: list[warnings.WarningMessage]) -> None:
    for message in dict.fromkeys(str(one.message) for one in warned):
        print(f"chisel: {message}", file=sys.stderr)


def unfinished(lanes: int, planned: int) -> None:
    """Says so, on stderr, where folders do not hold their whole sweeps yet."""
    if lanes < planned:
        print(f"chisel: {lanes:,} of {planned:,} lanes so far.", file=sys.stderr)


def failures(failed: Mapping[str, str], lost: int) -> int:
    """Says on stderr which shards failed, if any, by their reasons; returns the exit code.

    Args:
      lost: how many of them failed because their workers died.
    """
    if not failed:
        return 0
    first = next(iter(failed.values()))
    advice = f"an error in the code will occur again, so fix it before you run again: {first}."
    if first.startswith(("RemoteError", "OSError", "PermissionError", "DamagedError")):
        advice = f"run again to continue. The first: {first}"
    if lost == len(failed):
        advice = "their workers died; run again to retry."
    print(f"chisel: {count(len(failed), 'shard')} failed; {advice}", file=sys.stderr)
    return EXIT_FAILED


def more(items: Iterable[Any]) -> None:
    hidden = len(list(items)) - SHOWN
    if hidden > 0:
        print(f"    and {hidden:,} more")


def count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def as_bytes(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} GB"


def as_duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
