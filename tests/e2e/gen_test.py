"""assay gen on the command line: files, labels, pace, slips."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

from support import ASSAY, environment, run

TOOL = Path(ASSAY).parent / "tools/kafka_tool"


def test_same_seed_same_bytes_and_labels_for_every_line(tmp_path):
    out, labels = tmp_path / "tx.jsonl", tmp_path / "labels.jsonl"
    options = ["gen", "--transactions", 20000, "--seed", 7, "--fraud", 0.02]
    result = run(*options, "--out", out, "--labels", labels)
    assert result.code == 0 and result.out == "" and result.err == "", result
    again = run(*options)
    assert again.code == 0 and again.out == out.read_text()
    transactions = [json.loads(line) for line in out.read_text().splitlines()]
    facts = [json.loads(line) for line in labels.read_text().splitlines()]
    assert len(transactions) == len(facts) == 20000
    assert [t["tx_id"] for t in transactions] == [f["transaction_id"] for f in facts]
    assert len({t["tx_id"] for t in transactions}) == 20000
    assert all(t["ts"] == f["time"] for t, f in zip(transactions, facts))
    assert [t["ts"] for t in transactions] == sorted(t["ts"] for t in transactions)
    assert {f["scenario"] for f in facts} == {"", "spree", "terminal", "testing", "takeover"}
    assert all(f["fraud"] == (f["scenario"] != "") for f in facts)
    assert 0.01 < sum(f["fraud"] for f in facts) / 20000 < 0.03


def test_days_start_and_scenarios_are_kept(tmp_path):
    labels = tmp_path / "labels.jsonl"
    result = run("gen", "--transactions", 5000, "--days", 2, "--start", "2024-02-28T12:00:00Z", "--scenarios", "takeover", "--fraud", 0.1,
                 "--labels", labels)
    assert result.code == 0, result
    times = [json.loads(line)["ts"] for line in result.out.splitlines()]
    assert times[0] >= 1709121600 and 1.8 < (times[-1] - 1709121600) / 86400 < 2.2
    assert {json.loads(line)["scenario"] for line in labels.read_text().splitlines()} == {"", "takeover"}


def test_slips_are_usage_errors():
    for options, message in (
            (["--scenarios", "spre"], "unknown scenario 'spre', did you mean 'spree'?"),
            (["--start", "yesterday"], "--start 'yesterday'"),
            (["--fraud", "0.9"], "--fraud cannot be '0.9'"),
            (["--kafka", "x:1"], "--kafka and --topic go together"),
            (["--kafka", "x:1", "--topic", "t", "--out", "f"], "exclude each other"),
            (["-X", "linger.ms=1"], "-X needs --kafka"),
            (["--transactions", "0", "--days", "3"], "--days needs a number of --transactions")):
        result = run("gen", *options)
        assert result.code == 2 and result.out == "" and message in result.err, result


def test_what_can_not_be_written_is_a_failure(tmp_path):
    result = run("gen", "--out", tmp_path / "no/such/folder")
    assert result.code == 1 and "No such file or directory" in result.err, result
    result = run("gen", "--out", "/dev/full")
    assert result.code == 1 and "No space left on device" in result.err, result


def test_an_interrupt_ends_an_endless_run_with_whole_lines(tmp_path):
    out = tmp_path / "tx.jsonl"
    process = subprocess.Popen([ASSAY, "gen", "--transactions", "0", "--rate", "2000", "--out", out], env=environment())
    end = time.monotonic() + 60
    while (not out.exists() or out.stat().st_size == 0) and time.monotonic() < end:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(60) == 0
    lines = out.read_text().splitlines()
    assert lines and all(re.fullmatch(r"\{.*\}", line) for line in lines)


def test_into_kafka_at_a_pace_keyed_by_customer_and_counted():
    with subprocess.Popen([TOOL, "mock", "--topic=t:4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as broker:
        address = broker.stdout.readline().strip()
        began = time.monotonic()
        result = run("gen", "--transactions", 2000, "--seed", 3, "--kafka", address, "--topic", "t", "--rate", 4000, "-X", "linger.ms=1")
        assert time.monotonic() - began > 0.45
        assert result.code == 0 and "assay: 2000 sent, 2000 acknowledged, 0 failed, " in result.err.splitlines()[-1], result
        read = subprocess.run([TOOL, "read", "--broker", address, "--topic", "t"], capture_output=True, text=True, timeout=60)
        broker.stdin.close()
    records = [json.loads(line) for line in read.stdout.splitlines()]
    values = [json.loads(record["value"]) for record in records]
    assert [record["key"] for record in records] == [value["customer_id"] for value in values]
    lines = run("gen", "--transactions", 2000, "--seed", 3).out.splitlines()
    assert sorted(record["value"] for record in records) == sorted(lines)


def test_without_a_broker_an_interrupt_ends_the_wait():
    process = subprocess.Popen([ASSAY, "gen", "--transactions", "10", "--kafka", "127.0.0.1:1", "--topic", "t"], stderr=subprocess.PIPE,
                               text=True, env=environment())
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "10 sent, 0 acknowledged" in err and "is the broker there?" in err, err
