#!/usr/bin/env python3
"""Trains the example network: PyTorch on generated transactions, features computed by assay itself.

    python3 -m venv build/train && build/train/bin/pip install -r config/bundles/card-network/requirements.txt
    build/train/bin/python config/bundles/card-network/train.py --assay build/release/assay

The features come from `assay score --features`, so that training and serving can't differ: one binary computes both. Scaling
is part of the model. Beside model.onnx it writes what PyTorch itself says of a few transactions, for the tests.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

BUNDLE = Path(__file__).resolve().parent
EXPECTED = BUNDLE.parents[2] / "tests/fixtures/card-network/pytorch.jsonl"

NUMBERS = 7  # columns that are scaled; behind them stand the codes
TABLES = [(4, 2), (6, 3), (17, 4)]  # rows and columns of the embedding of each code


class Network(nn.Module):
    def __init__(self, mean, deviation):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.tables = nn.ModuleList(nn.Embedding(rows, columns) for rows, columns in TABLES)
        width = NUMBERS + sum(columns for _, columns in TABLES)
        self.layers = nn.Sequential(nn.Linear(width, 48), nn.BatchNorm1d(48), nn.GELU(), nn.Dropout(0.1),
                                    nn.Linear(48, 24), nn.LayerNorm(24), nn.GELU(), nn.Linear(24, 1))

    def logits(self, x):
        codes = x[:, NUMBERS:].long()
        parts = [(x[:, :NUMBERS] - self.mean) / self.deviation] + [table(codes[:, i]) for i, table in enumerate(self.tables)]
        return self.layers(torch.cat(parts, dim=1))

    def forward(self, x):
        return torch.sigmoid(self.logits(x))


def placeholder():
    """A model that takes the bundle's columns, so that they can be computed before there is a network: y = x1 + x2 + ..."""
    helper, columns = onnx.helper, NUMBERS + len(TABLES)
    weights = onnx.numpy_helper.from_array(np.ones((columns, 1), dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "placeholder",
                              [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", columns])],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 1])], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def feature_rows(assay, transactions):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(BUNDLE / "bundle.yaml", folder)
        onnx.save(placeholder(), Path(folder) / "model.onnx")
        run = subprocess.run([assay, "score", "--bundle", folder, "--in", transactions, "--features"], check=True, capture_output=True)
    rows = [list(json.loads(line)["features"].values()) for line in run.stdout.splitlines()]
    return torch.tensor(rows, dtype=torch.float32)


def generate(assay, folder, seed, count, fraud="0.01"):
    transactions, labels = Path(folder) / f"{seed}.jsonl", Path(folder) / f"{seed}-labels.jsonl"
    subprocess.run([assay, "gen", "--transactions", str(count), "--seed", str(seed), "--fraud", fraud, "--out", transactions,
                    "--labels", labels], check=True)
    frauds = torch.tensor([json.loads(line)["fraud"] for line in labels.read_text().splitlines()])
    return transactions, feature_rows(assay, transactions), frauds.float()


def train(rows, labels, epochs):
    numbers = rows[:, :NUMBERS]
    model = Network(numbers.mean(0), numbers.std(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    loss = nn.BCEWithLogitsLoss()
    for epoch in range(epochs):
        model.train()
        for batch in torch.randperm(len(rows)).split(1024):
            optimizer.zero_grad()
            loss(model.logits(rows[batch]).squeeze(1), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def export(model, path):
    """In one file, and without the source paths of this machine that the exporter notes in it."""
    torch.onnx.export(model, (torch.zeros(2, NUMBERS + len(TABLES)),), path, input_names=["x"], output_names=["p"], dynamo=True,
                      dynamic_shapes=({0: torch.export.Dim("n")},), external_data=False)
    proto = onnx.load(path)
    proto.ClearField("metadata_props")
    for part in [proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.value_info, *proto.graph.initializer]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    proto.graph.ClearField("value_info")
    onnx.save(proto, path)


def report(scores, labels):
    frauds = int(labels.sum())
    print(f"{len(labels)} test transactions, {frauds} frauds")
    for threshold in (0.2, 0.35, 0.5, 0.9):
        flagged = scores >= threshold
        hits = float(labels[flagged].sum())
        print(f"score >= {threshold}: precision {hits / max(int(flagged.sum()), 1):.3f}, recall {hits / frauds:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", default="build/release/assay", help="the assay binary")
    parser.add_argument("--rows", type=int, default=300000, help="transactions to train on")
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    torch.manual_seed(7)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        _, rows, labels = generate(options.assay, folder, 101, options.rows)
        _, test_rows, test_labels = generate(options.assay, folder, 202, options.rows // 3)
        transactions, few_rows, _ = generate(options.assay, folder, 5, 60, fraud="0.3")
        with torch.enable_grad():
            model = train(rows, labels, options.epochs)
        report(model(test_rows).squeeze(1), test_labels)
        export(model, BUNDLE / "model.onnx")
        EXPECTED.parent.mkdir(parents=True, exist_ok=True)
        with EXPECTED.open("w", encoding="utf-8") as out:
            for line, score in zip(transactions.read_text().splitlines(), model(few_rows).squeeze(1).tolist()):
                out.write(f'{{"transaction":{line},"score":{score!r}}}\n')


if __name__ == "__main__":
    main()
