"""The `chisel` command: every verb is one public Python call, and prints what it returns.

Exit codes: 0 done; 1 the doctor found something, or a check failed; 2 a mistake of the user's, told in one line;
3 interrupted; 4 some shards failed.
"""

import os
import sys

from analysis.folder import RemoteError
from sweeps.cli.arguments import parser
from sweeps.spec import SpecError

EXIT_USER, EXIT_INTERRUPTED, EXIT_CLOSED_PIPE = 2, 3, 141


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    try:
        arguments = parser().parse_args(argv)
        code = arguments.verb(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (SpecError, RemoteError) as error:
        print(error, file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt as interrupt:
        print(f"chisel: interrupted. {interrupt}".rstrip(), file=sys.stderr)
        sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)  # what jax does at the end, and a picture in the making, can take many seconds
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_CLOSED_PIPE
