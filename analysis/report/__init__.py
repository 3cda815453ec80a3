"""A results folder as one page of HTML."""

from analysis.report.page import report

__all__ = ["report"]
