"""Templates of functions as Nuclio's gallery has them: what is between `{{` and `}}` is the name of a value.

That is the part of Go's templates that such templates use. There is no code to run, whoever wrote the template.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from stack.config.reading import parse_mapping
from stack.errors import ConfigError

# A hyphen at either end takes the white space there with it, as in Go.
_ACTION = re.compile(r"(?:\s+\{\{-(?=\s)|\{\{(?:-(?=\s))?)\s*(.*?)\s*(?:(?<=\s)-\}\}\s*|\}\})", re.DOTALL)
_NAME = re.compile(r"(?:\.[A-Za-z_]\w*)+")
_COMMENT = re.compile(r"/\*.*\*/", re.DOTALL)


def render_template(template: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Put values into a template; return the document that its YAML describes.

    Raises:
        ConfigError: the template asks for a value that is not given, or for more than a value, or is no YAML then.
    """
    problems: list[str] = []

    def replace(match: re.Match[str]) -> str:
        try:
            return _evaluate(match[1], values)
        except LookupError as error:
            problems.append(f"template: {{{{ {match[1]} }}}}: {error.args[0]}")
            return ""

    text = _ACTION.sub(replace, template)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return parse_mapping(text, "template")


def _evaluate(action: str, values: Mapping[str, Any]) -> str:
    """Return what an action stands for.

    Raises:
        LookupError: there is no such value.
    """
    if _COMMENT.fullmatch(action):
        return ""
    if not _NAME.fullmatch(action):
        raise LookupError("only the name of a value is understood here, such as {{ .name }}")
    value: Any = values
    for key in action.split(".")[1:]:
        if not isinstance(value, Mapping) or key not in value:
            raise LookupError(f"there is no value {key!r}")
        value = value[key]
    return value if isinstance(value, str) else json.dumps(value)
