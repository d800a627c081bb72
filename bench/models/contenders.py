"""Everybody who computes a model: Assay and the rivals through contenders.h, oneDAL through Python, which has no C API."""
import ctypes
import importlib.util
import pathlib
import subprocess
import sys
import time

import numpy

ASSAY_ENGINES = [("Assay", "cpu"), ("Assay, AVX2", "cpu-avx2"), ("Assay, scalar", "cpu-scalar")]


class Rows(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint32), ("columns", ctypes.c_uint32), ("f32", ctypes.c_void_p), ("f64", ctypes.c_void_p)]


class Library:
    """libassay-contenders.so with the rows that all are measured on."""

    def __init__(self, path, rows):
        self.c = ctypes.CDLL(str(path))
        self.f32 = numpy.ascontiguousarray(rows, dtype=numpy.float32)
        self.f64 = numpy.ascontiguousarray(rows, dtype=numpy.float64)
        self.rows = Rows(len(rows), rows.shape[1], self.f32.ctypes.data, self.f64.ctypes.data)
        self.c.contender_time.restype = ctypes.c_double
        self.c.contender_assay_describe.restype = ctypes.c_char_p

    def open(self, function, *arguments):
        error = ctypes.create_string_buffer(512)
        make = getattr(self.c, function)
        make.restype = ctypes.c_void_p
        handle = make(ctypes.byref(self.rows), *arguments, error, ctypes.c_size_t(len(error)))
        if not handle:
            raise RuntimeError(error.value.decode() or "out of memory")
        return InC(self, ctypes.c_void_p(handle))


class InC:
    def __init__(self, library, handle):
        self.library, self.handle = library, handle

    def scores(self, n):
        out = numpy.zeros(n)
        if self.library.c.contender_run(self.handle, 0, n, ctypes.c_void_p(out.ctypes.data)) != 0:
            raise RuntimeError("it failed to compute")
        return out

    def time_us(self, first, n, calls):
        return self.library.c.contender_time(self.handle, first, n, calls)

    def describe(self):
        return self.library.c.contender_assay_describe(self.handle).decode()


class InPython:
    def __init__(self, library, predict, result):
        self.library, self.predict, self.result = library, predict, result

    def scores(self, n):
        return self.result(self.predict(self.library.f32[:n]))

    def time_us(self, first, n, calls):
        rows, at = self.library.f32, first % len(self.library.f32)
        start = time.thread_time()
        for _ in range(calls):
            at = 0 if at + n > len(rows) else at
            self.predict(rows[at:at + n])
            at += n
        return (time.thread_time() - start) * 1e6 / calls


def shared_library(package, pattern):
    spec = importlib.util.find_spec(package)
    if not spec:
        raise RuntimeError(f"{package} is not installed")
    found = sorted(pathlib.Path(spec.submodule_search_locations[0]).rglob(pattern))
    if not found:
        raise RuntimeError(f"{package} holds no {pattern}")
    return str(found[0]).encode()


def onnx_model(kind, path):
    """The model converted to ONNX, beside it."""
    out = path.with_suffix(".onnx")
    if out.exists():
        return out
    from onnxmltools.convert.common.data_types import FloatTensorType
    import onnxmltools
    types = [("input", FloatTensorType([None, 30]))]
    if kind == "xgboost":
        import xgboost
        booster = xgboost.Booster(model_file=str(path))
        converted = onnxmltools.convert_xgboost(booster, initial_types=types)
    else:
        import lightgbm
        converted = onnxmltools.convert_lightgbm(lightgbm.Booster(model_file=str(path)), initial_types=types, zipmap=False)
    out.write_bytes(converted.SerializeToString())
    return out


def treelite_library(kind, path):
    """The model compiled by tl2cgen and gcc -O3, beside it."""
    out = path.with_suffix(".tl2cgen.so")
    if out.exists():
        return out
    import tl2cgen
    import treelite
    load = treelite.frontend.load_xgboost_model if kind == "xgboost" else treelite.frontend.load_lightgbm_model
    tl2cgen.export_lib(load(path), toolchain="gcc", libpath=out, params={"parallel_comp": 32, "quantize": 0}, options=["-O3"], nthread=1)
    return out


def onedal(library, kind, path):
    import daal4py
    daal4py.daalinit(1)
    if kind == "xgboost":
        import xgboost
        booster = xgboost.Booster(model_file=str(path))
    else:
        import lightgbm
        booster = lightgbm.Booster(model_file=str(path))
    model = daal4py.mb.convert_model(booster)
    is_regression = getattr(model, "_is_regression", False)
    algorithms = {}  # one for each batch size: it keeps the table of its last answer

    def predict(x):
        if len(x) not in algorithms:
            algorithms[len(x)] = daal4py.gbt_regression_prediction(fptype="float") if is_regression else \
                daal4py.gbt_classification_prediction(nClasses=2, resultsToEvaluate="computeClassProbabilities", fptype="float")
        return algorithms[len(x)].compute(x, model.daal_model_)

    return InPython(library, predict, lambda r: r.prediction[:, 0] if is_regression else r.probabilities[:, 1])


COMPILE_LIMIT_S = 500  # for lleaves, whose compiler takes more than proportionally longer for larger trees


def lleaves_object(path, wide):
    """The model compiled by lleaves, beside it; what took too long once is not tried again."""
    out = path.with_suffix(".lleaves-f64.o" if wide else ".lleaves-f32.o")
    gave_up = out.with_suffix(".gave-up")
    if not out.exists() and not gave_up.exists():
        program = f"import lleaves; m = lleaves.Model(model_file={str(path)!r}); m.compile(cache={str(out)!r}, use_fp64={wide}, raw_score=True)"
        try:
            subprocess.run([sys.executable, "-c", program], check=True, timeout=COMPILE_LIMIT_S)
        except subprocess.TimeoutExpired:
            gave_up.touch()
    if not out.exists():
        raise RuntimeError(f"it does not compile this model within {COMPILE_LIMIT_S} s")
    return out


def lleaves(library, path, wide):
    import lleaves as package
    model = package.Model(model_file=str(path))
    model.compile(cache=str(lleaves_object(path, wide)), use_fp64=wide, raw_score=True)
    function = ctypes.cast(model._c_entry_func, ctypes.c_void_p)
    contender = library.open("contender_lleaves", function, ctypes.c_int(wide))
    contender.keep = model
    return contender


def all_of(library, kind, path, compiled):
    """Yields (name, what its scores are, function that makes it); making may raise, with the reason to skip it."""
    model = str(path).encode()
    for name, engine in ASSAY_ENGINES:
        yield name, "margin", lambda engine=engine: library.open("contender_assay", engine.encode(), model)
    if kind == "xgboost":
        yield "XGBoost", "margin", lambda: library.open("contender_xgboost", shared_library("xgboost", "libxgboost.so"), model)
    else:
        lightgbm = lambda single: library.open("contender_lightgbm", shared_library("lightgbm", "lib_lightgbm.so"), model, ctypes.c_int(single))
        yield "LightGBM, single row fast", "margin", lambda: lightgbm(1)
        yield "LightGBM, batches", "margin", lambda: lightgbm(0)
    yield "ONNX Runtime", "probability", lambda: library.open(
        "contender_onnx", shared_library("onnxruntime", "libonnxruntime.so*"), str(onnx_model(kind, path)).encode(), b"probabilities",
        ctypes.c_uint32(2), ctypes.c_uint32(1))  # the second class
    yield "oneDAL (from Python)", "probability", lambda: onedal(library, kind, path)
    if compiled:
        yield "tl2cgen", "margin", lambda: library.open("contender_tl2cgen", str(treelite_library(kind, path)).encode(), ctypes.c_int(kind == "lightgbm"))
    if compiled and kind == "lightgbm":
        yield "lleaves, float32", "margin", lambda: lleaves(library, path, False)
        yield "lleaves, float64", "margin", lambda: lleaves(library, path, True)
