"""Results in a browser: figures to choose, every seed a dot, and what is known of each."""

from analysis.browse.browsed import Browsed
from analysis.browse.page import page
from analysis.browse.server import Rollouts, Server, application

__all__ = ["Browsed", "Rollouts", "Server", "application", "page"]
