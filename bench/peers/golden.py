"""Writes the golden files: training steps computed by independent float64 PyTorch implementations.

    python bench/peers/golden.py            # (re)writes java/mtf/src/test/resources/golden/<algorithm>-<case>.safetensors
    python bench/peers/golden.py --check    # recomputes and compares with the files that are there
    python bench/peers/golden.py td3        # one algorithm's only

The contents of the files are described in bench/peers/README.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

import golden_deterministic
import golden_stochastic
import golden_unifiedrl
from golden_common import ADAM, Adam, compute, make_net, serialise, single, tensor

FOLDER = Path(__file__).resolve().parents[2] / "java/mtf/src/test/resources/golden"
CASES = golden_unifiedrl.CASES + golden_deterministic.CASES + golden_stochastic.CASES


def check_adam():
    """This Adam against torch.optim.Adam, without clipping."""
    rng = np.random.default_rng(0)
    start = make_net(rng, (3, 4, 2), 2)
    ours = [tuple(p.clone() for p in layer) for layer in start]
    theirs = [p.clone().requires_grad_() for layer in start for p in layer]
    adam = Adam(ours, 3e-4)
    beta1, beta2, epsilon = (single(ADAM[f"adam_{key}"]) for key in ("beta1", "beta2", "epsilon"))
    other = torch.optim.Adam(theirs, lr=3e-4, betas=(beta1, beta2), eps=epsilon)
    for t in range(1, 31):
        gradients = [[tensor(rng.normal(size=p.shape)) for p in layer] for layer in ours]
        adam.update(gradients, t)
        for p, g in zip(theirs, [g for layer in gradients for g in layer]):
            p.grad = g.clone()
        other.step()
    for p, r in zip([p for layer in ours for p in layer], theirs):
        assert torch.allclose(p, r, rtol=1e-12, atol=1e-14), "Adam differs from torch.optim.Adam"


def compare(path, arrays, metadata):
    """Largest relative difference of a file from what was computed again."""
    worst = 0.0
    with safe_open(path, "np") as file:
        assert file.metadata() == metadata, f"{path}: other metadata"
        assert sorted(file.keys()) == sorted(arrays), f"{path}: other tensors"
        for key, array in arrays.items():
            difference = np.abs(file.get_tensor(key) - array).max() / max(1e-3, np.abs(array).max())
            worst = max(worst, difference)
            assert difference < 1e-9, f"{path}: {key} differs by {difference}"
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="*", help="names as in training.algorithm (default: all)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the golden files (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    arguments = parser.parse_args()
    known = sorted({case.algorithm for _, case in CASES})
    for name in arguments.algorithms:
        if name not in known:
            parser.error(f"unknown algorithm '{name}'; there are {', '.join(known)}")
    check_adam()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for kind, case in CASES:
        if arguments.algorithms and case.algorithm not in arguments.algorithms:
            continue
        arrays, metadata = compute(case, kind)
        path = arguments.out / f"{case.algorithm}-{case.name}.safetensors"
        if arguments.check:
            print(f"{path.name}: largest relative difference {compare(path, arrays, metadata):.1e}")
        else:
            path.write_bytes(serialise(arrays, metadata))
            print(f"{path.name}: {path.stat().st_size} bytes, {len(arrays)} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
