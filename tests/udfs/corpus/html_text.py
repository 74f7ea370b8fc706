# gives: str
@fused.udf
def udf(title: str = "Hello"):
    return f"<!DOCTYPE html><html><body><h1>{title}</h1><script>document.title = 'ok'</script></body></html>"
