"""Which levels a lane trains on, and in which order; without a curriculum, fresh ones for ever."""

from jaxrl.curricula.curriculum import Curriculum, Experience
from jaxrl.curricula.finite import Finite

RANDOM = "random"
"""No curriculum: every episode has a fresh level of the world's, which is domain randomisation."""
CURRICULA: dict[str, type[Curriculum]] = {"finite": Finite}
"""Curricula by name, beside `random`; a new one is one file and one entry."""

__all__ = ["CURRICULA", "RANDOM", "Curriculum", "Experience", "Finite"]
