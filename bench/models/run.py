#!/usr/bin/env python3
"""Measures Assay against the libraries that compute tree models, or networks, on the same models and the same fresh rows.

    bench/models/run.py [--networks] [--rounds N] [--only WORD] [--out DIR] [--no-compiled] [--prepare]

It makes a virtual environment under build/bench-models, installs there whichever rivals can be had, trains the models
(once; they are kept), checks that everybody computes the same scores, and then measures all of them in turn, round after
round, one thread each: the median of the rounds counts. What could not be installed or started is listed as skipped, with
the reason. Writes results.json, results.md and results.svg (of networks: networks.json, .md, .svg), which keep what earlier
runs measured of other models: --only and --prepare cut a long measurement into short ones. PyTorch takes part where the
environment has it: its wheels are too large to fetch unasked.
"""
import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "build" / "bench-models"

# What each rival needs. Training and reading rows need the first line.
PACKAGES = [["numpy", "scipy"], ["xgboost"], ["lightgbm"], ["onnxruntime"], ["onnx", "onnxmltools", "skl2onnx"],
            ["treelite", "tl2cgen"], ["scikit-learn-intelex"], ["llvmlite==0.44.0", "lleaves"]]
NETWORK_PACKAGES = [["numpy", "scipy"], ["onnxruntime"], ["onnx", "scikit-learn", "skl2onnx"]]


def make_environment(wanted):
    """The virtual environment's python, and what could not be installed: {package: reason}."""
    python = HOME / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME / "venv"], check=True)
    missing = {}
    for packages in wanted:
        marker = HOME / "venv" / "-".join(["installed"] + [package.split("=")[0] for package in packages])
        if marker.exists():
            continue
        print("installing", *packages, flush=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            marker.touch()
        else:
            missing[packages[-1]] = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip failed"
    return python, missing


def build_contenders():
    """The shared library with Assay and the timing loops."""
    build = ROOT / "build" / "release"
    if not (build / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build, "--target", "assay-contenders"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return build / "libassay-contenders.so"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds over all contenders; the median counts (default 15)")
    parser.add_argument("--only", default="", help="models whose name has this word in it")
    parser.add_argument("--networks", action="store_true", help="networks instead of tree models")
    parser.add_argument("--no-compiled", action="store_true", help="leave out tl2cgen and lleaves, which compile for minutes")
    parser.add_argument("--prepare", action="store_true", help="install, train, convert and compile, but measure nothing")
    parser.add_argument("--out", type=pathlib.Path, default=HOME, help="where the results go (default build/bench-models)")
    options = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    library = build_contenders()
    python, missing = make_environment(NETWORK_PACKAGES if options.networks else PACKAGES)
    for package, reason in missing.items():
        print(f"skipped: {package} cannot be installed here: {reason}", flush=True)
    script = "measure_networks.py" if options.networks else "measure.py"
    command = [python, pathlib.Path(__file__).with_name(script), "--library", library, "--home", HOME, "--out", options.out,
               "--rounds", str(options.rounds), "--only", options.only]
    command += ["--no-compiled"] * options.no_compiled + ["--prepare"] * options.prepare
    # OpenBLAS chooses its kernels itself, for one thread.
    environment = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environment.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
