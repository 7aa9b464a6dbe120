"""YAML as plain values: no repeated keys, anchors, aliases or tags, and a limit on size and depth.

A file that a stranger wrote must not be able to fill the memory (``&a [*b, *b]`` repeated twenty
times), to hide a value behind a second key of the same name, or to stop us with a traceback.
Numbers follow YAML 1.2, so ``1e-3`` is a number here (in PyYAML it is text), while ``1:30`` (in
PyYAML 90) and dates stay text.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from tselcli.errors import RecipeError

MAX_YAML_BYTES = 1_000_000
MAX_DEPTH = 20

_INTEGER = re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9]+[eE][-+]?[0-9]+
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_TAG = "tag:yaml.org,2002:"


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with everything but plain values refused."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor or getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(
                problem="anchors, aliases and tags are not allowed", problem_mark=event.start_mark
            )
        if self.depth >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} occurs twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in (_TAG + "int", _TAG + "float", _TAG + "timestamp", _TAG + "merge")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(_TAG + "int", _INTEGER, list("-+0123456789"))
_PlainLoader.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+0123456789."))


class _FlowListDumper(yaml.SafeDumper):
    """Writes lists as [a, b] and mappings as blocks; quotes what `_PlainLoader` would misread."""


_FlowListDumper.yaml_implicit_resolvers = _PlainLoader.yaml_implicit_resolvers
_FlowListDumper.add_representer(
    list, lambda dumper, values: dumper.represent_sequence(_TAG + "seq", values, flow_style=True)
)


def parse_yaml(text: str | bytes, name: str) -> Any:
    """Turn YAML text into plain Python values.

    Args:
        text: the document; bytes must be UTF-8 (or UTF-16 with a mark).
        name: what to call it in an error message.

    Raises:
        RecipeError: not YAML, more than one document, or something other than plain values.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise RecipeError(f"{name}: {place}{error.problem}; write plain YAML values") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{name}: not readable as YAML text ({reason})") from error


def read_yaml(path: Path) -> Any:
    """Read one YAML file of at most ``MAX_YAML_BYTES``.

    Raises:
        RecipeError: the file is missing, unreadable, too large or not plain YAML.
    """
    if os.path.isdir(path):
        raise RecipeError(f"{path}: this is a folder; give the YAML file in it")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_YAML_BYTES + 1)
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError(f"{path}: cannot be read ({reason})") from error
    if len(content) > MAX_YAML_BYTES:
        raise RecipeError(f"{path}: larger than {MAX_YAML_BYTES} bytes; this is not a recipe")
    return parse_yaml(content, str(path))


def format_yaml(values: Any) -> str:
    """Write plain values as YAML, in the given order, one mapping key per line."""
    return yaml.dump(values, Dumper=_FlowListDumper, sort_keys=False, allow_unicode=True, width=100)
