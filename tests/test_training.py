"""The training package against the published values and against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fitnotes.training import (
    Cubic,
    LegendreP3,
    cubic_gradient,
    cubic_loss,
    fit_autograd,
    fit_by_hand,
    fit_legendre,
    least_squares,
    sine,
)

# Loss of the Legendre fit at steps 99, 199, …, 1999: start (0, -1, 0, 0.3), lr 5e-6, 2000 points, float32
# ("Learning PyTorch with Examples", pytorch.org), to three decimals.
LEGENDRE = [
    209.958, 144.660, 100.702, 71.035, 50.979, 37.403, 28.207, 21.973, 17.746, 14.878,
    12.932, 11.611, 10.714, 10.105, 9.692, 9.411, 9.221, 9.091, 9.003, 8.944,
]  # fmt: skip


def test_legendre_fit_has_the_known_losses() -> None:
    history = fit_legendre(sine(2000), steps=2000, lr=5e-6)
    assert [round(loss, 3) for loss in history.losses[99::100].tolist()] == pytest.approx(LEGENDRE, abs=1e-9)
    assert round(history.parameters["b"], 5) == -2.20853
    assert round(history.parameters["d"], 6) == 0.255486
    assert abs(history.parameters["a"]) < 1e-7
    assert abs(history.parameters["c"]) < 1e-7


def test_both_cubic_fits_agree_and_stay_above_the_optimum() -> None:
    by_hand, autograd = fit_by_hand(sine(2000)), fit_autograd(sine(2000))
    # Rounding of 2000 steps in float32: the difference is of the order of its epsilon times the loss.
    assert np.allclose(by_hand.losses, autograd.losses, rtol=2000 * 2**-23)
    assert by_hand.limit == pytest.approx(8.817, abs=5e-4)
    assert by_hand.final > by_hand.limit
    exact = sine(2000, dtype=torch.float64)
    assert np.allclose(fit_by_hand(exact).losses, fit_autograd(exact).losses, rtol=2000 * 2**-52)


def test_the_least_squares_cubic_is_the_known_one() -> None:
    omega, loss = least_squares(sine(2000, dtype=torch.float64))
    assert [round(v, 4) for v in omega] == pytest.approx([0, 0.8567, 0, -0.0933], abs=1e-9)
    assert round(loss, 3) == 8.817


coefficients = st.tuples(*[st.floats(-3, 3)] * 4)


@given(coefficients, st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_the_gradient_by_hand_is_autograds(omega: tuple[float, float, float, float], n: int) -> None:
    x, y = sine(n, dtype=torch.float64)
    a, b, c, d = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in omega)
    loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
    loss.backward()
    points = x.numpy(), y.numpy()
    assert cubic_loss(Cubic(*omega), *points) == pytest.approx(loss.item(), rel=1e-12, abs=1e-12)
    by_hand = cubic_gradient(Cubic(*omega), *points)
    assert list(by_hand) == pytest.approx([p.grad.item() for p in (a, b, c, d)], rel=1e-9, abs=1e-9)


def test_the_legendre_derivative_passes_gradcheck() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LegendreP3.apply, (x,))


def test_tables_show_the_usual_steps() -> None:
    history = fit_by_hand(sine(10), steps=250)
    assert [row[0] for row in history.table(100).rows] == ["99", "199"]
    assert history.table(100)._repr_markdown_().startswith("| step | loss |\n| --: | --: |\n| 99 | ")
    with pytest.raises(ValueError, match="every"):
        history.table(0)


def test_equations_are_latex() -> None:
    history = fit_legendre(sine(50), steps=10)
    assert history.equation.startswith("$y = ")
    assert "+ -" not in history.equation
    assert "e-" not in history.equation


@pytest.mark.parametrize("fit", [fit_by_hand, fit_autograd, fit_legendre])
def test_wrong_arguments_and_divergence_are_said(fit) -> None:
    with pytest.raises(ValueError, match="steps"):
        fit(sine(5), steps=0)
    with pytest.raises(ValueError, match="lr"):
        fit(sine(5), lr=float("nan"))
    with pytest.raises(ValueError, match="diverges"):
        fit(sine(500), lr=1.0, steps=500)
    with pytest.raises(ValueError, match="n must be"):
        sine(0)


def test_a_zero_learning_rate_stays_where_it_is() -> None:
    history = fit_autograd(sine(5), steps=3, lr=0.0, omega=Cubic(1, 2, 3, 4))
    assert history.parameters == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert history.losses[0] == history.losses[2]
