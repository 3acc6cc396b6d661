"""Makes a list of the lines in a docstring that describe arguments (`name: text` or `name, other: text`)."""

import re
from typing import Any

from griffe import Extension, Object

_ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): (?=\S)")


class ArgumentLists(Extension):
    """For the API reference, because Markdown would join the lines to a paragraph."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = with_lists(obj.docstring.value)


def with_lists(docstring: str) -> str:
    """Return a docstring in which each run of argument lines is a Markdown list."""
    lines: list[str] = []
    inside = False
    for line in docstring.split("\n"):
        argument = _ARGUMENT.match(line)
        if argument and not inside:
            lines.append("")
        elif inside and line and not argument and not line.startswith(" "):
            lines.append("")
        inside = bool(argument) or (inside and line.startswith(" "))
        names = ", ".join(f"`{name}`" for name in argument[1].split(", ")) if argument else ""
        lines.append(f"- {names}: {line[argument.end() :]}" if argument else line)
    return "\n".join(lines)
