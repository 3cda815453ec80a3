"""`python -m sweeps.cli`, the same as `chisel`."""

import sys

from sweeps.cli import main

sys.exit(main())
