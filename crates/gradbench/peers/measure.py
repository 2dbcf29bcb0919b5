"""Times Wengert and other tools of GradBench by turns, on the same inputs.

    cargo build --release -p wengert-gradbench
    cc -O2 -shared -fPIC -o cpu_clock.so crates/gradbench/peers/cpu_clock.c
    python -m venv peers && peers/bin/pip install numpy jax torch
    git clone https://github.com/gradbench/gradbench    # and build its tools in C++, each in tools/<tool>/bin
    peers/bin/python crates/gradbench/peers/measure.py --gradbench gradbench --clock ./cpu_clock.so lse gmm

One line for each workload and function: medians in milliseconds, the least of some rounds. With `--clock` they are CPU
time, else wall time. The tools get one thread. JAX is given a first run to compile, and its results are waited for if
`wrap.py` of GradBench calls `jax.block_until_ready` on them.
"""
import argparse
import json
import os
import statistics
import subprocess

import numpy as np

rng = np.random.RandomState(31337)


def lists(low, high, *shape):
    return rng.uniform(low, high, shape).tolist()


def gmm(d, k, n):
    return dict(d=d, k=k, n=n, m=0, gamma=1.0, x=lists(-2, 2, n, d), alpha=lists(-1, 1, k), mu=lists(0, 1, k, d),
                q=lists(-1, 1, k, d), l=lists(-1, 1, k, d * (d - 1) // 2))


def kmeans(k, n, d):
    points = rng.rand(n, d)
    return dict(points=points.tolist(), centroids=points[rng.choice(n, k, replace=False)].tolist())


def lstm(layers, times, units=14):
    return dict(main_params=lists(-1, 1, 2 * layers, 4 * units), extra_params=lists(-1, 1, 3, units),
                state=lists(-1, 1, 2 * layers, units), sequence=rng.randint(0, 2, (times, units)).tolist())


def ba(n, m, p):
    return dict(n=n, m=m, p=p, cam=[0.01, 0.02, -0.03, 0.1, 0.2, 0.3, 500.0, 10.0, 20.0, 0.01, 0.001],
                x=[1.0, 2.0, 3.0], w=0.9, feat=[100.0, 200.0])


def ht(n, vertices=10_000, bones=22):
    weights = rng.rand(vertices, bones) * (rng.rand(vertices, bones) < 0.2)
    weights /= weights.sum(1, keepdims=True) + 1e-9
    identities = np.tile(np.eye(4), (bones, 1, 1))
    relatives = identities.copy()
    relatives[:, :3, 3] = rng.randn(bones, 3)
    parents = [-1, 0] + [0 if b % 4 == 2 else b - 1 for b in range(2, bones)]
    model = dict(bone_count=bones, bone_names=["bone"] * bones, parents=parents, base_relatives=relatives.tolist(),
                 inverse_base_absolutes=identities.tolist(), weights=weights.tolist(), is_mirrored=False,
                 base_positions=np.hstack([rng.randn(vertices, 3), np.ones((vertices, 1))]).tolist(),
                 triangles=rng.randint(0, vertices, (2 * vertices, 3)).tolist())
    data = dict(model=model, correspondences=rng.randint(0, 2 * vertices, n).tolist(), points=lists(-1, 1, n, 3))
    return dict(theta=lists(-1, 1, 26), us=lists(0, 1, n, 2), data=data)


MODES = ["ff", "fr", "rf", "rr"]
WORKLOADS = {
    "lse": (["primal", "gradient"], {n: (lambda n=n: dict(x=lists(0, 1, n))) for n in [80_000, 1_280_000]}),
    "llsq": (["primal", "gradient"], {n: (lambda n=n: dict(x=lists(0, 1, 128), n=n)) for n in [1024, 16392]}),
    "gmm": (["objective", "jacobian"], {"10_25_1000": lambda: gmm(10, 25, 1000), "64_50_1000": lambda: gmm(64, 50, 1000)}),
    "kmeans": (["cost", "dir"], {k: (lambda k=k: kmeans(k, 10_000, 16)) for k in [100, 1000]}),
    "lstm": (["objective", "jacobian"], {"2_4096": lambda: lstm(2, 4096), "6_8192": lambda: lstm(6, 8192)}),
    "ba": (["objective", "jacobian"], {5: lambda: ba(257, 65132, 225911), 14: lambda: ba(356, 226730, 1255268)}),
    "ht": (["objective", "jacobian"], {n: (lambda n=n: ht(n)) for n in [800, 25600]}),
    "det": (["primal", "gradient"], {n: (lambda n=n: dict(A=lists(0, 1, n * n), ell=n)) for n in [8, 10]}),
    "ode": (["primal", "gradient"], {(n, s): (lambda n=n, s=s: dict(x=lists(0, 1, n), s=s)) for n, s in [(10_000, 10), (100_000, 100)]}),
    "particle": (MODES, {"": lambda: dict(w=0.0)}),
    "saddle": (MODES, {"": lambda: dict(start=[1.0, 1.0])}),
}


def protocol(command, module, function, data, env, first=False):
    """A tool that speaks the protocol. `first`: an evaluation that is not counted."""
    messages = [dict(id=0, kind="start", eval=module), dict(id=1, kind="define", module=module)]
    evaluate = dict(kind="evaluate", module=module, function=function)
    if first:
        messages.append(dict(evaluate, id=2, input=dict(data, min_runs=1, min_seconds=0)))
    messages.append(dict(evaluate, id=3, input=data))
    text = "".join(json.dumps(message) + "\n" for message in messages)
    run = subprocess.run(command, input=text, capture_output=True, text=True, env=env, timeout=120)
    return json.loads(run.stdout.splitlines()[-1]).get("timings", [])


def executable(path, function, data, env):
    with open("gradbench_input.json", "w") as file:
        json.dump(data, file)
    run = subprocess.run([path, "gradbench_input.json", function], capture_output=True, text=True, env=env, timeout=120)
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"name"')]


def median(timings, name="evaluate"):
    times = [timing["nanoseconds"] / 1e6 for timing in timings if timing["name"] == name]
    return statistics.median(times) if times else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--gradbench", help="a clone of gradbench/gradbench")
    parser.add_argument("--clock", help="the library from cpu_clock.c")
    parser.add_argument("--tools", nargs="*", default=["jax", "pytorch", "manual", "codipack", "adol-c", "cppad"])
    parser.add_argument("--python", default="peers/bin/python")
    parser.add_argument("--wengert", default="target/release/wengert-gradbench")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    env = dict(os.environ, OMP_NUM_THREADS="1", JAX_ENABLE_X64="true",
               XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    if options.clock:
        env["LD_PRELOAD"] = os.path.abspath(options.clock)
    if options.gradbench:
        env["PYTHONPATH"] = options.gradbench + "/python/gradbench"

    def timed(tool, module, function, data):
        if tool == "wengert":
            return protocol([options.wengert], module, function, data, env)
        folder = f"{options.gradbench}/python/gradbench/gradbench/tools/{tool}"
        if os.path.exists(f"{folder}/{module}.py"):
            command = ["taskset", "-c", "1", options.python, f"{folder}/run.py"]
            return protocol(command, module, function, data, env, first=tool == "jax")
        path = f"{options.gradbench}/tools/{tool}/bin/{module}"
        return executable(path, function, data, env) if os.path.exists(path) else []

    for module in options.problems:
        functions, sizes = WORKLOADS[module]
        for size, make in sizes.items():
            data = dict(make(), min_runs=3, min_seconds=0.3)
            for function in functions:
                best = {}
                for tool in ["wengert", *(options.tools if options.gradbench else [])] * options.rounds:
                    try:
                        timings = timed(tool, module, function, data)
                    except (subprocess.TimeoutExpired, json.JSONDecodeError, IndexError) as error:
                        best.setdefault(tool, type(error).__name__)
                        continue
                    names = [("evaluate", tool), ("prepare", tool + " prepare")] if tool == "wengert" else [("evaluate", tool)]
                    for name, label in names:
                        time = median(timings, name)
                        if time is not None:
                            best[label] = min(time, best.get(label, time))
                print(module, size, function, {tool: round(t, 4) if isinstance(t, float) else t for tool, t in best.items()}, flush=True)


if __name__ == "__main__":
    main()
