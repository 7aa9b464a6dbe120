import io

import pytest
from rich.console import Console

from tselcli import console


@pytest.fixture
def terminal(monkeypatch):
    screen = io.StringIO()

    def make(stderr):
        assert stderr  # results go to stdout, progress does not
        return Console(file=screen, force_terminal=terminal_wanted[0], width=100)

    terminal_wanted = [True]
    monkeypatch.setattr(console, "Console", make)
    return screen, terminal_wanted


def test_the_bar_shows_progress_rate_and_note(terminal):
    screen, _ = terminal
    with console.progress_bar("scenes", 3, unit="scenes", done=1) as advance:
        advance()
        advance(note="so far so good")
    assert "3/3" in screen.getvalue()
    assert "scenes/s so far so good" in screen.getvalue()


def test_without_a_terminal_only_complaints_are_printed(terminal):
    screen, wanted = terminal
    wanted[0] = False
    with console.progress_bar("scenes", 2) as advance:
        advance(note="unseen")
        advance(complaint="left out: [bold]clip[/bold] is silent")
    assert screen.getvalue().strip() == "left out: [bold]clip[/bold] is silent"
