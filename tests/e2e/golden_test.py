"""Models as their libraries wrote them, against the libraries' own answers.

A case is a folder with model.*, rows.csv, expected.csv and case.json (tolerance, what counts as missing). A few tiny ones lie in
tests/fixtures/golden, written by XGBoost 1.0 to 3.4; the full set lies in $ASSAY_SHARED/golden, where that is present. Every case
is scored by `assay model predict`, or refused where that is right; none is passed over in silence.
"""

import csv
import io
import json
import math
import struct
import tempfile

import pytest

from support import SHARED, SOURCE, run

# Folders that are no case of this kind.
NOT_CASES = {"fdh/bundle": "whole transactions, not feature rows"}

counts = {"accepted": 0, "refused": 0, "damaged files": 0}


def find_cases():
    for root in (SOURCE / "tests/fixtures/golden", SHARED / "golden"):
        for path in sorted(root.glob("*/case.json")) + sorted(root.glob("fdh/*/case.json")):
            yield str(path.parent.relative_to(root)), path.parent


def find_refused():
    for root in (SOURCE / "tests/fixtures/golden", SHARED / "golden"):
        for path in sorted(root.glob("refuse/*/case.json")):
            yield path.parent.name, path.parent


CASES = [(name, path) for name, path in find_cases() if name not in NOT_CASES]
REFUSED = list(find_refused())


def test_the_shared_cases_are_there():
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"{SHARED}/golden is absent: only the {len(CASES)} cases of tests/fixtures/golden are checked")
    assert len(CASES) > 150 and len(REFUSED) > 30


def number(bits):
    return struct.unpack(">f" if len(bits) == 8 else ">d", bytes.fromhex(bits))[0]


def order(bits):
    """Bits as an integer that counts ulps: neighbours differ by 1, and -0 equals +0."""
    value, sign = int(bits, 16), 1 << (len(bits) * 4 - 1)
    return value if value < sign else sign - value


def matches(got, want, what, tolerance):
    a, b = number(got), number(want)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if len(got) == len(want) and abs(order(got) - order(want)) <= tolerance.get(f"{what}_ulps", 0):
        return True
    return abs(a - b) <= max(tolerance.get(f"{what}_abs", 0), tolerance.get(f"{what}_rel", 0) * abs(b))


def compare(out, expected_path, tolerance):
    got = list(csv.DictReader(io.StringIO(out)))
    want = list(csv.DictReader(open(expected_path, newline="")))
    assert len(got) == len(want), f"{len(got)} rows, not {len(want)}"
    columns = [c for c in want[0] if c.endswith("_bits")]
    assert got and set(columns) <= set(got[0]), f"columns {list(got[0])}, not {columns}"
    wrong = []
    for i, (g, w) in enumerate(zip(got, want)):
        for c in columns:
            if not matches(g[c], w[c], c.split("_")[0], tolerance):
                wrong.append(f"row {i}, {c[:-5]}: {g[c]}, the library says {w[c]}")
    assert not wrong, f"{len(wrong)} values differ:\n" + "\n".join(wrong[:10])


def widened(rows):
    """Rows of float32 values in short form, written as the doubles that they stand for."""
    with open(rows, newline="", encoding="utf-8") as file:
        names, *lines = csv.reader(file)
    out = tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8")
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([struct.unpack("f", struct.pack("f", float(x)))[0] for x in line] for line in lines)
    out.flush()
    return out


def predict(path, case, *more):
    missing = case.get("missing")
    sentinel = ["--missing", missing] if isinstance(missing, (int, float)) else []
    if "widened" not in case.get("notes", ""):
        return run("model", "predict", path / case["model"], path / "rows.csv", *sentinel, *more)
    with widened(path / "rows.csv") as rows:
        return run("model", "predict", path / case["model"], rows.name, *sentinel, *more)


def check_refusal(result):
    assert result.code == 1 and result.out == "", result
    assert result.err.startswith("assay: ") and len(result.err) > 30, result


@pytest.mark.parametrize("name,path", CASES, ids=[name for name, _ in CASES])
def test_scores_as_the_library(name, path):
    case = json.loads((path / "case.json").read_text())
    result = predict(path, case)
    if result.code != 0 and case.get("may_refuse"):
        check_refusal(result)
        counts["refused"] += 1
        return
    assert result.code == 0, result
    compare(result.out, path / "expected.csv", case["tolerance"])
    if (path / "expected_best_iteration.csv").exists():
        best = predict(path, case, "--trees", "best")
        assert best.code == 0 and best.out != result.out, best
        compare(best.out, path / "expected_best_iteration.csv", case["tolerance"])
    reference = predict(path, case, "--engine", "reference")
    assert reference.out == result.out, "the engine that auto chose and the reference differ"
    counts["accepted"] += 1


@pytest.mark.parametrize("name,path", REFUSED, ids=[name for name, _ in REFUSED])
def test_refuses_damaged_files(name, path):
    case = json.loads((path / "case.json").read_text())
    model = path / case["model"] if "model" in case else next(p for p in path.iterdir() if p.stem == "model")
    result = run("model", "show", model, timeout=20)
    assert result.code in (0, 1), result
    if case["must"] == "refuse":
        check_refusal(result)
        assert str(model) in result.err, result
        for word in case.get("message_must_name", []):
            assert word.lower() in result.err.lower(), result
    elif result.code == 1:
        check_refusal(result)
    counts["damaged files"] += 1


def test_counts(capsys):
    """Says what was covered; nothing may be missing from the sum."""
    with capsys.disabled():
        print("\ngolden models: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    assert counts["accepted"] > 0
