"""Our windows against the reference features of the Fraud Detection Handbook, computed by other people's code (pandas):
three weeks of them, from the raw transactions, as a table, over HTTP and over Kafka with four consumer threads.

Ordinarily only one day is compared, from as much history as it needs; ASSAY_TEST_ALL compares all of it, from the first day on."""

import collections
import csv
import json
import lzma
import math
import os
import struct

import pytest

from kafka_support import Mock, Topics, real_broker
from support import PATIENCE_S, Server, needs_shared, run

import fdh

LONG = os.environ.get("ASSAY_TEST_ALL")
# The longest window looks back 37 days.
FIRST, FROM, UNTIL = (0, 1532476800, 1534291200) if LONG else (1532476800 - 37 * 86400, 1532476800, 1532563200)
SLOW_S = (20 if LONG else 5) * PATIENCE_S
NDJSON = {"Content-Type": "application/x-ndjson"}


class Handbook:
    """The data: transactions and labels as lines, and the reference by transaction."""

    def __init__(self, folder):
        self.transactions, self.labels = folder / "transactions.jsonl", folder / "labels.jsonl"
        self.lines, self.ties = [], collections.Counter()
        labels = []
        with lzma.open(needs_shared("data/fdh_transactions.csv.xz"), "rt", newline="") as file:
            for row in csv.DictReader(file):
                ts = int(row["ts"])
                if ts >= UNTIL:
                    break
                if row["fraud"] == "1":
                    labels.append(f'{{"transaction_id":{row["tx_id"]},"fraud":true,"time":{ts}}}\n')
                if ts < FIRST:
                    continue
                self.lines.append(f'{{"tx_id":{row["tx_id"]},"ts":{ts},"customer_id":{row["customer_id"]},'
                                  f'"terminal_id":{row["terminal_id"]},"amount":{row["amount"]}}}\n')
                self.ties["card", row["customer_id"], ts] += 1
                self.ties["terminal", row["terminal_id"], ts] += 1
        self.transactions.write_text("".join(self.lines))
        self.labels.write_text("".join(labels))
        self.reference = {}
        with lzma.open(needs_shared("data/fdh_features_2018-07-25_2018-08-14.csv.xz"), "rt", newline="") as file:
            for row in csv.DictReader(file):
                if FROM <= 1522540800 + int(row["TX_TIME_SECONDS"]) < UNTIL:
                    self.reference[row["TRANSACTION_ID"]] = row
        assert len(self.reference) > 7000

    def is_tie(self, row):
        """Does the same second hold another transaction of the card or terminal? Then the reference may have either order."""
        ts = 1522540800 + int(row["TX_TIME_SECONDS"])
        return self.ties["card", row["CUSTOMER_ID"], ts] > 1 or self.ties["terminal", row["TERMINAL_ID"], ts] > 1

    def compare(self, features_of, tolerance):
        """features_of: the reference's names and our values, by id. Returns the ids that differ, of equal times alone."""
        tied = []
        for id_, row in self.reference.items():
            ours = features_of[id_]
            wrong = [name for name, *_ in fdh.WINDOW_FEATURES if not math.isclose(ours[name], float(row[name]), rel_tol=tolerance, abs_tol=1e-12)]
            if wrong and self.is_tie(row):
                tied.append(id_)
                print(f"transaction {id_}: another one in its second, {wrong} in the other order")
            else:
                assert not wrong, (id_, wrong, ours, row)
        return tied


@pytest.fixture(scope="module")
def handbook(tmp_path_factory):
    return Handbook(tmp_path_factory.mktemp("handbook"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fdh.write_bundle(tmp_path_factory.mktemp("bundle"), fdh.WINDOW_FEATURES)


@pytest.fixture(scope="module")
def table(handbook, bundle):
    """Our training table, by id."""
    result = run("features", "--bundle", bundle, "--labels", handbook.labels, "--in", handbook.transactions, timeout=SLOW_S)
    assert result.code == 0, result
    rows = csv.DictReader(result.out.splitlines())
    return {row.pop("transaction_id"): {name: float(value) for name, value in row.items()} for row in rows}


def narrow(value):
    """As the model's float32 inputs have it."""
    return struct.unpack("f", struct.pack("f", value))[0]


def assert_same_bits(records, handbook, table):
    """The features of results are the table's, to the bit of the model's inputs. Returns how many of the reference's were looked at;
    of the others, which only fill windows, every twentieth is."""
    seen = 0
    for number, line in enumerate(records):
        id_ = line.split('"', 4)[3]
        if id_ not in handbook.reference and number % 20:
            continue
        record = json.loads(line)
        got, want = record["features"], table[record["transaction_id"]]
        assert {name: narrow(v) for name, v in got.items()} == {name: narrow(v) for name, v in want.items()}, line
        seen += id_ in handbook.reference
    return seen


def test_the_training_table_is_the_reference(handbook, table):
    assert len(table) == len(handbook.lines)
    tied = handbook.compare(table, 1e-6)
    print(f"{len(handbook.reference)} rows agree with the reference within 1e-6; {len(tied)} of equal times differ: {tied}")
    assert len(tied) < 20


def test_the_server_gives_the_same_over_http(handbook, bundle, table, tmp_path):
    with Server(tmp_path, {"bundle": str(bundle), "result.features": True}) as server:
        told = server.post("/v1/labels", handbook.labels.read_bytes(), NDJSON)
        assert told.status == 200 and b"detail" not in told.body
        seen = 0
        for at in range(0, len(handbook.lines), 20000):
            answer = server.post("/v1/score", "".join(handbook.lines[at:at + 20000]), NDJSON)
            seen += assert_same_bits(answer.body.decode().splitlines(), handbook, table)
        assert seen == len(handbook.reference)


def kafka_parity(broker, handbook, bundle, table, folder):
    topics = Topics(broker, partitions=8)
    labels = f"labels-{topics.input}"
    topics.make(labels)
    broker.tool("send", "--topic", labels, "--file", str(handbook.labels), "--key", "transaction_id")
    n = topics.send(handbook.transactions, "customer_id")
    # Terminals are spread over the partitions; their windows have a delay of seven days, so an hour of alignment makes them exact.
    settings = topics.settings(**{"bundle": str(bundle), "result.features": True, "stream.consumers": 4, "stream.align_s": 3600, "labels.topic": labels})
    with Server(folder, settings) as server:
        # A rebalance may bring records again, so it is over when each has been taken in, not when as many results are out.
        assert server.wait_metric("assay_state_applied_total", n, seconds=SLOW_S, what="applied") == n
        assert server.metric("assay_labels_total", source="kafka", outcome="rejected") == 0
        assert server.metric("assay_state_applied_total", what="late") == 0
        assert server.stop() == 0
    results = topics.results()
    seen = assert_same_bits((result["value"] for result in results), handbook, table)
    if isinstance(broker, Mock):  # it keeps the newest few MB of a partition alone: the end of the day compared
        assert seen > 500
    else:
        assert len(results) == n and seen == len(handbook.reference)


def test_the_server_gives_the_same_over_kafka(handbook, bundle, table, tmp_path):
    if LONG:
        with real_broker() as broker:
            kafka_parity(broker, handbook, bundle, table, tmp_path)
    else:
        with Mock() as broker:
            kafka_parity(broker, handbook, bundle, table, tmp_path)
