"""This machine's float32 matrix product rate through numpy, PyTorch and JAX, for orientation (GFLOP/s, best of several).

    python bench/peers/sgemm.py --threads 1
"""

import argparse
import json
import os
import sys
import time

SHAPES = ((256, 256, 256), (4096, 256, 256), (2048, 2048, 2048))


def best(product, seconds):
    product()
    fastest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        product()
        fastest = min(fastest, time.perf_counter() - begin)
    return fastest


def products(name):
    """Functions (a, b) -> c of the named library and its conversion from numpy."""
    if name == "numpy":
        return (lambda a: a), (lambda a, b: a @ b)
    if name == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        return torch.from_numpy, torch.matmul
    import jax

    matmul = jax.jit(jax.numpy.matmul)
    return jax.numpy.asarray, lambda a, b: matmul(a, b).block_until_ready()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1, help="time for each library and shape")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)
    if arguments.threads == 1:
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import numpy as np

    rng = np.random.default_rng(0)
    for name in ("numpy", "torch", "jax"):
        try:
            convert, product = products(name)
        except ImportError as error:
            print(f"{name} skipped: {error}", file=sys.stderr)
            continue
        for rows, inner, columns in SHAPES:
            a = convert(rng.standard_normal((rows, inner), dtype=np.float32))
            b = convert(rng.standard_normal((inner, columns), dtype=np.float32))
            gflops = 2e-9 * rows * inner * columns / best(lambda: product(a, b), arguments.seconds)
            shape = [rows, inner, columns]
            print(json.dumps(dict(library=name, threads=arguments.threads, shape=shape, gflops=round(gflops, 1))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
