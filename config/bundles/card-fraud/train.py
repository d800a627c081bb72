#!/usr/bin/env python3
"""Trains the example bundle's model: XGBoost on generated transactions, features computed by assay itself.

    python3 -m venv build/train && build/train/bin/pip install xgboost scikit-learn
    build/train/bin/python config/bundles/card-fraud/train.py --assay build/release/assay

The features come from `assay score --features`, so that training and serving can't differ: one binary computes both.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import xgboost
from sklearn.metrics import average_precision_score, roc_auc_score

BUNDLE = Path(__file__).resolve().parent


def empty_model(features):
    """A model of one leaf, so that the bundle loads and its features can be computed before there is a model."""
    tree = {"base_weights": [0.0], "default_left": [0], "id": 0, "left_children": [-1], "right_children": [-1], "parents": [2147483647],
            "split_conditions": [0.0], "split_indices": [0], "split_type": [0], "categories": [], "categories_nodes": [],
            "categories_segments": [], "categories_sizes": [], "loss_changes": [0.0], "sum_hessian": [1.0],
            "tree_param": {"num_deleted": "0", "num_feature": str(features), "num_nodes": "1", "size_leaf_vector": "1"}}
    return {"version": [3, 0, 0], "learner": {
        "attributes": {}, "feature_names": [], "feature_types": [],
        "gradient_booster": {"name": "gbtree", "model": {
            "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1"}, "iteration_indptr": [0, 1], "tree_info": [0], "trees": [tree]}},
        "learner_model_param": {"base_score": "5E-1", "boost_from_average": "1", "num_class": "0", "num_feature": str(features), "num_target": "1"},
        "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}}}}


def feature_rows(assay, transactions, columns):
    """The feature rows of a file of transactions: names and an array of float32."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(BUNDLE / "bundle.yaml", folder)
        (Path(folder) / "model.json").write_text(json.dumps(empty_model(columns)))
        run = subprocess.run([assay, "score", "--bundle", folder, "--in", transactions, "--features"], check=True, capture_output=True)
    names, rows = None, []
    for line in run.stdout.splitlines():
        features = json.loads(line)["features"]
        names = names or list(features)
        rows.append([np.nan if v is None else v for v in features.values()])
    return names, np.array(rows, dtype=np.float32)


def generate(assay, folder, seed, count):
    transactions, labels = Path(folder) / f"{seed}.jsonl", Path(folder) / f"{seed}-labels.jsonl"
    subprocess.run([assay, "gen", "--transactions", str(count), "--seed", str(seed), "--out", transactions, "--labels", labels], check=True)
    return transactions, np.array([json.loads(line)["fraud"] for line in labels.read_text().splitlines()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", default="build/release/assay", help="the assay binary")
    parser.add_argument("--rows", type=int, default=600000, help="transactions to train on")
    parser.add_argument("--columns", type=int, default=25, help="columns of the bundle's feature row")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train, train_labels = generate(options.assay, folder, 101, options.rows)
        test, test_labels = generate(options.assay, folder, 202, options.rows // 3)
        names, rows = feature_rows(options.assay, train, options.columns)
        _, test_rows = feature_rows(options.assay, test, options.columns)
    matrix = xgboost.DMatrix(rows, label=train_labels, feature_names=names)
    params = {"objective": "binary:logistic", "max_depth": 4, "eta": 0.2, "subsample": 0.8, "tree_method": "hist", "seed": 7, "nthread": 2}
    booster = xgboost.train(params, matrix, num_boost_round=60)
    booster.save_model(BUNDLE / "model.json")
    scores = booster.predict(xgboost.DMatrix(test_rows, feature_names=names))
    print(f"{len(names)} columns, {len(test_labels)} test transactions, {test_labels.sum()} frauds")
    print(f"AUC {roc_auc_score(test_labels, scores):.4f}, average precision {average_precision_score(test_labels, scores):.4f}")
    for threshold in (0.2, 0.35, 0.5, 0.9):
        flagged = scores >= threshold
        hits = (flagged & test_labels).sum()
        print(f"score >= {threshold}: precision {hits / max(flagged.sum(), 1):.3f}, recall {hits / test_labels.sum():.3f}")


if __name__ == "__main__":
    main()
