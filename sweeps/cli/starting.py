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
    """Sets what jax reads when it is imported, unless the caller has imported it already."""
    if "jax" in sys.modules:
        return
    from sweeps.worker import environment

    os.environ.update(environment("cpu", 1 if one_core else None))
    # The driver only plans; the memory belongs to the workers.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
