"""How fast training is on this machine, beside a plain vmap of the same work and beside a peer."""

from sweeps.bench.driver import as_markdown, bench

__all__ = ["as_markdown", "bench"]
