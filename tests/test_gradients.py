"""Gradient checks: what they accept, what they refuse, and that a wrong derivative cannot pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fitnotes.training import Disagreement, check_gradients, depth, gaussian, legendre, two_layer
from fitnotes.training.gradients import GradientCheck


def values(check: GradientCheck) -> list[float]:
    return [entry.autograd for entry in check.entries]


# ------------------------------------------------------------- published values ("a <> b" in study notes)


def test_a_square() -> None:
    check = check_gradients(lambda x: x**2, lambda x: 2 * x, at=0.39266)
    assert f"{0.39266:.4f} {values(check)[0]:.4f}" == "0.3927 0.7853"
    assert check.entries[0].by_hand == pytest.approx(0.78532, abs=1e-12)
    assert check.entries[0].differences == pytest.approx(0.78532, abs=1e-9)


def test_a_loss_chain() -> None:
    check = check_gradients(lambda x: (10 - x**2) ** 2, lambda x: 2 * (10 - x**2) * (-2 * x), at=1)
    assert values(check) == [-36]


def test_a_linear_map() -> None:
    check = check_gradients(
        lambda w, x, b: w * x + b, lambda w, x, b: (x, w, 1), at={"w": 5, "x": 2.5, "b": 4}
    )
    assert values(check) == [2.5, 5, 1]


def test_a_vector() -> None:
    check = check_gradients(lambda x: (x**2).sum(), lambda x: 2 * x, at=[1.0, 5.0, 6.0])
    assert values(check) == [2, 10, 12]


def test_a_recursion_with_a_shared_weight() -> None:
    def h2(w: Any, h0: Any) -> Any:
        return w * (w * h0)

    check = check_gradients(h2, {"w": 2 * 2 * 0.5, "h0": 2 * 2}, at={"w": 2, "h0": 0.5})
    assert values(check) == [2, 4]


def test_matrices() -> None:
    torch.manual_seed(0)
    at = {"X": torch.randn(5, 2), "W": torch.randn(2, 3), "b": torch.randn(1, 3)}

    def by_hand(x: Any, w: Any, b: Any) -> Any:
        ones = torch.ones(5, 3, dtype=x.dtype)
        return {"X": ones @ w.T, "W": x.T @ ones, "b": ones.sum(0, keepdim=True)}

    check = check_gradients(lambda x, w, b: (x @ w + b).sum(), by_hand, at=at)
    assert len(check.entries) == 10 + 6 + 3
    assert check.error < 1e-6


# ------------------------------------------------------------------------------------ what can be checked


def test_functions_entry_by_entry() -> None:
    check = check_gradients(
        legendre.LegendreP3.apply, lambda x: 1.5 * (5 * x**2 - 1), at=torch.linspace(-1, 1, 5)
    )
    assert len(check.entries) == 25
    text = check._repr_markdown_()
    assert "All 25 derivatives agree (20 of them zero and not shown)" in text
    assert text.count("| agree |") == 5


def test_a_wrong_function_is_found_without_a_derivation() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 2 * ctx.saved_tensors[0] ** 2

    with pytest.raises(Disagreement, match=r"∂f/∂x: autograd says 8, but central differences 12"):
        check_gradients(Wrong.apply, at=2.0)


def test_jacobians_of_vectors() -> None:
    a = torch.tensor([[1.0, 2, 3], [4, 5, 6]], dtype=torch.float64)
    check = check_gradients(lambda x, a: a @ x, lambda x, a: a, at=[1.0, 1, 1], given=[a])
    assert values(check) == [1, 2, 3, 4, 5, 6]
    assert check.entries[3].name == "∂f[1]/∂x[0]"


def test_modules() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    x, y = torch.randn(4, 3), torch.randn(4, 2)

    def by_hand(m: Any, x: Any, y: Any) -> Any:
        g = 2 * (m(x) - y)
        return {"weight": g.T @ x, "bias": g.sum(0)}

    check = check_gradients(lambda m, x, y: (m(x) - y).pow(2).sum(), by_hand, at=model, given=(x, y))
    assert len(check.entries) == 8
    assert {entry.argument for entry in check.entries} == {"weight", "bias"}
    assert model.weight.dtype == torch.float32  # the user's module is left alone
    assert model.weight.grad is None


def test_directions() -> None:
    check = check_gradients(
        lambda x: torch.sin(x) * x,
        lambda x, v: (torch.cos(x) * x + torch.sin(x)) * v,
        at=torch.tensor([1.0, 2.0]),
        along=torch.tensor([1.0, -2.0]),
    )
    assert len(check.entries) == 2
    by_two = check_gradients(
        lambda w, x, c: w * x + c, lambda w, x, dw, dx, c: dw * x + w * dx, at=(2, 3), along=(1, 1), given=[7]
    )
    assert values(by_two) == [5]
    with pytest.raises(Disagreement, match="∂v"):
        check_gradients(lambda x: x**2, lambda x, v: x * v, at=1.0, along=1.0)
    with pytest.raises(ValueError, match=r"along has shape \(2,\) for x, which has shape \(\)"):
        check_gradients(lambda x: x**2, at=1.0, along=[1.0, 2.0])


def test_second_derivatives() -> None:
    cubes = check_gradients(lambda x: (x**3).sum(), lambda x: 6 * x, at=[1.0, -1.0], order=2)
    assert values(cubes) == [6, 0, 0, -6]
    assert cubes.entries[0].name == "∂²f/∂x[0]∂x[0]"
    mixed = check_gradients(
        lambda a, b: a**2 * b, lambda a, b: ((2 * b, 2 * a), (2 * a, 0)), at={"a": 3, "b": 5}, order=2
    )
    assert values(mixed) == [10, 6, 6, 0]
    matrix = check_gradients(
        lambda m: (m**2).sum(), torch.eye(4).reshape(2, 2, 2, 2) * 2, at=torch.ones(2, 2), order=2
    )
    assert sum(values(matrix)) == 8
    with pytest.raises(Disagreement, match="∂²f/∂x∂x: by hand 7, but autograd says 6 and central"):
        check_gradients(lambda x: x**3, 7, at=1.0, order=2)
    with pytest.raises(ValueError, match="returns a number"):
        check_gradients(lambda x: x**3, at=[1.0], order=2)


def test_many_entries_are_drawn_by_lot_and_all_compared_with_the_derivation() -> None:
    def wrong_at(k: int) -> Any:
        def by_hand(x: Any) -> Any:
            g = 2 * x
            g[k] += 1e-3
            return g

        return by_hand

    x = torch.linspace(1, 2, 3000)
    check = check_gradients(lambda x: (x**2).sum(), lambda x: 2 * x, at=x, most=20)
    assert sum(entry.differences is not None for entry in check.entries) == 20
    assert "20 of them, drawn by lot, with differences too" in check._repr_markdown_()
    assert "the worst of 3000" in check._repr_markdown_()
    for k in (0, 17, 2999):
        with pytest.raises(Disagreement, match=rf"∂f/∂x\[{k}\]"):
            check_gradients(lambda x: (x**2).sum(), wrong_at(k), at=x, most=20)


# --------------------------------------------------------------------------------------------- properties


@given(
    st.sampled_from(["sin", "exp", "tanh", "sigmoid", "square"]),
    st.lists(st.floats(-3, 3), min_size=1, max_size=4),
    st.integers(0, 3),
    st.floats(1e-5, 10) | st.floats(-10, -1e-5),
)
@settings(max_examples=80, deadline=None)
def test_right_derivatives_pass_and_wrong_ones_do_not(
    name: str, point: list[float], where: int, wrong: float
) -> None:
    f = getattr(torch, name)

    def derivative(x: Any) -> Any:
        return {
            "sin": torch.cos(x),
            "exp": torch.exp(x),
            "tanh": 1 - torch.tanh(x) ** 2,
            "sigmoid": torch.sigmoid(x) * (1 - torch.sigmoid(x)),
            "square": 2 * x,
        }[name]

    def mistaken(x: Any) -> Any:
        d = derivative(x)
        d[where % len(point)] += wrong
        return d

    check_gradients(lambda x: f(x).sum(), derivative, at=point)
    with pytest.raises(Disagreement, match=rf"∂f/∂x\[{where % len(point)}\]: by hand"):
        check_gradients(lambda x: f(x).sum(), mistaken, at=point)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_the_two_layer_derivation_passes_on_all_shapes(
    n: int, d_in: int, hidden: int, d_out: int, seed: int
) -> None:
    samples = gaussian(n, d_in, d_out, seed=seed)
    weights = two_layer.start(samples, hidden, seed=seed)

    def by_hand(*arrays: Any) -> Any:
        return two_layer.two_layer_gradient(*(a.numpy() for a in arrays))[:2]

    check_gradients(
        lambda w1, w2, x, y: ((x @ w1).clamp(min=0) @ w2 - y).pow(2).sum(),
        by_hand,
        at={"W1": weights.w1, "W2": weights.w2},
        given=samples,
    )


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("error", [1e-5, 0.5])
def test_scale_hides_no_mistake(scale: float, error: float) -> None:
    x = [0.3, 1.7]
    check_gradients(lambda x: scale * torch.exp(x).sum(), lambda x: scale * torch.exp(x), at=x)
    with pytest.raises(Disagreement):
        check_gradients(
            lambda x: scale * torch.exp(x).sum(), lambda x: scale * (1 + error) * torch.exp(x), at=x
        )


def test_points_where_a_derivative_is_zero_pass() -> None:
    check_gradients(lambda x: x**3, lambda x: 3 * x**2, at=0.0)
    check_gradients(lambda x: x**2, lambda x: 2 * x, at=0.0)
    check_gradients(lambda x: torch.cos(x), lambda x: -torch.sin(x), at=0.0)
    check_gradients(lambda x: (x - torch.pi) ** 2, lambda x: 2 * (x - torch.pi), at=torch.pi)
    check_gradients(lambda x: x * 0 + 1, lambda x: 0, at=3.0)
    check_gradients(lambda x: torch.ones((), dtype=x.dtype), lambda x: 0, at=3.0)
    net = depth.DepthNet(depth.start(3), "Heaviside")
    check_gradients(lambda net, x: net(x).sum(), at=net, given=[torch.tensor([1.0, 2.0])])


# -------------------------------------------------------------------------------------------- wrong input


def test_corners_are_named() -> None:
    with pytest.raises(Disagreement, match=r"a corner there, its slope jumps by 1: choose another point"):
        check_gradients(two_layer.ReLU.apply, at=0.0)
    with pytest.raises(Disagreement, match=r"jumps by 2"):  # where all three ways would agree on 0
        check_gradients(torch.abs, 0, at=0.0)
    with pytest.raises(Disagreement, match=r"∂f/∂x\[1\]: f has a corner"):
        check_gradients(lambda x: (x.clamp(min=0) * 3).sum(), at=[1.0, 0.0, -1.0])
    smooth = torch.linspace(-3, 3, 13)
    check_gradients(lambda x: (torch.exp(x) * torch.sin(20 * x)).sum(), at=smooth)
    check_gradients(lambda x: (1e6 * x**4 + x).sum(), at=smooth)


def test_nan_is_never_agreement() -> None:
    with pytest.raises(ValueError, match="x is not finite everywhere"):
        check_gradients(lambda x: x**2, at=float("nan"))
    with pytest.raises(ValueError, match="f is not finite at this point"):
        check_gradients(lambda x: torch.log(x), at=-1.0)
    with pytest.raises(Disagreement, match="by hand nan"):
        check_gradients(lambda x: x**2, lambda x: x * float("nan"), at=1.0)
    with pytest.raises(Disagreement, match="autograd says nan"):
        check_gradients(lambda x: torch.where(x > 0, x, torch.sqrt(x - x) * 0), at=0.0)


def test_wrong_shapes_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"the derivative by x has shape \(3,\), expected \(2,\)"):
        check_gradients(lambda x: x.sum(), np.ones(3), at=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"has derivatives by v; the arguments are w, x"):
        check_gradients(lambda w, x: w * x, {"v": 1}, at={"w": 1, "x": 2})
    with pytest.raises(ValueError, match=r"2 derivatives are needed, by w, x"):
        check_gradients(lambda w, x: w * x, lambda w, x: x, at={"w": 1, "x": 2})
    with pytest.raises(ValueError, match=r"f returned float, not a tensor"):
        check_gradients(lambda x: float(x), at=1.0)
    with pytest.raises(ValueError, match="order must be 1 or 2"):
        check_gradients(lambda x: x, at=1.0, order=3)
    with pytest.raises(ValueError, match="ReLU has no parameters"):
        check_gradients(lambda m: m(torch.ones(1)), at=torch.nn.ReLU())
    data = torch.ones(3)
    with pytest.raises(ValueError, match=r"two precisions .* given="):
        check_gradients(lambda w: data @ w, at=[1.0, 2.0, 3.0])


def test_single_precision_and_tolerance_are_choices() -> None:
    check_gradients(lambda x: torch.exp(x), lambda x: torch.exp(x), at=1.0, dtype=torch.float32)
    with pytest.raises(Disagreement):
        check_gradients(lambda x: x**2, lambda x: 2 * x * 1.001, at=1.0)
    check_gradients(lambda x: x**2, lambda x: 2 * x * 1.001, at=1.0, tolerance=0.05)
