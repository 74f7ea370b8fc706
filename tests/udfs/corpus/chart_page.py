# gives: Response
def html_to_obj(html):
    from starlette.responses import Response

    return Response(html.encode("utf-8"), media_type="text/html; charset=utf-8")


@fused.udf(cache_max_age=0)
def udf(n: int = 5):
    import jinja2

    page = jinja2.Template("<ul>{% for each in rows %}<li>{{ each }}</li>{% endfor %}</ul>")
    return html_to_obj(page.render(rows=range(n)))
