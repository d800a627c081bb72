"""stream.align_s: partitions stay together in event time, whatever times their records claim."""

import json
import time

from kafka_support import Mock, Topics, finished, write
from support import Server

import fdh

START, N = 1_600_000_000, 4000


def test_a_time_that_is_refused_moves_no_partition_apart(tmp_path):
    bundle = fdh.write_bundle(tmp_path / "bundle", [("n", "count(terminal, 1h)", 0, 100)])
    rows = [{"tx_id": i, "ts": START + 60 * i, "customer_id": i % 20, "terminal_id": 1, "amount": 5} for i in range(N)]
    ahead = {**rows[0], "tx_id": N, "ts": int(time.time()) + 10 * 366 * 86400}
    write(tmp_path / "rows.jsonl", [json.dumps(row, separators=(",", ":")) + "\n" for row in [ahead, *rows]])
    with Mock() as broker:
        topics = Topics(broker, partitions=2)
        sent = topics.send(tmp_path / "rows.jsonl")
        settings = topics.settings(**{"bundle": str(bundle), "stream.align_s": 600, "state.disorder_s": 600})
        with Server(tmp_path, settings) as server:
            finished(server, sent)
            assert server.metric("assay_state_applied_total", what="applied") == N
            assert server.metric("assay_state_applied_total", what="late") == 0
        assert {record["partition"] for record in topics.read(topics.input)} == {0, 1}
        assert len(topics.dead_letters()) == 1
