"""The fits against published values, against each other, and against wrong input."""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from fitnotes.training import (
    Cubic,
    Disagreement,
    History,
    Samples,
    compare,
    cubic,
    cubic_gradient,
    cubic_loss,
    depth,
    fit_autograd,
    fit_by_hand,
    fit_depth,
    fit_legendre,
    gaussian,
    least_squares,
    legendre,
    sine,
    two_layer,
)
from fitnotes.training.comparison import rounding
from fitnotes.training.rungs import draws

# Loss of the Legendre fit at steps 99, 199, …, 1999: start (0, -1, 0, 0.3), lr 5e-6, 2000 points, float32
# ("Learning PyTorch with Examples", pytorch.org), to three decimals.
LEGENDRE = [
    209.958, 144.660, 100.702, 71.035, 50.979, 37.403, 28.207, 21.973, 17.746, 14.878,
    12.932, 11.611, 10.714, 10.105, 9.692, 9.411, 9.221, 9.091, 9.003, 8.944,
]  # fmt: skip

FITS: list[Callable[..., History]] = [*cubic.LADDER, fit_legendre, legendre.fit_legendre_by_hand, fit_depth]
DTYPES = [torch.float32, torch.float64]


def test_legendre_fit_has_the_known_losses() -> None:
    history = fit_legendre(sine(2000), steps=2000, lr=5e-6)
    assert [round(loss, 3) for loss in history.losses[99::100].tolist()] == pytest.approx(LEGENDRE, abs=1e-9)
    assert round(history.parameters["b"], 5) == -2.20853
    assert round(history.parameters["d"], 6) == 0.255486
    assert abs(history.parameters["a"]) < 1e-7
    assert abs(history.parameters["c"]) < 1e-7


def test_the_least_squares_cubic_is_the_known_one() -> None:
    omega, loss = least_squares(sine(2000, dtype=torch.float64))
    assert [round(v, 3) for v in omega] == pytest.approx([0, 0.857, 0, -0.093], abs=1e-9)
    assert round(omega.d, 4) == -0.0933
    assert round(loss, 3) == 8.817


@pytest.mark.parametrize("seed", range(3))
def test_the_cubic_fit_comes_near_the_best_cubic(seed: int) -> None:
    history = fit_autograd(sine(2000), omega=cubic.start(seed))
    assert 8.817 < history.final < 12
    long = fit_autograd(sine(200), steps=20000, lr=1e-5, omega=cubic.start(seed))
    best, least = least_squares(sine(200))
    assert long.final == pytest.approx(least, rel=1e-5)
    assert list(long.parameters.values()) == pytest.approx(list(best), abs=1e-3)


def test_two_layer_losses_fall_as_they_are_known_to() -> None:
    samples = gaussian()
    descent = two_layer.fit_autograd(samples)
    assert 100 < descent.losses[99] < 1000
    assert descent.final < 1e-4
    # Adam on torch.nn: about 47, 0.66, 2.7e-3, 1.0e-5, 2.8e-8 at steps 99, 199, …, 499, from another start.
    adam = two_layer.fit_optim(
        samples, lr=1e-4, weights=two_layer.linear_start(samples), optimizer=torch.optim.Adam
    )
    # The longer, the more the start matters: over starts, the last ones differ by three powers of ten.
    for loss, about, factor in zip(
        adam.losses[99::100], (47, 0.66, 2.7e-3, 1.0e-5, 2.8e-8), (1.5, 3, 20, 100, 1000), strict=True
    ):
        assert about / factor < loss < about * factor


# ---------------------------------------------------------------------------------------------- ladders


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 3, 2000])
def test_all_rungs_of_the_cubic_ladder_are_one_fit(dtype: torch.dtype, n: int) -> None:
    samples = sine(n, dtype=dtype)
    rungs = [fit(samples, steps=300, lr=1e-7) for fit in cubic.LADDER]
    comparison = compare(*rungs)
    assert len({rung.name for rung in rungs}) == 8
    assert {rung.dtype for rung in rungs} == {dtype}
    assert comparison.deviation <= comparison.tolerance == rounding(rungs[0])
    first = np.array(list(rungs[0].parameters.values()))
    for rung in rungs:
        assert list(rung.parameters) == ["a", "b", "c", "d"]
        apart = np.linalg.norm(np.array(list(rung.parameters.values())) - first)
        assert apart <= comparison.tolerance * np.linalg.norm(first)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(64, 1000, 10, 100), (1, 1, 1, 1), (5, 3, 2, 4)], ids=str)
def test_all_rungs_of_the_two_layer_ladder_are_one_fit(
    dtype: torch.dtype, shape: tuple[int, int, int, int]
) -> None:
    n, d_in, d_out, hidden = shape
    samples = gaussian(n, d_in, d_out, dtype=dtype)
    weights = two_layer.start(samples, hidden)
    rungs = [fit(samples, steps=60, lr=1e-6, weights=weights) for fit in two_layer.LADDER]
    assert compare(*rungs).deviation <= rounding(rungs[0])
    for rung in rungs:
        assert rung.parameters["W1"].shape == (d_in, hidden)
        assert rung.parameters["W2"].shape == (hidden, d_out)
        for name in ("W1", "W2"):  # as a whole: an entry near zero has no digits to compare
            first = rungs[0].parameters[name]
            apart = np.linalg.norm(rung.parameters[name] - first)
            assert apart <= rounding(rungs[0]) * np.linalg.norm(first)


def test_shared_weights_by_hand_are_those_of_autograd() -> None:
    points = sine(500, dtype=torch.float64)
    compare(
        cubic.fit_shared_by_hand(points, e=0.1, lr=1e-8, steps=400),
        cubic.fit_shared(points, e=0.1, lr=1e-8, steps=400),
    )
    samples = gaussian(dtype=torch.float64)
    weights = two_layer.linear_start(samples)
    by_hand = two_layer.fit_shared_by_hand(samples, weights=weights, lr=5e-5, steps=100)
    shared = two_layer.fit_shared(samples, weights=weights, lr=5e-5, steps=100)
    compare(by_hand, shared)
    assert not np.allclose(shared.parameters["Wm"], weights.wm)
    assert set(draws(0, 100, 3)) == {0, 1, 2, 3}
    assert draws(0, 100) != draws(1, 100)
    assert by_hand.final < by_hand.losses[0]


def test_the_legendre_fit_by_hand_is_that_of_the_function() -> None:
    for dtype in DTYPES:
        samples = sine(2000, dtype=dtype)
        compare(fit_legendre(samples), legendre.fit_legendre_by_hand(samples))


@given(
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
    st.integers(1, 30),
    st.integers(1, 20),
    st.floats(0, 1e-5),
)
@settings(max_examples=25, deadline=None)
def test_rungs_agree_from_any_start(omega: list[float], n: int, steps: int, lr: float) -> None:
    samples = sine(n, dtype=torch.float64)
    compare(*(fit(samples, steps=steps, lr=lr, omega=omega) for fit in cubic.LADDER))


def test_fits_that_part_are_told_apart() -> None:
    samples = sine(100)
    right = fit_autograd(samples, steps=50)
    with pytest.raises(Disagreement, match=r"autograd parts from numpy, by hand at step 1: loss .* rounding"):
        compare(fit_by_hand(samples, steps=50), fit_autograd(samples, steps=50, lr=1.01e-6))
    with pytest.raises(Disagreement, match="at step 0"):
        compare(right, fit_autograd(samples, steps=50, omega=(0.1, 0.2, 0.3, 0.4)))
    with pytest.raises(ValueError, match="autograd has 40 steps"):
        compare(right, fit_autograd(samples, steps=40))
    with pytest.raises(ValueError, match="two fits"):
        compare(right)
    with pytest.raises(ValueError, match="no step 50"):
        compare(right, right, at=[50])


def test_parameters_are_compared_too() -> None:
    samples = sine(11, dtype=torch.float64)
    with pytest.raises(Disagreement, match="nearly the same losses, but other parameters at the end: "):
        compare(  # mirror images: the sine is odd
            fit_by_hand(samples, steps=10, omega=[1, 2, 3, 4]),
            fit_by_hand(samples, steps=10, omega=[-1, 2, -3, 4]),
        )
    with pytest.raises(Disagreement, match="other parameters"):
        compare(fit_by_hand(samples, steps=1), fit_by_hand(samples, steps=1, lr=1e-3))


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_few_points_and_long_steps_are_no_disagreement(n: int) -> None:
    powers = np.vander(sine(n).x.double().numpy(), 4)
    limit = 2 / np.linalg.eigvalsh(2 * powers.T @ powers).max()
    for dtype in DTYPES:
        for part in (0.01, 0.3, 0.9, 0.99):
            compare(*(fit(sine(n, dtype=dtype), steps=100, lr=part * limit) for fit in cubic.LADDER))


def test_names_of_optimizers_are_what_they_are() -> None:
    momentum = functools.partial(torch.optim.SGD, momentum=0.9)
    fit = cubic.fit_optim(sine(5), steps=2, optimizer=momentum)
    assert fit.name == "torch.optim.SGD(momentum=0.9)"
    other = cubic.fit_optim(sine(5), steps=2, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr))
    assert other.name == "an optimizer"
    assert fit_depth(sine(5), 5, layers=depth.start(2), steps=1).name == "tanh, depth 2"
    odd = dataclasses.replace(fit, name="a|b <c>")
    assert "| a\\|b \\<c\\> |" in compare(odd, fit)._repr_markdown_()


def test_a_comparison_shows_its_rungs_side_by_side() -> None:
    samples = sine(50)
    comparison = compare(fit_by_hand(samples, steps=8), fit_autograd(samples, steps=8), at=[0, 7])
    lines = comparison._repr_markdown_().split("\n")
    assert lines[0] == "|  | loss at step 0 | 7 | deviation |"
    assert lines[2].startswith("| numpy, by hand | ")
    assert lines[2].endswith(" | – |")
    assert "largest deviation of all 8 steps" in lines[-1]
    timed = compare(*comparison.histories, seconds=True).table()
    assert timed.header[-1] == "µs per step"
    assert all(float(row[-1]) > 0 for row in timed.rows)


# ------------------------------------------------------------------------------------ gradients by hand

coefficients = st.tuples(*[st.floats(-3, 3)] * 4)


@given(coefficients, st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_the_cubic_gradient_by_hand_is_autograds(omega: tuple[float, float, float, float], n: int) -> None:
    x, y = sine(n, dtype=torch.float64)
    a, b, c, d = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in omega)
    loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
    loss.backward()
    points = x.numpy(), y.numpy()
    assert cubic_loss(Cubic(*omega), *points) == pytest.approx(loss.item(), rel=1e-12, abs=1e-12)
    by_hand = cubic_gradient(Cubic(*omega), *points)
    assert list(by_hand) == pytest.approx([p.grad.item() for p in (a, b, c, d)], rel=1e-9, abs=1e-9)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_the_two_layer_gradient_by_hand_is_autograds(
    n: int, d_in: int, hidden: int, d_out: int, seed: int
) -> None:
    samples = gaussian(n, d_in, d_out, seed=seed, dtype=torch.float64)
    w1, w2, _ = two_layer.start(samples, hidden, seed=seed + 1)
    t1, t2 = (torch.tensor(w, requires_grad=True) for w in (w1, w2))
    loss = ((samples.x @ t1).clamp(min=0) @ t2 - samples.y).pow(2).sum()
    loss.backward()
    points = samples.numpy()
    assert two_layer.two_layer_loss(w1, w2, *points) == pytest.approx(loss.item(), rel=1e-12)
    by_w1, by_w2, _ = two_layer.two_layer_gradient(w1, w2, *points)
    np.testing.assert_allclose(by_w1, t1.grad, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(by_w2, t2.grad, rtol=1e-10, atol=1e-10)


@given(st.integers(1, 6), st.sampled_from(list(depth.ACTIVATIONS)), st.integers(1, 12), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_depth_gradient_by_hand_is_autograds(d: int, name: str, n: int, seed: int) -> None:
    x, y = sine(n, dtype=torch.float64)
    layers = depth.start(d, seed=seed)
    net = depth.DepthNet(layers, name)
    (net(x) - y).pow(2).sum().backward()
    by_hand = depth.depth_gradient(layers, x.numpy(), y.numpy(), name)
    np.testing.assert_allclose(by_hand.a, net.a.grad, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(by_hand.b, net.b.grad, rtol=1e-9, atol=1e-9)


def test_functions_have_the_derivatives_they_say() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(legendre.LegendreP3.apply, (x,))
    shifted = (x + 0.1).detach().requires_grad_()
    assert torch.autograd.gradcheck(two_layer.ReLU.apply, (shifted,))
    assert torch.autograd.gradcheck(depth.Heaviside.apply, (shifted,))
    w = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: cubic.Polynomial.apply(w, x.detach()), (w,))


# ------------------------------------------------------------------------------------------------ depth


def test_depth_and_activation_do_what_is_said_of_them() -> None:
    samples = sine(200)
    depths = depth.compare_depths(samples, (1, 2, 4), steps=300, lr=1e-3)
    final = {key: history.final for key, history in depths.histories.items()}
    line = np.polyfit(*samples.numpy(), 1, full=True)[1][0]
    for d in (1, 2, 4):  # all depths of the identity are one straight line
        history = depths.histories["identity", d]
        assert history.limit == pytest.approx(line, rel=1e-5)
        assert history.final == pytest.approx(line, rel=1e-4)
    heaviside = depths.histories["Heaviside", 4]
    assert len(set(heaviside.losses.tolist())) == 1  # no gradient, no step
    assert heaviside.parameters["a1"] == pytest.approx(depth.start(4).a[0])
    assert final["tanh", 2] < final["tanh", 1]
    table = depths.table()
    assert table.header == ("depth", "identity", "tanh", "Heaviside", "logistic")
    assert [row[0] for row in table.rows] == ["1", "2", "4"]
    # Each layer puts a factor a σ' ≤ a/4 into the gradient of those before it.
    x, y = (values.astype(float) for values in samples.numpy())
    slopes = [abs(depth.depth_gradient(depth.start(d), x, y, "logistic").a[0]) for d in (1, 3, 5)]
    assert slopes[0] > 5 * slopes[1] > 25 * slopes[2] > 0


def test_a_depth_network_writes_itself_out() -> None:
    history = fit_depth(sine(20), 2, "tanh", steps=5)
    assert history.equation.startswith("$y = \\tanh\\left(")
    assert history.equation.count("\\tanh") == 2
    assert "{a" not in history.equation
    assert set(history.parameters) == {"a1", "a2", "b1", "b2"}
    assert set(fit_depth(sine(20), 11, "logistic", steps=1).parameters) >= {"a1", "a11"}


# -------------------------------------------------------------------------------------------- histories


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


def test_exports_keep_every_digit(tmp_path: Any) -> None:
    history = fit_autograd(sine(100), steps=7)
    text = history.to_csv(tmp_path / "fit.csv")
    assert (tmp_path / "fit.csv").read_text() == text
    rows = list(csv.DictReader(text.splitlines()))
    assert [float(row["loss"]) for row in rows] == history.losses.tolist()
    assert [int(row["step"]) for row in rows] == list(range(7))
    record = json.loads(history.to_json(tmp_path / "fit.json"))
    assert record == json.loads((tmp_path / "fit.json").read_text())
    assert record["losses"] == history.losses.tolist()
    assert record["parameters"] == dict(history.parameters)
    assert record["dtype"] == "float32"
    assert record["seconds"] == history.seconds > 0
    assert record["limit"] == history.limit
    net = two_layer.fit_autograd(gaussian(3, 2, 1), steps=2)
    matrix = json.loads(net.to_json())["parameters"]["W2"]
    assert np.array(matrix).shape == (100, 1)


def test_curves_show_every_fit_and_the_limit_once() -> None:
    history = fit_autograd(sine(100), steps=7)
    axes = compare(history, fit_by_hand(sine(100), steps=7)).curve()
    assert axes.get_yscale() == "log"
    labels = axes.get_legend_handles_labels()[1]
    assert labels[:2] == ["autograd", "numpy, by hand"]
    assert len(labels) == 3
    assert labels[2].startswith("least possible: ")


class Counted(TorchDispatchMode):
    """Counts the operations that make a GPU wait until a number has arrived in Python."""

    waits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.waits += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("fit", [*cubic.LADDER[1:], fit_legendre, fit_depth], ids=lambda fit: fit.__name__)
def test_no_step_waits_for_a_number(fit: Callable[..., History]) -> None:
    waits = []
    for steps in (3, 30):
        with Counted() as counted:
            fit(sine(20), steps=steps)
        waits.append(counted.waits)
    assert waits[0] == waits[1]


@pytest.mark.parametrize("fit", two_layer.LADDER[1:], ids=lambda fit: fit.__name__)
def test_no_step_of_the_net_waits_for_a_number(fit: Callable[..., History]) -> None:
    waits = []
    for steps in (3, 30):
        with Counted() as counted:
            fit(gaussian(4, 3, 2), steps=steps)
        waits.append(counted.waits)
    assert waits[0] == waits[1]


# ------------------------------------------------------------------------------------------ wrong input


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_wrong_arguments_and_divergence_are_said(fit: Callable[..., History]) -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, a whole number, not 0"):
        fit(sine(5), steps=0)
    for lr in (float("nan"), -1e-6, float("inf")):
        with pytest.raises(ValueError, match="lr must be"):
            fit(sine(5), lr=lr)
    x, y = sine(5)
    with pytest.raises(ValueError, match=r"samples.y\[2\] is nan"):
        fit(Samples(x, torch.where(torch.arange(5) == 2, math.nan, y)))
    with pytest.raises(ValueError, match=r"samples.x has 5 rows, but samples.y has 3"):
        fit(Samples(x, y[:3]))
    with pytest.raises(ValueError, match=r"samples.x has shape \(5, 1\), but this model needs \(n,\)"):
        fit(Samples(x[:, None], y))
    with pytest.raises(ValueError, match=r"samples.x is torch.float32 on cpu"):
        fit(Samples(x, y.double()))
    with pytest.raises(ValueError, match=r"torch\.float32 or torch\.float64"):
        fit(Samples(torch.arange(5), torch.arange(5)))
    with pytest.raises(ValueError, match="no rows"):
        fit(Samples(x[:0], y[:0]))


@pytest.mark.parametrize("fit", [f for f in FITS if f is not fit_depth], ids=lambda fit: fit.__name__)
def test_divergence_is_said(fit: Callable[..., History]) -> None:
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) at step \d+.*diverges with lr = 1; try a"):
        fit(sine(500), lr=1.0, steps=500)


@pytest.mark.parametrize("fit", two_layer.LADDER, ids=lambda fit: fit.__name__)
def test_wrong_shapes_of_the_net_are_refused_by_name(fit: Callable[..., History]) -> None:
    samples = gaussian(4, 3, 2)
    weights = two_layer.start(samples, 5)
    with pytest.raises(ValueError, match=r"weights.w1 has shape \(4, 5\), but .* need \(3, 5\)"):
        fit(samples, weights=weights._replace(w1=np.zeros((4, 5))))
    with pytest.raises(ValueError, match=r"weights.w2 has shape \(5, 3\)"):
        fit(samples, weights=weights._replace(w2=np.zeros((5, 3))))
    with pytest.raises(ValueError, match=r"samples.y has shape \(4,\)"):
        fit(Samples(samples.x, samples.y[:, 0]))
    x = samples.x.clone()
    x[1, 2] = math.inf
    with pytest.raises(ValueError, match=r"samples.x\[1, 2\] is inf"):
        fit(Samples(x, samples.y))
    with pytest.raises(ValueError, match="diverges"):
        fit(samples, lr=1.0, weights=weights)


def test_other_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="n must be"):
        sine(0)
    with pytest.raises(ValueError, match="d_in must be"):
        gaussian(1, 0, 1)
    with pytest.raises(ValueError, match="omega must be four finite numbers"):
        fit_autograd(sine(5), omega=(1, 2))
    with pytest.raises(ValueError, match="unknown activation 'relu': one of identity, tanh"):
        fit_depth(sine(5), 2, "relu")
    with pytest.raises(ValueError, match="depth must be at least 1"):
        fit_depth(sine(5), 0)
    with pytest.raises(ValueError, match=r"omega must be four finite numbers .* nan"):
        fit_autograd(sine(5), omega=(1, 2, 3, math.nan))
    with pytest.raises(ValueError, match="start must be four finite numbers"):
        fit_legendre(sine(5), start=(1, 2, 3))
    with pytest.raises(ValueError, match=r"must be Samples\(x, y\) of two tensors"):
        fit_autograd((sine(5).x, sine(5).y))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"samples\.x requires grad"):
        fit_autograd(Samples(sine(5).x.requires_grad_(), sine(5).y))
    with pytest.raises(ValueError, match=r"torch\.float16"):
        fit_autograd(sine(5, dtype=torch.float16))
    with pytest.raises(ValueError, match=r"a whole number, not 2\.5"):
        fit_autograd(sine(5), steps=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no fractions"):
        sine(5, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least one depth"):
        depth.compare_depths(sine(5), ())
    assert len(depth.compare_depths(sine(5), (1,), "tanh", steps=2).histories) == 1
    with pytest.raises(ValueError, match="tolerance must be"):
        compare(fit_by_hand(sine(5), steps=2), fit_by_hand(sine(5), steps=2), tolerance=math.nan)
    samples = gaussian(2, 2, 2)
    weights = two_layer.start(samples)
    with pytest.raises(ValueError, match=r"weights\.w2 is not finite"):
        two_layer.fit_autograd(samples, weights=weights._replace(w2=weights.w2 * math.nan))
    with pytest.raises(ValueError, match="most must be at least 0"):
        two_layer.fit_shared(samples, weights=two_layer.linear_start(samples), most=-1)
    with pytest.raises(ValueError, match="no matrix to share"):
        two_layer.fit_shared_by_hand(samples, weights=two_layer.start(samples))


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_a_zero_learning_rate_stays_where_it_is(fit: Callable[..., History]) -> None:
    history = fit(sine(5), steps=3, lr=0.0)
    assert len(set(history.losses.tolist())) == 1


def test_float64_keeps_every_digit_of_the_start() -> None:
    omega = (1 / 3, 2 / 3, 0.1, 0.7)
    for fit in cubic.LADDER:
        history = fit(sine(5, dtype=torch.float64), steps=1, lr=0.0, omega=omega)
        assert tuple(history.parameters.values()) == omega
