import pandas as pd

SCALE = 10


def scaled(resolution):
    return pd.DataFrame({"value": [resolution, resolution * SCALE]})
