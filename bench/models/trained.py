"""The models that bench/models measures: synthetic transactions, seeded, trained by XGBoost and LightGBM, kept as files."""
import numpy

COLUMNS = 30
TRAINING_ROWS = 60000


def rows(count, seed):
    """[count][COLUMNS] float32: amounts, counts, ratios, as a fraud model sees them."""
    random = numpy.random.default_rng(seed)
    x = random.normal(size=(count, COLUMNS))
    x[:, ::3] = numpy.exp(x[:, ::3])
    x[:, 1::3] = numpy.round(x[:, 1::3] * 20)
    return numpy.ascontiguousarray(x, dtype=numpy.float32)


def labels(x, seed):
    """Depends on many columns and their pairs, with noise: trees then grow to their limits."""
    random = numpy.random.default_rng(seed)
    weights = random.normal(size=COLUMNS)
    pairs = sum(x[:, i] * x[:, (i * 7 + 3) % COLUMNS] * random.normal() for i in range(COLUMNS))
    score = x @ weights * 0.2 + pairs * 0.1
    score = (score - score.mean()) / score.std() + random.normal(size=len(x))
    return (score > 1.0).astype(numpy.float32)


def train_xgboost(path, depth):
    import xgboost
    x = rows(TRAINING_ROWS, 1)
    parameters = {"objective": "binary:logistic", "max_depth": depth, "eta": 0.05, "tree_method": "hist", "min_child_weight": 0,
                  "lambda": 0.1, "base_score": 0.5, "seed": 1, "nthread": 2}
    booster = xgboost.train(parameters, xgboost.DMatrix(x, labels(x, 2)), num_boost_round=500)
    booster.save_model(path)


def train_lightgbm(path, leaves):
    import lightgbm
    x = rows(TRAINING_ROWS, 1)
    parameters = {"objective": "binary", "num_leaves": leaves, "learning_rate": 0.05, "min_data_in_leaf": 5, "seed": 1, "verbose": -1,
                  "num_threads": 2, "deterministic": True, "force_row_wise": True, "boost_from_average": False}
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, labels(x, 2)), num_boost_round=500)
    booster.save_model(path)


# name: (kind, file, how to train it)
MODELS = {
    "XGBoost, 500 trees of depth 6": ("xgboost", "xgboost-500-d6.ubj", lambda path: train_xgboost(path, 6)),
    "XGBoost, 500 trees of depth 8": ("xgboost", "xgboost-500-d8.ubj", lambda path: train_xgboost(path, 8)),
    "LightGBM, 500 trees of 63 leaves": ("lightgbm", "lightgbm-500-63.txt", lambda path: train_lightgbm(path, 63)),
    "LightGBM, 500 trees of 255 leaves": ("lightgbm", "lightgbm-500-255.txt", lambda path: train_lightgbm(path, 255)),
}


def trained(name, home):
    """Path of the model's file, trained when it is not there yet."""
    _, file, train = MODELS[name]
    path = home / "models" / file
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name("unfinished-" + path.name)
        train(str(unfinished))
        unfinished.rename(path)
    return path
