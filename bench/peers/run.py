"""Ours and the peers on this machine: equality first, then the benchmark in turns, then a table.

    python bench/peers/run.py --out runs/peers                            # batch 256 and 4096, one and two threads
    python bench/peers/run.py --out runs/peers --batch 256 --threads 1 --quick

Every round runs ours, then each peer, each in a process of its own, so that a slow minute of the machine meets all of them.
Every process is bound to as many processors as it has threads. Ours is `./unifiedrl bench step --json FILE --batch B --threads T`;
all sample from 50,000 rows. Writes peers.json and peers.md under --out. Exit code 1: no peer could be compared, one was not equal, or
ours or every peer of some batch and number of threads failed.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDEN = ROOT / "java/mtf/src/test/resources/golden"
INSTALL = f"{sys.executable} -m pip install -r {Path('bench/peers/requirements.txt')}"

# What did best on some machine; step.py's options. Quick runs take the first two.
PEERS = {
    "small": (
        ("torch-compile",),
        ("jax-scan",),
        ("torch-eager", "--layout", "wide"),
        ("jax-jit",),
    ),
    "large": (
        ("torch-compile", "--chunk", "512"),
        ("jax-scan", "--scan", "2", "--chunk", "256"),
        ("torch-compile", "--chunk", "256"),
        ("torch-compile",),
        ("torch-eager", "--layout", "wide", "--chunk", "256"),
        ("jax-jit", "--chunk", "256"),
    ),
}
# jax-scan runs jax-jit's step; pieces of one row show that pieces add up.
EQUALITY = (
    ("torch-eager",),
    ("torch-eager", "--layout", "wide", "--chunk", "1"),
    ("torch-compile",),
    ("torch-compile", "--chunk", "1"),
    ("jax-jit",),
    ("jax-jit", "--layout", "wide", "--chunk", "1"),
)


def missing(mode):
    """Why a mode cannot run here, or None."""
    needed = ("torch",) if mode.startswith("torch") else ("jax", "jaxlib")
    absent = [name for name in (*needed, "numpy", "safetensors") if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed; install with: {INSTALL}"
    if mode == "torch-compile" and not (shutil.which("g++") or shutil.which("clang++")):
        return "torch.compile needs a C++ compiler; install one (Debian, Ubuntu: apt-get install g++)"
    return None


def bound(threads):
    """Binds a child to its first processors, as many as it has threads: nobody gets help from the others."""
    if threads is None or not hasattr(os, "sched_setaffinity"):
        return None
    return lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def peer(options, *more, timeout, threads=None):
    """The JSON line of one run of step.py, or {"error": ...}."""
    command = [sys.executable, str(HERE / "step.py"), "--mode", *options, *map(str, more)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, preexec_fn=bound(threads))
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {timeout} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if lines:
        return json.loads(lines[-1])
    return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}


def ours(batch, threads, timeout):
    launcher = ROOT / "unifiedrl"
    if not launcher.exists():
        return {"error": f"{launcher} not found; run from a checkout of the project"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "step.json"
        command = [str(launcher), "bench", "step", "--json", str(file), "--batch", str(batch), "--threads", str(threads)]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, preexec_fn=bound(threads))
        except subprocess.TimeoutExpired:
            return {"error": f"no result within {timeout} s"}
        if done.returncode or not file.exists():
            return {"error": ((done.stderr or done.stdout).strip().splitlines() or ["no output"])[-1]}
        result = json.loads(file.read_text())
        return result[0] if isinstance(result, list) else result


def check_equality(files, timeout):
    """Each peer against each file (losses of step 1, parameters after 10 steps); prints, returns (rows, all equal and some compared)."""
    rows, good = [], True
    for options in EQUALITY:
        label, reason = " ".join(options), missing(options[0])
        if reason:
            print(f"equality  {label:36} skipped: {reason}", flush=True)
            continue
        for file in files:
            row = peer(options, "--weights", file, "--steps", 10, timeout=timeout)
            row |= {"options": label, "file": file.name}
            rows.append(row)
            equal = row.get("equal") is True and bool(row.get("compared"))
            good &= equal
            text = f"NOT EQUAL: {row}"
            if equal:
                numbers = (row["loss_difference"], row["parameter_difference"])
                text = "loss, parameters: " + ", ".join("not given" if n is None else f"{n:.1e}" for n in numbers)
            print(f"equality  {label:36} {file.name}: {text}", flush=True)
    return rows, good and bool(rows)


def benchmark(batch, threads, arguments):
    """Interleaved rounds; {label: [result, ...]}."""
    peers = PEERS["small" if batch < 1024 else "large"]
    results = {}
    for number in range(arguments.rounds):
        runs = [("ours", None)] + [(" ".join(p), p) for p in (peers[:2] if arguments.quick else peers)]
        for label, options in runs:
            if options is None:
                result = ours(batch, threads, arguments.timeout)
            elif missing(options[0]):
                result = {"error": missing(options[0])}
            else:
                more = ("--batch", batch, "--threads", threads, "--seconds", arguments.seconds)
                result = peer(options, *more, timeout=arguments.timeout, threads=threads)
            results.setdefault(label, []).append(result)
            text = result.get("error") or f"{result['steps_per_s']:8.3f} steps/s  {result['gflops']:7.1f} GFLOP/s"
            print(f"batch {batch:5} threads {threads} round {number + 1}  {label:40} {text}", flush=True)
    return results


def summarise(batch, threads, results):
    rows = []
    for label, runs in results.items():
        good = [run for run in runs if "error" not in run]
        if not good:
            rows.append(dict(batch=batch, threads=threads, name=label, rounds=f"0/{len(runs)}", error=runs[-1]["error"]))
            continue
        rates = [run["gflops"] for run in good]
        rows.append(
            dict(
                batch=batch,
                threads=threads,
                name=label,
                rounds=f"{len(good)}/{len(runs)}",
                steps_per_s=statistics.median(run["steps_per_s"] for run in good),
                gflops=statistics.median(rates),
                gflops_min=min(rates),
                gflops_max=max(rates),
                peak_rss_mib=max(run["peak_rss_mib"] for run in good),
                limit_gflops=statistics.median(run["limit_gflops"] for run in good) if label == "ours" else None,
            )
        )
    fine = {row["name"]: row for row in rows if "error" not in row}
    best = max((row["gflops"] for name, row in fine.items() if name != "ours"), default=None)
    limit = fine.get("ours", {}).get("limit_gflops")
    for row in fine.values():
        row["ratio_to_best_peer"] = row["gflops"] / best if best else None
        row["fraction_of_limit"] = row["gflops"] / limit if limit else None
    return rows


def incomplete(rows):
    """Cells of the table that say nothing: ours failed, or every peer."""
    faults = []
    for cell in dict.fromkeys((row["batch"], row["threads"]) for row in rows):
        fine = {row["name"] for row in rows if (row["batch"], row["threads"]) == cell and "error" not in row}
        where = f"batch {cell[0]}, {cell[1]} thread(s)"
        if "ours" not in fine:
            faults.append(f"{where}: ours failed")
        if not fine - {"ours"}:
            faults.append(f"{where}: every peer failed")
    return faults


def heading(here):
    packages = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    return (
        f"{here['cpu']}, {here['cores']} processors; commit {here['commit']}; Python {here['python']}, {packages or 'no peers'}.\n"
        f"Command: `{here['command']}`. Medians of the rounds that gave a result; each process is bound to as many processors as threads.\n\n"
    )


def markdown(rows):
    number = lambda value, form: "" if value is None else format(value, form)
    lines = [
        "| batch | threads | what | rounds | steps/s | GFLOP/s (min to max) | of the limit | to the best peer | peak MiB |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        head = f"| {row['batch']} | {row['threads']} | {row['name']} | {row['rounds']} |"
        if "error" in row:
            lines.append(f"{head} | {row['error']} | | | |")
            continue
        lines.append(
            f"{head} {row['steps_per_s']:.3f} | {row['gflops']:.1f} ({row['gflops_min']:.1f} to {row['gflops_max']:.1f}) "
            f"| {number(row['fraction_of_limit'], '.0%')} | {number(row['ratio_to_best_peer'], '.2f')} | {row['peak_rss_mib']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def machine():
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = {}
    for name in ("torch", "jax", "numpy"):
        if importlib.util.find_spec(name):
            packages[name] = importlib.metadata.version(name)
    git = lambda *more: subprocess.run(["git", "-C", str(ROOT), *more], capture_output=True, text=True).stdout.strip()
    commit = (git("rev-parse", "--short=12", "HEAD") or "unknown") + (" with changes" if git("status", "--porcelain") else "")
    command = " ".join(["python", "bench/peers/run.py", *map(shlex.quote, sys.argv[1:])])
    return dict(cpu=model, cores=cores, commit=commit, command=command, python=platform.python_version(), packages=packages)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for peers.json and peers.md")
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 4096])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="time to measure for each peer and round")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for each process, compiling included")
    parser.add_argument("--quick", action="store_true", help="only the two peers that are usually best")
    parser.add_argument(
        "--weights", type=Path, nargs="*", help="files in the golden format to prove equality on (default: two golden files)"
    )
    arguments = parser.parse_args()
    files = arguments.weights
    if files is None:
        cases = ("s5a3-normalised", "s7a2-continuous-clip")
        files = [GOLDEN / f"unifiedrl-{case}.safetensors" for case in cases]
    absent = [str(file) for file in files if not file.exists()]
    if absent:
        parser.error(f"no such file: {', '.join(absent)} (bench/peers/golden.py writes the golden files)")
    arguments.out.mkdir(parents=True, exist_ok=True)
    here = machine()

    equality, equal = check_equality(files, arguments.timeout)
    if not equality:
        print(f"No peer could be compared; nothing is timed. Install them with: {INSTALL}", file=sys.stderr)
        return 1
    if not equal:
        print("The peers do not compute the same step; nothing is timed.", file=sys.stderr)
        return 1
    rows, raw = [], []
    for batch in arguments.batch:
        for threads in arguments.threads:
            results = benchmark(batch, threads, arguments)
            raw.append(dict(batch=batch, threads=threads, results=results))
            rows += summarise(batch, threads, results)
    faults = incomplete(rows)
    report = dict(machine=here, equality=equality, table=rows, raw=raw, faults=faults)
    text = heading(here) + markdown(rows)
    (arguments.out / "peers.json").write_text(json.dumps(report, indent=1) + "\n")
    (arguments.out / "peers.md").write_text(text)
    print(text)
    for fault in faults:
        print(f"incomplete: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
