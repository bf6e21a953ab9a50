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


# ------------------------------------------------------------------- what an attack on the check came up with


def square_times(k: float) -> Any:
    """x² with a derivative that is wrong by the factor k."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 2 * ctx.saved_tensors[0] * k

    return Wrong.apply


@pytest.mark.parametrize(
    ("f", "options"),
    [
        (lambda x: 1e-4 * square_times(2)(x).sum(), {"dtype": torch.float32}),
        (lambda x: square_times(2)(x * 1e-6).mean(), {}),
        (lambda x: square_times(1.1)(x[0]) + 1e6 * x[1] + 1e9, {}),
        (lambda x: square_times(2)(x[0]) + 1e4 * x[1], {"dtype": torch.float32}),
        (lambda x: 1e-13 * square_times(2)(x).sum(), {}),
        (lambda x: (x[0] > 1).to(x.dtype) + x.sum() * 0, {}),
    ],
)
def test_neither_scale_nor_neighbours_hide_a_wrong_derivative(f: Any, options: Any) -> None:
    with pytest.raises(Disagreement):
        check_gradients(f, at=[1.0, 2.0], **options)


SMOOTH: dict[str, tuple[Any, Any, list[float]]] = {
    "log": (torch.log, lambda x: 1 / x, [1e-6, 1e-4, 1e4]),
    "sqrt": (torch.sqrt, lambda x: 0.5 / x.sqrt(), [1e-8, 1e-4]),
    "sin": (torch.sin, torch.cos, [1e4, 1e6]),
    "1/x": (lambda x: 1 / x, lambda x: -1 / x**2, [1e-6]),
    "narrow": (lambda x: torch.tanh(x / 1e-5), lambda x: (1 - torch.tanh(x / 1e-5) ** 2) / 1e-5, [0.0, 1e-5]),
    "fast": (lambda x: torch.sin(1e5 * x), lambda x: 1e5 * torch.cos(1e5 * x), [0.3]),
    "offset": (lambda x: x**2 + 1e9, lambda x: 2 * x, [1.5]),
    "exp": (torch.exp, torch.exp, [-30.0, 30.0]),
    "near a corner": (torch.relu, lambda x: (x > 0).to(x.dtype), [1e-7, -1e-7]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_steep_narrow_and_offset_functions_pass(name: str) -> None:
    f, derivative, points = SMOOTH[name]
    for x in points:
        assert check_gradients(f, derivative, at=x).entries[0].verdict == "agree"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("n", [10, 1000])
def test_a_minimum_is_no_disagreement(n: int, dtype: torch.dtype) -> None:
    x = torch.randn(n, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    best = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    check = check_gradients(
        lambda w, x, y: ((x @ w - y) ** 2).sum(),
        lambda w, x, y: 2 * x.T @ (x @ w - y),
        at=best,
        given=(x, y),
        dtype=dtype,
    )
    assert {entry.verdict for entry in check.entries} == {"too small"}
    assert "0 of 5 derivatives agree, 5 too small to be judged" in check._repr_markdown_()


def test_functions_that_change_their_arguments_are_checked_where_they_were_asked() -> None:
    def f(x: Any, y: Any) -> Any:
        with torch.no_grad():
            x += 1
            y.mul_(2)
        return (x**2 * y).sum()

    check = check_gradients(f, lambda x, y: 4 * (x + 1) * y, at=[1.0, 2.0], given=(torch.ones(2),))
    assert values(check) == [8, 12]


def test_modules_with_state_and_of_other_layouts() -> None:
    torch.manual_seed(0)
    check_gradients(lambda m, x: (m(x) ** 3).sum(), at=torch.nn.BatchNorm1d(3), given=(torch.randn(8, 3),))
    convolution = torch.nn.Conv2d(2, 2, 2).to(memory_format=torch.channels_last)
    check_gradients(lambda m, x: m(x).pow(2).sum(), at=convolution, given=(torch.randn(1, 2, 3, 3),))
    check_gradients(lambda a: (a**2).sum(), lambda a: 2 * a, at=torch.randn(3, 4).T)
    layer = torch.nn.Linear(2, 2)
    tied = torch.nn.Sequential(layer, torch.nn.Tanh(), layer)
    check_gradients(lambda m, x: m(x).pow(2).sum(), at=tied, given=(torch.randn(3, 2),))
    check_gradients(lambda x, m: m(x).sum(), at=torch.ones(2), given=(torch.nn.Linear(2, 2),))
    assert values(check_gradients(lambda x: (x * 0 + 1).sum().detach(), at=1.0, order=2)) == [0]
    check_gradients(lambda x: (x**2).sum(), [2.0], at=[1.0])


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("x is complex", {"at": 3 + 4j}),
        ("x is empty", {"at": []}),
        ("at has no arguments", {"at": ()}),
        ("x is no number, array or tensor", {"at": "3"}),
        ("x is no number, array or tensor", {"at": [[1.0, 2.0], [3.0]]}),
        ("several arguments are a tuple", {"at": [torch.ones(2), torch.ones(2)]}),
        ("x is a sparse tensor", {"at": torch.eye(2).to_sparse()}),
        ("given must be a tuple of arguments, not Tensor", {"at": 1.0, "given": torch.ones(2)}),
        ("runs in torch.float32 or torch.float64", {"at": 1.0, "dtype": torch.float16}),
        ("along is zero", {"at": 1.0, "along": 0.0}),
        ("along has directions for v; the arguments are w", {"at": {"w": 1.0}, "along": {"v": 1.0}}),
        ("most must be at least 1", {"at": 1.0, "most": 0}),
        ("tolerance must be from 0 to 0.1", {"at": 1.0, "tolerance": float("nan")}),
        ("by_hand: the derivative by x is no array of real numbers", {"at": 1.0, "by_hand": "2x"}),
        ("by_hand: the derivative by x is no array of real numbers", {"at": 1.0, "by_hand": 2j}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(message: str, options: Any) -> None:
    with pytest.raises(ValueError, match=message):
        check_gradients(lambda x, *rest: (x**2).sum(), options.pop("by_hand", None), **options)


def test_functions_that_cannot_be_checked_are_refused() -> None:
    with pytest.raises(ValueError, match="other values when it is called again"):
        check_gradients(lambda x: torch.nn.functional.dropout(x).sum(), at=torch.ones(50))
    with pytest.raises(ValueError, match="empty tensor"):
        check_gradients(lambda x: x[:0], at=[1.0])
    with pytest.raises(ValueError, match="real floating point numbers"):
        check_gradients(lambda x: x.to(torch.int64), at=1.0)
