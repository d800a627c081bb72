"""assay score: a line out for every line in, the server's bytes, errors that say where."""

import json
import subprocess

import pytest

from support import ASSAY, CARD_FRAUD, PATIENCE_S, Server, environment, run

GOOD = {"tx_id": "T1", "ts": 1700049600, "customer_id": 1, "terminal_id": 2, "amount": 57.5}


def lines_of(*documents):
    return "".join((d if isinstance(d, str) else json.dumps(d)) + "\n" for d in documents)


def score(*args, **more):
    return run("score", "--bundle", CARD_FRAUD, *args, **more)


def test_a_line_out_for_every_line_in(tmp_path):
    documents = lines_of(GOOD, "", {**GOOD, "amount": "x"}, "  ", "nonsense", {**GOOD, "tx_id": "T2"})
    result = score(input=documents)
    records = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 0 and "2 of 4 lines" in result.err
    assert [r.get("transaction_id") for r in records] == ["T1", None, None, "T2"]
    assert records[1]["error"]["line"] == 3 and records[1]["error"]["field"] == "amount"
    assert records[2]["error"]["line"] == 5 and records[2]["error"]["reason"] == "syntax"
    assert score("--strict", input=documents).code == 1
    (tmp_path / "in").write_text(documents)
    assert score("--in", tmp_path / "in", "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out").read_text() == result.out
    assert score(input=documents.rstrip("\n")).out == result.out, "the last line needs no end"
    assert score(input="").out == ""


def test_any_engine_gives_the_server_s_bytes(tmp_path):
    made = run("gen", "--transactions", 3000, "--seed", 5).out
    expected = score("--features", input=made).out
    assert score("--features", "--engine", "reference", input=made).out == expected
    with Server(tmp_path, {"result.features": True}) as server:
        answer = server.post("/v1/score", made, {"Content-Type": "application/x-ndjson"})
        assert answer.body.decode() == expected


def test_timing_is_there_on_request():
    record = json.loads(score("--timing", input=lines_of(GOOD)).out)
    assert set(record["timing"]) == {"decode_us", "features_us", "wait_us", "score_us", "decide_us"}


def test_results_come_as_transactions_do():
    with subprocess.Popen([ASSAY, "score", "--bundle", str(CARD_FRAUD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment()) as process:
        for n in range(3):
            process.stdin.write(lines_of({**GOOD, "tx_id": f"T{n}"}).encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["transaction_id"] == f"T{n}"
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("args, code, word", [
    ((), 2, "--bundle"),
    (("--bundle", "/nowhere"), 1, "/nowhere"),
    (("--bundle", CARD_FRAUD, "--in", "/nowhere/in"), 1, "/nowhere/in"),
    (("--bundle", CARD_FRAUD, "--out", "/nowhere/out"), 1, "/nowhere/out"),
    (("--bundle", CARD_FRAUD, "--engine", "abacus"), 2, "abacus"),
    (("--bundel", CARD_FRAUD), 2, "--bundle"),
    (("--bundle", CARD_FRAUD, "--out", "/dev/full"), 1, "writing"),
])
def test_what_goes_wrong_is_said(args, code, word):
    result = run("score", *args, input=lines_of(GOOD))
    assert result.code == code and word in result.err, result
