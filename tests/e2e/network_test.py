"""The example network of config/bundles/card-network: the scores of PyTorch, over HTTP and over Kafka, the same in both.

tests/fixtures/card-network/pytorch.jsonl holds transactions with what PyTorch itself said of them when train.py exported
the model; no PyTorch is needed here.
"""

import hashlib
import json

import pytest

from golden_http_test import read_rows, write_bundle
from kafka_support import Mock, Topics, finished
from support import SOURCE, Server, needs_shared, run

BUNDLE = SOURCE / "config/bundles/card-network"
ROWS = [json.loads(line) for line in (SOURCE / "tests/fixtures/card-network/pytorch.jsonl").read_text().splitlines()]
LINES = [json.dumps(row["transaction"]) for row in ROWS]


def check(results):
    assert len(results) == len(ROWS) >= 50
    for row, result in zip(ROWS, results, strict=True):
        assert result["transaction_id"] == row["transaction"]["tx_id"] and result["model"] == "card-network"
        assert abs(result["score"] - row["score"]) <= 1e-6, f"{result}, PyTorch says {row['score']}"
    assert {result["decision"] for result in results} >= {"approve", "decline"}


def offline():
    made = run("score", "--bundle", BUNDLE, input="\n".join(LINES) + "\n")
    assert made.code == 0, made
    return [json.loads(line) for line in made.out.splitlines()]


def test_pytorch_s_scores_over_http(tmp_path):
    with Server(tmp_path, {"bundle": str(BUNDLE)}) as server:
        answer = server.request("POST", "/v1/score", "\n".join(LINES).encode(), {"Content-Type": "application/x-ndjson"})
        assert answer.status == 200, answer
        alone = [json.loads(server.request("POST", "/v1/score?record=false", line.encode(), {"Content-Type": "application/json"}).body)
                 for line in LINES[:10]]
        assert server.stop() == 0
    results = [json.loads(line) for line in answer.body.splitlines()]
    check(results)
    # Alone or among others, here or offline: the same bits.
    assert [result["score"] for result in alone] == [result["score"] for result in results[:10]]
    assert [result["score"] for result in offline()] == [result["score"] for result in results]


def test_pytorch_s_scores_over_kafka(tmp_path):
    with Mock() as broker:
        topics = Topics(broker)
        topics.send_records(tmp_path, [{"key": json.loads(line)["customer_id"], "value": line} for line in LINES])
        with Server(tmp_path, topics.settings(bundle=str(BUNDLE))) as server:
            finished(server, len(LINES))
            assert server.stop() == 0
        found = {r["transaction_id"]: r for r in (json.loads(record["value"]) for record in topics.results())}
    check([found[row["transaction"]["tx_id"]] for row in ROWS])


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_golden_rows(engine):
    result = run("verify", BUNDLE)
    assert result.code == 0 and "golden rows" in result.out, result
    assert any(line.split()[0] == engine and "to the bit" in line for line in result.out.splitlines() if line.strip()), result.out


def test_an_unknown_code_is_never_approved(tmp_path):
    """An index that the table does not have gives no score, and what has none goes to review."""
    for name in ("bundle.yaml", "model.onnx"):
        (tmp_path / name).write_bytes((BUNDLE / name).read_bytes())
    yaml = tmp_path / "bundle.yaml"
    yaml.write_text(yaml.read_text().replace('"pos", 1,', '"pos", 4711,'))
    line = next(line for line in LINES if json.loads(line)["channel"] == "pos")
    result = json.loads(run("score", "--bundle", tmp_path, input=line).out)
    assert result["score"] is None and result["decision"] == "review", result


def test_the_digest_covers_a_data_file_beside_the_model(tmp_path):
    """As docs/bundle.md has it: bundle.yaml, the model, the data that PyTorch wrote beside it."""
    case, folder = needs_shared("golden/torch-residual-dynamo-external"), tmp_path / "bundle"
    names, _ = read_rows(case / "rows.csv")
    write_bundle(folder, case / "model.onnx", names, 0)
    files = [folder / name for name in ("bundle.yaml", "model.onnx", "model.onnx.data")]
    lines = "".join(hashlib.sha256(file.read_bytes()).hexdigest() + "\n" for file in files)
    with Server(tmp_path, {"bundle": str(folder)}) as server:
        assert f'digest="{hashlib.sha256(lines.encode()).hexdigest()}"' in server.get("/metrics").body.decode()
        assert server.stop() == 0


def test_show_names_the_layers():
    result = run("model", "show", BUNDLE / "model.onnx")
    assert result.code == 0, result
    for words in ("network, ONNX, written by pytorch", "dense", "embed", "gelu", "layer_norm", "FLOP a row", "parameters", "batch of 1 "):
        assert words in result.out, f"{words} is not in {result.out}"
