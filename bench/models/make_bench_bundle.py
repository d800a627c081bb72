#!/usr/bin/env python3
"""Writes a bundle for speed measurements: 15 columns and a forest of full trees in XGBoost's JSON, all made from a seed.

    python3 bench/models/make_bench_bundle.py --trees 100 --depth 6 --out build/bench/card

The trees are drawn, not trained: how fast a forest is computed depends on its shape and on how rows spread over it, and
thresholds are taken from where the features' values lie. Its scores mean nothing. The bundle reads what `assay gen` writes
and the documents of `assay bench decode`. Needs nothing but Python.
"""

import argparse
import json
import pathlib
import random

BUNDLE = """\
# Made by bench/models/make_bench_bundle.py: trees drawn at random, for measuring speed only.
name: bench-card
version: "{trees}x{depth}-{seed}"
transaction:
  id:       {{field: tx_id,       type: id}}
  time:     {{field: ts,          type: time, unit: s}}
  card:     {{field: customer_id, type: key}}
  terminal: {{field: terminal_id, type: key}}
  amount:   {{field: amount,      type: number}}
  currency: {{field: currency,    type: category}}
  mcc:      {{field: mcc,         type: key}}
  country:  {{field: country,     type: category}}
  channel:  {{field: channel,     type: category}}
  distance: {{field: distance,    type: number}}
features:
  - amount:       amount
  - amount_log:   log1p(amount)
  - small:        amount < 5
  - hour:         hour(time)
  - local_hour:   hour(time, "Europe/Berlin")
  - night:        hour(time) <= 5
  - weekend:      weekday(time) >= 5
  - euro:         currency == "EUR"
  - mcc_risk:     lookup(mcc, "5411", 0.002, "5732", 0.02, "5812", 0.001, "5816", 0.03, "6011", 0.01, "7995", 0.05, 0.005)
  - country_risk: lookup(country, "DE", 0.004, "FR", 0.005, "GB", 0.006, "ES", 0.008, "IT", 0.007, "NL", 0.004, "US", 0.01, 0.02)
  - channel:      onehot(channel, "pos", "web", "atm")
  - distance_log: log1p(distance)
  - exposure:     clip(amount / 100, 0, 20) * country_risk
reasons:
  - {{code: night_online, text: "Online at night", when: night and channel_web}}
  - {{code: high_amount, text: "A large amount", when: amount >= 500}}
model: {{file: model.json}}
policy: {{review: 0.5, decline: 0.9}}
"""

# Columns in the bundle's order, with the range that their thresholds are drawn from (amounts logarithmically).
COLUMNS = [("amount", 1, 1000), ("amount_log", 0.7, 7), ("small", 0.5, 0.5), ("hour", 0, 23), ("local_hour", 0, 23), ("night", 0.5, 0.5),
           ("weekend", 0.5, 0.5), ("euro", 0.5, 0.5), ("mcc_risk", 0.001, 0.05), ("country_risk", 0.004, 0.02), ("channel_pos", 0.5, 0.5),
           ("channel_web", 0.5, 0.5), ("channel_atm", 0.5, 0.5), ("distance_log", 0.1, 2.5), ("exposure", 0.001, 0.2)]


def threshold(rng, low, high):
    if low == high:
        return low
    return round(low * (high / low) ** rng.random() if low > 0 else rng.uniform(low, high), 6)


def tree(rng, number, depth):
    """A full binary tree, numbered level by level: the children of node i are 2i + 1 and 2i + 2."""
    inner, nodes = 2 ** depth - 1, 2 ** (depth + 1) - 1
    features = [rng.randrange(len(COLUMNS)) if i < inner else 0 for i in range(nodes)]
    # XGBoost keeps a leaf's value where an inner node has its threshold.
    conditions = [threshold(rng, *COLUMNS[features[i]][1:]) if i < inner else round(rng.gauss(0, 0.08), 6) for i in range(nodes)]
    return {
        "base_weights": conditions,
        "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
        "default_left": [rng.randrange(2) if i < inner else 0 for i in range(nodes)],
        "id": number,
        "left_children": [2 * i + 1 if i < inner else -1 for i in range(nodes)],
        "loss_changes": [1.0 if i < inner else 0.0 for i in range(nodes)],
        "parents": [2147483647] + [(i - 1) // 2 for i in range(1, nodes)],
        "right_children": [2 * i + 2 if i < inner else -1 for i in range(nodes)],
        "split_conditions": conditions,
        "split_indices": features,
        "split_type": [0] * nodes,
        "sum_hessian": [1.0] * nodes,
        "tree_param": {"num_deleted": "0", "num_feature": str(len(COLUMNS)), "num_nodes": str(nodes), "size_leaf_vector": "1"},
    }


def model(trees, depth, seed):
    rng = random.Random(seed)
    gbtree = {
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(trees)},
        "iteration_indptr": list(range(trees + 1)),
        "tree_info": [0] * trees,
        "trees": [tree(rng, number, depth) for number in range(trees)],
    }
    return {
        "learner": {
            "attributes": {},
            "feature_names": [name for name, _, _ in COLUMNS],
            "feature_types": ["float"] * len(COLUMNS),
            "gradient_booster": {"model": gbtree, "name": "gbtree"},
            "learner_model_param": {"base_score": "5E-1", "boost_from_average": "1", "num_class": "0",
                                    "num_feature": str(len(COLUMNS)), "num_target": "1"},
            "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}},
        },
        "version": [2, 1, 4],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/bench/card"), help="directory of the bundle")
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.trees < 1 or not 1 <= options.depth <= 16:
        parser.error("at least one tree, of depth 1 to 16")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bundle.yaml").write_text(BUNDLE.format(trees=options.trees, depth=options.depth, seed=options.seed))
    (options.out / "model.json").write_text(json.dumps(model(options.trees, options.depth, options.seed), separators=(",", ":")))
    print(options.out)


if __name__ == "__main__":
    main()
