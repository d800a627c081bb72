"""The networks that bench/models measures: random weights out of a seed, written as ONNX files of opset 17."""
import numpy

CATEGORIES = [14, 51, 3, 200, 1000, 24, 12, 400]  # of the wide & deep network's coded columns
NUMBERS = 16                                      # its plain ones


def weights(widths, seed):
    """[(weights [in][out], bias [out])] of dense layers, such that activations keep their size."""
    random = numpy.random.default_rng(seed)
    return [(random.normal(scale=(2 / a) ** 0.5, size=(a, b)).astype(numpy.float32), random.normal(scale=0.1, size=b).astype(numpy.float32))
            for a, b in zip(widths, widths[1:])]


def layers(nodes, constants, layer_weights, x, prefix):
    """Appends Gemm, and Relu between them; the name of what comes out."""
    from onnx import helper
    for i, (w, b) in enumerate(layer_weights):
        constants[f"{prefix}w{i}"], constants[f"{prefix}b{i}"] = w, b
        nodes.append(helper.make_node("Gemm", [x, f"{prefix}w{i}", f"{prefix}b{i}"], [f"{prefix}s{i}"]))
        x = f"{prefix}s{i}"
        if i + 1 < len(layer_weights):
            nodes.append(helper.make_node("Relu", [x], [f"{prefix}y{i}"]))
            x = f"{prefix}y{i}"
    return x


def save(path, nodes, constants, columns):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", columns])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="bench/models", ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def write_dense(path, widths):
    from onnx import helper
    nodes, constants = [], {}
    last = layers(nodes, constants, weights(widths, 1), "input", "")
    nodes.append(helper.make_node("Sigmoid", [last], ["score"]))
    save(path, nodes, constants, widths[0])


def write_wide_and_deep(path):
    """Numbers into a linear part; numbers and embeddings of 16 into a deep one of 256 and 128; their sum."""
    from onnx import helper
    random = numpy.random.default_rng(2)
    nodes, parts = [], ["numbers"]
    constants = {"zero": numpy.array([0], numpy.int64), "one": numpy.array([1], numpy.int64),
                 "middle": numpy.array([NUMBERS], numpy.int64), "end": numpy.array([NUMBERS + len(CATEGORIES)], numpy.int64)}
    nodes.append(helper.make_node("Slice", ["input", "zero", "middle", "one"], ["numbers"]))
    nodes.append(helper.make_node("Slice", ["input", "middle", "end", "one"], ["coded"]))
    nodes.append(helper.make_node("Cast", ["coded"], ["codes"], to=7))
    for i, rows in enumerate(CATEGORIES):
        constants[f"column{i}"] = numpy.array(i, numpy.int64)
        constants[f"table{i}"] = random.normal(scale=0.5, size=(rows, 16)).astype(numpy.float32)
        nodes.append(helper.make_node("Gather", ["codes", f"column{i}"], [f"code{i}"], axis=1))
        nodes.append(helper.make_node("Gather", [f"table{i}", f"code{i}"], [f"embedding{i}"], axis=0))
        parts.append(f"embedding{i}")
    nodes.append(helper.make_node("Concat", parts, ["joined"], axis=1))
    deep = layers(nodes, constants, weights([NUMBERS + 16 * len(CATEGORIES), 256, 128, 1], 3), "joined", "deep_")
    wide = layers(nodes, constants, weights([NUMBERS, 1], 4), "numbers", "wide_")
    nodes.append(helper.make_node("Add", [deep, wide], ["sum"]))
    nodes.append(helper.make_node("Sigmoid", ["sum"], ["score"]))
    save(path, nodes, constants, NUMBERS + len(CATEGORIES))


def write_logistic(path):
    """StandardScaler and LogisticRegression as scikit-learn fits them and skl2onnx writes them."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    random = numpy.random.default_rng(5)
    x = random.normal(size=(5000, 30)).astype(numpy.float32) * numpy.arange(1, 31, dtype=numpy.float32)
    y = (x @ random.normal(size=30) / numpy.arange(1, 31).mean() + random.normal(size=5000) > 0).astype(int)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    model = to_onnx(pipeline, x[:1], options={"zipmap": False}, target_opset=17)
    model.graph.input[0].name = "input"
    for node in model.graph.node:
        node.input[:] = ["input" if name == "X" else name for name in node.input]
    path.write_bytes(model.SerializeToString())


def dense(*widths):
    return {"write": lambda path: write_dense(path, widths), "widths": widths, "columns": widths[0],
            "flops": sum(2 * a * b for a, b in zip(widths, widths[1:]))}


DEEP = [NUMBERS + 16 * len(CATEGORIES), 256, 128, 1]

# write(path); columns of a row; flops of a row: multiplications and additions of the dense layers; widths: dense layers alone;
# output: name of the tensor, its columns, and the one that is the score.
NETWORKS = {
    "64-256-128-64-1": dense(64, 256, 128, 64, 1),
    "30-64-32-1": dense(30, 64, 32, 1),
    "wide & deep, 8 embeddings": {"write": write_wide_and_deep, "columns": NUMBERS + len(CATEGORIES),
                                  "flops": sum(2 * a * b for a, b in zip(DEEP, DEEP[1:])) + 2 * NUMBERS},
    "512-1024-512-1": dense(512, 1024, 512, 1),
    "scaler and logistic regression": {"write": write_logistic, "columns": 30, "flops": 60, "output": ("probabilities", 2, 1)},
}


def file_of(name, home):
    """Path of the network's file, written when it is not there yet."""
    path = home / "models" / ("network-" + "".join(c if c.isalnum() else "-" for c in name) + ".onnx")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        NETWORKS[name]["write"](path)
    return path


def rows(name, count, seed):
    """[count][columns]: standardised numbers, then codes where the network has coded columns."""
    random = numpy.random.default_rng(seed)
    columns = NETWORKS[name]["columns"]
    x = random.normal(size=(count, columns)).astype(numpy.float32)
    if name.startswith("wide"):
        for i, categories in enumerate(CATEGORIES):
            x[:, NUMBERS + i] = random.integers(0, categories, size=count)
    return numpy.ascontiguousarray(x)
