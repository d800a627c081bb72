"""`assay bench`: it lists its benchmarks, and what it measures comes as a table or as JSON. What the figures are is no test's
business: that hangs on the machine."""

import json
import re
import subprocess
import sys

import pytest

from support import SOURCE, run


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


def test_a_day_of_windows_lets_the_right_keys_go_and_keeps_memory_flat():
    result = run("bench", "features", "--day", "--cards", 20000, "--json")
    assert result.code == 0, result
    figures = json.loads(result.out)["figures"]
    assert figures["keys_off_by"] <= 0.5, figures  # percent, against a count of those that a window can still see
    assert figures["hour_24_mb"] <= 1.2 * figures["hour_14_mb"], figures


def test_load_says_how_long_a_model_takes_and_what_memory(tmp_path):
    result = run("bench", "load", SOURCE / "config/bundles/card-fraud/model.json", "--rounds", "1", "--json")
    assert result.code == 0, result
    figures = json.loads(result.out)["figures"]
    assert figures["ready_ms"] == pytest.approx(figures["load_ms"] + figures["prepare_ms"]), figures
    assert 0 < figures["peak_mb"] < 64 + 4 * figures["file_mb"], figures


def test_load_says_why_a_model_cannot_be_loaded(tmp_path):
    path = tmp_path / "model.ubj"
    path.write_bytes(b"")
    result = run("bench", "load", path)
    assert result.code == 1 and "the file is empty" in result.err, result


def test_the_load_generator_is_measured_against_a_bare_handler():
    result = run("bench", "generator", "--rate", 500, "--rounds", 1, "--seconds", 0.3, "--json")
    assert result.code == 0, result
    figures = json.loads(result.out)["figures"]
    assert all(figures[k] > 0 for k in ("rate", "cpu", "latency_p50", "closed_rate")), figures


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "card"
    subprocess.run([sys.executable, str(SOURCE / "bench/models/make_bench_bundle.py"), "--trees", "10", "--depth", "4", "--out", str(path)],
                   check=True, stdout=subprocess.DEVNULL)
    return path


def test_kafka_measures_against_a_bare_echo_on_the_mock_broker(bundle):
    result = run("bench", "kafka", "--bundle", bundle, "--records", 2000, "--rounds", 1, "--json", timeout=240)
    assert result.code == 0, result
    figures = json.loads(result.out)["figures"]
    assert figures["mock_broker"] == 1 and figures["records"] == 2000, figures
    assert figures["added_cpu"] == pytest.approx(figures["cpu"] - figures["echo_cpu"])
    assert all(figures[k] > 0 for k in ("result_bytes", "echo_rate", "rate", "echo_headers_cpu")), figures


def test_kafka_says_what_the_mock_broker_cannot_hold(bundle):
    result = run("bench", "kafka", "--bundle", bundle, "--records", 1000000)
    assert result.code == 1 and "--broker" in result.err, result


def test_kafka_says_how_to_make_the_bundle(tmp_path):
    result = run("bench", "kafka", "--bundle", tmp_path / "none", "--records", 16)
    assert result.code == 1 and "make_bench_bundle.py" in result.err, result
