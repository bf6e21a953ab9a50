"""Small fits that read like the mathematics: data, models, histories, and the checks that prove them.

A leaf of the package: it imports torch and numpy only, and nothing but notes and tests imports it. The
ladders `cubic` and `two_layer` have functions of the same names, so they are used by module; what stands
here without one is the cubic's.
"""

from fitnotes.training import cubic, depth, legendre, two_layer
from fitnotes.training.agreement import Disagreement
from fitnotes.training.comparison import Comparison, compare
from fitnotes.training.cubic import (
    Cubic,
    cubic_gradient,
    cubic_loss,
    fit_autograd,
    fit_by_hand,
    least_squares,
)
from fitnotes.training.data import Samples, gaussian, sine
from fitnotes.training.depth import compare_depths, fit_depth
from fitnotes.training.display import Table
from fitnotes.training.gradients import GradientCheck, check_gradients
from fitnotes.training.graph import Graph, computation_graph
from fitnotes.training.history import History, Record
from fitnotes.training.legendre import LegendreP3, fit_legendre
from fitnotes.training.optimizers import SGD, Adam, AdamW, Steps, optimizer_steps

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Comparison",
    "Cubic",
    "Disagreement",
    "GradientCheck",
    "Graph",
    "History",
    "LegendreP3",
    "Record",
    "Samples",
    "Steps",
    "Table",
    "check_gradients",
    "compare",
    "compare_depths",
    "computation_graph",
    "cubic",
    "cubic_gradient",
    "cubic_loss",
    "depth",
    "fit_autograd",
    "fit_by_hand",
    "fit_depth",
    "fit_legendre",
    "gaussian",
    "least_squares",
    "legendre",
    "optimizer_steps",
    "sine",
    "two_layer",
]
