"""What can go wrong for a user, and the exit code that says so.

    TselError          1  base class, never raised itself
    ├── RecipeError    2  a recipe or an option that cannot be followed
    ├── DataError      3  a recording, a corpus or a folder that cannot be used
    └── CheckpointError 4  a model file that cannot be loaded

A message reads *thing: what is wrong; the way out*. Anything else that escapes is a bug of
ours and stays a traceback (exit code 1).
"""


class TselError(Exception):
    """A mistake that the user can mend; printed as one line on stderr."""

    exit_code = 1


class RecipeError(TselError):
    """A recipe, an override or an option that cannot be followed."""

    exit_code = 2


class DataError(TselError):
    """A recording, a corpus or a folder that cannot be used."""

    exit_code = 3


class CheckpointError(TselError):
    """A model file that is missing, damaged or made by something else."""

    exit_code = 4
