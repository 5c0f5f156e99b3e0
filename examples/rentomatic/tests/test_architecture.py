"""Dependencies point inwards: checked, so that it stays so."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rentomatic"

# What each layer may import from this application, besides itself.
ALLOWED = {
    "domain": set(),
    "use_cases": {"domain"},
    "adapters": {"domain", "use_cases"},
    "web": {"domain", "use_cases"},
}
# What of the world outside the inner layers do without.
OUTSIDE = {"sqlite3", "os", "json", "http", "urllib", "socket", "threading", "multiprocessing"}


def imported_by(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def modules_of(layer: str) -> list[Path]:
    modules = sorted((PACKAGE / layer).rglob("*.py"))
    assert modules
    return modules


@pytest.mark.parametrize("layer", ALLOWED)
def test_layers_import_only_what_lies_further_in(layer):
    for path in modules_of(layer):
        layers = {
            name.split(".")[1]
            for name in imported_by(path)
            if name.startswith("rentomatic.")
        }
        assert layers <= ALLOWED[layer] | {layer}, path


@pytest.mark.parametrize("layer", ["domain", "use_cases"])
def test_the_inner_layers_use_neither_framework_nor_operating_system(layer):
    for path in modules_of(layer):
        tops = {name.split(".")[0] for name in imported_by(path)} - {"rentomatic"}
        assert tops <= sys.stdlib_module_names - OUTSIDE, path


def test_only_the_web_knows_flask():
    for path in PACKAGE.rglob("*.py"):
        if "flask" in {name.split(".")[0] for name in imported_by(path)}:
            assert path.is_relative_to(PACKAGE / "web"), path
