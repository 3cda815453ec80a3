"""A side view with gravity: run and jump to a coin that stands beside the wall at the right end."""

from envs.platformer.world import Platformer

__all__ = ["Platformer"]
