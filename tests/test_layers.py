"""Imports point down, rooms stay small: the drawing in the design, as a test.

cli -> commands -> report, dataset -> models -> features, acoustics, corpora, metrics
    -> recipe -> errors
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tselcli"
ROOMS = [  # from top to bottom; an import leads to the same room or to a lower line
    ("__main__",),
    ("cli",),
    (
        "cli_data",
        "cli_develop",
        "cli_doctor",
        "cli_eval",
        "cli_export",
        "cli_models",
        "cli_recipes",
        "cli_report",
        "cli_serve",
        "cli_simulate",
    ),
    ("cli_localize",),
    ("cli_options", "cli_output"),
    ("commands",),
    ("trainer", "mask_task", "direct_task"),
    ("judging",),
    ("folder_stems",),
    ("baselines", "stems", "examples", "frame_eval", "real_scenes", "calibrating"),
    ("web",),
    ("inquiry",),
    ("outcomes", "breakdowns"),
    ("downloads", "archives"),
    (
        "report_tables",
        "report_tracks",
        "report_answers",
        "report_eval",
        "report_findings",
        "plot_masks",
    ),
    ("report", "dataset", "console", "plots"),
    ("cluster",),
    ("cluster_worker",),
    ("processes",),
    ("shoeboxes",),
    ("models", "teachers"),
    ("features", "frame_metrics", "certainty", "chance"),
    ("metrics",),
    ("cautions",),
    ("acoustics",),
    ("corpora",),
    ("recipe",),
    ("model_sections",),
    ("sections",),
    ("tars",),
    ("yamlfile", "problems", "files"),
    ("about",),
    ("errors", "assets", "__init__"),
]
NO_TORCH = {
    "corpora",
    "acoustics",
    "metrics",
    "frame_metrics",
    "certainty",
    "chance",
    "breakdowns",
    "recipe",
    "model_sections",
    "sections",
    "yamlfile",
    "problems",
    "errors",
    "report",
    "report_tables",
    "plots",
    "report_tracks",
    "report_eval",
    "report_answers",
    "report_findings",
    "plot_masks",
    "cautions",
}
HEAVY = {"torch", "torchaudio", "torchvision", "transformers", "laion_clap", "tokenizers"}
MAX_FILE, MAX_FUNCTION = 300, 60
FILES = sorted(PACKAGE.rglob("*.py"))
LEVEL = {room: level for level, line in enumerate(ROOMS) for room in line}


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    """Yield every module that a file imports, wherever in the file, and nothing for typing."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: import from the full name"
            assert node.names[0].name != "*", f"{path.name}: name what is imported"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def own_imports(path):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "tselcli":
            yield "__init__" if parts[1].startswith("__") else parts[1], parts


def test_the_package_is_where_we_look():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    here = room_of(path)
    assert here in LEVEL, f"{here}: not in the drawing"
    for there, _ in own_imports(path):
        allowed = here == there or LEVEL[there] > LEVEL[here]
        assert allowed, f"{path.name} imports {there}, which is not below {here}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_commands_know_nothing_of_each_other(path):
    if room_of(path) == "commands":
        assert [parts for there, parts in own_imports(path) if there == "commands"] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_simulation_starts_without_torch(path):
    if room_of(path) in NO_TORCH:
        assert HEAVY.isdisjoint(name.split(".")[0] for name in imports(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_knows_typer(path):
    if not room_of(path).startswith("cli"):
        assert "typer" not in {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno - 1
            length = node.end_lineno - documented
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines below its docstring"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_every_room_of_the_drawing_exists():
    assert {room_of(path) for path in FILES} == set(LEVEL)


def test_every_package_is_installed():
    listed = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    for path in PACKAGE.rglob("__init__.py"):
        name = ".".join(path.parent.relative_to(PACKAGE.parent).parts)
        assert f'    "{name}",\n' in listed, f"{name}: not among the packages of pyproject.toml"
