"""The rules of the conformance kit, `envs.check`, in files by what they look at."""

from envs.kit import declared, episodes, levels, methods
from envs.kit.rules import Rule

RULES: tuple[Rule, ...] = (*declared.RULES, *methods.RULES, *levels.RULES, *episodes.RULES)
"""In the order in which they are tried."""
