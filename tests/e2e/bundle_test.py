"""Bundles through `assay score`: rows against the same features written in Python, made bundles, refused ones."""

import datetime
import json
import math
import shutil
import struct
import subprocess
import sys

import pytest

from support import SOURCE, run

BASIC = SOURCE / "tests/fixtures/bundles/basic"


def narrow(x):
    """To the nearest float32, as the row has it."""
    return struct.unpack("f", struct.pack("f", x))[0]


def expected(tx):
    """The features and reasons of the basic bundle, a second time."""
    when = datetime.datetime.fromtimestamp(tx["ts"], datetime.timezone.utc)
    night, weekend, abroad = when.hour <= 5, when.weekday() >= 5, tx["country"] != tx["home_country"]
    columns = {"amount_log": narrow(math.log1p(tx["amount"])), "night": night, "weekend": weekend}
    columns.update({f"channel_{name}": tx["channel"] == name for name in ("pos", "web", "atm")})
    columns.update({"abroad": abroad, "new_device": tx["new_device"]})
    applies = {"night_online": night and tx["channel"] == "web", "new_device": tx["new_device"], "abroad": abroad,
               "high_amount": tx["amount"] >= 500}
    return {k: float(v) for k, v in columns.items()}, [code for code, yes in applies.items() if yes]


@pytest.fixture(scope="module")
def transactions():
    made = run("gen", "--transactions", "3000", "--seed", "11", "--fraud", "0.1")
    assert made.code == 0, made
    return [json.loads(line) for line in made.out.splitlines()]


def test_rows_and_reasons_are_those_of_python(transactions):
    scored = run("score", "--bundle", BASIC, "--features", input="".join(json.dumps(tx) + "\n" for tx in transactions))
    assert scored.code == 0, scored
    results = [json.loads(line) for line in scored.out.splitlines()]
    assert len(results) == len(transactions)
    seen = set()
    for tx, result in zip(transactions, results):
        columns, reasons = expected(tx)
        got = {k: narrow(v) for k, v in result["features"].items()}
        assert list(got) == list(columns)
        assert got == columns
        assert result["reasons"] == reasons
        assert result["decision"] == ("decline" if result["score"] >= 0.7 else "review" if result["score"] >= 0.3 else "approve")
        seen.add(result["decision"])
    assert seen == {"approve", "review", "decline"}


def test_missing_values_reach_the_model(transactions):
    tx = {"tx_id": "1", "ts": 1525490000, "amount": 12}
    result = json.loads(run("score", "--bundle", BASIC, "--features", input=json.dumps(tx)).out)
    assert result["features"]["channel_web"] is None and result["features"]["new_device"] is None
    assert result["features"]["abroad"] == 0  # a comparison with a missing value
    assert result["reasons"] == []
    assert 0 <= result["score"] <= 1


def test_bundles_for_benchmarks_are_whole(tmp_path, transactions):
    place = tmp_path / "card"
    subprocess.run([sys.executable, SOURCE / "bench/models/make_bench_bundle.py", "--trees", "20", "--depth", "4", "--out", place], check=True,
                   capture_output=True)
    lines = "".join(json.dumps(tx) + "\n" for tx in transactions[:200])
    answers = [run("score", "--bundle", place, "--features", "--engine", engine, input=lines) for engine in ("reference", "cpu")]
    assert answers[0].code == 0, answers[0]
    assert answers[0].out == answers[1].out
    results = [json.loads(line) for line in answers[0].out.splitlines()]
    assert all(len(result["features"]) == 15 for result in results)
    assert len({result["score"] for result in results}) > 20


def test_a_wrong_bundle_says_where(tmp_path):
    shutil.copytree(BASIC, tmp_path / "b")
    yaml = tmp_path / "b/bundle.yaml"
    yaml.write_text(yaml.read_text().replace("hour(time)", "huor(time)"))
    refused = run("score", "--bundle", tmp_path / "b", input="")
    assert refused.code == 1
    assert f"{yaml}:16:17: night: unknown function 'huor'; did you mean 'hour'?\n    huor(time) <= 5\n    ^" in refused.err
    assert refused.out == ""
