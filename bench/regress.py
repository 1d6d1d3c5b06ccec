#!/usr/bin/env python3
"""Compares the JMH benchmarks of two checkouts of this repository on this machine, in turn, so that what else the machine does meets both.

  bench/regress.py --before ../base --rounds 3 --out runs/regress 'Fusion|Inference'

All other arguments go to JMH; without any, all benchmarks are run.

A benchmark's time in a round is its median (p0.50) where JMH samples single calls, else its mean; over rounds the fastest counts, since other work only
adds to it. Exits with 1 if one is slower than --limit allows (3 % by default).
"""

import argparse
import json
import pathlib
import subprocess
import sys


def measured(checkout, arguments, file):
    """Times of one run of JMH, by benchmark and parameters."""
    command = [str(checkout / "bench/jmh"), *arguments, "-rff", str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")
    times = {}
    for entry in json.loads(file.read_text()):
        parameters = " ".join(f"{k}={v}" for k, v in sorted(entry.get("params", {}).items()))
        metric = entry["primaryMetric"]
        if entry["mode"] == "thrpt":
            sys.exit(f"{entry['benchmark']} has mode thrpt: only times are compared")
        time = metric["scorePercentiles"]["50.0"] if entry["mode"] == "sample" else metric["score"]
        name = entry["benchmark"].removeprefix("org.unifiedrl.bench.")
        times[(name, parameters, metric["scoreUnit"])] = time
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=pathlib.Path, required=True, help="checkout to compare with")
    parser.add_argument("--after", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent, help="checkout to judge (default: this one)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn (default: 3)")
    parser.add_argument("--limit", type=float, default=3.0, help="percent by which a benchmark may be slower (default: 3)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for JMH's own results and the table")
    options, jmh = parser.parse_known_args()  # what is left is for JMH
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}: expected at least 1")
    sides = {"before": options.before.resolve(), "after": options.after.resolve()}
    for side, checkout in sides.items():
        if not (checkout / "bench/jmh").is_file():
            parser.error(f"--{side} {checkout} is no checkout: it has no bench/jmh")
        subprocess.run([str(checkout / "bench/jmh"), "-l"], check=True, stdout=subprocess.DEVNULL)  # builds what is missing
    options.out.mkdir(parents=True, exist_ok=True)
    rounds = {"before": [], "after": []}
    for number in range(1, options.rounds + 1):
        for side, checkout in sides.items():
            rounds[side].append(measured(checkout, jmh, (options.out / f"{side}-{number}.json").resolve()))
    before, after = ({key: min(r[key] for r in rounds[side] if key in r) for r in rounds[side] for key in r} for side in sides)
    if not before.keys() & after.keys():
        sys.exit("no benchmark is in both checkouts")
    lines = ["| benchmark | parameters | before | after | unit | after to before |", "| --- | --- | --- | --- | --- | --- |"]
    slower = []
    for key in sorted(before.keys() & after.keys()):
        ratio = after[key] / before[key]
        lines.append(f"| `{key[0]}` | {key[1]} | {before[key]:.4g} | {after[key]:.4g} | {key[2]} | {ratio:.3f} |")
        if ratio > 1 + options.limit / 100:
            slower.append(key[0] + " " + key[1])
    text = "\n".join(lines) + "\n"
    (options.out / "regress.md").write_text(text)
    print(text)
    if slower:
        sys.exit(f"slower by more than {options.limit} %: " + ", ".join(slower))


if __name__ == "__main__":
    main()
