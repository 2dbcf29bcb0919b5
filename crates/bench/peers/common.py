"""What the peers' scripts share: the inputs of `crates/bench/src/data.rs`, and one JSON line each.

A script has a function for each workload, and `main` runs them: a line may be `--list` for their
names. A sample lasts 2 ms or one step. Samples are taken until there are `samples` of them or
BENCH_SECONDS (10 unless set) have passed, but never fewer than 3.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import time
from functools import partial

import numpy as np

SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))


def fill(shape, seed, scale=1.0, dtype=np.float32):
    """Numbers in [-scale, scale) from the hash of their index."""
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1)
        z = z + np.uint32((seed * 0x85EBCA6B) & 0xFFFFFFFF)
        for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
            z = (z ^ (z >> np.uint32(shift))) * np.uint32(factor)
        z ^= z >> np.uint32(15)
    return ((z.astype(np.float64) / 2.0**31 - 1.0) * scale).astype(dtype).reshape(shape)


def labels(n, k, seed):
    return ((fill((n,), seed, dtype=np.float64) + 1.0) * 0.5 * k).astype(np.int64)


def glorot(shape, fan_in, fan_out, seed):
    return fill(shape, seed, math.sqrt(6.0 / (fan_in + fan_out)))


def weight(shape, seed):
    """A weight `[outputs, inputs, window ..]` with Glorot's scale."""
    window = int(np.prod(shape[2:]))
    return glorot(shape, shape[1] * window, shape[0] * window, seed)


def status(key):
    """A number of kilobytes in Linux's account of this process, in bytes; None elsewhere."""
    try:
        with open("/proc/self/status") as lines:
            return next(int(l.split()[1]) * 1024 for l in lines if l.startswith(key))
    except OSError:
        return None


before = None


def measure_memory():
    """From here on, the peak counts."""
    global before
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = status("VmRSS:")
    except OSError:
        before = None


def report(name, step, check, variant=None, units=1, samples=101):
    step()
    start = time.perf_counter()
    step()
    runs = max(1, int(2e-3 / (time.perf_counter() - start)))
    times, begin = [], time.perf_counter()
    while len(times) < samples and (len(times) < 3 or time.perf_counter() - begin < SECONDS):
        start = time.perf_counter()
        for _ in range(runs):
            step()
        times.append((time.perf_counter() - start) * 1e6 / (runs * units))
    peak = None if before is None else status("VmHWM:") - before
    print(json.dumps({"workload": name, "variant": variant, "check": check,
                      "median_us": statistics.median(times), "min_us": min(times),
                      "reps": len(times), "peak_bytes": peak}), flush=True)


def main(workloads):
    """Runs what the command line names, all if it names nothing.

    A workload is a list of functions, one for each way of computing it. Of several, each runs in a
    process of its own: what one leaves in memory would count as the next one's.
    """
    wanted = sys.argv[1:] or list(workloads)
    if "--list" in wanted:
        return print("\n".join(workloads))
    for word in wanted:
        name, _, way = word.partition(":")
        if name not in workloads:
            sys.exit(f"there is no workload {name!r}; --list shows them")
        ways = workloads[name]
        if not way and len(ways) > 1:
            for i in range(len(ways)):
                subprocess.run([sys.executable, sys.argv[0], f"{name}:{i}"], check=True)
        else:
            measure_memory()
            ways[int(way or 0)]()


def named(*functions):
    """Workloads of one way each, by the functions' names."""
    return {f.__name__: [f] for f in functions}


def in_ways(ways, *functions):
    """Workloads that take the way as an argument."""
    return {f.__name__: [partial(f, way) for way in ways] for f in functions}
