"""Measures the fits of ``fitnotes.training`` beside the same loop without anything around it.

The bare loop is what a reader would write: no checks, no record, not even the loss kept. Fit and loop take
turns in one process, so that a slow moment of the machine meets both; what counts is the median of the
ratios, pair by pair.

    python benchmarks/fits.py [--runs 7] [--threads 1] [--device cpu] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fitnotes.training import LegendreP3, cubic, depth, fit_legendre, gaussian, sine, two_layer

TARGET = 1.1
Loop = Callable[[], object]


def bare_cubic_numpy(n: int, steps: int, device: str) -> Loop:
    x = np.linspace(-np.pi, np.pi, n, dtype=np.float32)
    y = np.sin(x)
    lr = 1e-6 * 2000 / n

    def loop() -> object:
        a, b, c, d = np.array(cubic.start(), dtype=np.float32)
        for _ in range(steps):
            residual = a + b * x + c * x**2 + d * x**3 - y
            np.square(residual).sum()
            u = 2 * residual
            a -= lr * u.sum()
            b -= lr * (u * x).sum()
            c -= lr * (u * x**2).sum()
            d -= lr * (u * x**3).sum()
        return a

    return loop


def bare_cubic(n: int, steps: int, device: str) -> Loop:
    x, y = sine(n, device=device)
    lr = 1e-6 * 2000 / n

    def loop() -> object:
        a, b, c, d = (torch.tensor(v, device=device, requires_grad=True) for v in cubic.start())
        for _ in range(steps):
            loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
            loss.backward()
            with torch.no_grad():
                for p in (a, b, c, d):
                    p -= lr * p.grad
                    p.grad = None
        return a.item()  # waits for the device

    return loop


def bare_optim(n: int, steps: int, device: str) -> Loop:
    x, y = sine(n, device=device)
    powers = torch.stack([x, x**2, x**3], dim=1)

    def loop() -> object:
        model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1)).to(device)
        loss_function = torch.nn.MSELoss(reduction="sum")
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6 * 2000 / n)
        for _ in range(steps):
            loss = loss_function(model(powers), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return loop


def bare_legendre(n: int, steps: int, device: str) -> Loop:
    x, y = sine(n, device=device)

    def loop() -> object:
        a, b, c, d = (torch.tensor(v, device=device, requires_grad=True) for v in (0.0, -1.0, 0.0, 0.3))
        for _ in range(steps):
            loss = (a + b * LegendreP3.apply(c + d * x) - y).pow(2).sum()
            loss.backward()
            with torch.no_grad():
                for p in (a, b, c, d):
                    p -= 5e-6 * p.grad
                    p.grad = None
        return a.item()

    return loop


def bare_two_layer(n: int, steps: int, device: str) -> Loop:
    samples = gaussian(n, device=device)
    x, y = samples

    def loop() -> object:
        start = two_layer.start(samples)
        w1, w2 = (torch.tensor(w, dtype=torch.float32, device=device, requires_grad=True) for w in start[:2])
        for _ in range(steps):
            loss = ((x @ w1).clamp(min=0) @ w2 - y).pow(2).sum()
            loss.backward()
            with torch.no_grad():
                for w in (w1, w2):
                    w -= 1e-7 * w.grad
                    w.grad = None
        return w1[0, 0].item()

    return loop


def bare_depth(n: int, steps: int, device: str) -> Loop:
    x, y = sine(n, device=device)

    def loop() -> object:
        model = depth.DepthNet(depth.start(3), "tanh").to(x)
        for _ in range(steps):
            loss = (model(x) - y).pow(2).sum()
            loss.backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= 1e-5 * p.grad
                    p.grad = None
        return loss.item()

    return loop


def cases(device: str) -> list[tuple[str, int, int, Loop, Loop]]:
    """(name, points, steps, the fit, the bare loop)"""
    found: list[tuple[str, int, int, Loop, Loop]] = []
    for n, steps in ((200, 1000), (2000, 1000), (200_000, 40)):
        points = sine(n, device=device)
        rate = 1e-6 * 2000 / n
        for name, fit, bare in (
            ("cubic, numpy", cubic.fit_by_hand, bare_cubic_numpy),
            ("cubic, autograd", cubic.fit_autograd, bare_cubic),
            ("cubic, torch.optim", cubic.fit_optim, bare_optim),
        ):
            call = partial(fit, points, steps=steps, lr=rate)
            found.append((name, n, steps, call, bare(n, steps, device)))
    points, samples = sine(2000, device=device), gaussian(64, device=device)
    fit_p3 = partial(fit_legendre, points, steps=1000)
    fit_deep = partial(depth.fit_depth, points, 3, steps=500, lr=1e-5)
    fit_net = partial(two_layer.fit_autograd, samples, steps=300, lr=1e-7)
    found.append(("Legendre", 2000, 1000, fit_p3, bare_legendre(2000, 1000, device)))
    found.append(("depth 3", 2000, 500, fit_deep, bare_depth(2000, 500, device)))
    found.append(("two layers, autograd", 64, 300, fit_net, bare_two_layer(64, 300, device)))
    return found


def seconds(call: Loop) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="as a session of fitnotes has")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"torch {torch.__version__}, {options.threads} thread(s), {options.device}; median of {options.runs}"
    )
    print(f"{'':<22}{'points':>8}{'steps':>7}{'bare loop':>12}{'the fit':>12}{'ratio':>8}")
    rows, good = [], True
    for name, n, steps, fit, bare in cases(options.device):
        seconds(fit)
        seconds(bare)
        pairs = [(seconds(fit), seconds(bare)) for _ in range(options.runs)]
        ours, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        good = good and ratio <= TARGET
        rows.append({"name": name, "n": n, "steps": steps, "fit": ours, "bare": floor, "ratio": ratio})
        mark = "ok" if ratio <= TARGET else "MISS"
        print(
            f"{name:<22}{n:>8}{steps:>7}{1e6 * floor / steps:>9.0f} µs{1e6 * ours / steps:>9.0f} µs"
            f"{ratio:>8.3f} {mark}"
        )
    print(f"target: {TARGET} × the bare loop")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
