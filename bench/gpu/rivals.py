"""What other libraries take on the same GPU for the same models, where they are installed: XGBoost's GPU predictor, FIL or
nvForest, PyTorch. Medians from a host array to scores on the host, fresh random rows each time.

    python3 bench/gpu/rivals.py forest.ubj network.onnx
"""

import importlib
import sys
import time

SIZES = [1, 8, 64, 512, 1024, 4096, 16384, 65536]
SECONDS = 0.5


def module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"SKIPPED {name}: not installed here")
        return None


def median_us(score, rows, n, numpy):
    random = numpy.random.default_rng(n)
    times = []
    for i in range(3):
        score(rows[random.integers(0, len(rows), n)])
    end = time.perf_counter() + SECONDS
    while len(times) < 5 or time.perf_counter() < end:
        picked = rows[random.integers(0, len(rows), n)]
        start = time.perf_counter()
        score(picked)
        times.append((time.perf_counter() - start) * 1e6)
    return float(numpy.median(times))


def table(name, score, rows, numpy):
    for n in SIZES:
        us = median_us(score, rows, n, numpy)
        print(f"{name:24} {n:8} rows  {us:12.1f} us  {n / us:10.3f} M rows/s", flush=True)


def xgboost_predictor(path, numpy):
    xgboost = module("xgboost")
    if not xgboost:
        return None
    booster = xgboost.Booster(model_file=path, params={"device": "cuda"})
    cupy = module("cupy")
    return (lambda rows: booster.inplace_predict(cupy.asarray(rows)).get()) if cupy else booster.inplace_predict


def fil(path, numpy):
    for name in ("nvforest", "cuml.fil"):
        library = module(name)
        if library:
            load = getattr(library, "load_model", None) or library.ForestInference.load
            model = load(path)
            predict = getattr(model, "predict_proba", None) or model.predict
            return lambda rows: numpy.asarray(predict(rows))
    return None


def pytorch(path, numpy):
    torch, onnx = module("torch"), module("onnx")
    if not torch or not onnx or not torch.cuda.is_available():
        return None
    weights = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in onnx.load(path).graph.initializer}
    layers = []
    for i in range(len(weights) // 2):
        layer = torch.nn.Linear(*weights[f"w{i}"].shape)
        layer.weight.data, layer.bias.data = weights[f"w{i}"].T.contiguous(), weights[f"b{i}"]
        layers += [layer, torch.nn.ReLU()]
    layers[-1] = torch.nn.Sigmoid()
    net = torch.nn.Sequential(*layers).cuda().eval()

    def score(rows):
        with torch.inference_mode():
            return net(torch.from_numpy(rows).cuda(non_blocking=True)).cpu()
    return score


def main(forest, network):
    numpy = module("numpy")
    if not numpy:
        return
    rows = numpy.random.default_rng(1).uniform(-2, 2, (1 << 17, 64)).astype(numpy.float32)
    for name, make, path in (("XGBoost, GPU", xgboost_predictor, forest), ("FIL / nvForest", fil, forest), ("PyTorch", pytorch, network)):
        try:
            score = make(path, numpy)
            if score:
                table(name, score, rows, numpy)
        except Exception as e:  # a rival that fails is no failure of ours
            print(f"SKIPPED {name}: {e}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
