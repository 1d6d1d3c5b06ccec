#!/usr/bin/env python3
"""Times ./unifiedrl import beside pandas and pyarrow on the same Parquet file, each on one processor: bench/import.py [--rows N] [--rounds N] [--json FILE]

The log is in the order of time, users mixed: 64 state columns, 10 action, 10 baseline and 2 behaviour columns, float32. The peers do what they can do of the
same: read all columns, check that values are finite, sort by user and time, cut sessions by a gap, write one uncompressed Arrow IPC file. They check no action
ranges or boxes, hold out no users, and hold the log in memory. Needs pyarrow, pandas and numpy. Seconds are of whole processes.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATES, ACTIONS = 64, 10
PANDAS = """
import sys, numpy, pandas, pyarrow
frame = pandas.read_parquet(sys.argv[1])
values = frame.columns[2:]
assert numpy.isfinite(frame[values].to_numpy()).all()
frame = frame.sort_values(['user', 't'], kind='stable', ignore_index=True)
new = (frame['user'].diff() != 0) | (frame['t'].diff() > 1_800_000)
frame['session_id'] = new.cumsum()
table = pyarrow.Table.from_pandas(frame, preserve_index=False)
with pyarrow.ipc.new_file(sys.argv[2], table.schema) as out:
    out.write_table(table)
"""
PYARROW = """
import sys, numpy, pyarrow, pyarrow.compute as compute, pyarrow.parquet as parquet
pyarrow.set_cpu_count(1); pyarrow.set_io_thread_count(1)
table = parquet.read_table(sys.argv[1])
for name in table.column_names[2:]:
    assert compute.all(compute.is_finite(table[name])).as_py()
table = table.take(compute.sort_indices(table, [('user', 'ascending'), ('t', 'ascending')]))
user, t = table['user'].to_numpy(), table['t'].to_numpy()
new = numpy.r_[True, (numpy.diff(user) != 0) | (numpy.diff(t) > 1_800_000)]
table = table.append_column('session_id', pyarrow.array(new.cumsum()))
with pyarrow.ipc.new_file(sys.argv[2], table.schema) as out:
    out.write_table(table)
"""


def write_log(file, rows):
    import numpy
    import pyarrow
    import pyarrow.parquet

    random = numpy.random.default_rng(1)
    schema = pyarrow.schema(
        [("user", pyarrow.int64()), ("t", pyarrow.int64())]
        + [(f"s{k}", pyarrow.float32()) for k in range(STATES)]
        + [(f"{kind}{k}", pyarrow.float32()) for kind in "ba" for k in range(ACTIONS)]
        + [("watch", pyarrow.float32()), ("likes", pyarrow.float32())]
    )
    # Plain floats, as the writers of Spark and DuckDB leave values that hardly repeat: a dictionary of them would be larger than they are.
    with pyarrow.parquet.ParquetWriter(file, schema, compression="snappy", use_dictionary=["user", "likes"]) as out:
        for start in range(0, rows, 500_000):
            n = min(500_000, rows - start)
            base = random.uniform(-0.5, 0.5, (n, ACTIONS)).astype("f4")
            action = base + random.uniform(-0.15, 0.15, (n, ACTIONS)).astype("f4")
            at = numpy.arange(start, start + n)
            # 5,000 users are there at a time, each for about 20 requests: one session of 80 minutes.
            columns = [at // 20 + random.integers(0, 5000, n), 1_700_000_000_000 + 50 * at]
            columns += list(random.standard_normal((STATES, n)).astype("f4"))
            columns += list(base.T) + list(action.T) + [random.exponential(9, n).astype("f4"), random.poisson(0.1, n).astype("f4")]
            out.write_table(pyarrow.table(columns, schema=schema))


def mapping(file):
    scores = "\n".join(f"  score{k}: {{power: [0, 2], bias: [0.01, 1]}}" for k in range(ACTIONS // 2))
    names = lambda kind: "[" + ", ".join(f"{kind}{k}" for k in range(ACTIONS)) + "]"
    file.write_text(
        f"user: user\ntime: t\ntime_unit: milliseconds\nsession_gap: 30m\n"
        f"state: [{', '.join(f's{k}' for k in range(STATES))}]\nscores:\n{scores}\naction: {names('a')}\nbaseline_action: {names('b')}\n"
        "box: {half_width: 0.15}\nreward:\n  watch: {watch: 0.01}\n  others: {likes: 1}\n"
    )


def timed(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(["taskset", "-c", "0"] + command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    subprocess.run([str(ROOT / "unifiedrl"), "--help"], check=True, stdout=subprocess.DEVNULL)  # builds what changed, untimed
    folder = Path(tempfile.mkdtemp())
    try:
        log, out = folder / "log.parquet", folder / "out"
        write_log(log, arguments.rows)
        mapping(folder / "mapping.yaml")
        os.environ["OMP_NUM_THREADS"] = "1"
        commands = {
            "unifiedrl import": [str(ROOT / "unifiedrl"), "import", str(log), "--mapping", str(folder / "mapping.yaml")]
            + ["--out", str(out), "--threads", "1", "--quiet"],
            "pyarrow": [sys.executable, "-c", PYARROW, str(log), str(out)],
            "pandas": [sys.executable, "-c", PANDAS, str(log), str(out)],
        }
        times = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                times[name].append(timed(command))
                shutil.rmtree(out) if out.is_dir() else out.unlink()
        print(f"| {arguments.rows:,} requests, one processor | seconds (median) | of the processor | requests/s |\n| --- | --- | --- | --- |")
        result = {}
        for name, each in times.items():
            wall, cpu = sorted(each)[len(each) // 2]
            result[name] = {"seconds": wall, "cpu_seconds": cpu, "requests_per_second": arguments.rows / wall}
            print(f"| {name} | {wall:.1f} | {cpu:.1f} | {arguments.rows / wall:,.0f} |")
        if arguments.json:
            arguments.json.write_text(json.dumps({"rows": arguments.rows, "rounds": times, "medians": result}, indent=2) + "\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
