"""Every family of golden models as a bundle behind HTTP: the scores of `assay model predict`, to the bit.

One server a model; each row goes through JSON, features, engine and record. Rows that JSON can't hold (infinities) are
left out, a missing value is null. With ASSAY_TEST_ALL=1 every golden case goes this way, else those listed and the small ones.
"""

import csv
import json
import math
import os
import struct

import pytest

from support import SHARED, SOURCE, Server, run

SMALL = SOURCE / "tests/fixtures/golden"  # written by XGBoost 1.0 to 3.4

# One or more of each family: library, version, objective, kind of split.
FAMILIES = [
    "xgb-logistic-hist-json", "xgb-logistic-hist-ubj", "xgb-many-missing", "xgb-exact-pruned", "xgb-boosted-rf", "xgb-random-forest",
    "xgb-dart-json", "xgb-cat-partition", "xgb-cat-onehot", "xgb-softprob4", "xgb-poisson", "xgb-hinge", "xgb-squarederror", "xgb-rank",
    "xgb-wide", "xgb176-ubj", "xgb21-logistic", "lgb-binary", "lgb-cat-many", "lgb-rf", "lgb-dart", "lgb-linear", "lgb-multiclass",
    "lgb-ova", "lgb-zero-as-missing", "lgb-use-missing-false", "lgb-poisson", "lgb-xentlambda", "lgb-regression-sqrt", "lgb335-binary",
    "onnx-rf-4class", "onnx-gb", "onnx-lightgbm", "onnx-dt", "onnx-histgb", "onnx-xgboost", "onnx-treeensemble-v5", "onnx-isolation-forest",
    "onnx-net-embedding", "onnx-mlp-4class",
    "onnx-pipe-imputer-rf", "torch-residual-dynamo-external", "xgb-gblinear", "catboost-json-nan", "fdh/xgb-500x8", "fdh/lgb-80x127",
]


def find_cases():
    """{name: folder} of those that are here."""
    names = [path.parent.name for path in SMALL.glob("*/case.json")] + FAMILIES
    if os.environ.get("ASSAY_TEST_ALL"):
        names += [path.parent.name for path in (SHARED / "golden").glob("*/case.json")]
    return {name: SMALL / name if (SMALL / name).is_dir() else SHARED / "golden" / name for name in sorted(set(names))}


CASES = find_cases()


def write_bundle(folder, model, names, output):
    fields = "".join(f"  x{i}: {{type: number}}\n" for i in range(len(names)))
    features = "".join(f"  - {json.dumps(name, ensure_ascii=False)}: x{i}\n" for i, name in enumerate(names))
    folder.mkdir()
    for file in model.parent.glob(f"{model.name}*"):  # PyTorch writes a data file beside the model
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "bundle.yaml").write_text(
        "name: golden\nversion: '1'\ntransaction:\n  id: {type: id}\n  time: {type: time, unit: s}\n" + fields + "features:\n" + features +
        f"model: {{file: {model.name}, output: {output}}}\npolicy: {{review: 0.5}}\n")
    return folder


def read_rows(path):
    """The names, and the rows that JSON can hold with their numbers in the file."""
    with open(path, newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    rows = [(i, [float(v) if v else math.nan for v in row]) for i, row in enumerate(table[1:])]
    return table[0], [(i, row) for i, row in rows if not any(math.isinf(v) for v in row)]


def document(number, row):
    values = ",".join(f'"x{i}":{"null" if math.isnan(v) else repr(v)}' for i, v in enumerate(row))
    return f'{{"id":{number},"time":1,{values}}}'


def bits(value, width):
    return struct.pack(">d" if width == 16 else ">f", value).hex()


def test_every_writer_is_among_them():
    """A golden case of a library, or of a version of it, that is not tried here would go unnoticed."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"{SHARED}/golden is absent: only the cases of tests/fixtures/golden are tried")
    writers = {path.parent.name.split("-")[0] for path in (SHARED / "golden").glob("*/case.json")} - {"torch"}  # network_test.py
    assert writers <= {name.split("-")[0] for name in CASES}


@pytest.mark.parametrize("case", CASES)
def test_http_gives_the_bits_of_predict(case, tmp_path):
    folder = CASES[case]
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    model = next(p for p in folder.iterdir() if p.name.startswith("model."))
    names, rows = read_rows(folder / "rows.csv")
    result = run("model", "predict", model, folder / "rows.csv")
    if result.code != 0 and case not in FAMILIES:
        pytest.skip(f"refused: {result.err.strip()}")
    predicted = list(csv.DictReader(result.out.splitlines()))
    # With several scores the last is the bundle's.
    columns = [c for c in predicted[0] if c.startswith("score") and c.endswith("_bits")]
    bundle = write_bundle(tmp_path / "golden", model, names, len(columns) - 1)
    with Server(tmp_path, {"bundle": str(bundle), "dedupe_s": 0}) as server:
        body = "\n".join(document(i, row) for i, row in rows)
        answer = server.request("POST", "/v1/score", body.encode(), {"Content-Type": "application/x-ndjson"})
        assert answer.status == 200, answer
        results = [json.loads(line) for line in answer.body.splitlines()]
        assert server.stop() == 0
    assert len(results) == len(rows)
    for (i, _), result in zip(rows, results):
        want = predicted[i][columns[-1]]
        score = result["score"]
        assert score is not None or "nan" in predicted[i][columns[-1][:-5]].lower(), f"row {i}"
        if score is not None:
            assert bits(score, len(want)) == want, f"row {i}: {result['score']}, bits {want} expected"
