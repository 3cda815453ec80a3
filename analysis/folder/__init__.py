"""What a results folder is: where it may lie, its files and their names, and how they are written and read.

`sweeps` writes through this package and `analysis` reads through it; nobody else knows the format. Each name is loaded
when it is first used, so that a worker pays only for what it uses.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.folder.columns import as_table as as_table
    from analysis.folder.columns import count_column as count_column
    from analysis.folder.columns import factor_column as factor_column
    from analysis.folder.columns import list_column as list_column
    from analysis.folder.columns import value_column as value_column
    from analysis.folder.digest import DamagedError as DamagedError
    from analysis.folder.failures import clear_failure as clear_failure
    from analysis.folder.failures import read_failure as read_failure
    from analysis.folder.failures import write_failure as write_failure
    from analysis.folder.layout import PROGRAM_TABLES as PROGRAM_TABLES
    from analysis.folder.layout import SHARD_TABLES as SHARD_TABLES
    from analysis.folder.layout import internals_in as internals_in
    from analysis.folder.layout import internals_name as internals_name
    from analysis.folder.layout import names_in as names_in
    from analysis.folder.layout import policies_path as policies_path
    from analysis.folder.layout import table_path as table_path
    from analysis.folder.layout import times_in as times_in
    from analysis.folder.locks import BusyError as BusyError
    from analysis.folder.manifest import MAX_LANES as MAX_LANES
    from analysis.folder.manifest import ROLES as ROLES
    from analysis.folder.manifest import Layer as Layer
    from analysis.folder.manifest import Manifest as Manifest
    from analysis.folder.manifest import NoManifestError as NoManifestError
    from analysis.folder.manifest import ProgramRecord as ProgramRecord
    from analysis.folder.manifest import in_order as in_order
    from analysis.folder.manifest import read_manifest as read_manifest
    from analysis.folder.manifest import write_manifest as write_manifest
    from analysis.folder.packs import Finished as Finished
    from analysis.folder.packs import finished as finished
    from analysis.folder.packs import is_pack as is_pack
    from analysis.folder.packs import pack_name as pack_name
    from analysis.folder.packs import packs_among as packs_among
    from analysis.folder.places import Place as Place
    from analysis.folder.places import as_place as as_place
    from analysis.folder.policies import find_policy as find_policy
    from analysis.folder.policies import has_policies as has_policies
    from analysis.folder.policies import load_checkpoints as load_checkpoints
    from analysis.folder.policies import load_policies as load_policies
    from analysis.folder.policies import load_policy as load_policy
    from analysis.folder.policies import save_checkpoints as save_checkpoints
    from analysis.folder.policies import save_policies as save_policies
    from analysis.folder.remote import Remote as Remote
    from analysis.folder.remote import RemoteError as RemoteError
    from analysis.folder.rows import Keep as Keep
    from analysis.folder.rows import read_in_parts as read_in_parts
    from analysis.folder.rows import read_rows as read_rows
    from analysis.folder.store import Lock as Lock
    from analysis.folder.store import Store as Store
    from analysis.folder.store import at_once as at_once
    from analysis.folder.store import set_aside as set_aside
    from analysis.folder.store import store_of as store_of
    from analysis.folder.store import write_file as write_file
    from analysis.folder.tables import damage as damage
    from analysis.folder.tables import diverged_lanes as diverged_lanes
    from analysis.folder.tables import encode_table as encode_table
    from analysis.folder.tables import read_table as read_table
    from analysis.folder.tables import read_verified as read_verified
    from analysis.folder.tables import write_table as write_table

_NAMES = {
    "columns": ("as_table", "count_column", "factor_column", "list_column", "value_column"),
    "digest": ("DamagedError",),
    "failures": ("clear_failure", "read_failure", "write_failure"),
    "layout": (
        "PROGRAM_TABLES", "SHARD_TABLES", "internals_in", "internals_name", "names_in", "policies_path", "table_path",
        "times_in",
    ),
    "locks": ("BusyError",),
    "manifest": (
        "MAX_LANES", "ROLES", "Layer", "Manifest", "NoManifestError", "ProgramRecord", "in_order",
        "read_manifest", "write_manifest",
    ),
    "packs": ("Finished", "finished", "is_pack", "pack_name", "packs_among"),
    "places": ("Place", "as_place"),
    "policies": (
        "find_policy", "has_policies", "load_checkpoints", "load_policies", "load_policy", "save_checkpoints",
        "save_policies",
    ),
    "remote": ("Remote", "RemoteError"),
    "rows": ("Keep", "read_in_parts", "read_rows"),
    "store": ("Lock", "Store", "at_once", "set_aside", "store_of", "write_file"),
    "tables": (
        "damage", "diverged_lanes", "encode_table", "read_table", "read_verified", "write_table",
    ),
}  # fmt: skip
"""By module."""
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
