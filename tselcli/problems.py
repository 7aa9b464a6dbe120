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

Place = tuple[int | str, ...]


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
        else _explain_value(problem["loc"], problem["msg"], problem.get("ctx", {}), model)
        for problem in error.errors()
    ]


def heading(name: str, problems: Sequence[str]) -> str:
    """Put all problems under one heading, indented by two spaces."""
    return "\n  ".join([f"{name}: {len(problems)} problem(s)", *problems])


def _explain_key(place: Place, model: type[BaseModel]) -> str:
    section, known = _section(place[:-1], model)
    key = str(place[-1])
    hint = did_you_mean(key, known) or f"; known keys: {', '.join(known)}"
    return f"{'.'.join(section) or 'recipe'}: unknown key '{key}'{hint}"


def _explain_value(
    place: Place, message: str, context: dict[str, Any], model: type[BaseModel]
) -> str:
    reason = context.get("error", message)  # our own ValueError, without pydantic's preface
    section, _ = _section(place, model)
    return ": ".join(filter(None, [".".join(section), str(reason)]))


def _section(place: Place, model: type[BaseModel]) -> tuple[list[str], list[str]]:
    """Follow a place into the model: its keys as the user wrote them, and the known keys there.

    Where a section is of one of several kinds, pydantic puts the kind's name into the place.
    """
    keys: list[str] = []
    kinds: list[type[BaseModel]] = [model]
    for key in map(str, place):
        if len(kinds) > 1:
            kinds = [kind for kind in kinds if kind.model_fields["name"].default == key]
            continue
        keys.append(key)
        field = kinds[0].model_fields.get(key) if kinds else None
        annotation = field.annotation if field else None
        choices = typing.get_args(annotation) or (annotation,)
        kinds = [c for c in choices if isinstance(c, type) and issubclass(c, BaseModel)]
    return keys, list(kinds[0].model_fields) if kinds else []
