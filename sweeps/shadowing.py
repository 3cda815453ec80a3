"""Whether a file of the user's stands in the way of one of Chisel's packages, whose names are generic."""

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("analysis", "envs", "jaxrl", "sweeps")


def shadow(anywhere: bool = False) -> str:
    """The line about the first such file, empty where there is none; imports nothing.

    Args:
      anywhere: whether to look on all of Python's path, and not only in the working folder and beside the script: what
        PYTHONPATH puts in front of a package may be a stand-in that works.
    """
    script = getattr(sys.modules["__main__"], "__file__", None) or ""
    beside = {Path.cwd(), Path(script).resolve().parent}
    for name in PACKAGES:
        try:
            found = find_spec(name)
        except (ImportError, ValueError):  # a module that has no spec
            continue
        if found is None or not found.origin:
            continue
        file = Path(found.origin).resolve()
        folder = file.parents[1] if file.name == "__init__.py" else file.parent
        if folder != ROOT and (anywhere or folder in beside):
            return f"{file}: shadows Chisel's package {name} on Python's path; rename it, or run from another folder."
    return ""
