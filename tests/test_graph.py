"""Computation graphs: what they show of autograd's graph, and that the diagrams can be drawn."""

from __future__ import annotations

import re
from html import unescape

import pytest
import torch
from torch import Tensor

from fitnotes.draw.mermaid.render import draw
from fitnotes.training import LegendreP3, computation_graph, gaussian, two_layer


def leaf(value: float) -> Tensor:
    return torch.tensor(value, requires_grad=True)


def test_a_shared_weight_stands_once_with_its_values_and_derivatives() -> None:
    w, h0 = leaf(2.0), leaf(0.5)
    graph = computation_graph(w * (w * h0), {"w": w, "h0": h0}, name="h2")
    assert graph.nodes == ("Mul<br/>h2 = 2", "Mul<br/>1", "w<br/>2", "h0<br/>0.5")
    # ∂h2/∂w = 1 + 2 · 0.5 = 2 and ∂h2/∂h0 = 2 · 2 = 4, along the edges.
    assert sorted(graph.edges) == [(1, 0, "∂ 2"), (2, 0, "∂ 1"), (2, 1, "∂ 0.5"), (3, 1, "∂ 2")]
    assert graph.mermaid.startswith("graph LR\n")
    assert "<svg" in draw(graph.mermaid)


def test_derivatives_along_the_edges_multiply_to_the_gradient() -> None:
    a, b, c, d = leaf(0.1), leaf(-1.0), leaf(0.2), leaf(0.3)
    x = torch.tensor(1.5)
    loss = (a + b * LegendreP3.apply(c + d * x) - 1).pow(2)
    graph = computation_graph(loss, {"a": a, "b": b, "c": c, "d": d})
    loss.backward()
    slope = [0.0] * len(graph.nodes)
    slope[0] = 1.0
    for i in range(len(graph.nodes)):  # every node stands after those that depend on it
        for start, end, text in graph.edges:
            if end == i:
                slope[start] += slope[i] * float(text.removeprefix("∂ "))
    for name, parameter in {"a": a, "b": b, "c": c, "d": d}.items():
        at = next(i for i, label in enumerate(graph.nodes) if label.startswith(f"{name}<br/>"))
        assert slope[at] == pytest.approx(parameter.grad.item(), rel=1e-3)
    assert any(label.startswith("LegendreP3<br/>") for label in graph.nodes)
    assert any(label.startswith("Pow 2<br/>loss = ") for label in graph.nodes)
    assert not any(label in ("Add", "Mul", "Sub") for label in graph.nodes)  # every value is known


def test_tensors_have_shapes_and_no_numbers() -> None:
    samples = gaussian(6, 5, 3)
    weights = two_layer.start(samples, 4)
    w1, w2 = (torch.tensor(w, dtype=torch.float32, requires_grad=True) for w in weights[:2])
    loss = (two_layer.ReLU.apply(samples.x @ w1) @ w2 - samples.y).pow(2).sum()
    graph = computation_graph(loss, {"W1": w1, "W2": w2})
    assert "W1<br/>(5, 4)" in graph.nodes
    assert "ReLU<br/>(6, 4)" in graph.nodes
    assert {text for *_, text in graph.edges} == {""}
    assert graph.nodes[0] == "Sum<br/>loss"


def test_modules_name_their_parameters() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    graph = computation_graph(model(torch.ones(4, 3)).sum(), model)
    assert {"0.weight<br/>(2, 3)", "0.bias<br/>(2,)", "2.weight<br/>(1, 2)"} <= set(graph.nodes)


def test_a_parameter_that_is_not_used_is_shown_as_such() -> None:
    w, e = leaf(2.0), leaf(1.0)
    graph = computation_graph(w**2, {"w": w, "e": e})
    assert graph.nodes[-1] == "e<br/>not used"
    assert "<svg" in draw(graph.mermaid)


@pytest.mark.parametrize("length", [3, 19, 20, 21, 5000])
def test_long_graphs_are_collapsed_with_a_count(length: int) -> None:
    w, h0 = leaf(1.0), leaf(0.5)
    h = h0
    for _ in range(length):
        h = torch.tanh(w * h)
    graph = computation_graph(h, {"w": w, "h0": h0}, most=40)
    hidden = max(0, 2 * length - 40)
    counted = [label for label in graph.nodes if label.startswith("…")]
    assert len(graph.nodes) == 2 + min(2 * length, 40) + bool(hidden)
    if hidden:
        half = hidden // 2
        assert counted == [f"… {hidden} operations<br/>{half} Tanh, {half} Mul"]
        at = graph.nodes.index(counted[0])
        assert sum(end == at for _, end, _ in graph.edges) == 2  # from w and from h0, once each
        assert sum(start == at for start, _, _ in graph.edges) == 1
    else:
        assert not counted
    assert "<svg" in draw(graph.mermaid)


def test_after_backward_the_numbers_that_are_gone_are_left_out() -> None:
    w = leaf(3.0)
    loss = (w * w).exp().log()
    loss.backward()
    graph = computation_graph(loss, {"w": w})
    assert {text for *_, text in graph.edges} == {""}
    assert "w<br/>3" in graph.nodes
    assert graph.nodes[0] == "Log<br/>loss = 9"


def test_names_are_escaped_and_directions_chosen() -> None:
    w = leaf(3.0)
    graph = computation_graph(w**2, {'w"<&>': w}, direction="TB")
    assert graph.mermaid.startswith("graph TB\n")
    assert "<svg" in draw(graph.mermaid)
    assert computation_graph(((((w**2) ** 2) ** 2) ** 2) ** 2).mermaid.startswith("graph TB")
    assert computation_graph(w**2).nodes[1] == "leaf<br/>3"


def test_it_shows_in_jupyter_too() -> None:
    w = leaf(3.0)
    bundle = computation_graph(w**2)._repr_mimebundle_()
    assert bundle["text/vnd.mermaid"] == bundle["text/plain"]
    assert bundle["text/markdown"] == f"```mermaid\n{bundle['text/plain']}\n```"


def test_what_has_no_graph_is_refused() -> None:
    w = leaf(1.0)
    with pytest.raises(ValueError, match="no graph to draw"):
        computation_graph(torch.ones(()))
    with pytest.raises(ValueError, match="w and v are the same tensor"):
        computation_graph(w**2, {"w": w, "v": w})
    with pytest.raises(ValueError, match="y is not a leaf, but a result of Mul"):
        computation_graph(w**2, {"y": w * 2})
    with pytest.raises(ValueError, match="direction must be LR or TB"):
        computation_graph(w**2, direction="RL")


class Mul(torch.autograd.Function):
    """Not what it is called."""

    @staticmethod
    def forward(ctx, a):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(a)
        return a.sin()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad * ctx.saved_tensors[0].cos()


def test_no_value_is_made_up() -> None:
    a = leaf(2.0)
    shown = computation_graph((Mul.apply(a) + 0) * 1 + 0 * a, {"a": a}).nodes
    assert "Mul<br/>-0.8323" not in shown  # cos(2) · 2, which is no value of anything
    b = leaf(5.0)
    total = (a + b) * 1
    with torch.no_grad():
        a -= 1.5
    assert computation_graph(total, {"a": a, "b": b}).nodes[0] == "Mul<br/>loss = 7"
    assert not any("5.5" in label for label in computation_graph(total, {"a": a, "b": b}).nodes)


def test_frozen_parameters_and_odd_names() -> None:
    layer = torch.nn.Linear(2, 1)
    layer.weight.requires_grad_(False)
    graph = computation_graph(layer(torch.ones(1, 2)).sum(), layer)
    assert graph.nodes[-1] == "weight<br/>not trained"
    for name in ("fa:fa-x", "a%%{init}%%", "a#35;b", "<script>", '"q"', "**b**", "a|b"):
        w = leaf(1.0)
        svg = draw(computation_graph(w**2, {name: w}).mermaid)
        words = "".join(re.findall(r">([^<>]*)<", svg))
        assert unescape(words).replace(" ", "").count(name.strip("*")[:3]) >= 1, name


def test_more_that_has_no_graph_is_refused() -> None:
    w = leaf(1.0)
    with pytest.raises(ValueError, match="is a parameter itself"):
        computation_graph(w)
    with pytest.raises(ValueError, match="must be a tensor, not float"):
        computation_graph(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="params must be a module or give"):
        computation_graph(w**2, [w])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="w is no tensor, but float"):
        computation_graph(w**2, {"w": 2.0})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="most must be at least 1"):
        computation_graph(w**2, most=0)
