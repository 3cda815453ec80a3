"""Figures: functions that take a DataFrame from `load` and return Axes."""

from analysis.figures.by_kind import figure, save
from analysis.figures.doses import dose_curve
from analysis.figures.gold import gold_curve
from analysis.figures.labels import contingency_matrix, label_stack, rate_curve
from analysis.figures.panels import KINDS, facets, overview, varied
from analysis.figures.shares import BELOW, BINS, PLANNER, phase_diagram, seed_scatter, share_curve, share_histogram
from analysis.figures.style import CHANNELS, COLOURS, colours, goals_of
from analysis.figures.training import curves_by_label, seed_lines, through_training, training_curve

__all__ = [
    "BELOW",
    "BINS",
    "CHANNELS",
    "COLOURS",
    "KINDS",
    "PLANNER",
    "colours",
    "contingency_matrix",
    "curves_by_label",
    "dose_curve",
    "facets",
    "figure",
    "goals_of",
    "gold_curve",
    "label_stack",
    "overview",
    "phase_diagram",
    "rate_curve",
    "save",
    "seed_lines",
    "seed_scatter",
    "share_curve",
    "share_histogram",
    "through_training",
    "training_curve",
    "varied",
]
