"""Reads a spec as it was given, without judging it: TOML, mappings and overrides, all as flat dotted keys."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sweeps.spec.errors import SpecError, nearest

PRESETS = Path(__file__).parents[1] / "presets"
_NUMBER = re.compile(r"[+-]?(\d+\.|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


class Written(NamedTuple):
    """A spec as it was given."""

    label: str
    """The file, for messages."""
    flat: dict[str, Any]
    """By dotted key."""
    origin: dict[str, str]
    """By dotted key: the file, or `--set`."""
    hints: dict[str, str]
    """By dotted key: how TOML writes what an override probably meant."""


def read(source: str | Path | Mapping[str, Any], overrides: Iterable[str] = ()) -> Written:
    """The dotted keys of a file, a preset or a mapping, with overrides in their places. See `load_spec`."""
    if isinstance(source, Mapping):
        label, content = "spec", dict(source)
    else:
        label, content = str(source), _parse(str(source))
    flat = _flatten(content, label)
    found = Written(label, flat, dict.fromkeys(flat, label), {})
    for text in [overrides] if isinstance(overrides, str) else overrides:
        _override(text, found)
    return found


def _parse(argument: str) -> dict[str, Any]:
    presets = {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}
    is_path = "." in argument or "/" in argument
    path = Path(argument).expanduser() if is_path or argument not in presets else presets[argument]
    try:
        if not is_path and argument not in presets and not path.is_file():
            hint = f"nearest: {nearest(argument, presets)}; or give the path of a .toml file"
            raise SpecError(argument, f"no preset has this name; {hint}.")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SpecError(argument, f"no such file; expected a .toml file or a preset ({', '.join(presets)}).") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{error.object[error.start]:02x} on line {line} is not UTF-8"
        raise SpecError(argument, f"{found}; save the file as UTF-8.") from None
    except SpecError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(argument, f"cannot be read ({reason}); expected a .toml file.") from None
    try:
        return tomllib.loads(text)
    except ValueError as error:  # besides syntax, integers of more digits than Python is willing to read
        located = re.fullmatch(r"(.*) \(at (.*)\)", str(error), re.DOTALL)
        problem, where = located.groups() if located else (str(error), "line 1")
        if where == "end of document":
            where = f"line {len(text.splitlines()) or 1}, end of document"
        raise SpecError(argument, where, f"{problem}; expected TOML.") from None
    except RecursionError:
        raise SpecError(argument, "is nested too deeply; expected tables of dotted keys.") from None


def _flatten(table: Mapping[str, Any], label: str, prefix: str = "") -> dict[str, Any]:
    """Nested tables and quoted keys alike, as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        inner = _flatten(value, label, f"{path}.") if isinstance(value, Mapping) else {path: _plain(value)}
        if not inner and path.startswith(("arms.", "sampled.")):
            raise SpecError(label, path, "is empty; expected settings, or leave it out.")
        for twice in inner.keys() & flat.keys():
            raise SpecError(label, twice, "is given twice; give it once.")
        flat |= inner
    return flat


def _plain(value: Any) -> Any:
    """Arrays and tuples as lists, NumPy's and jax's numbers as Python's: a float32 as the shortest text that means it.

    So np.float32(0.1) is the condition of 0.1.
    """
    if isinstance(value, list | tuple | range):
        return [_plain(one) for one in value]
    if not hasattr(value, "dtype"):
        return value
    if value.ndim:
        return [_plain(one) for one in value]
    one = value.item()
    return float(str(value)) if isinstance(one, float) and value.dtype.itemsize < 8 else one


def _override(text: str, spec: Written) -> None:
    """Puts what `KEY=VALUE` sets in the place of what the spec has there."""
    path, equals, written = text.partition("=")
    path, written = path.strip(), written.strip()
    if not equals or not path:
        raise SpecError("--set", text, "is not KEY=VALUE; for example seeds=8.")
    parsed = _as_toml(written)
    for old in [key for key in spec.flat if key == path or key.startswith(f"{path}.")]:
        del spec.flat[old]
    new = _flatten({path: written if parsed is None else parsed}, "--set")
    spec.flat.update(new)
    spec.origin.update(dict.fromkeys(new, "--set"))
    if parsed is None and (meant := _meant(written)) is not None:
        spec.hints[path] = f"TOML writes {meant}" + " (put the argument in single quotes)" * ('"' in meant)


def _as_toml(written: str) -> Any:
    """A value, None where the text is none in TOML."""
    try:
        parsed = tomllib.loads(f"value = {written}")
        return parsed["value"] if parsed.keys() == {"value"} else None
    except (ValueError, RecursionError):
        return None


def _meant(written: str) -> str | None:
    """How TOML writes `.5`, `5.`, `True` and `[relu, tanh]`; None for what is none of these."""
    if written.startswith("[") and written.endswith("]"):
        items = [one.strip() for one in written[1:-1].split(",")]
        meant = [one if _as_toml(one) is not None else _meant(one) or f'"{one}"' for one in items]
        fixed = f"[{', '.join(meant)}]"
        return fixed if _as_toml(fixed) is not None else None
    if written.lower() in ("true", "false"):
        return written.lower()
    if _NUMBER.fullmatch(written):
        return re.sub(r"\.(?!\d)", ".0", re.sub(r"(?<!\d)\.", "0.", written))
    return None
