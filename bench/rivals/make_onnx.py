#!/usr/bin/env python3
"""The benchmark's XGBoost model (bench/models/make_bench_bundle.py) as ONNX, for the services of this folder: one float input
[N, features], one float output [N, 1], the probability.

    python make_onnx.py build/bench/card/model.json model.onnx        needs the package onnx
"""

import json
import math
import sys

import onnx
from onnx import TensorProto, helper


def tree_attributes(trees):
    a = {name: [] for name in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes", "nodes_truenodeids",
                               "nodes_falsenodeids", "nodes_missing_value_tracks_true", "target_treeids", "target_nodeids", "target_ids",
                               "target_weights")}
    for number, tree in enumerate(trees):
        for node, left in enumerate(tree["left_children"]):
            leaf = left < 0
            a["nodes_treeids"].append(number)
            a["nodes_nodeids"].append(node)
            a["nodes_featureids"].append(0 if leaf else tree["split_indices"][node])
            a["nodes_values"].append(0.0 if leaf else float(tree["split_conditions"][node]))
            a["nodes_modes"].append("LEAF" if leaf else "BRANCH_LT")
            a["nodes_truenodeids"].append(0 if leaf else left)
            a["nodes_falsenodeids"].append(0 if leaf else tree["right_children"][node])
            a["nodes_missing_value_tracks_true"].append(0 if leaf else int(tree["default_left"][node]))
            if leaf:  # its split condition is its weight
                a["target_treeids"].append(number)
                a["target_nodeids"].append(node)
                a["target_ids"].append(0)
                a["target_weights"].append(float(tree["split_conditions"][node]))
    return a


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        learner = json.load(file)["learner"]
    features = int(learner["learner_model_param"]["num_feature"])
    base = float(learner["learner_model_param"]["base_score"])
    forest = helper.make_node("TreeEnsembleRegressor", ["row"], ["margin"], domain="ai.onnx.ml", n_targets=1,
                              base_values=[math.log(base / (1 - base))], **tree_attributes(learner["gradient_booster"]["model"]["trees"]))
    graph = helper.make_graph([forest, helper.make_node("Sigmoid", ["margin"], ["score"])], "bench",
                              [helper.make_tensor_value_info("row", TensorProto.FLOAT, [None, features])],
                              [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, target)


if __name__ == "__main__":
    main()
