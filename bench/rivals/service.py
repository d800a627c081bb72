#!/usr/bin/env python3
"""A scoring service as a good Python team writes it: confluent-kafka, NumPy and ONNX Runtime. It polls for a first record, drains
what is there, scores it as one batch, produces, and stores offsets once results are acknowledged.

    python service.py BROKERS INPUT OUTPUT MODEL.onnx
"""

import json
import math
import signal
import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import numpy
import onnxruntime
from confluent_kafka import Consumer, Producer, TopicPartition

BERLIN = ZoneInfo("Europe/Berlin")
MCC_RISK = {"5411": 0.002, "5732": 0.02, "5812": 0.001, "5816": 0.03, "6011": 0.01, "7995": 0.05}
COUNTRY_RISK = {"DE": 0.004, "FR": 0.005, "GB": 0.006, "ES": 0.008, "IT": 0.007, "NL": 0.004, "US": 0.01}
BATCH = 256


def features(tx):
    """The fifteen features of the benchmark's bundle, in its order."""
    amount, distance, channel = tx.get("amount", math.nan), tx.get("distance", math.nan), tx.get("channel")
    at = datetime.fromtimestamp(tx["ts"], timezone.utc)
    risk = COUNTRY_RISK.get(tx.get("country"), 0.02)
    return (amount, math.log1p(amount), amount < 5, at.hour, at.astimezone(BERLIN).hour, at.hour <= 5, at.weekday() >= 5,
            tx.get("currency") == "EUR", MCC_RISK.get(tx.get("mcc"), 0.005), risk, channel == "pos", channel == "web", channel == "atm",
            math.log1p(distance), min(max(amount / 100, 0), 20) * risk)


def answer(tx, score):
    decision = "decline" if score >= 0.9 else "review" if score >= 0.5 else "approve"
    return json.dumps({"transaction_id": tx["tx_id"], "score": float(score), "decision": decision, "model": "bench-card", "version": "100x6-1"},
                      separators=(",", ":"))


class Service:
    def __init__(self, brokers, source, target, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        common = {"bootstrap.servers": brokers, "socket.nagle.disable": True}
        self.consumer = Consumer({**common, "group.id": f"python-{source}", "auto.offset.reset": "earliest", "enable.auto.offset.store": False,
                                  "auto.commit.interval.ms": 100})
        self.producer = Producer({**common, "enable.idempotence": True, "linger.ms": 1, "partitioner": "murmur2_random"})
        self.target, self.running = target, True
        self.consumer.subscribe([source])
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.running = False

    def acknowledged(self, error, message, position):
        if error is None:  # reports come in the order of producing within a partition
            self.consumer.store_offsets(offsets=[position])

    def gather(self):
        first = self.consumer.poll(0.1)
        batch = [first] if first is not None else []
        while batch and len(batch) < BATCH:
            message = self.consumer.poll(0)
            if message is None:
                break
            batch.append(message)
        return [message for message in batch if not message.error()]

    def run(self):
        while self.running:
            batch = self.gather()
            self.producer.poll(0)
            if not batch:
                continue
            transactions = [json.loads(message.value()) for message in batch]
            rows = numpy.array([features(tx) for tx in transactions], dtype=numpy.float32)
            scores = self.session.run(None, {"row": rows})[0][:, 0]
            for message, tx, score in zip(batch, transactions, scores, strict=True):
                position = TopicPartition(message.topic(), message.partition(), message.offset() + 1)
                self.producer.produce(self.target, answer(tx, score), message.key(),
                                      on_delivery=lambda error, sent, position=position: self.acknowledged(error, sent, position))
            self.producer.poll(0)
        self.producer.flush(10)
        self.consumer.close()


if __name__ == "__main__":
    Service(*sys.argv[1:]).run()
