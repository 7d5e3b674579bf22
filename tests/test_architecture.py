"""The package root is the top layer, which import-linter cannot check."""

import ast
from collections.abc import Iterator
from pathlib import Path

from homeassistant.const import Platform

PACKAGE = Path(__file__).parent.parent / "custom_components/balena_supervisor"
MODULES = sorted(PACKAGE.rglob("*.py"))


def relative_imports(module: Path) -> Iterator[str]:
    """Yield the modules that a module imports relatively, as dotted paths below the package."""
    package = module.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            yield ".".join((*base, *(node.module or "").split("."))).rstrip(".")


def test_no_module_imports_the_root() -> None:
    """`__init__.py` sets up the integration and is imported by Home Assistant only."""
    importers = [
        module.name for module in MODULES if "" in set(relative_imports(module))
    ]
    assert importers == []


def test_the_root_imports_no_platform() -> None:
    """Home Assistant loads the platforms, not `__init__.py`."""
    imports = relative_imports(PACKAGE / "__init__.py")
    assert set(Platform).isdisjoint(imports)
