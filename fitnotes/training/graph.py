"""The graph that autograd keeps of a loss, as a Mermaid diagram.

Every tensor that depends on a parameter remembers in ``grad_fn`` the operation that made it, and each
operation remembers those before it in ``next_functions``; the leaves are the parameters. `backward` walks
this graph from the loss to the leaves and multiplies by one local derivative for each edge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Node = Any  # torch.autograd.graph.Node, or the node of a Function of our own, which is of another class
Edge = tuple[int, int, str]  # from, to, label


@dataclass(frozen=True, slots=True)
class Graph:
    """A drawn graph: the labels of its ``nodes``, in the order of their ids n0, n1, …, the ``edges`` between
    them (from, to, label), and the Mermaid source."""

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    mermaid: str

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self.mermaid}\n```"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/vnd.mermaid": self.mermaid,
            "text/markdown": self._repr_markdown_(),
            "text/plain": self.mermaid,
        }


def computation_graph(
    loss: Tensor,
    params: Mapping[str, Tensor] | torch.nn.Module | None = None,
    *,
    name: str = "loss",
    most: int = 40,
    direction: str | None = None,
) -> Graph:
    """Draws how ``loss`` (called ``name``) came from its parameters.

    ``params`` gives the leaves their names: a mapping, or a `Module`, whose parameters have names. A leaf
    stands once, however often it is used; one that is not used, or does not require a gradient, stands
    alone. Operations have torch's names, `Function`s of one's own theirs, and all have their shape. Where
    everything is a number, each node also has its value and each edge the derivative of its end by its start
    (before ``backward`` has thrown them away; a value that torch did not keep is left out; drawing calls the
    ``backward`` of `Function`s of one's own). Of more than ``most``
    operations, those far from the loss become one node that counts them. ``direction``: "LR" or "TB", by
    default from left to right while that is short enough to be read, else from top to bottom.

    Raises ValueError when the loss depends on nothing, for a parameter named twice or that is no leaf, and
    for another direction.
    """
    _check(loss, most, direction)
    named = _named(params)
    names = {id(tensor): key for key, tensor in named.items()}
    order = _from_loss_to_leaves(loss.grad_fn)
    scalar = not loss.is_complex() and all(_shape(node) == () for node in order)
    values = _values(loss, order) if scalar else {}
    kept, hidden = _far(order, most)
    boxes = [
        (_label(node, names, values, _escaped(name) if node is order[0] else ""), _is_leaf(node))
        for node in kept
    ]
    if hidden:
        boxes.append((_hidden_label(hidden), False))
    edges = _edges(order, kept, hidden, scalar)
    direction = direction or _direction(edges, len(boxes))
    boxes += [(label, True) for label in _unused_labels(order, named)]
    return Graph(tuple(label for label, _ in boxes), edges, _mermaid(direction, boxes, edges))


def _check(loss: Tensor, most: int, direction: str | None) -> None:
    if direction not in (None, "LR", "TB"):
        raise ValueError(f"direction must be LR or TB, not {direction}")
    if not isinstance(loss, Tensor):
        raise ValueError(f"the loss must be a tensor, not {type(loss).__name__}")
    if loss.grad_fn is None:
        what = (
            "is a parameter itself" if loss.requires_grad else "depends on no tensor with requires_grad=True"
        )
        raise ValueError(f"this loss {what}: there is no graph to draw")
    if most < 1:
        raise ValueError(f"most must be at least 1, not {most}")


def _named(params: Mapping[str, Tensor] | torch.nn.Module | None) -> dict[str, Tensor]:
    """The parameters by name; each is a leaf and has one name."""
    if params is not None and not isinstance(params, Mapping | torch.nn.Module):
        raise ValueError('params must be a module or give the parameters their names: {"w": w}')
    pairs = params.named_parameters() if isinstance(params, torch.nn.Module) else (params or {}).items()
    named: dict[str, Tensor] = dict(pairs)
    for key, tensor in named.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f"params: {key} is no tensor, but {type(tensor).__name__}")
    names: dict[int, str] = {}
    for key, tensor in named.items():
        first = names.setdefault(id(tensor), key)
        if first != key:
            raise ValueError(f"params: {first} and {key} are the same tensor")
        if tensor.grad_fn is not None:
            raise ValueError(f"params: {key} is not a leaf, but a result of {_operation(tensor.grad_fn)}")
    return named


def _from_loss_to_leaves(root: Node) -> list[Node]:
    """Every node once, each after all that depend on it (and so a leaf after the loss)."""
    waiting: Counter[Node] = Counter()
    reached, stack = {root}, [root]
    while stack:
        for before in _before(stack.pop()):
            waiting[before] += 1
            if before not in reached:
                reached.add(before)
                stack.append(before)
    order, ready = [], [root]
    while ready:
        node = ready.pop(0)
        order.append(node)
        for before in _before(node):
            waiting[before] -= 1
            if not waiting[before]:
                ready.append(before)
    return order


def _before(node: Node) -> list[Node]:
    return [before for before, _ in node.next_functions if before is not None]


def _far(order: list[Node], most: int) -> tuple[list[Node], list[Node]]:
    """What is drawn (the operations next to the loss, and the leaves), and what is only counted.

    A node stands after all that depend on it, so what is drawn never depends on what is hidden and back.
    """
    operations = [node for node in order if not _is_leaf(node)]
    if len(operations) <= most:
        return order, []
    near = set(operations[:most])
    return [n for n in order if _is_leaf(n) or n in near], operations[most:]


def _edges(order: list[Node], kept: list[Node], hidden: list[Node], scalar: bool) -> tuple[Edge, ...]:
    """One edge for each use of a node by another, with the derivative where the graph has numbers. What is
    hidden is one node, with one edge for each neighbour and no derivatives."""
    counter = len(kept)  # the node that stands for all that is hidden
    position = {node: i for i, node in enumerate(kept)} | dict.fromkeys(hidden, counter)
    derivatives: dict[tuple[int, int, int], str] = {}
    for node in order:
        for k, (before, derivative) in enumerate(_inputs(node, scalar)):
            start, end = position[before], position[node]
            if counter not in (start, end):
                derivatives[start, end, k] = derivative
            elif start != end:
                derivatives[start, end, -1] = ""
    return tuple((start, end, text) for (start, end, _), text in derivatives.items())


def _inputs(node: Node, scalar: bool) -> list[tuple[Node, str]]:
    """What the node depends on, and its derivative by it where the graph has numbers."""
    derivatives = _derivatives(node) if scalar and not _is_leaf(node) else ()
    found = []
    for k, (before, _) in enumerate(node.next_functions):
        if before is not None:
            known = k < len(derivatives) and isinstance(derivatives[k], Tensor)
            found.append((before, f"∂ {float(derivatives[k]):.4g}" if known else ""))
    return found


def _derivatives(node: Node) -> tuple[Any, ...]:
    """The node's derivative by each of its inputs: what it makes of a gradient of one."""
    outputs = node._input_metadata
    if len(outputs) != 1:
        return ()
    one = torch.ones((), dtype=outputs[0].dtype, device=outputs[0].device)
    try:
        with torch.no_grad():
            answer = node(one) if callable(node) else node.apply(one)
    except Exception:  # `backward` has freed what it needs, or a Function's own backward fails on a number
        return ()
    return answer if isinstance(answer, tuple) else (answer,)


def _values(loss: Tensor, order: list[Node]) -> dict[Node, float]:
    """The numbers that the forward pass gave, as far as the graph kept them or they follow from it."""
    known = {order[0]: float(loss.detach())}
    values = known | _kept_values(order)
    for node in reversed(order):
        value = _from_inputs(node, values)
        if value is not None and abs(values.setdefault(node, value) - value) > 1e-3 * abs(value):
            # A leaf has changed since: nothing that follows from the leaves is what it was.
            return known
    return values


def _kept_values(order: list[Node]) -> dict[Node, float]:
    """What the leaves are now, and the results that the operations behind them kept."""
    values = {}
    for node in order:
        if _is_leaf(node):
            values[node] = float(node.variable.detach())
        for tensor in _saved(node):
            before = tensor.grad_fn
            if before is not None and tensor.ndim == 0 and len(before._input_metadata) == 1:
                values[before] = float(tensor.detach())
    return values


def _from_inputs(node: Node, values: Mapping[Node, float]) -> float | None:
    """The value of a product, a negative, a sum or a difference; None for other operations, and where
    something is not known."""
    terms = _terms(node, values)
    # Only torch's own operations are what their names say.
    operation = _operation(node) if callable(node) else ""
    if operation in ("Mul", "Neg") and terms:  # of a product, the derivative by one factor is the other
        return terms[0]
    if operation in ("Add", "Sub") and len(terms) == 2:  # with one, the other is a number not kept
        return sum(terms)
    return None


def _terms(node: Node, values: Mapping[Node, float]) -> list[float]:
    """dᵢ xᵢ for each input x₁, x₂, … of an operation, where dᵢ is its derivative by xᵢ; nothing where one of
    these numbers is not known."""
    inputs = _before(node)
    if not inputs or not all(before in values for before in inputs):
        return []
    derivatives = [float(d) for d in _derivatives(node) if isinstance(d, Tensor)]
    if len(derivatives) != len(inputs):
        return []
    return [d * values[before] for d, before in zip(derivatives, inputs, strict=True)]


def _saved(node: Node) -> Iterable[Tensor]:
    """The tensors that an operation kept for its derivative."""
    try:
        found = [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
        found += getattr(node, "saved_tensors", ())
    except RuntimeError:  # freed
        return ()
    return [tensor for tensor in found if isinstance(tensor, Tensor)]


def _is_leaf(node: Node) -> bool:
    return bool(node.name().endswith("AccumulateGrad"))


def _operation(node: Node) -> str:
    """MulBackward0 → Mul; the name of a Function of one's own."""
    return re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])


def _shape(node: Node) -> tuple[int, ...]:
    return tuple(node.variable.shape) if _is_leaf(node) else tuple(node._input_metadata[0].shape)


def _label(node: Node, names: Mapping[int, str], values: Mapping[Node, float], name: str) -> str:
    if _is_leaf(node):
        text = _escaped(names.get(id(node.variable), "leaf"))
    else:
        text = _escaped(_operation(node))
        if text == "Pow" and isinstance(getattr(node, "_saved_exponent", None), int | float):
            text = f"Pow {node._saved_exponent:g}"
    if node in values:
        text += f"<br/>{name} = {values[node]:.4g}" if name else f"<br/>{values[node]:.4g}"
    elif name:
        text += f"<br/>{name}"
    if _shape(node):
        text += f"<br/>{_shape(node)}"
    return text


def _hidden_label(hidden: list[Node]) -> str:
    operations = "operation" if len(hidden) == 1 else "operations"
    return f"… {len(hidden)} {operations}<br/>{_counted(hidden)}"


def _unused_labels(order: list[Node], named: Mapping[str, Tensor]) -> list[str]:
    """Those of the parameters on which the loss does not depend."""
    used = {id(node.variable) for node in order if _is_leaf(node)}
    return [
        f"{_escaped(key)}<br/>{'not used' if tensor.requires_grad else 'not trained'}"
        for key, tensor in named.items()
        if id(tensor) not in used
    ]


def _mermaid(direction: str, boxes: Sequence[tuple[str, bool]], edges: Sequence[Edge]) -> str:
    """The source for nodes (label, whether it is a leaf: those are round) and the edges between them."""
    lines = [f"graph {direction}"]
    for i, (label, leaf) in enumerate(boxes):
        lines.append(f'  n{i}(["{label}"])' if leaf else f'  n{i}["{label}"]')
    for start, end, text in edges:
        lines.append(f'  n{start} -->|"{text}"| n{end}' if text else f"  n{start} --> n{end}")
    return "\n".join(lines)


def _direction(edges: Sequence[Edge], count: int) -> str:
    """LR for a way of at most five nodes. Every edge leads to a node that was listed before its start."""
    length = [1] * count
    for start, end, *_ in sorted(edges, key=lambda edge: edge[1]):
        length[start] = max(length[start], length[end] + 1)
    return "LR" if max(length) <= 5 else "TB"


def _counted(nodes: list[Node]) -> str:
    counts = Counter(map(_operation, nodes)).most_common(4)
    more = len({_operation(node) for node in nodes}) > len(counts)
    return _escaped(", ".join(f"{count} {name}" for name, count in counts)) + (", …" if more else "")


def _escaped(text: str) -> str:
    """Text in which Mermaid sees no comment, icon, entity or tag."""
    codes = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "%": "#37;", ":": "#58;", "&": "#amp;"}
    return "".join(codes.get(sign, sign) for sign in text)
