"""Small fits that read like the mathematics: data, models, histories.

A leaf of the package: it imports torch and numpy only, and nothing but notes and tests imports it.
"""

from fitnotes.training.cubic import (
    Cubic,
    cubic_gradient,
    cubic_loss,
    fit_autograd,
    fit_by_hand,
    least_squares,
)
from fitnotes.training.data import Samples, sine
from fitnotes.training.history import History, Table
from fitnotes.training.legendre import LegendreP3, fit_legendre

__all__ = [
    "Cubic",
    "History",
    "LegendreP3",
    "Samples",
    "Table",
    "cubic_gradient",
    "cubic_loss",
    "fit_autograd",
    "fit_by_hand",
    "fit_legendre",
    "least_squares",
    "sine",
]
