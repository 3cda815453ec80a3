"""A results folder for other people's tools."""

from analysis.export.export import export

__all__ = ["export"]
