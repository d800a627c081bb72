"""The ledger: what went in against what came out of Kafka.

    ledger = Ledger(expected)              expected: id -> (key, value) in the order in which they were sent
    ledger.read(records)                   records: dicts with partition, offset, key, value, as `kafka_tool read` prints them
    ledger.missing, .repeated, .wrong, .foreign, .reordered

Within a key, results must come in the order in which transactions were sent once repeats are taken out: the first
appearances count. A repeat (at least once allows it) must have the same value.
"""

import json


class Ledger:
    def __init__(self, expected):
        self.expected = expected
        self.position = {id: i for i, id in enumerate(expected)}
        self.seen = {}          # id -> how often
        self.wrong = []         # (id, partition, offset): another value or key than expected
        self.foreign = []       # (partition, offset): an id that was never sent
        self.reordered = []     # (id, partition, offset): before it came one of its key that was sent later
        self.last = {}          # key -> position of its last first appearance

    def read(self, records):
        for record in records:
            id = str(json.loads(record["value"])["transaction_id"])
            place = (record["partition"], record["offset"])
            if id not in self.expected:
                self.foreign.append(place)
                continue
            key, value = self.expected[id]
            if record["value"] != value or record["key"] != key:
                self.wrong.append((id, *place))
            self.seen[id] = self.seen.get(id, 0) + 1
            if self.seen[id] == 1:
                if self.position[id] < self.last.get(key, -1):
                    self.reordered.append((id, *place))
                self.last[key] = self.position[id]
        return self

    @property
    def missing(self):
        return [id for id in self.expected if id not in self.seen]

    @property
    def repeated(self):
        return sum(n - 1 for n in self.seen.values())

    def __str__(self):
        return (f"{len(self.expected)} records: {len(self.missing)} missing, {self.repeated} repeated, {len(self.wrong)} wrong, "
                f"{len(self.foreign)} foreign, {len(self.reordered)} reordered; "
                f"first: {self.missing[:3]} {self.wrong[:3]} {self.foreign[:3]} {self.reordered[:3]}")
