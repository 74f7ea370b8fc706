# gives: DataFrame 3 x 3
@fused.udf
def udf(minimum: int = 0):
    import pandas as pd

    df = pd.DataFrame({"name": ["Lyon", "Oslo", "Cuzco"], "population": [522_250, 717_710, 428_450], "height": [173, 23, 3399]})
    print(df.head())
    return df[df.population >= minimum]
