"""What verbs do before their work: the environment that jax reads, and errors of what they are given in one line."""

import os
import sys
from typing import Any

from sweeps.spec import SpecError


def reading(call: Any) -> Any:
    """Calls what reads a folder that the user named: a ValueError says what is wrong with it, in one line."""
    try:
        return call()
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(error) from None


def before_jax(one_core: bool) -> None:
    """Makes this process's environment what training expects, unless the caller has imported jax already."""
    from sweeps.environment import ignored, prepare

    left_out = ignored(os.environ)
    if prepare(cores=1 if one_core else None) and left_out and sys.stderr is not None:
        shown = ", ".join(f"{name}={value}" for name, value in sorted(left_out.items()))
        print(f"chisel: ignored, because it could change numbers: {shown}", file=sys.stderr)
