"""What all benchmarks share: one thread, and a table of ratios at the end.

Nothing here fails for being slow: machines differ, ratios are for people to read. In a group, a
test with "ours" in its name is set against every other one.

    python -m pytest tests/benchmarks                   prints the ratios
    python -m pytest tests/benchmarks --write-readme    and puts them into README.md
"""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import pytest
import torch

from tselcli.processes import one_core

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
PARTS = ("torch", "numpy", "scipy", "pyroomacoustics")


def pytest_addoption(parser):
    parser.addoption("--write-readme", action="store_true", help="put the ratios into README.md")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Count the processor's seconds: what else the machine does is then no part of them."""
    if hasattr(config.option, "benchmark_timer"):
        config.option.benchmark_timer = "time.process_time"


@pytest.fixture(autouse=True)
def one_thread():
    """Ours against theirs on one core; the peers know no threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with one_core():
        yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    groups = {}
    for benchmark in session.benchmarks if session else []:
        if not benchmark.has_error and benchmark.stats.rounds:
            groups.setdefault(benchmark.group or benchmark.name, []).append(benchmark)
    if not groups:
        return
    lines = table(groups)
    terminalreporter.section("ratios")
    terminalreporter.write_line(machine())
    for line in lines:
        terminalreporter.write_line(line)
    if config.getoption("--write-readme"):
        write(README, [machine(), "", *lines])
        terminalreporter.write_line(f"written to {README.name}")


def table(groups):
    """Lay out groups of benchmarks as Markdown: ours, the peer, and the ratio of both."""
    lines = ["| what | ours | peer | ratio (quartiles) |", "|---|---|---|---|"]
    for name, members in groups.items():
        ours = [one for one in members if "ours" in one.name]
        peers = [one for one in members if "ours" not in one.name]
        if not ours or not peers:
            lines += [f"| {name}: {title(one)} | {median(one)} | | |" for one in members]
            continue
        for mine in ours:
            lines += [f"| {name} | {median(mine)} | {named(other)} | {ratio(mine, other)} |"
                      for other in peers]  # fmt: skip
    return lines


def ratio(mine, other):
    """How many times as long the other takes: of the medians, and of opposite quartiles."""
    a, b = mine.stats, other.stats
    return f"**{b.median / a.median:.1f}** ({b.q1 / a.q3:.1f}-{b.q3 / a.q1:.1f})"


def median(one):
    return f"{1e3 * one.stats.median:.3g} ms"


def named(one):
    return f"{title(one)}: {median(one)}"


def title(one):
    """What the first line of the test's docstring says, or else its name."""
    said = one.extra_info.get("title")
    return said or one.name.removeprefix("test_").replace("_", " ")


def machine():
    """Name the machine and the versions."""
    model = platform.processor() or platform.machine()
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        model = found[1].strip() if found else model
    except OSError:
        pass
    versions = ", ".join(f"{part} {importlib.metadata.version(part)}" for part in PARTS)
    python = platform.python_version()
    return (
        f"{model}, {os.cpu_count()} cores; processor time of one core. Python {python}, {versions}."
    )


def write(path, lines):
    """Replace what stands between the marks of a file."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise pytest.UsageError(f"{path}: lacks {BEGIN} and {END}, between which the table goes")
    path.write_text(
        before + "\n".join([BEGIN, *lines, END]) + after, encoding="utf-8", newline="\n"
    )
