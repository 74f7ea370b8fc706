# gives: int
@fused.udf(cache_max_age="30m")
def udf(n: int = 3):
    @fused.cache(cache_max_age="1h", cache_key_exclude=["verbose"], cache_folder_path="cubes", cache_reset=False)
    def slow(n, verbose=False):
        return n**3

    return slow(n, verbose=True)
