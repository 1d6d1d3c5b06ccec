#!/usr/bin/env python3
"""Tests of the GPU suite itself: python3 bench/gpu/test.py [--cuda-library FILE] [unittest's options]

FILE is a right library, emulated or real; the suite must pass on it and fail on one in front of it whose results are wrong (wrong.c, which needs a C
compiler and the repository). Without FILE only what needs none is tested.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CUDA = None


def load(name):
    loader = importlib.machinery.SourceFileLoader(f"gpu_{name}", str(HERE / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


run = load("run")


def row(batch, precision, name, steps, **more):
    return (
        dict(
            batch=batch,
            precision=precision,
            name=name,
            steps_per_s=steps,
            tflops=1,
            of_limit=None,
            to_best_peer=None,
            device_mib=1,
            rounds="1/1",
            least=1,
            most=2,
        )
        | more
    )


class Verdicts(unittest.TestCase):
    def verdict(self, numbers, *parts):
        found = [n for n in numbers if all(part in n["name"] for part in parts)]
        self.assertEqual(1, len(found), (parts, found))
        return found[0]["verdict"]

    def report(self, ratio, steps, nodes=8):
        table = []
        for batch in (256, 4096, 65536):
            for precision in ("bf16", "tf32"):
                engine = "a step is a graph of 8 nodes, networks fused"
                table.append(row(batch, precision, "ours", steps, to_best_peer=ratio, nodes=nodes, engine=engine))
                table.append(row(batch, precision, "torch-graph", steps / ratio))
        return dict(step=dict(table=table), replay=dict(of_pinned_copy=0.81), calls=dict(synchronisations_in_run=0.0))

    checks = [
        dict(name="ops, default", good=True, found="5 passed", target=""),
        dict(name="parameters after 100 steps in fp32, beside cpu", good=True, found="1e-6", target=""),
        dict(name="losses in tf32 over 1000 steps, beside fp32", good=True, found="0.1 %", target=""),
        dict(name="losses in bf16 over 1000 steps, beside fp32", good=False, found="2 %", target=""),
    ]

    def test_nothing_measured_is_open(self):
        numbers = run.verdicts({}, [], False)
        self.assertEqual({"open"}, {n["verdict"] for n in numbers})
        self.assertEqual(17, len(numbers))

    def test_met_and_missed(self):
        numbers = run.verdicts(self.report(2.5, 2000), self.checks, False)
        self.assertEqual("met", self.verdict(numbers, "each op"))
        self.assertEqual("missed", self.verdict(numbers, "losses in bf16"))
        self.assertEqual("open", self.verdict(numbers, "memcheck"))
        self.assertEqual("missed", self.verdict(numbers, "best peer", "256", "tf32"))
        self.assertEqual("met", self.verdict(numbers, "best peer", "4,096", "tf32"))
        self.assertEqual("met", self.verdict(numbers, "best peer", "65,536", "bf16"))
        self.assertEqual("met", self.verdict(numbers, "steps/s at batch 4,096"))
        self.assertEqual("missed", self.verdict(run.verdicts(self.report(2.5, 1000), [], False), "steps/s at batch 4,096"))
        self.assertEqual("met", self.verdict(numbers, "streamed"))
        self.assertEqual("met", self.verdict(numbers, "graph nodes"))
        self.assertEqual("missed", self.verdict(run.verdicts(self.report(2.5, 1000, nodes=9), [], False), "graph nodes"))

    def test_no_speed_of_the_emulated_device_counts(self):
        numbers = run.verdicts(self.report(100, 1e6), self.checks, True)
        for n in numbers:
            if "steps/s" in n["name"] or "streamed" in n["name"] or "synchronisations" in n["name"]:
                self.assertEqual("open", n["verdict"])
                self.assertIn("not a measurement", n["found"])
        self.assertEqual("met, emulated", self.verdict(numbers, "each op"))


class Parts(unittest.TestCase):
    def test_ncu_output(self):
        metrics = list(run.NCU_METRICS)
        quoted = lambda values: ",".join(f'"{v}"' for v in values)
        lines = [
            "==PROF== Connected to process 1",
            quoted(["ID", "Kernel Name", *metrics]),
            quoted(["", "", "nsecond", *["%"] * 5, "register/thread"]),
        ]
        lines += [
            quoted([k, name, time, 50, 60, 70, 80, 90, 128])
            for k, (name, time) in enumerate([("a", "1,000"), ("b", "3,000"), ("a", "1,000"), ("c", "10")])
        ]
        rows = run.ncu_rows("\n".join(lines))
        top = run.heaviest(rows, 2)
        self.assertEqual([("b", 1, 3.0), ("a", 2, 2.0)], [(k["kernel"], k["launches"], k["us"]) for k in top])
        self.assertAlmostEqual(50, top[1]["compute %"])
        self.assertEqual([], run.ncu_rows("==ERROR== ERR_NVGPUCTRPERM"))

    def test_report_and_chart_of_any_outcome(self):
        environment = dict(date="", commit="x|y", command="", back_end="", processor="", system="", peers={}, tools=dict(ncu=None))
        table = [row(256, "bf16", "ours", 10.0, engine=""), dict(batch=256, precision="bf16", name="jax-jit", error="a | b")]
        for emulated in (False, True):
            for extra in (
                {},
                dict(step=dict(table=table), limits=dict(product_size=8, fp32_tflops=1, tf32_tflops=2, bf16_tflops=3, pinned_copy_bytes_per_s=1e9)),
            ):
                sections = dict(ncu=dict(state="not available", text="no ncu"))
                result = dict(good=False, emulated=emulated, seconds=1, checks=[], numbers=[], sections=sections, environment=environment, **extra)
                text, picture = run.markdown(result), run.chart(result)
                self.assertEqual(emulated, "EMULATED" in text)
                self.assertEqual(emulated, "EMULATED" in picture)
                self.assertIn("no ncu", text)
        self.assertIn("a \\| b", text)

    def test_options_are_the_engines(self):
        header = ROOT / "native/include/unifiedrl.h"
        if not header.exists():
            self.skipTest("no sources here")
        text = header.read_text()
        engine = load("engine.py")
        struct = text[text.index("typedef struct unifiedrl_options {") :].split("}")[0]
        names = [line.split(";")[0].split()[-1] for line in struct.splitlines() if line.startswith("  ") and ";" in line]
        self.assertEqual(names, [name for name, *_ in engine.Options._fields_])
        for name, code in (("SAMPLE", engine.SAMPLE), ("MLP_BACKWARD_INPUT", engine.BACKWARD_INPUT), ("METRIC", engine.METRIC)):
            self.assertIn(f"#define UNIFIEDRL_OP_{name} {code}\n", text)
        self.assertIn(f"#define UNIFIEDRL_ABI_VERSION {engine.Library.ABI_VERSION}\n", text)


class Libraries(unittest.TestCase):
    """The suite's verdict on whole libraries."""

    def setUp(self):
        if CUDA is None:
            self.skipTest("no --cuda-library")
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def suite(self, library, sections, **environment):
        command = [sys.executable, str(HERE / "run"), "--out", str(self.folder), "--quick", "--cuda-library", str(library), "--only", *sections]
        done = subprocess.run(command, env=dict(os.environ, **environment), capture_output=True, text=True)
        file = self.folder / "gpu.json"
        return done, json.loads(file.read_text()) if file.exists() else None

    def test_a_right_library_passes(self):
        done, result = self.suite(CUDA, ["parity"])
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertTrue(result["good"])

    def test_a_wrong_library_fails(self):
        compiler = shutil.which("cc")
        if compiler is None or not (ROOT / "native/include").exists():
            self.skipTest("no C compiler, or no headers")
        wrong = self.folder / "wrong.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-I", ROOT / "native/include", HERE / "wrong.c", "-o", wrong, "-ldl"]
        subprocess.run(command, check=True)
        right = dict(UNIFIEDRL_RIGHT_LIBRARY=str(CUDA))
        done, result = self.suite(wrong, ["parity"], UNIFIEDRL_WRONG_BY="0", **right)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        done, result = self.suite(wrong, ["parity"], UNIFIEDRL_WRONG_BY="0.01", **right)
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        self.assertEqual(["parameters after 100 steps in fp32, beside cpu"], [c["name"] for c in result["checks"] if not c["good"]])

    def test_what_compute_sanitizer_finds_fails(self):
        """With a script in its place: the device's own tools are not here."""
        tool = self.folder / "compute-sanitizer"
        script = '#!/bin/sh\ntool=$2\nshift 4\n"$@" || exit\n'
        script += 'if [ $tool = racecheck ]; then echo "========= Error: Race reported between Write access at unifiedrl::cuda::k"; '
        script += 'echo "========= RACECHECK SUMMARY: 1 hazard"; exit 99; fi\necho "========= ERROR SUMMARY: 0 errors"\n'
        tool.write_text(script)
        tool.chmod(0o755)
        options = dict(out=self.folder, quick=True, emulated=True, cuda_library=str(CUDA), python=sys.executable, minutes=5, only=None)
        path = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = f"{self.folder}:{path}"
        suite = run.Suite(argparse.Namespace(**options))
        suite.say, suite.emulated = lambda text: None, False
        found = suite.sanitizer()
        good = {check["name"].split()[-1]: check["good"] for check in suite.checks}
        self.assertEqual(dict(memcheck=True, racecheck=False, synccheck=True), good)
        self.assertIn("unifiedrl::cuda::k", found["racecheck"]["findings"][0])

    def test_no_library_at_all_fails(self):
        nothing = self.folder / "nothing.so"
        nothing.write_text("no library")
        done, result = self.suite(nothing, ["parity"])
        self.assertEqual(1, done.returncode)
        self.assertIsNone(result)
        self.assertIn("nothing.so", done.stderr)


if __name__ == "__main__":
    if "--cuda-library" in sys.argv:
        at = sys.argv.index("--cuda-library")
        CUDA = Path(sys.argv[at + 1]).resolve()
        del sys.argv[at : at + 2]
    unittest.main()
