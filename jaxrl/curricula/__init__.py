"""Which levels a lane trains on, and in which order; without a curriculum, fresh ones for ever."""

from jaxrl.curricula.accel import ACCEL
from jaxrl.curricula.curriculum import Curriculum, Experience
from jaxrl.curricula.finite import Finite
from jaxrl.curricula.plr import PLR, RobustPLR

RANDOM = "random"
"""No curriculum: every episode has a fresh level of the world's, which is domain randomisation."""
CURRICULA: dict[str, type[Curriculum]] = {"finite": Finite, "plr": PLR, "robust-plr": RobustPLR, "accel": ACCEL}
"""Curricula by name, beside `random`; a new one is one file and one entry."""

__all__ = ["ACCEL", "CURRICULA", "PLR", "RANDOM", "Curriculum", "Experience", "Finite", "RobustPLR"]
