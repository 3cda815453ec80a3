"""Of fault injection: damages files at rest, and says which rows are in a folder."""

import random
from typing import Any

KEYS = {
    "outcomes": ("condition", "seed"),
    "probes": ("condition", "seed", "checkpoint", "probe", "kind", "actor", "sampled"),
    "curves": ("condition", "seed", "update"),
}
"""What a row is told by."""
DAMAGES = ("truncated", "a bit flipped", "512 bytes zeroed", "another's content", "removed")


def as_place(out: str) -> Any:
    from analysis.folder import as_place

    return as_place(out)


class State:
    """What is in a folder: its rows, and what cannot be read."""

    def __init__(self, folder: Any):
        from analysis.folder import PROGRAM_TABLES, SHARD_TABLES, DamagedError, names_in, read_table

        self.rows: dict[tuple, list[str]] = {}
        self.damaged: list[str] = []
        unread = _not_in_force(folder)
        for kind in SHARD_TABLES + PROGRAM_TABLES:
            for name in sorted(names_in(folder, kind) - (unread if kind in SHARD_TABLES else set())):
                try:
                    table = read_table(folder, kind, name)
                except DamagedError as error:
                    self.damaged.append(f"{error.path.parent.name}/{error.path.name}")
                    continue
                for place, row in enumerate(table.to_pylist()):
                    key = tuple(row[one] for one in KEYS[kind]) if kind in KEYS else (name, place)
                    self.rows.setdefault((kind, *key), []).append(repr(row))

    def against(self, whole: "State") -> dict[str, Any]:
        found = {key: rows for key, rows in self.rows.items() if key in whole.rows}
        return {
            "checked": sum(map(len, self.rows.values())),
            "lost": len(whole.rows) - len(found),
            "duplicated": sum(len(rows) - 1 for rows in self.rows.values()),
            "wrong": sum(any(row not in whole.rows[key] for row in rows) for key, rows in found.items())
            + len(self.rows)
            - len(found),
            "damaged": self.damaged,
        }


def _not_in_force(folder: Any) -> set[str]:
    """Files that no reader looks at: of shards that are in a pack besides, and packs that are not whole."""
    from analysis.folder import SHARD_TABLES, finished, is_pack, names_in, read_manifest

    every = {name for kind in SHARD_TABLES for name in names_in(folder, kind)}
    try:
        there = finished(folder, read_manifest(folder).shards)
    except ValueError:  # nobody can read what is there, until there is a manifest
        return {name for name in every if is_pack(name)}
    return {name for name in every if (is_pack(name) and name not in there.packs) or name in there.packed}


def spoil(folder: Any, what: str, how: str, draws: random.Random) -> str | None:
    """Damages a file at rest, and says which; None where there is none of the kind."""

    def inside(pattern: str) -> list[Any]:
        found = folder.rglob(pattern) if folder.exists() else ()
        return sorted((one for one in found if not one.name.startswith(".")), key=str)

    files = {
        "table": inside("*.parquet"),
        "manifest": inside("manifest.json"),
        "checkpoint": inside("*.checkpoint"),
    }[what]
    if not files:
        return None
    path = draws.choice(files)
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: draws.randrange(len(content))]
    elif how == "a bit flipped":
        content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    elif how == "512 bytes zeroed":
        start = draws.randrange(len(content))
        content[start : start + 512] = bytes(len(content[start : start + 512]))
    elif how == "another's content":
        others = [one for one in files if one.parent == path.parent and one != path]
        if not others:
            return None
        content = bytearray(draws.choice(others).read_bytes())
    if how == "removed":
        path.unlink()
    elif bytes(content) == path.read_bytes():
        return None
    else:
        path.write_bytes(bytes(content))
    return f"{path.parent.name}/{path.name}"
