"""Whether a file that is not Chisel's stands in the way of one of its packages, whose names are generic."""

import base64
import hashlib
import sys
from importlib.metadata import PackageNotFoundError, distribution
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
    return _overwritten() if anywhere else ""


def _overwritten() -> str:
    """The line about the first installed file that is not as Chisel's wheel had it; empty where there is none.

    Distributions whose packages have the same name are installed over each other without a word.
    """
    try:
        files = distribution("chisel-rl").files or []
    except PackageNotFoundError:
        return ""
    for file in files:
        path = Path(str(file.locate()))
        if file.parts[0] not in PACKAGES or file.hash is None or not path.is_file():
            continue
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != file.hash.value:
            hint = "install chisel-rl again, in an environment of its own"
            return f"{path.resolve()}: is not Chisel's: another package has put a file of the same name there; {hint}."
    return ""
