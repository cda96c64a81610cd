"""The layout of the package: small modules in folders that import in one direction."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "seq2seq_lab"
AT_THE_TOP = {"__init__.py", "__main__.py", "errors.py", "files.py", "terminal.py", "py.typed"}
LONGEST = 300  # lines of a module
# The order of imports, in functions too: a folder imports only from the folders before it, and from the files at the
# top. It is the order of the steps of the data; `config` and `runs` are before the folders that use them.
ORDER = (
    "data",
    "models",
    "decoding",
    "forcing",
    "targets",
    "evaluation",
    "config",
    "runs",
    "compare",
    "page",
    "training",
    "accelerate",
    "launch",
    "commands",
)
# Folders that must not import from these folders.
NOT = {
    "data": {"config", "runs"},
    "models": {"forcing", "decoding", "evaluation", "accelerate", "training", "config", "runs"},
    "forcing": {"targets", "accelerate", "training", "config", "runs"},
    "targets": {"accelerate", "training", "config", "runs"},
    "accelerate": {"config", "runs", "launch", "compare"},
    "compare": {"data", "models", "decoding", "forcing", "training", "config"},
    "config": {"data", "models", "evaluation", "runs"},
}


def name_of(path: Path) -> str:
    """The dotted name of a module below the package; the package itself is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _statements(node: ast.AST):
    """The import statements below a node, those in functions too; what only a type checker reads is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _statements(child)


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the package that a module imports."""
    found = set()
    for node in _statements(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{module}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "seq2seq_lab":
                found.add(rest if rest in MODULES else rest.rpartition(".")[0])
    return frozenset(found)


def folder_of(module: str) -> str:
    return module.partition(".")[0]


def test_no_other_file_is_at_the_top():
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == AT_THE_TOP


def test_the_order_contains_every_folder():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ORDER)


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "experiments"])
def test_no_module_is_longer_than_300_lines(folder):
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")
    }
    limit = LONGEST if folder == "src" else LONGEST + 200  # tests are lists of properties
    assert lengths
    assert {str(path): length for path, length in lengths.items() if length > limit} == {}


def test_no_function_of_the_package_is_longer_than_60_lines():
    long = [
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and _body_lines(node) > 60
    ]
    assert long == []


def _body_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring and its signature."""
    first = node.body[1:] if ast.get_docstring(node) else node.body
    return node.end_lineno - first[0].lineno + 1 if first else 0


def test_every_library_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    declared = {re.match(r"[\w-]+", each)[0].lower().replace("-", "_") for each in texts}
    named_otherwise = {
        "yaml": "pyyaml",
        "google": "protobuf",
        "hydra": "hydra_core",
        "mlflow": "mlflow_skinny",
    }
    # The launcher's own library.
    named_otherwise["submitit"] = "hydra_submitit_launcher"
    named_otherwise["sqlalchemy"] = "optuna"  # what it keeps studies with
    named_otherwise["lightning_fabric"] = "pytorch_lightning"  # in the same distribution
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0] for name in names}
    found -= {*sys.stdlib_module_names, "seq2seq_lab", "hydra_plugins"}
    assert {named_otherwise.get(name, name) for name in found} <= declared


def test_there_is_no_circular_import():
    order = TopologicalSorter({module: imports(module) - {module} for module in MODULES}).static_order()
    assert set(order) >= set(MODULES)


@pytest.mark.parametrize("module", sorted(module for module in MODULES if "." in module))
def test_a_folder_imports_only_from_folders_before_it(module):
    own = folder_of(module)
    for imported in imports(module):
        other = folder_of(imported)
        if other in ("", "errors", "files", "terminal", own):
            continue
        assert ORDER.index(other) < ORDER.index(own), f"{module} imports {imported}"
        assert other not in NOT.get(own, ()), f"{module} imports {imported}"


def test_nobody_imports_accelerators():
    """The configuration names them; `training.accelerator` has the one door to them."""
    outside = [module for module in MODULES if folder_of(module) != "accelerate"]
    assert not {each for module in outside for each in imports(module) if folder_of(each) == "accelerate"}


@pytest.mark.whole
@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("commands.main", ("torch", "hydra", "pytorch_lightning", "matplotlib", "scipy", "numpy", "jinja2")),
        ("compare.comparison", ("torch", "pytorch_lightning", "matplotlib", "hydra")),
        ("runs.load", ("torch", "hydra")),
        ("config.compose", ("torch", "hydra", "pytorch_lightning")),
        ("launch.launch", ("torch", "hydra", "pytorch_lightning")),
        ("data.datamodule", ("hydra", "numba")),
        ("training.train", ("hydra", "numba")),
    ],
)
def test_a_module_imports_slow_libraries_only_when_they_are_used(module, heavy):
    program = f"import sys, seq2seq_lab.{module}; print(*(name for name in {heavy!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
