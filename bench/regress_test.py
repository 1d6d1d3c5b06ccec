#!/usr/bin/env python3
"""Tests of regress.py on checkouts whose bench/jmh tells made-up times: python3 bench/regress_test.py"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent

# Rounds of a side go by its calls: the first one is -l.
JMH = """#!/usr/bin/env python3
import json, pathlib, sys
here = pathlib.Path(__file__).parent
calls = here / "calls"
with calls.open("a") as out:
    print(*sys.argv[1:], file=out)
if "-l" not in sys.argv:
    rounds = json.loads((here / "rounds.json").read_text())
    entries = rounds[len(calls.read_text().splitlines()) - 2]
    if entries is None:
        sys.exit("no benchmark matches")
    pathlib.Path(sys.argv[sys.argv.index("-rff") + 1]).write_text(json.dumps(entries))
"""


def entry(name, score, mode="avgt", median=None, params=None):
    metric = {"score": score, "scoreUnit": "ops/s" if mode == "thrpt" else "us/op"}
    if median is not None:
        metric["scorePercentiles"] = {"50.0": median}
    return {"benchmark": "org.unifiedrl.bench." + name, "mode": mode, "params": params or {}, "primaryMetric": metric}


class Regress(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def checkout(self, side, rounds):
        bench = self.folder / side / "bench"
        bench.mkdir(parents=True)
        (bench / "rounds.json").write_text(json.dumps(rounds))
        (bench / "jmh").write_text(JMH)
        (bench / "jmh").chmod(0o755)
        return bench

    def compare(self, before, after, *arguments):
        self.benches = [self.checkout("before", before), self.checkout("after", after)]
        sides = [f"--{side}={self.folder / side}" for side in ("before", "after")]
        command = [sys.executable, "-B", str(HERE / "regress.py"), *sides, f"--rounds={len(before)}", f"--out={self.folder / 'out'}", *arguments]
        return subprocess.run(command, text=True, capture_output=True)

    def test_fastest_rounds_count_and_medians_of_samples(self):
        before = [[entry("A.a", 10), entry("B.b", 99, "sample", 5, {"y": 2, "x": "s"})], [entry("A.a", 8), entry("B.b", 99, "sample", 7, {"y": 2, "x": "s"})]]
        after = [[entry("A.a", 8.1), entry("B.b", 1, "sample", 5.1, {"y": 2, "x": "s"})], [entry("A.a", 20), entry("B.b", 1, "sample", 9, {"y": 2, "x": "s"})]]
        done = self.compare(before, after, "-wi", "2", "A|B")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("| `A.a` |  | 8 | 8.1 | us/op | 1.012 |", done.stdout)
        self.assertIn("| `B.b` | x=s y=2 | 5 | 5.1 | us/op | 1.020 |", done.stdout)
        self.assertEqual((self.folder / "out/regress.md").read_text(), done.stdout[:-1])
        for bench in self.benches:
            calls = (bench / "calls").read_text().splitlines()
            self.assertEqual(calls[0], "-l")
            self.assertEqual([call.split(" -rff")[0] for call in calls[1:]], ["-wi 2 A|B"] * 2)

    def test_what_is_slower_than_the_limit_fails(self):
        done = self.compare([[entry("A.a", 10), entry("B.b", 10)]], [[entry("A.a", 10.4), entry("B.b", 10.2)]])
        self.assertEqual(done.returncode, 1)
        self.assertIn("slower by more than 3.0 %: A.a", done.stderr)
        self.assertNotIn("B.b", done.stderr)

    def test_the_limit_can_be_another(self):
        done = self.compare([[entry("A.a", 10)]], [[entry("A.a", 10.4)]], "--limit=5")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_throughput_is_no_time(self):
        done = self.compare([[entry("A.a", 10, "thrpt")]], [[entry("A.a", 10, "thrpt")]])
        self.assertEqual(done.returncode, 1)
        self.assertIn("A.a has mode thrpt", done.stderr)

    def test_nothing_in_common_is_no_success(self):
        done = self.compare([[entry("A.a", 10)]], [[entry("B.b", 10)]])
        self.assertEqual(done.returncode, 1)
        self.assertIn("no benchmark is in both", done.stderr)

    def test_a_run_that_fails_is_shown(self):
        done = self.compare([None], [None])
        self.assertEqual(done.returncode, 1)
        self.assertIn("no benchmark matches", done.stderr)

    def test_a_folder_that_is_no_checkout(self):
        done = subprocess.run([sys.executable, "-B", str(HERE / "regress.py"), "--before", str(self.folder), "--out", "x"], text=True, capture_output=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is no checkout", done.stderr)


if __name__ == "__main__":
    unittest.main()
