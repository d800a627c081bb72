"""The transactions of the Fraud Detection Handbook (the shared inputs' fdh_transactions.csv.xz) as JSONL, and a bundle for them.

The model is no trained one: its trees are drawn from a seed, deep and wide enough to do the work of a real one (100 trees
of depth 6 on 15 features). What matters here is that every path gives the same bytes for it.
"""

import csv
import json
import lzma
import random
from pathlib import Path

TREES, DEPTH = 100, 6

# name, expression, range of its values in the data
FEATURES = [
    ("amount", "amount", 0, 300),
    ("night", "hour(time) <= 6", 0, 1),
    ("weekend", "weekday(time) >= 5", 0, 1),
    ("log_amount", "log1p(amount)", 0, 8),
    ("hour", "hour(time)", 0, 24),
    ("weekday", "weekday(time)", 0, 7),
    ("capped", "clip(amount, 0, 220)", 0, 220),
    ("large", "amount > 220", 0, 1),
    ("night_amount", "if(hour(time) <= 6, amount, 0)", 0, 300),
    ("weekend_log", "if(weekday(time) >= 5, log1p(amount), 0)", 0, 8),
    ("from_usual", "abs(amount - 54)", 0, 250),
    ("small", "min(amount, 20)", 0, 20),
    ("cents", "amount * 100", 0, 30000),
    ("of_day", "hour(time) / 24", 0, 1),
    ("square", "amount * amount / 1000", 0, 90),
]

# The Handbook's own features (chapter 3, "Baseline feature transformation"), with the names that its reference has for them.
WINDOW_FEATURES = [
    ("TX_AMOUNT", "amount", 0, 300),
    ("TX_DURING_WEEKEND", "weekday(time) >= 5", 0, 1),
    ("TX_DURING_NIGHT", "hour(time) <= 6", 0, 1),
]
for _days in (1, 7, 30):
    WINDOW_FEATURES += [
        (f"CUSTOMER_ID_NB_TX_{_days}DAY_WINDOW", f"count(card, {_days}d)", 0, 4 * _days),
        (f"CUSTOMER_ID_AVG_AMOUNT_{_days}DAY_WINDOW", f"mean(amount, card, {_days}d)", 0, 100),
    ]
for _days in (1, 7, 30):
    WINDOW_FEATURES += [
        (f"TERMINAL_ID_NB_TX_{_days}DAY_WINDOW", f"count(terminal, {_days}d, delay=7d)", 0, 2 * _days),
        (f"TERMINAL_ID_RISK_{_days}DAY_WINDOW", f"risk(terminal, {_days}d, delay=7d)", 0, 1),
    ]

BUNDLE = """name: handbook
version: "1"
transaction:
  id:       {field: tx_id,       type: id}
  time:     {field: ts,          type: time, unit: s}
  card:     {field: customer_id, type: key}
  terminal: {field: terminal_id, type: key}
  amount:   {field: amount,      type: number, required: true}
features:
"""


def tree(number, draw, features):
    """A complete tree, nodes in level order, in the form that XGBoost writes."""
    inner, nodes = 2 ** DEPTH - 1, 2 ** (DEPTH + 1) - 1
    split, condition = [], []
    for node in range(nodes):
        feature = draw.randrange(len(features)) if node < inner else 0
        low, high = features[feature][2:]
        split.append(feature)
        # A leaf's value stands where an inner node has its threshold.
        condition.append(round(draw.uniform(low, high), 3) if node < inner else round(draw.gauss(0, 0.05), 6))
    left = [2 * i + 1 if i < inner else -1 for i in range(nodes)]
    right = [2 * i + 2 if i < inner else -1 for i in range(nodes)]
    return {
        "base_weights": condition, "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
        "default_left": [0] * nodes, "id": number, "left_children": left, "loss_changes": [0.0] * nodes,
        "parents": [2147483647] + [(i - 1) // 2 for i in range(1, nodes)], "right_children": right, "split_conditions": condition,
        "split_indices": split, "split_type": [0] * nodes, "sum_hessian": [1.0] * nodes,
        "tree_param": {"num_deleted": "0", "num_feature": str(len(features)), "num_nodes": str(nodes), "size_leaf_vector": "1"},
    }


def write_bundle(folder, features=FEATURES):
    """Writes the bundle into folder/handbook/1 and returns that path."""
    path = Path(folder) / "handbook" / "1"
    path.mkdir(parents=True)
    text = BUNDLE + "".join(f"  - {name}: {expression}\n" for name, expression, _, _ in features)
    (path / "bundle.yaml").write_text(text + "model: {file: model.json}\npolicy: {review: 0.6, decline: 0.7}\n")
    draw = random.Random(20180401)
    model = {"gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(TREES)}, "tree_info": [0] * TREES,
             "iteration_indptr": list(range(TREES + 1)), "trees": [tree(i, draw, features) for i in range(TREES)]}
    learner = {
        "attributes": {}, "feature_names": [f[0] for f in features], "feature_types": [],
        "gradient_booster": {"model": model, "name": "gbtree"},
        "learner_model_param": {"base_score": "5E-1", "boost_from_average": "1", "num_class": "0",
                                "num_feature": str(len(features)), "num_target": "1"},
        "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}},
    }
    (path / "model.json").write_text(json.dumps({"learner": learner, "version": [2, 1, 0]}))
    return path


def rows(archive, limit=None):
    """The first transactions as JSON lines, without their labels."""
    with lzma.open(archive, "rt", newline="") as file:
        for i, row in enumerate(csv.reader(file)):
            if i == 0:
                assert row[:5] == ["tx_id", "ts", "customer_id", "terminal_id", "amount"], row
            elif limit is not None and i > limit:
                return
            else:
                yield f'{{"tx_id":{row[0]},"ts":{row[1]},"customer_id":{row[2]},"terminal_id":{row[3]},"amount":{row[4]}}}\n'


def synthetic_rows(n):
    """Transactions of the same form, where the archive is not at hand."""
    draw = random.Random(1)
    for i in range(n):
        yield (f'{{"tx_id":{i},"ts":{1522540800 + i // 2},"customer_id":{draw.randrange(5000)},"terminal_id":{draw.randrange(10000)},'
               f'"amount":{draw.lognormvariate(3.5, 1):.2f}}}\n')
