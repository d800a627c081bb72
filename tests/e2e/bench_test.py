"""`assay bench`: it lists its benchmarks, and what it measures comes as a table or as JSON. What the figures are is no test's
business: that hangs on the machine."""

import json
import re

from support import run


def test_the_help_names_the_benchmarks():
    result = run("bench", "--help")
    assert result.code == 0 and re.search(r"^  decode\s", result.out, re.M), result


def test_an_unknown_benchmark_names_the_nearest():
    result = run("bench", "decod")
    assert result.code == 2 and "did you mean 'decode'?" in result.err, result


def test_decode_measures_against_jansson():
    result = run("bench", "decode", "--json", "--seed", "7")
    assert result.code == 0, result
    report = json.loads(result.out)
    assert report["bench"] == "decode" and report["seed"] == 7, report
    assert all(report[k] for k in ("version", "cpu", "cores", "compiler", "jansson")), report
    assert all(report["figures"][k] > 0 for k in ("document_bytes", "decode_us", "jansson_us", "jansson_over_ours")), report


def test_decode_prints_a_table_for_people():
    result = run("bench", "decode")
    assert result.code == 0 and "decode_us" in result.out and "goal: at most 0.4" in result.out, result
