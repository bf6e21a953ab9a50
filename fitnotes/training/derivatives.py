"""One derivative, three ways: autograd, by hand, central differences. `gradients` compares them.

Everything here is a `Task`: a function of named tensors with an output of one shape. Its derivatives are
matrices, one for each argument: a row for each number of the output, a column for each of the argument.

The central difference (f(x + h) − f(x − h)) / 2h is off by about f‴ h²/6 + ε |f| / h, least near
h = ∛ε · max(1, |x|) (Numerical Recipes, 3rd ed., §5.7). Its own error is judged by taking it again with 2h.
"""

from __future__ import annotations

import copy
import math
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
class Task:
    """``f`` of the ``values`` gives a tensor of ``shape``; ``by_hand`` gives what was derived on paper."""

    names: tuple[str, ...]
    values: tuple[Tensor, ...]
    f: Callable[..., Tensor]
    shape: tuple[int, ...]
    by_hand: Callable[..., Any] | None  # of the directions, if there are any
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


def pose(f: Callable[..., Any], by_hand: Any, at: Any, given: Sequence[Any], dtype: torch.dtype) -> Task:
    """The problem in one form. Raises ValueError for what cannot be differentiated, by name."""
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the check runs in torch.float32 or torch.float64, not in {dtype}")
    if not isinstance(given, tuple | list):
        raise ValueError(f"given must be a tuple of arguments, not {type(given).__name__}: write (data,)")
    names, raw = _named(at)
    device = next((v.device for v in (*raw, *given) if isinstance(v, Tensor)), torch.device("cpu"))

    def fixed(value: Any) -> Any:
        if isinstance(value, torch.nn.Module):
            return copy.deepcopy(value).to(device, dtype)
        tensor = _tensor(value, "given").to(device)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    constants = tuple(map(fixed, given))
    values = tuple(
        _tensor(v, name).to(device, dtype).contiguous() for name, v in zip(names, raw, strict=True)
    )
    module = copy.deepcopy(at).to(device, dtype) if isinstance(at, torch.nn.Module) else None

    def output(*parameters: Tensor) -> Tensor:
        own = [p.clone() for p in parameters]  # f may change its arguments: it gets others each time
        if module is not None:
            result = _with_parameters(module, dict(zip(names, own, strict=True)), f, _copied(constants))
        else:
            result = f(*own, *_copied(constants))
        if not isinstance(result, Tensor):
            raise ValueError(f"f returned {type(result).__name__}, not a tensor")
        return result

    def derived(*directions: Tensor) -> Any:
        if not callable(by_hand):
            return by_hand
        own = (copy.deepcopy(module),) if module is not None else tuple(v.clone() for v in values)
        return by_hand(*own, *(d.clone() for d in directions), *_copied(constants))

    first = _first(output, values, dtype)
    shape = tuple(first.shape)
    return Task(names, values, output, shape, None if by_hand is None else derived)


def _first(output: Callable[..., Tensor], values: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
    """f at the point, after all that may be wrong with it."""
    try:
        with torch.no_grad():
            first, again = output(*values), output(*values)
    except RuntimeError as error:
        if "dtype" not in str(error):
            raise
        raise ValueError(
            f"f mixes numbers of two precisions ({error}); the check runs in {dtype}: "
            "pass the data that f needs through given=(…), which converts it"
        ) from None
    if first.layout != torch.strided or not first.is_floating_point():
        raise ValueError(f"f must return real floating point numbers in a dense tensor, not {first.dtype}")
    if first.dtype != dtype:
        raise ValueError(
            f"f returned {first.dtype} for arguments of {dtype}: pass its data through given=(…)"
        )
    if not first.numel():
        raise ValueError(f"f returned an empty tensor of shape {tuple(first.shape)}")
    if not bool(torch.isfinite(first).all()):
        raise ValueError(f"f is not finite at this point: {first.tolist()}")
    if not torch.equal(first, again):
        raise ValueError(
            "f returns other values when it is called again at the same point: it draws random numbers or "
            "keeps a state (put a module into eval mode, or set the seed inside f)"
        )
    return first


def _copied(constants: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(c.clone() if isinstance(c, Tensor) else copy.deepcopy(c) for c in constants)


def _named(at: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Names and values of the arguments, in every form that a point may have."""
    if isinstance(at, torch.nn.Module):
        names, values = tuple(dict(at.named_parameters())), tuple(dict(at.named_parameters()).values())
        what = f"{type(at).__name__} has no parameters"
    elif isinstance(at, Mapping):
        names, values, what = tuple(map(str, at)), tuple(at.values()), "at has no arguments"
    elif isinstance(at, tuple):
        names, values = tuple(f"x{i}" for i in range(1, len(at) + 1)), at
        what = "at has no arguments"
    else:
        names, values, what = ("x",), (at,), ""
    if not names:
        raise ValueError(what)
    return names, values


def _tensor(value: Any, name: str) -> Tensor:
    """A copy as a tensor, with every digit. Raises ValueError for what is no array of finite real numbers."""
    if isinstance(value, list) and any(isinstance(v, Tensor) for v in value):
        raise ValueError(f"{name} is a list of tensors: several arguments are a tuple or a mapping")
    if isinstance(value, Tensor):
        result = value.detach().clone()
    else:
        try:
            result = torch.from_numpy(np.array(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} is no number, array or tensor: {value!r}") from error
    if result.layout != torch.strided:
        raise ValueError(f"{name} is a sparse tensor; to_dense() makes it one that can be checked")
    if result.is_complex():
        raise ValueError(f"{name} is complex: derivatives by real numbers are checked only")
    if not result.numel() and name != "given":
        raise ValueError(f"{name} is empty")
    if result.is_floating_point() and not bool(torch.isfinite(result).all()):
        raise ValueError(f"{name} is not finite everywhere: {value}")
    return result


def _with_parameters(
    module: torch.nn.Module, named: dict[str, Tensor], f: Callable[..., Any], constants: Iterable[Any]
) -> Any:
    """f(module, *constants) with other parameters in the module, and copies of its buffers, for this call."""

    class Call(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self) -> Any:
            return f(self.inner, *constants)

    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    given = {f"inner.{name}": value for name, value in (named | buffers).items()}
    return torch.func.functional_call(Call(), given, ())


def directional(problem: Task, along: Any) -> Task:
    """t ↦ f(x + t v) at t = 0: its derivative is J v."""
    names, raw = _named(along)
    if isinstance(along, Mapping):
        if set(names) != set(problem.names):
            raise ValueError(
                f"along has directions for {', '.join(names)}; the arguments are {', '.join(problem.names)}"
            )
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
    if not any(bool(v.any()) for v in directions):
        raise ValueError("along is zero: every derivative in that direction is zero")
    derived = problem.by_hand

    def line(t: Tensor) -> Tensor:
        return problem.f(*(x + t * v for x, v in zip(problem.values, directions, strict=True)))

    return replace(
        problem,
        names=("v",),
        values=(torch.zeros_like(problem.values[0].reshape(-1)[0]),),
        f=line,
        by_hand=None if derived is None else lambda: derived(*directions),
    )


def second(problem: Task) -> Task:
    """The gradient of f as the function to differentiate: of one argument in its shape, of several as one
    vector. Raises ValueError when f does not return a number."""
    if problem.shape:
        raise ValueError(f"order=2 needs an f that returns a number, not a tensor of shape {problem.shape}")
    count = len(problem.values)

    def gradient(*values: Tensor) -> Tensor:
        leaves = [v if v.requires_grad else v.detach().requires_grad_() for v in values]
        with torch.enable_grad():
            value = problem.f(*leaves)
            if not value.requires_grad:  # f does not depend on its arguments
                parts = tuple(torch.zeros_like(leaf) for leaf in values)
            else:
                parts = torch.autograd.grad(value, leaves, create_graph=True, materialize_grads=True)
        return parts[0] if count == 1 else torch.cat([part.reshape(-1) for part in parts])

    size = sum(value.numel() for value in problem.values)
    shape = tuple(problem.values[0].shape) if count == 1 else (size,)
    return replace(problem, f=gradient, shape=shape, order=2)


# --------------------------------------------------------------------------------------------------
# The three ways


def by_autograd(problem: Task) -> list[Matrix]:
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


def by_hand(problem: Task) -> list[Matrix] | None:
    """What was derived on paper, as Jacobians; None if nothing was. Raises ValueError for a wrong shape."""
    if problem.by_hand is None:
        return None
    with torch.no_grad():
        answer = problem.by_hand()
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
    if isinstance(answer, tuple) and len(answer) == len(names):
        return list(answer)
    if len(names) == 1:  # where a list is a vector
        return [answer]
    if isinstance(answer, list) and len(answer) == len(names):
        return answer
    raise ValueError(
        f"{what} returned {type(answer).__name__}; {len(names)} derivatives are needed, by {', '.join(names)}"
    )


def _matrix(part: Any, what: str, output: tuple[int, ...], argument: tuple[int, ...]) -> Matrix:
    if isinstance(part, Tensor):
        part = part.detach().cpu().to(torch.complex128 if part.is_complex() else torch.float64).numpy()
    try:
        array = np.asarray(part)
        if np.iscomplexobj(array):
            raise ValueError("it is complex")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"by_hand: the derivative {what} is no array of real numbers: {error}") from error
    if array.shape == output == argument and output:
        array = np.diag(array.reshape(-1))  # entry by entry: nothing depends on another entry
    elif array.shape != output + argument:
        raise ValueError(
            f"by_hand: the derivative {what} has shape {array.shape}, expected {output + argument}"
        )
    return array.reshape(int(np.prod(output)), int(np.prod(argument)))


class Differences(NamedTuple):
    """Central differences by some entries of an argument (``columns``): their ``values``, by how much these
    may be off, and the ``jump`` of the slope where f has a corner, infinite where f itself jumps; a column
    for each of these entries."""

    columns: NDArray[np.intp]
    values: Matrix
    uncertain: Matrix
    jump: Matrix


# The width that suits most functions first; then those for steep and narrow ones, and for those that are
# small beside a large constant.
WIDTHS = (1.0, 1e-1, 1e1, 1e-2, 1e2, 1e-3, 1e-4)


def by_differences(problem: Task, most: int, tolerance: float) -> list[Differences]:
    """The differences for each argument: by all of its entries, or by ``most`` that are drawn by lot.

    Each is taken with the first width that makes it certain to a quarter of ``tolerance``, or else with the
    best of all.
    """
    found = []
    for j, argument in enumerate(problem.values):
        count = argument.numel()
        if count > most:
            columns = np.sort(np.random.default_rng(0).choice(count, most, replace=False))
        else:
            columns = np.arange(count)
        quotients = np.array([_difference(problem, j, int(k), tolerance) for k in columns])
        size = int(np.prod(problem.shape))
        parts = quotients.reshape(len(columns), 3, size).transpose(1, 2, 0)
        found.append(Differences(columns, *parts))
    return found


def _difference(problem: Task, j: int, k: int, tolerance: float) -> tuple[Vector, Vector, Vector]:
    value = problem.values[j]
    width = epsilon(value.dtype) ** (1 / 3) * max(1.0, abs(float(value.reshape(-1)[k])))
    best: tuple[Vector, Vector, Vector] | None = None
    for factor in WIDTHS:
        # A power of two: x + h and x − h are then rarely rounded.
        one, uncertain, jump = _central(problem, j, k, 2.0 ** round(math.log2(width * factor)))
        if best is None:
            best = one, uncertain, jump
        else:
            better = uncertain < best[1]
            best = tuple(np.where(better, a, b) for a, b in zip((one, uncertain, jump), best, strict=True))  # type: ignore[assignment]
        if np.all(best[1] <= 0.25 * tolerance * np.abs(best[0])):
            break
    assert best is not None
    one, uncertain, jump = best
    doubtful = uncertain > 1e-2 * np.abs(one)
    if jump.any() or doubtful.any():
        h = 2.0 ** round(math.log2(width / 8))
        closer_jump = _central(problem, j, k, h)[2]
        # The jump of a corner is the same at any width; that of a narrow bend grows less and less.
        jump = np.where(np.abs(closer_jump - jump) < 0.2 * jump, jump, 0.0)
        # Where f itself jumps, f(x + h) − f(x − h) does not shrink with h, and is more than rounding.
        right, left, far_right, far_left = (_moved(problem, j, k, s) for s in (h, -h, 8 * h, -8 * h))
        rounding = 100 * epsilon(value.dtype) * np.maximum(np.abs(right), np.abs(left))
        across, further = np.abs(right - left), np.abs(far_right - far_left)
        jump = np.where((across > 0.5 * further) & (across > rounding) & doubtful, np.inf, jump)
    return one, uncertain, jump


def _central(problem: Task, j: int, k: int, h: float) -> tuple[Vector, Vector, Vector]:
    """The difference, its uncertainty, and the jump of the slope where f has a corner.

    With the second difference S(h) = f(x + h) − 2 f(x) + f(x − h), (4 S(h) − S(2h)) / 2h is that jump: for a
    corner S(2h) = 2 S(h), for a smooth f it is 4 S(h).
    """
    eps = epsilon(problem.values[j].dtype)
    here, right, left, far_right, far_left = (_moved(problem, j, k, s) for s in (0.0, h, -h, 2 * h, -2 * h))
    one, two = (right - left) / (2 * h), (far_right - far_left) / (4 * h)
    noise = 4 * eps * np.maximum(np.abs(right), np.abs(left)) / h
    uncertain = np.abs(two - one) + noise
    jump = np.abs(4 * (right - 2 * here + left) - (far_right - 2 * here + far_left)) / (2 * h)
    jump = np.where(jump > 8 * noise + 1e-3 * np.abs(one), jump, 0.0)
    # Outside of where f is defined, nothing is certain.
    return np.nan_to_num(one), np.nan_to_num(uncertain, nan=np.inf), np.nan_to_num(jump)


def _moved(problem: Task, j: int, k: int, step: float) -> Vector:
    """f with entry k of argument j moved by a step."""
    values = [value.clone() for value in problem.values]
    values[j].view(-1)[k] += step
    with torch.no_grad(), np.errstate(all="ignore"):
        result = problem.f(*values)
    numbers: Vector = result.detach().reshape(-1).cpu().numpy().astype(np.float64)
    return numbers
