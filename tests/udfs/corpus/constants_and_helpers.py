# gives: DataFrame 2 x 2
import json

RATES = json.loads('{"a": 1.5, "b": 2.0}')


def scaled(df, name):
    df["value"] = df["value"] * RATES[name]
    return df


@fused.udf
def udf(name: str = "b"):
    import pandas as pd

    return scaled(pd.DataFrame({"key": ["x", "y"], "value": [1, 2]}), name)
