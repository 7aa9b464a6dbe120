"""What runs for a while says so on stderr: one progress bar, the same for all commands."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[..., None]


@contextmanager
def progress_bar(label: str, total: int, unit: str = "", done: int = 0) -> Iterator[Advance]:
    """Show a bar while a loop runs; nothing is drawn where stderr is no terminal.

    Args:
        label: what is being done.
        total: how many steps there are.
        unit: name of a step, to show the rate ("scenes" gives "4.2 scenes/s").
        done: steps done before.

    Yields:
        ``advance(note="", complaint="")``, to be called after each step: the note stands beside
        the bar, a complaint becomes a line of its own above it (drawn or not).
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task(label, total=total, completed=done, note="")
    began, steps = time.monotonic(), 0

    def advance(note: str = "", complaint: str = "") -> None:
        nonlocal steps
        steps += 1
        rate = f"{steps / max(time.monotonic() - began, 1e-3):.1f} {unit}/s" if unit else ""
        bar.update(task, completed=done + steps, note=" ".join(filter(None, (rate, note))))
        if complaint:
            console.print(complaint, markup=False, highlight=False, soft_wrap=True)

    with bar:
        yield advance
