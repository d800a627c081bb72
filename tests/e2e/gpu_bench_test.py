"""gpu_bench, which a GPU machine runs for figures, here on fake devices: its arithmetic, its table and its JSON."""

import json
import os
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(os.environ.get("ASSAY_SOURCE") or Path(__file__).resolve().parents[2])
BUILD = Path(os.environ.get("ASSAY") or SOURCE / "build/release/assay").parent
MODULE = BUILD / "tools/libassay-cuda-fake.so"
FOREST = SOURCE / "config/bundles/card-fraud/model.json"
NETWORK = SOURCE / "config/bundles/card-network/model.onnx"


def bench(*args, fake=""):
    return subprocess.run([BUILD / "gpu_bench", "--options", f"module={MODULE}", *map(str, args)], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "ASSAY_FAKE_CUDA": fake})


def test_models_are_checked_to_the_bit():
    done = bench("--check", FOREST, NETWORK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("to the bit") == 2


def test_figures_follow_the_device(tmp_path):
    """A device that takes 2 ms a launch and nothing a row: no batch can be faster, and few are slower by much."""
    done = bench("--seconds", 0.2, "--json", tmp_path / "gpu.json", NETWORK, fake="fixed_us=2000,row_us=0")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert "fake GPU" in report["device"]
    (model,) = report["models"]
    sizes = model["sizes"]
    assert [s["rows"] for s in sizes] == [1, 8, 64, 512, 1024, 4096, 16384, 65536]
    for size in sizes:
        for engine in ("gpu", "cpu"):
            latency = size[engine]
            assert 0 < latency["p50_us"] <= latency["p99_us"] <= latency["p999_us"] and latency["samples"] >= 3
        assert size["gpu"]["p50_us"] >= 2000
    assert model["rows_per_s"] > 0
    assert "pipeline full" in done.stdout and done.stdout.count("\n") > 12


def test_the_crossover_lies_where_the_gpu_becomes_the_faster_one(tmp_path):
    done = bench("--seconds", 0.05, "--json", tmp_path / "gpu.json", NETWORK, fake="fixed_us=10000,row_us=0")
    assert done.returncode == 0, done.stdout + done.stderr
    (model,) = json.loads((tmp_path / "gpu.json").read_text())["models"]
    faster = [s["gpu"]["p50_us"] <= s["cpu"]["p50_us"] for s in model["sizes"]]
    assert not faster[0]  # ten milliseconds for one row
    if faster[-1]:
        assert model["crossover_rows"] > 1
    else:
        assert model["crossover_rows"] == 0 and "never faster" in done.stdout


@pytest.mark.parametrize("args, code, words", [((), 2, "usage"), (("nothing.onnx",), 1, "nothing.onnx")])
def test_mistakes_are_said(args, code, words):
    done = bench(*args)
    assert done.returncode == code
    assert words in done.stdout + done.stderr


def test_a_machine_without_a_driver_is_told():
    done = bench(NETWORK, fake="devices=0")
    assert done.returncode == 1 and "no driver" in done.stdout
