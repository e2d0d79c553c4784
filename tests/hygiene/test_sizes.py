"""How large the parts of the package may grow before they hold two things."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from pathlib import PurePosixPath

APPLICATION_SIDE = {"context", "record", "encode", "spool", "start", "settings", "errors", ""}
LINES_OF_A_MODULE = 500
LINES_ON_THE_APPLICATION_SIDE = 400
MODULES_OF_A_FOLDER = 10
LINES_OF_A_FUNCTION = 60
LINES_OF_NINE_FUNCTIONS_IN_TEN = 35
NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "misc", "tools"}


def _functions(module):
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{module.path}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_a_module_has_at_most_500_lines_and_400_on_the_application_side(modules):
    limits = {True: LINES_ON_THE_APPLICATION_SIDE, False: LINES_OF_A_MODULE}
    lengths = {module: len(module.text.splitlines()) for module in modules}
    long = {m.path: n for m, n in lengths.items() if n > limits[m.room in APPLICATION_SIDE]}
    assert not long


def test_a_folder_has_at_most_10_modules(modules):
    paths = [PurePosixPath(module.path) for module in modules]
    folders = Counter(str(path.parent) for path in paths if path.name != "__init__.py")
    assert not {folder: count for folder, count in folders.items() if count > MODULES_OF_A_FOLDER}


def test_no_function_has_more_than_60_lines(modules):
    assert not {name: lines for m in modules for name, lines in _functions(m) if lines > LINES_OF_A_FUNCTION}


def test_nine_functions_in_ten_have_at_most_35_lines(modules):
    lengths = [lines for module in modules for _, lines in _functions(module)]
    assert statistics.quantiles(lengths, n=10)[-1] <= LINES_OF_NINE_FUNCTIONS_IN_TEN


def test_every_name_says_what_it_holds(modules):
    assert not {m.path for m in modules if NAMES_THAT_SAY_NOTHING & set(m.name.split("."))}


def test_every_folder_is_a_package(modules):
    folders = {str(PurePosixPath(module.path).parent) for module in modules}
    packages = {str(PurePosixPath(m.path).parent) for m in modules if m.path.endswith("__init__.py")}
    assert folders == packages


def test_a_module_begins_with_what_it_is_about(modules):
    """One sentence, and not "This module …"."""
    openings = {module.path: (ast.get_docstring(module.tree) or "").split("\n")[0] for module in modules}
    assert not {path for path, line in openings.items() if not line.endswith((".", ":")) or line.startswith("This ")}
