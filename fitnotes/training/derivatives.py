"""One derivative, three ways: autograd, by hand, central differences. `gradients` compares them.

Everything here is a `Problem`: a function of named tensors with an output of one shape. Its derivatives are
matrices, one for each argument: a row for each number of the output, a column for each of the argument.

The central difference (f(x + h) − f(x − h)) / 2h is off by about f‴ h²/6 + ε |f| / h, least near
h = ∛ε · max(1, |x|) (Numerical Recipes, 3rd ed., §5.7). Its own error is judged by taking it again with 2h.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fitnotes.training.agreement import epsilon
from fitnotes.training.display import entry

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Problem:
    """``f`` of the ``values`` gives a tensor of ``shape``; ``arguments`` is what ``by_hand`` gets."""

    names: tuple[str, ...]
    values: tuple[Tensor, ...]
    f: Callable[..., Tensor]
    shape: tuple[int, ...]
    by_hand: Any
    arguments: tuple[Any, ...]
    given: int  # how many of the arguments, the last ones, are fixed
    order: int = 1

    def label(self, j: int, i: int, k: int) -> str:
        """∂f[1]/∂w[0, 2]: entry i of the output by entry k of argument j, counted from 0."""
        by = self.names[j] + entry(k, tuple(self.values[j].shape))
        if self.order == 1:
            return f"∂f{entry(i, self.shape)}/∂{by}"
        owner = 0
        while i >= self.values[owner].numel():
            i -= self.values[owner].numel()
            owner += 1
        return f"∂²f/∂{self.names[owner]}{entry(i, tuple(self.values[owner].shape))}∂{by}"


def pose(f: Callable[..., Any], by_hand: Any, at: Any, given: Sequence[Any], dtype: torch.dtype) -> Problem:
    """The problem in one form. Raises ValueError for what cannot be differentiated, by name."""
    names, raw = _named(at)
    device = next((v.device for v in (*raw, *given) if isinstance(v, Tensor)), torch.device("cpu"))

    def fixed(value: Any) -> Any:
        if isinstance(value, torch.nn.Module):
            return value
        tensor = _tensor(value, "given").to(device)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    constants = tuple(map(fixed, given))
    values = tuple(_tensor(v, name).to(device, dtype) for name, v in zip(names, raw, strict=True))
    arguments: tuple[Any, ...] = (*values, *constants)
    call: Callable[..., Any] = f
    if isinstance(at, torch.nn.Module):
        module = copy.deepcopy(at).to(device, dtype)
        arguments = (module, *constants)

        def call(*parameters: Any) -> Any:
            named = dict(zip(names, parameters, strict=False))
            return _with_parameters(module, named, f, constants)

    def output(*parameters: Tensor) -> Tensor:
        result = call(*parameters, *constants)
        if not isinstance(result, Tensor):
            raise ValueError(f"f returned {type(result).__name__}, not a tensor")
        return result

    try:
        with torch.no_grad():
            first = output(*values)
    except RuntimeError as error:
        if "dtype" not in str(error):
            raise
        raise ValueError(
            f"f mixes numbers of two precisions ({error}); the check runs in {dtype}: "
            "pass the data that f needs through given=(…), which converts it"
        ) from None
    if first.dtype != dtype:
        raise ValueError(
            f"f returned {first.dtype} for arguments of {dtype}: pass its data through given=(…)"
        )
    if not bool(torch.isfinite(first).all()):
        raise ValueError(f"f is not finite at this point: {first.tolist()}")
    return Problem(names, values, output, tuple(first.shape), by_hand, arguments, len(constants))


def _named(at: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Names and values of the arguments, in every form that a point may have."""
    if isinstance(at, torch.nn.Module):
        found = dict(at.named_parameters())
        if not found:
            raise ValueError(f"{type(at).__name__} has no parameters")
        return tuple(found), tuple(found.values())
    if isinstance(at, Mapping):
        return tuple(map(str, at)), tuple(at.values())
    if isinstance(at, tuple):
        return tuple(f"x{i}" for i in range(1, len(at) + 1)), at
    return ("x",), (at,)


def _tensor(value: Any, name: str) -> Tensor:
    """A copy as a tensor, with every digit. Raises ValueError for what is not finite."""
    result = value.detach().clone() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    if result.is_floating_point() and not bool(torch.isfinite(result).all()):
        raise ValueError(f"{name} is not finite everywhere: {value}")
    return result


def _with_parameters(
    module: torch.nn.Module, named: dict[str, Tensor], f: Callable[..., Any], constants: Iterable[Any]
) -> Any:
    """f(module, *constants) with other parameters in the module, for this call only."""

    class Call(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self) -> Any:
            return f(self.inner, *constants)

    return torch.func.functional_call(Call(), {f"inner.{name}": value for name, value in named.items()}, ())


def directional(problem: Problem, along: Any) -> Problem:
    """t ↦ f(x + t v) at t = 0: its derivative is J v."""
    raw = _named(along)[1]
    if isinstance(along, Mapping) and set(along) == set(problem.names):
        raw = tuple(along[name] for name in problem.names)
    if len(raw) != len(problem.values):
        raise ValueError(f"along has {len(raw)} directions for {len(problem.values)} arguments")
    directions = []
    for name, value, direction in zip(problem.names, problem.values, raw, strict=True):
        v = _tensor(direction, f"along, for {name},").to(value)
        if v.shape != value.shape:
            raise ValueError(
                f"along has shape {tuple(v.shape)} for {name}, which has shape {tuple(value.shape)}"
            )
        directions.append(v)

    def line(t: Tensor) -> Tensor:
        return problem.f(*(x + t * v for x, v in zip(problem.values, directions, strict=True)))

    own = len(problem.arguments) - problem.given
    return replace(
        problem,
        names=("v",),
        values=(torch.zeros_like(problem.values[0].reshape(-1)[0]),),
        f=line,
        arguments=(*problem.arguments[:own], *directions, *problem.arguments[own:]),
    )


def second(problem: Problem) -> Problem:
    """The gradient of f as the function to differentiate: of one argument in its shape, of several as one
    vector. Raises ValueError when f does not return a number."""
    if problem.shape:
        raise ValueError(f"order=2 needs an f that returns a number, not a tensor of shape {problem.shape}")
    count = len(problem.values)

    def gradient(*values: Tensor) -> Tensor:
        leaves = [v if v.requires_grad else v.detach().requires_grad_() for v in values]
        with torch.enable_grad():
            parts = torch.autograd.grad(problem.f(*leaves), leaves, create_graph=True, materialize_grads=True)
        return parts[0] if count == 1 else torch.cat([part.reshape(-1) for part in parts])

    size = sum(value.numel() for value in problem.values)
    shape = tuple(problem.values[0].shape) if count == 1 else (size,)
    return replace(problem, f=gradient, shape=shape, order=2)


# --------------------------------------------------------------------------------------------------
# The three ways


def by_autograd(problem: Problem) -> list[Matrix]:
    """The Jacobian of each argument, one row at a time, backwards."""
    leaves = [value.clone().requires_grad_() for value in problem.values]
    output = problem.f(*leaves).reshape(-1)
    found = [np.zeros((len(output), leaf.numel())) for leaf in leaves]
    if output.requires_grad:  # else f does not depend on its arguments in any way that autograd can see
        for i in range(len(output)):
            parts = torch.autograd.grad(output[i], leaves, retain_graph=True, materialize_grads=True)
            for matrix, part in zip(found, parts, strict=True):
                matrix[i] = part.detach().reshape(-1).cpu().numpy()
    return found


def by_hand(problem: Problem) -> list[Matrix] | None:
    """What was derived on paper, as Jacobians; None if nothing was. Raises ValueError for a wrong shape."""
    answer = problem.by_hand
    if answer is None:
        return None
    if callable(answer):
        with torch.no_grad():
            answer = answer(*problem.arguments)
    parts = _by_name(answer, problem.names, "by_hand")
    shapes = [tuple(value.shape) for value in problem.values]
    if problem.order == 1 or len(shapes) == 1:
        return [
            _matrix(part, f"by {name}", problem.shape, shape)
            for name, part, shape in zip(problem.names, parts, shapes, strict=True)
        ]
    blocks = []
    for name, row, shape in zip(problem.names, parts, shapes, strict=True):
        columns = zip(
            problem.names, _by_name(row, problem.names, f"by_hand, by {name},"), shapes, strict=True
        )
        blocks.append([_matrix(block, f"by {name} and {other}", shape, s) for other, block, s in columns])
    return [np.vstack(column) for column in zip(*blocks, strict=True)]


def _by_name(answer: Any, names: tuple[str, ...], what: str) -> list[Any]:
    """One part for each name, from a mapping, a tuple, or for a single name the part itself."""
    if isinstance(answer, Mapping):
        if set(answer) != set(names):
            raise ValueError(
                f"{what} has derivatives by {', '.join(map(str, answer))}; "
                f"the arguments are {', '.join(names)}"
            )
        return [answer[name] for name in names]
    if isinstance(answer, list | tuple) and len(answer) == len(names):
        return list(answer)
    if len(names) == 1:
        return [answer]
    raise ValueError(
        f"{what} returned {type(answer).__name__}; {len(names)} derivatives are needed, by {', '.join(names)}"
    )


def _matrix(part: Any, what: str, output: tuple[int, ...], argument: tuple[int, ...]) -> Matrix:
    values = part.detach().cpu().numpy() if isinstance(part, Tensor) else part
    array = np.asarray(values, dtype=np.float64)
    if array.shape == output == argument and output:
        array = np.diag(array.reshape(-1))  # entry by entry: nothing depends on another entry
    elif array.shape != output + argument:
        raise ValueError(
            f"by_hand: the derivative {what} has shape {array.shape}, expected {output + argument}"
        )
    return array.reshape(int(np.prod(output)), int(np.prod(argument)))


class Differences(NamedTuple):
    """Central differences by some entries of an argument (``columns``): their ``values``, by how much these
    may be off, and the ``jump`` of the slope there, each with a column for each of these entries."""

    columns: NDArray[np.intp]
    values: Matrix
    uncertain: Matrix
    jump: Matrix


def by_differences(problem: Problem, most: int) -> list[Differences]:
    """The differences for each argument: by all of its entries, or by ``most`` that are drawn by lot."""
    found = []
    for j, argument in enumerate(problem.values):
        count = argument.numel()
        if count > most:
            columns = np.sort(np.random.default_rng(0).choice(count, most, replace=False))
        else:
            columns = np.arange(count)
        quotients = np.array([_central(problem, j, int(k)) for k in columns])
        size = int(np.prod(problem.shape))
        parts = quotients.reshape(len(columns), 3, size).transpose(1, 2, 0)
        found.append(Differences(columns, *parts))
    return found


def _central(problem: Problem, j: int, k: int) -> tuple[Vector, Vector, Vector]:
    """The difference, its uncertainty, and the jump of the slope where f has a corner.

    With the second difference S(h) = f(x + h) − 2 f(x) + f(x − h), (4 S(h) − S(2h)) / 2h is that jump: for a
    corner S(2h) = 2 S(h), for a smooth f it is 4 S(h).
    """
    h, eps = _width(problem, j, k), epsilon(problem.values[j].dtype)
    here = _moved(problem, j, k, 0.0)
    right, left = _moved(problem, j, k, h), _moved(problem, j, k, -h)
    far_right, far_left = _moved(problem, j, k, 2 * h), _moved(problem, j, k, -2 * h)
    one, two = (right - left) / (2 * h), (far_right - far_left) / (4 * h)
    noise = 4 * eps * np.maximum(np.abs(right), np.abs(left)) / h
    jump = (4 * (right - 2 * here + left) - (far_right - 2 * here + far_left)) / (2 * h)
    return one, np.abs(two - one) + noise, np.maximum(np.abs(jump) - 4 * noise, 0)


def _width(problem: Problem, j: int, k: int) -> float:
    value = problem.values[j]
    return float(epsilon(value.dtype) ** (1 / 3) * max(1.0, abs(float(value.reshape(-1)[k]))))


def _moved(problem: Problem, j: int, k: int, step: float) -> Vector:
    """f with entry k of argument j moved by a step."""
    values = [value.clone() for value in problem.values]
    values[j].view(-1)[k] += step
    with torch.no_grad():
        result = problem.f(*values)
    return result.detach().reshape(-1).cpu().numpy().astype(np.float64)
