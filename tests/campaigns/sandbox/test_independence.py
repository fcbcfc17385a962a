"""The counterpart shares no code with what it checks."""

import ast
from pathlib import Path

import pytest

from campaigns import sandbox

MODULES = sorted(Path(sandbox.__file__).parent.glob("*.py"))
OURS = {"config", "audit", "consent", "campaigns", "django"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_sandbox_imports_neither_django_nor_the_rest_of_volens(module):
    foreign = {name for name in _imports(module) if name.split(".")[0] in OURS}
    assert all(name.startswith("campaigns.sandbox") for name in foreign)


def _imports(module):
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
