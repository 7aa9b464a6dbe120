"""Explain everything that is wrong with a recipe, line by line, with the nearest right word.

Pydantic finds all problems at once but does not know what the user may have meant. Each line
here reads ``section: what is wrong; the way out``, such as
``features: unknown key 'n_lag'; did you mean 'n_lags'?``.
"""

import difflib
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known word, or nothing when none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Turn pydantic's findings into one line each.

    Args:
        error: what validating ``model`` raised.
        model: the outermost model, where the names of known keys are looked up.
    """
    return [
        _explain_key(problem["loc"], model)
        if problem["type"] == "extra_forbidden"
        else _explain_value(problem["loc"], problem["msg"], problem.get("ctx", {}))
        for problem in error.errors()
    ]


def heading(name: str, problems: Sequence[str]) -> str:
    """Put all problems under one heading, indented by two spaces."""
    return "\n  ".join([f"{name}: {len(problems)} problem(s)", *problems])


def _explain_key(place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    *section, key = map(str, place)
    known = _keys(section, model)
    hint = did_you_mean(key, known) or f"; known keys: {', '.join(known)}"
    return f"{'.'.join(section) or 'recipe'}: unknown key '{key}'{hint}"


def _explain_value(place: tuple[int | str, ...], message: str, context: dict[str, Any]) -> str:
    reason = context.get("error", message)  # our own ValueError, without pydantic's preface
    return ": ".join(filter(None, [".".join(map(str, place)), str(reason)]))


def _keys(section: Sequence[str], model: Any) -> list[str]:
    for key in section:
        annotation = model.model_fields[key].annotation
        model = next(iter(typing.get_args(annotation)), annotation)  # `Published | None`
    return list(model.model_fields)
