"""Measures networks; run.py --networks starts this in the virtual environment."""
import argparse
import ctypes
import importlib.metadata
import json
import os
import pathlib
import statistics

import numpy

import contenders
import measure
import networks
import picture

BATCHES = [1, 2, 8, 64, 256, 1024]
ROWS = 4096


def versions():
    found = []
    for package in ("onnxruntime", "numpy", "torch"):
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            pass
    return ", ".join(found)


def openblas(library, widths):
    """A chain of sgemm, by the OpenBLAS that numpy brings along."""
    folder = pathlib.Path(numpy.__file__).parent.parent / "numpy.libs"
    found = sorted(folder.glob("libscipy_openblas64*.so"))
    if not found:
        raise RuntimeError("this numpy brings no OpenBLAS")
    parts = [numpy.ascontiguousarray(p) for pair in networks.weights(widths, 1) for p in pair]
    pointers = (ctypes.c_void_p * len(parts))(*(p.ctypes.data for p in parts))
    sizes = (ctypes.c_uint32 * len(widths))(*widths)
    contender = library.open("contender_openblas", str(found[0]).encode(), sizes, pointers, ctypes.c_uint32(len(widths) - 1))
    contender.keep = parts, sizes, pointers
    return contender


def pytorch(library, widths):
    import torch
    torch.set_num_threads(1)
    modules = []
    for w, b in networks.weights(widths, 1):
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data, linear.bias.data = torch.from_numpy(w.T.copy()), torch.from_numpy(b)
        modules += [linear, torch.nn.ReLU()]
    network = torch.jit.freeze(torch.jit.script(torch.nn.Sequential(*modules[:-1], torch.nn.Sigmoid()).eval()))

    def predict(x):
        with torch.inference_mode():
            return network(torch.from_numpy(x))

    return contenders.InPython(library, predict, lambda r: r.numpy()[:, 0].astype(float))


def all_of(library, name, path):
    """Yields (name, function that makes it); making may raise, with the reason to skip it."""
    model, network = str(path).encode(), networks.NETWORKS[name]
    output, width, column = network.get("output", ("score", 1, 0))
    for who, engine in contenders.ASSAY_ENGINES:
        yield who, lambda engine=engine: library.open("contender_assay", engine.encode(), model)
    yield "ONNX Runtime", lambda: library.open(
        "contender_onnx", contenders.shared_library("onnxruntime", "libonnxruntime.so*"), model, output.encode(),
        ctypes.c_uint32(width), ctypes.c_uint32(column))
    if "widths" in network:
        yield "OpenBLAS, sgemm by layer", lambda: openblas(library, network["widths"])
        yield "PyTorch (from Python)", lambda: pytorch(library, network["widths"])


def start_all(library, name, path):
    started, skipped, expected = {}, {}, None
    for who, make in all_of(library, name, path):
        try:
            contender = make()
            scores = contender.scores(256)
        except Exception as reason:  # whatever a rival raises: it is skipped, visibly
            skipped[who] = str(reason).strip().splitlines()[0] if str(reason).strip() else type(reason).__name__
            continue
        expected = scores if expected is None else expected
        if numpy.max(numpy.abs(scores - expected)) < 1e-5:
            started[who] = contender
        else:
            skipped[who] = f"other scores than Assay's: {scores[:2]} instead of {expected[:2]}"
    for who, reason in skipped.items():
        print(f"  skipped: {who}: {reason}", flush=True)
    return started, skipped


def shown(us):
    return f"{us:,.2f}" if us < 100 else f"{us:,.0f}"


def table(result):
    us, lines = result["us"], [f"**{result['model']}**", ""]
    lines += ["| µs per call, rows: | " + " | ".join(str(n) for n in BATCHES) + " |", "|---|" + "---:|" * len(BATCHES)]
    for who, figures in us.items():
        lines.append(f"| {who} | " + " | ".join(shown(figures[str(n)]) for n in BATCHES) + " |")
    for rival in [r for r in us if not r.startswith("Assay")]:
        lines.append(f"| *{rival} / Assay* | " + " | ".join(f"{us[rival][str(n)] / us['Assay'][str(n)]:.2f} ×" for n in BATCHES) + " |")
    shares = (result["flops"] * n / us["Assay"][str(n)] * 1e-3 / result["peak_gflops"] for n in BATCHES)
    lines.append("| *Assay, share of the fp32 peak* | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    return "\n".join(lines) + "\n"


def measure_network(name, options):
    print(name, flush=True)
    path = networks.file_of(name, options.home)
    library = contenders.Library(options.library, networks.rows(name, ROWS, 3))
    library.c.contender_peak_gflops.restype = ctypes.c_double
    started, skipped = start_all(library, name, path)
    if options.prepare:
        return None
    measure.BATCHES = BATCHES
    peak = library.c.contender_peak_gflops()
    samples = measure.measure(started, options.rounds)
    peak = max(peak, library.c.contender_peak_gflops())
    medians = {who: {str(n): statistics.median(samples[who][n]) for n in BATCHES} for who in samples}
    result = {"model": name, "us": medians, "flops": networks.NETWORKS[name]["flops"], "peak_gflops": peak, "skipped": skipped,
              "machine": f"{measure.processor()}, one thread, processor time per call, median of {options.rounds} rounds in turn, "
                         f"load {os.getloadavg()[0]:.1f}, fp32 peak {peak:.0f} GFLOP/s; {versions()}",
              "kernels": {who: c.describe().splitlines() for who, c in started.items() if who.startswith("Assay")}}
    print(table(result), flush=True)
    return result


def write(results, out):
    (out / "networks.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = []
    for result in results:
        text += [table(result), f"*{result['machine']}*\n"]
        text += [f"Skipped: {who}: {reason}\n" for who, reason in result["skipped"].items()]
    (out / "networks.md").write_text("\n".join(text), encoding="utf-8")
    (out / "networks.svg").write_text(picture.draw(results, BATCHES), encoding="utf-8")
    print(f"written: {out}/networks.json, networks.md, networks.svg")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--home", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--only", required=True)
    parser.add_argument("--no-compiled", action="store_true")  # nothing is compiled here
    parser.add_argument("--prepare", action="store_true")
    options = parser.parse_args()
    measured = [measure_network(name, options) for name in networks.NETWORKS if options.only in name]
    if not options.prepare:
        write(measure.merged(measured, options.out / "networks.json", networks.NETWORKS), options.out)


if __name__ == "__main__":
    main()
