"""The `chisel` command: every verb is one public Python call, and prints what it returns.

Exit codes: 0 done; 1 the doctor found something, or a check failed; 2 a mistake in the request, explained in one line;
3 interrupted; 4 some shards failed.
"""

import gc
import os
import sys

from sweeps.environment import COLLECT_AFTER
from sweeps.shadowing import shadow

EXIT_USER, EXIT_INTERRUPTED, EXIT_CLOSED_PIPE = 2, 3, 141


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    _open_closed_streams()
    gc.set_threshold(COLLECT_AFTER)
    try:
        line = shadow()
        if not line:
            return _main(argv)
    except (ImportError, AttributeError) as error:
        if not (line := shadow(anywhere=True)):
            raise
        line += f" It lacks what is needed here: {error}."
    print(line, file=sys.stderr)
    return EXIT_USER


def _main(argv: list[str] | None) -> int:
    from analysis.folder import RemoteError
    from sweeps.cli.arguments import parser
    from sweeps.spec import SpecError

    try:
        arguments = parser().parse_args(argv)
        code = arguments.verb(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (SpecError, RemoteError) as error:
        print(error, file=sys.stderr)
        return EXIT_USER
    except RuntimeError as error:
        if "backend" not in str(error).partition(":")[0]:
            raise
        from sweeps.devices import no_device

        print(no_device(error), file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt as interrupt:
        print(f"chisel: interrupted. {interrupt}".rstrip(), file=sys.stderr)
        if sys.stderr is not None:
            sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)  # what jax does at the end, and an unfinished picture, can take many seconds
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_CLOSED_PIPE


def _open_closed_streams() -> None:
    """Gives closed standard streams (`2>&-`) to the null device, lest the next file that is opened take their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
