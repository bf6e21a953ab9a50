"""Optimizers from their formulas against torch.optim and published values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fitnotes.training import SGD, Adam, AdamW, Disagreement, Steps, optimizer_steps

AT = {"a": [2.0, 3.0], "b": [6.0, 4.0]}


def f(a: Any, b: Any) -> Any:
    return (3 * a**3 - b**2).sum()


def four(values: Any) -> list[str]:
    return [f"{v:.4f}" for v in np.ravel(values)]


# Published values: L(a, b) = Σ(3a³ − b²) in study notes on torch.optim, four decimals.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_one_step_of_sgd(dtype: torch.dtype) -> None:
    steps = optimizer_steps(f, AT, SGD(lr=0.005), steps=1, dtype=dtype)
    assert steps.losses[0] == 53
    assert steps.gradient(1, "a").tolist() == [36, 81]
    assert steps.gradient(1, "b").tolist() == [-12, -8]
    assert four(steps.after(1, "a")) == ["1.8200", "2.5950"]
    assert four(steps.after(1, "b")) == ["6.0600", "4.0400"]
    assert four(steps.losses[1]) == ["17.4649"]
    text = steps._repr_markdown_()
    assert "| 1 | 53.0000 | a[0] | 36.0000 | 1.8200 | 1.8200 |" in text
    assert "| 1 |  | b[1] | -8.0000 | 4.0400 | 4.0400 |" in text
    assert "The loss after the last step is 17.4649." in text


def test_gradients_accumulate_without_zeroing() -> None:
    steps = optimizer_steps(f, AT, SGD(lr=0.005), steps=2, zero_grad=False)
    assert four(steps.gradient(2, "a")) == ["65.8116", "141.6062"]
    assert four(steps.gradient(2, "b")) == ["-24.1200", "-16.0800"]
    zeroed = optimizer_steps(f, AT, SGD(lr=0.005), steps=2)
    assert four(zeroed.gradient(2, "a")) == ["29.8116", "60.6062"]
    assert four(zeroed.gradient(2, "b")) == ["-12.1200", "-8.0800"]
    assert "| 2 |  | a[1] | 141.6062 |" in steps._repr_markdown_()


def test_two_steps_of_adam() -> None:
    steps = optimizer_steps(f, AT, Adam(lr=0.1), steps=2)
    assert four(steps.after(1, "a")) == ["1.9000", "2.9000"]
    assert four(steps.after(1, "b")) == ["6.1000", "4.1000"]
    assert four(steps.losses[1]) == ["39.7240"]
    assert four(steps.gradient(2, "a")) == ["32.4900", "75.6900"]
    assert four(steps.after(2, "a")) == ["1.8004", "2.8002"]
    header = steps.table().header
    assert header[3:] == ("gradient", "m", "v", "by formula", "torch.optim")


# ---------------------------------------------------------------------------------------------- properties

shapes = st.sampled_from([(), (1,), (3,), (2, 3), (2, 1, 2)])
rates = st.floats(0, 0.1)
sgds = st.builds(
    SGD, rates, st.just(0.0) | st.floats(0.01, 0.99), st.just(0.0) | st.floats(0, 0.9), st.just(False),
    st.just(0.0) | st.floats(0, 0.5),
) | st.builds(SGD, rates, st.floats(0.01, 0.99), st.just(0.0), st.just(True), st.floats(0, 0.5))  # fmt: skip
adams = [
    st.builds(rule, rates, st.floats(0, 0.99), st.floats(0, 0.9999), st.floats(1e-8, 1e-2), st.floats(0, 0.5))
    for rule in (Adam, AdamW)
]


@given(sgds | adams[0] | adams[1], shapes, st.integers(1, 12), st.integers(0, 1000), st.booleans())
@settings(max_examples=120, deadline=None)
def test_formulas_are_what_torch_does(
    rule: Any, shape: tuple[int, ...], steps: int, seed: int, zero_grad: bool
) -> None:
    rng = np.random.default_rng(seed)
    target = torch.from_numpy(np.array(rng.standard_normal(shape)))
    start = {"θ": rng.standard_normal(shape), "k": rng.standard_normal(2)}

    def loss(theta: Any, k: Any) -> Any:
        return ((theta - target) ** 2).sum() + torch.cosh(k).sum() + (theta.sum() * k[0])

    found = optimizer_steps(loss, start, rule, steps=steps, zero_grad=zero_grad)
    assert len(found.losses) == steps + 1
    if rule.lr == 0:
        assert found.after(steps, "θ").tolist() == np.asarray(start["θ"]).tolist()


def test_a_parameter_the_loss_ignores_has_a_gradient_of_zero() -> None:
    steps = optimizer_steps(lambda a, b: a**2, {"a": 1.0, "b": 2.0}, AdamW(lr=0.1), steps=3)
    assert steps.gradient(2, "b") == 0
    assert steps.after(3, "b") == pytest.approx(2 * (1 - 0.1 * 0.01) ** 3)


def test_a_wrong_formula_is_found() -> None:
    class Wrong(Adam):
        def step(self, t: int, theta: Any, g: Any, state: Any) -> Any:
            return self._adam(1, theta, g, state)  # the correction of the first step, for ever

    with pytest.raises(Disagreement, match=r"Wrong, step 2: a becomes \(.*\) by the formula, but \("):
        optimizer_steps(f, AT, Wrong(lr=0.1), steps=3)


class Never(SGD):
    def step(self, t: int, theta: Any, g: Any, state: Any) -> Any:
        return theta, {}


class FivePercent(SGD):
    def step(self, t: int, theta: Any, g: Any, state: Any) -> Any:
        return theta - 1.05 * self.lr * g, {}


class Decays(Adam):
    def step(self, t: int, theta: Any, g: Any, state: Any) -> Any:
        return self._adam(t, (1 - self.lr * 0.01) * theta, g, state)


@pytest.mark.parametrize("rule", [Never(lr=1e-3), FivePercent(lr=1e-3), Decays(lr=1e-2)], ids=str)
@pytest.mark.parametrize("steps", [1, 2, 300])
def test_wrong_rules_are_found_in_single_precision_after_any_number_of_steps(rule: Any, steps: int) -> None:
    with pytest.raises(Disagreement, match="step 1: a becomes"):
        optimizer_steps(
            lambda a: ((a - 1) ** 2).sum(), {"a": [2.0, 3.0]}, rule, steps=steps, dtype=torch.float32
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_long_ways_over_difficult_ground_are_no_disagreement(dtype: torch.dtype) -> None:
    def banana(a: Any, b: Any) -> Any:
        return (0.01 * (1 - a) ** 2 + 0.01 * (b - a**2) ** 2).sum()

    for rule in (SGD(lr=0.03, momentum=0.9), Adam(lr=0.05), AdamW(lr=0.0534, beta1=0.5, beta2=0.9)):
        optimizer_steps(banana, {"a": [-1.0, 2.0], "b": [1.0, 0.5]}, rule, steps=300, dtype=dtype)


# ---------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize("make", [SGD, Adam, AdamW])
def test_values_without_meaning_are_refused(make: Any) -> None:
    for lr in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"{make.__name__}: lr must be a finite number from 0"):
            make(lr=lr)
    with pytest.raises(ValueError, match="weight_decay"):
        make(lr=0.1, weight_decay=-1.0)


def test_more_values_without_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        SGD(lr=0.1, nesterov=True)
    with pytest.raises(ValueError, match="beta2 must be from 0 to below 1"):
        Adam(beta2=1.0)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        optimizer_steps(f, AT, SGD(lr=0.1), steps=0)
    with pytest.raises(ValueError, match="a is not finite everywhere"):
        optimizer_steps(f, {**AT, "a": [1.0, math.nan]}, SGD(lr=0.1))
    with pytest.raises(ValueError, match=r"f\(a, b\) must return a number as a tensor, not \(2,\)"):
        optimizer_steps(lambda a, b: a + b, AT, SGD(lr=0.1))
    with pytest.raises(ValueError, match=r"f\(a\) is -inf before step 1"):
        optimizer_steps(lambda a: a.log(), {"a": 0.0}, SGD(lr=0.1))
    with pytest.raises(ValueError, match="give the parameters their names"):
        optimizer_steps(f, {}, SGD(lr=0.1))


def test_still_more_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="the gradient by a is not finite in step 1"):
        optimizer_steps(lambda a: a.sqrt(), {"a": 0.0}, SGD(lr=0.1))
    with pytest.raises(ValueError, match="a is complex"):
        optimizer_steps(lambda a: a, {"a": 1 + 2j}, SGD(lr=0.1))
    with pytest.raises(ValueError, match="rule must be one of SGD"):
        optimizer_steps(f, AT, Adam)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"not in torch\.int64"):
        optimizer_steps(f, AT, Adam(), dtype=torch.int64)
    with pytest.raises(ValueError, match="dampening must be"):
        SGD(lr=0.1, momentum=0.9, dampening=math.nan)
    with pytest.raises(KeyError, match="no step 9 of a parameter a"):
        optimizer_steps(f, AT, SGD(lr=0.1)).after(9, "a")


def test_long_parameters_are_shown_by_their_size() -> None:
    steps: Steps = optimizer_steps(lambda w: (w**2).sum(), {"W": np.ones((4, 4))}, SGD(lr=0.25), steps=1)
    assert "| 1 | 16.0000 | ‖W‖ | 8.0000 | 2.0000 | 2.0000 |" in steps._repr_markdown_()
