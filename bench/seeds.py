#!/usr/bin/env python3
"""The demo over several seeds, as a table with mean and standard deviation.

    bench/seeds.py --out runs/seeds                                     # seeds 1 to 5 with the demo's own settings
    bench/seeds.py --out runs/kuairand --environment kuairand:DIR       # what follows goes to ./unifiedrl demo

Runs ./unifiedrl demo once for each seed, in a folder of its own below --out; a seed whose result is there is not run again.
Writes seeds.json and seeds.md there. Needs Python 3.8 and nothing else.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def processor():
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}"


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def interval(value):
    return f"{value['mean']:+.2f} [{value['low']:+.2f}, {value['high']:+.2f}]"


def spread(results, key):
    means = [result[key]["mean"] for result in results]
    return f"{statistics.mean(means):+.2f} ± {statistics.stdev(means) if len(means) > 1 else 0:.2f}"


def table(results):
    lines = ["| seed | UVC | lift in UVC, % | lift in UDT, % | left to the action oracle, % |", "| --- | --- | --- | --- | --- |"]
    for result in results:
        regret = result.get("regret", {}).get("action_oracle")
        lines.append(
            f"| {result['seed']} | {result['baseline']['uvc']:.2f} -> {result['policy']['uvc']:.2f} | {interval(result['uvc_lift'])} "
            f"| {interval(result['udt_lift'])} | {interval(regret) if regret else ''} |"
        )
    lines.append(f"| mean ± sd | | **{spread(results, 'uvc_lift')}** | {spread(results, 'udt_lift')} | |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--out", type=Path, required=True)
    arguments, demo = parser.parse_known_args()
    results = []
    for seed in arguments.seeds:
        folder = arguments.out / f"seed-{seed}"
        file = folder / "result.json"
        if not file.exists():
            command = [str(ROOT / "unifiedrl"), "demo", "--seed", str(seed), "--out", str(folder), *demo]
            if subprocess.run(command).returncode:
                print(f"seed {seed} failed; remove {folder} and run this again", file=sys.stderr)
                return 1
        results.append(json.loads(file.read_text()))
    head = f"{processor()}, commit {commit()}: `bench/seeds.py --seeds {' '.join(map(str, arguments.seeds))} {' '.join(demo)}`".replace(" `", "`")
    text = "\n".join([head, "", *table(results)]) + "\n"
    (arguments.out / "seeds.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.out / "seeds.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
