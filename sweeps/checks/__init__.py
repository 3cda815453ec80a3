"""Published results as checks: each trains what it needs, and is judged by a rule that was fixed beforehand.

A further check joins by one `check(...)` in a family's file; a further family, by its name in `FAMILIES`.
"""

import importlib

from sweeps.checks.page import as_markdown
from sweeps.checks.registry import CHECKS, Check, Verdict, check
from sweeps.checks.running import Result, run_checks

__all__ = ["CHECKS", "Check", "Result", "Verdict", "as_markdown", "check", "run_checks"]

FAMILIES = ("theorems", "networks", "crossovers", "published", "camera")
"""Importing them registers their checks, in this order."""

for family in FAMILIES:
    importlib.import_module(f"sweeps.checks.{family}")
