"""Formulas of deck.gl's JSON, ``@@=properties.height * 5``, as MapLibre expressions."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fused_jupyter.errors import ArgumentError

PREFIX: Final = "@@="

_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
    ast.Pow: "^",
}
_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_FUNCTIONS: Final = {
    "abs": "abs",
    "ceil": "ceil",
    "floor": "floor",
    "log": "ln",
    "log10": "log10",
    "log2": "log2",
    "max": "max",
    "min": "min",
    "pow": "^",
    "round": "round",
    "sqrt": "sqrt",
}
"""Of JavaScript's ``Math``."""
_CONSTANTS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None, "undefined": None}
_WORDS: Final = ((r"===", "=="), (r"!==", "!="), (r"&&", " and "), (r"\|\|", " or "), (r"!(?!=)", " not "))


def is_formula(value: object) -> bool:
    """Whether it is a text of that kind."""
    return isinstance(value, str) and value.startswith(PREFIX)


def read_formula(text: str) -> Any:
    """The expression that a formula means; of a list a list of them.

    Raises:
        ArgumentError: it has parts that no expression can say.

    >>> read_formula("@@=properties.height * 5")
    ['*', ['to-number', ['get', 'height'], 0], 5]
    """
    source = text.removeprefix(PREFIX).strip()
    try:
        tree = ast.parse(_as_python(source), mode="eval")
        return _translate(tree.body)
    except (SyntaxError, _UnknownPartError) as exc:
        raise ArgumentError(
            f"style: cannot read the formula {text!r}; numbers, properties.name, + - * /, comparisons, Math functions "
            "and condition ? a : b can be read"
        ) from exc


def color_formula(value: Any) -> Any:
    """The expression of a colour: a list of channels from 0 to 255, or what a property says.

    >>> color_formula(["get", "fill"])
    ['to-color', ['get', 'fill']]
    """
    if not isinstance(value, list) or not value or isinstance(value[0], str):
        return ["to-color", value] if isinstance(value, list) else value
    channels = [_channel(each) for each in value]
    if len(channels) not in {3, 4}:
        raise ArgumentError(f"style: got a colour of {len(channels)} channels, need red, green, blue and perhaps alpha")
    return ["rgb", *channels] if len(channels) == 3 else ["rgba", *channels[:3], ["/", channels[3], 255]]


def number_formula(value: Any) -> Any:
    """The expression of a number, which a lone property is only by a conversion."""
    return ["to-number", value, 0] if isinstance(value, list) and value[:1] == ["get"] else value


class _UnknownPartError(Exception):
    """A part of a formula that is none of ours."""


def _channel(value: Any) -> Any:
    number = number_formula(value)
    # MapLibre refuses a channel beyond 255, where deck.gl cuts it.
    return max(0, min(255, number)) if isinstance(number, (int, float)) else ["max", 0, ["min", 255, number]]


def _as_python(source: str) -> str:
    if parts := _ternary(source):
        condition, first, second = (_as_python(part) for part in parts)
        return f"(({first}) if ({condition}) else ({second}))"
    for pattern, word in _WORDS:
        source = re.sub(pattern, word, source)
    return source.strip()


def _ternary(source: str) -> tuple[str, str, str] | None:
    """Condition and both values of the outermost ``a ? b : c``."""
    question, depth, nested = -1, 0, 0
    for place, letter in enumerate(source):
        depth += (letter in "([") - (letter in ")]")
        if depth or letter not in "?:":
            continue
        if letter == "?":
            question, nested = (place, nested) if question < 0 else (question, nested + 1)
        elif nested:
            nested -= 1
        elif question >= 0:
            return source[:question], source[question + 1 : place], source[place + 1 :]
    return None


def _translate(node: ast.expr) -> Any:
    if (translate := _PARTS.get(type(node))) is None:
        raise _UnknownPartError
    return translate(node)


def _property(node: Any) -> Any:
    """`properties.name`, `d.properties.name`, `properties["name"]`."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node.slice, "value", None)
    is_of_feature = isinstance(node.value, ast.Name) or getattr(node.value, "attr", "") == "properties"
    if not is_of_feature or not isinstance(name, str):
        raise _UnknownPartError
    return ["get", name]


def _constant(node: Any) -> Any:
    if not isinstance(node.value, (bool, int, float, str)):
        raise _UnknownPartError
    return node.value


def _unary(node: Any) -> Any:
    if isinstance(node.op, ast.Not):
        return ["!", _truth(node.operand)]
    number = _number(node.operand)
    if not isinstance(node.op, ast.USub):
        return number
    return -number if isinstance(number, (int, float)) else ["-", number]


def _comparison(node: Any) -> Any:
    if len(node.ops) != 1:
        raise _UnknownPartError
    operator, sides = _known(_COMPARISONS, node.ops[0]), (node.left, node.comparators[0])
    read = _translate if operator in {"==", "!="} else _number
    return [operator, *(read(side) for side in sides)]


def _call(node: Any) -> Any:
    function = node.func
    is_math = (
        isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "Math"
    )
    if not is_math or function.attr not in _FUNCTIONS or node.keywords:
        raise _UnknownPartError
    return [_FUNCTIONS[function.attr], *(_number(argument) for argument in node.args)]


def _truth(node: ast.expr) -> Any:
    return ["to-boolean", _translate(node)]


def _known(table: Mapping[type[Any], str], operator: Any) -> str:
    if type(operator) not in table:
        raise _UnknownPartError
    return table[type(operator)]


_PARTS: Final[dict[type[ast.expr], Callable[[Any], Any]]] = {
    ast.Attribute: _property,
    ast.BinOp: lambda node: [_known(_ARITHMETIC, node.op), _number(node.left), _number(node.right)],
    ast.BoolOp: lambda node: ["all" if isinstance(node.op, ast.And) else "any", *map(_truth, node.values)],
    ast.Call: _call,
    ast.Compare: _comparison,
    ast.Constant: _constant,
    ast.IfExp: lambda node: ["case", _truth(node.test), _translate(node.body), _translate(node.orelse)],
    ast.List: lambda node: [_translate(element) for element in node.elts],
    ast.Name: lambda node: _CONSTANTS.get(node.id, ["get", node.id]),
    ast.Subscript: _property,
    ast.UnaryOp: _unary,
}


def _number(node: ast.expr) -> Any:
    return number_formula(_translate(node))
