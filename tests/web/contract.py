"""`runtime/web/src/artifact/contract.js`: what Python and JavaScript must agree on, written from the Python sources.

`make contract` writes the file; tests/web/test_contract.py fails where it is out of date.
"""

import json
import types
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from onnxrank.artifact.device_check import DeviceCheck
from onnxrank.artifact.golden import Golden
from onnxrank.artifact.manifest import DEVICE_CHECK, FORMAT, GOLDEN, MANIFEST, Activation, Manifest
from onnxrank.artifact.opening import TOKENIZER
from onnxrank.artifact.variants import PRECISIONS, PREFERRED
from onnxrank.engine.batching import RUN_TOKENS
from onnxrank.engine.prefix import GROUPED_FROM
from onnxrank.engine.requantized import ALIGNED
from onnxrank.proof.tolerances import DEVICE_DIFFERENCE, EXPORT_MARGIN
from onnxrank.quantize.requantize import LOCATION
from onnxrank.text.tokenizer import PLACEHOLDER

FILE = Path(__file__).parent.parent.parent / "runtime" / "web" / "src" / "artifact" / "contract.js"
COMMAND = "make contract"
HEADER = f"""\
/**
 * What Python and JavaScript must agree on: the shapes of an artifact's JSON files, and the scorers' constants.
 * `{COMMAND}` writes this file from the Python sources, whose docstrings say what each field means.
 */
"""
FILES = (Manifest, Golden, DeviceCheck)
# By the Python type: its name in SHAPES, and in TypeScript.
PRIMITIVES = {
    str: ("string", "string"),
    int: ("integer", "number"),
    float: ("number", "number"),
    bool: ("boolean", "boolean"),
    types.NoneType: ("null", "null"),
}
TYPEDEFS = """\
/** @typedef {keyof typeof PRECISIONS} Dtype */
/** @typedef {keyof typeof PREFERRED} Device */
/**
 * A primitive type, the name of another shape, a list or map of one shape, one of several shapes, or one of several
 * strings.
 * @typedef {string | {list: Shape} | {map: Shape} | {either: readonly Shape[]} | {one_of: readonly string[]}} Shape
 */
"""


def contract() -> str:
    """Return the text of contract.js."""
    kinds = _dataclasses(FILES)
    precisions = {name: asdict(precision) for name, precision in PRECISIONS.items()}
    # The purpose of a variant is only in Python's help.
    precisions = {name: {k: v for k, v in fields.items() if k != "purpose"} for name, fields in precisions.items()}
    shapes = {kind.__name__: {name: _shape(hint) for name, hint in get_type_hints(kind).items()} for kind in kinds}
    return "\n".join(
        [
            HEADER,
            *map(_typedef, kinds),
            TYPEDEFS,
            "// runtime/artifact/manifest.py",
            _constant("FORMAT", FORMAT),
            _constant("MANIFEST", MANIFEST),
            _constant("GOLDEN", GOLDEN),
            _constant("DEVICE_CHECK", DEVICE_CHECK),
            _constant("ACTIVATIONS", get_args(Activation)),
            "// runtime/artifact/opening.py",
            _constant("TOKENIZER", TOKENIZER),
            "// runtime/artifact/variants.py",
            _constant("PRECISIONS", precisions),
            _constant("PREFERRED", PREFERRED),
            "// runtime/text/tokenizer.py",
            _constant("PLACEHOLDER", PLACEHOLDER),
            "// runtime/engine/batching.py",
            _constant("RUN_TOKENS", RUN_TOKENS),
            "// runtime/engine/prefix.py",
            _constant("GROUPED_FROM", GROUPED_FROM),
            "// runtime/engine/requantized.py",
            _constant("ALIGNED", ALIGNED),
            "// runtime/proof/tolerances.py",
            _constant("DEVICE_DIFFERENCE", DEVICE_DIFFERENCE, kind="Record<string, number>"),
            _constant("EXPORT_MARGIN", EXPORT_MARGIN),
            "// quantize/requantize.py",
            _constant("LOCATION", LOCATION),
            "// The fields of the dataclasses; schema.js reads them.",
            _constant("SHAPES", shapes, kind="Record<string, Record<string, Shape>>"),
            "",
        ]
    )


def _dataclasses(roots: tuple[type, ...]) -> list[type]:
    """Return dataclasses, preceded by those that their fields refer to."""
    found: dict[type, None] = {}

    def visit(hint: Any) -> None:
        if is_dataclass(hint):
            for field in get_type_hints(hint).values():
                visit(field)
            found.setdefault(hint)  # type: ignore[arg-type]  # a class, as it is a hint
        for argument in get_args(hint):
            visit(argument)

    for root in roots:
        visit(root)
    return list(found)


def _shape(hint: Any) -> Any:
    if hint in PRIMITIVES:
        return PRIMITIVES[hint][0]
    if is_dataclass(hint):
        return hint.__name__  # type: ignore[union-attr]  # a class, as it is a hint
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"one_of": arguments}
    if origin in (types.UnionType, Union):
        return {"either": [_shape(argument) for argument in arguments]}
    return {"list": _shape(arguments[0])} if origin is tuple else {"map": _shape(arguments[1])}


def _typescript(hint: Any) -> str:
    if hint in PRIMITIVES:
        return PRIMITIVES[hint][1]
    if is_dataclass(hint):
        return hint.__name__  # type: ignore[union-attr]  # a class, as it is a hint
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(map(json.dumps, arguments))
    if origin in (types.UnionType, Union):
        return " | ".join(dict.fromkeys(map(_typescript, arguments)))
    return f"{_typescript(arguments[0])}[]" if origin is tuple else f"Record<string, {_typescript(arguments[1])}>"


def _typedef(kind: type) -> str:
    fields = [f" *   {name}: {_typescript(hint)}," for name, hint in get_type_hints(kind).items()]
    return "\n".join(["/**", " * @typedef {{", *fields, f" * }}}} {kind.__name__}", " */"])


def _constant(name: str, value: Any, kind: str = "const") -> str:
    if isinstance(value, dict | list | tuple):
        return f"export const {name} = /** @type {{{kind}}} */ ({_javascript(value, '')});"
    return f"export const {name} = {_javascript(value, '')};"


def _javascript(value: Any, indent: str) -> str:
    """Return JSON in the style of JavaScript, with one line per map entry at the two outer levels."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_javascript(item, indent) for item in value)}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    entries = [f"{name}: {_javascript(item, indent + '  ')}" for name, item in value.items()]
    if len(indent) > 2:
        return f"{{ {', '.join(entries)} }}"
    return "{\n" + "".join(f"{indent}  {entry},\n" for entry in entries) + f"{indent}}}"


if __name__ == "__main__":
    FILE.write_text(contract(), encoding="utf-8")
