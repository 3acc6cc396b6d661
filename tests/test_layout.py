"""The package structure, the direction of imports, and the public names."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import onnxrank
from tests import distribution
from tests.distribution import FOLDERS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TORCH = {"torch", "transformers"}
# `make dist` puts the demo page's libraries there; a checkout has none.
CARRIED = "web/libraries/**/*"


# The rooms (subpackages) of a folder, in order; each may import those before it. "" means the top-level modules.
ROOMS = {
    "runtime": ("artifact", "text", "engine", "", "quality", "proof", "serve", "offline", "integrations", "cli"),
    "export": ("checkpoint", "graph", "architectures", "families", "proof", "artifact", ""),
}
# Modules at the top that every room may import.
FOUNDATIONS = {"onnxrank.errors", "onnxrank.progress", "onnxrank.export.helper_process", "onnxrank.export.options"}
FOUNDATIONS |= {"onnxrank.leftovers", "onnxrank.export.scratch"}


def packages_on_disk() -> set[str]:
    found = set()
    for folder, package in FOLDERS.items():
        for marker in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([package, *marker.parent.relative_to(ROOT / folder).parts]))
    return found


def imports_of(path: Path) -> set[str]:
    """Return every module that a file imports, and the names that it imports from our packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_package_list_is_what_is_on_disk() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_package_data_exists() -> None:
    for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items():
        folder = Path(str(import_module(package).__file__)).parent
        for pattern in set(patterns) - {CARRIED}:
            assert list(folder.glob(pattern)), f"{package} has no {pattern}"


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("runtime", {"onnxrank.export", "onnxrank.quantize", "onnx", "onnx_ir", "safetensors", *TORCH}),
        ("quantize", {"onnxrank.export", *TORCH}),
        ("export", TORCH),
    ],
)
def test_imports_go_one_way(folder: str, forbidden: set[str]) -> None:
    # Only these run PyTorch, in separate processes: oracle, tracer, reader of pickles. ONNX Runtime's HQQ needs it too.
    exempt = {
        ROOT / "export" / "proof" / "oracle.py": TORCH,
        ROOT / "export" / "graph" / "traced.py": TORCH,
        ROOT / "export" / "checkpoint" / "pickles.py": TORCH,
        ROOT / "quantize" / "methods.py": {"torch"},
    }
    for path in (ROOT / folder).rglob("*.py"):
        for name in imports_of(path):
            for bad in forbidden - exempt.get(path, set()):
                assert name != bad and not name.startswith(f"{bad}."), f"{path} imports {name}"


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_import_in_the_order_of_the_data(folder: str) -> None:
    order = ROOMS[folder]
    seen = set()
    for path in (ROOT / folder).rglob("*.py"):
        own = room_of(".".join([FOLDERS[folder], *path.relative_to(ROOT / folder).with_suffix("").parts]), folder)
        if own in ("demo", "demo_retriever") or path == ROOT / folder / "__init__.py":
            continue  # data; the public names
        allowed: set[str] = set()  # a foundation imports nothing
        if own is not None:
            assert own in order, f"{path} is in no room"
            seen.add(own)
            allowed = set(order[: order.index(own) + 1])
        for name in imports_of(path):
            room = room_of(name, folder)
            assert room is None or room in allowed, f"{path} imports {name}"
    assert seen == set(order)


def room_of(module: str, folder: str) -> str | None:
    """Return the room of a module, or None for another folder's or a foundation."""
    package = FOLDERS[folder]
    others = {other for other in FOLDERS.values() if other != package and other.startswith(package)}
    if not module.startswith(f"{package}.") or any(module == o or module.startswith(f"{o}.") for o in others):
        return None
    if any(module == base or module.startswith(f"{base}.") for base in FOUNDATIONS):
        return None
    first = module.removeprefix(f"{package}.").split(".")[0]
    return first if (ROOT / folder / first).is_dir() else ""


def test_nothing_imports_an_adapter() -> None:
    for path in (ROOT / "runtime").rglob("*.py"):
        if path.parent.name != "integrations":
            assert not any(name.startswith("onnxrank.integrations") for name in imports_of(path)), path


def test_every_room_says_what_lives_there() -> None:
    for package in packages_on_disk():
        assert import_module(package).__doc__, package


def test_importing_is_light_and_quick() -> None:
    code = (
        "import sys, time; start = time.process_time(); import onnxrank; spent = time.process_time() - start; "
        "heavy = {'torch', 'onnx', 'onnx_ir', 'transformers', 'onnxruntime', 'typer', 'faiss', 'pyarrow'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(str(heavy)) if heavy else print(spent)"
    )
    # Processor time, and the best of three, because the machine may be busy. Numpy alone takes a third of it.
    spent = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(spent) < 0.4


def test_public_names() -> None:
    assert onnxrank.__all__ == [
        "ArtifactError",
        "BackendError",
        "Cascade",
        "CheckpointError",
        "Embedder",
        "HubError",
        "InputError",
        "LateInteraction",
        "LossError",
        "OutputError",
        "ParityError",
        "RerankError",
        "Reranker",
        "UnsupportedError",
        "__version__",
        "maxsim",
    ]
    assert all(hasattr(onnxrank, name) for name in onnxrank.__all__)


def test_the_version_is_the_projects() -> None:
    assert onnxrank.__version__ == version("onnxrank") == PROJECT["project"]["version"]


def test_console_scripts_and_entry_points_are_callable() -> None:
    project = PROJECT["project"]
    for target in [*project["scripts"].values(), *project["entry-points"]["onnxrank.oracles"].values()]:
        module, name = target.split(":")
        assert callable(getattr(import_module(module), name))


def test_tolerances_cover_every_variant_with_a_reason() -> None:
    from onnxrank.artifact.variants import PRECISIONS
    from onnxrank.proof.tolerances import TOLERANCES

    assert set(TOLERANCES) == set(PRECISIONS)
    assert all(tolerance.reason for tolerance in TOLERANCES.values())


def test_the_demos_notice_lists_every_package() -> None:
    from benchmarks.demo.texts import PACKAGES

    for folder in ("demo", "demo_retriever"):
        notice = (ROOT / "export" / folder / "NOTICE").read_text().lower()
        for name, release, _ in PACKAGES:
            assert f"{name} {release}" in notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A staged tree, and the folder with the sdist and the wheel of it."""

    tree: Path
    dist: Path

    def wheel(self) -> zipfile.ZipFile:
        (path,) = self.dist.glob("*.whl")
        return zipfile.ZipFile(path)


def build_twice(place: Path) -> list[Built]:
    """Build at different times, in different folders, by people with different umasks."""
    builds = []
    for umask in (0o022, 0o077):
        folder = place / f"{umask}"
        before = os.umask(umask)
        try:
            distribution.stage(folder / "tree")
            # In place of the demo page's libraries, which `make dist` takes from npm.
            library = folder / "tree" / "runtime" / "web" / "libraries" / "@scope" / "name" / "library.mjs.gz"
            library.parent.mkdir(parents=True)
            library.write_bytes(b"library")
            library.chmod(0o644)
            distribution.build(folder / "tree", folder / "dist", 1_700_000_000)
        finally:
            os.umask(before)
        builds.append(Built(tree=folder / "tree", dist=folder / "dist"))
    return builds


def test_a_wheel_carries_what_it_must_and_two_builds_have_the_same_bytes(tmp_path: Path) -> None:
    builds = build_twice(tmp_path)
    tree = builds[0].tree
    expected = {
        "/".join([*package.split("."), *path.relative_to(tree / folder).parts])
        for folder, package in FOLDERS.items()
        for path in (tree / folder).rglob("*")
        if path.is_file()
    }
    with builds[0].wheel() as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {
        "onnxrank/py.typed",
        "onnxrank/export/demo/model.safetensors",
        "onnxrank/export/demo/NOTICE",
        "onnxrank/export/proof/calibration.jsonl",
        "onnxrank/export/proof/golden_pairs.jsonl",
        "onnxrank/web/package.json",
        "onnxrank/web/demo/index.html",
        "onnxrank/web/src/web.js",
        "onnxrank/web/libraries/@scope/name/library.mjs.gz",
        f"onnxrank-{onnxrank.__version__}.dist-info/licenses/LICENSE",
        f"onnxrank-{onnxrank.__version__}.dist-info/licenses/NOTICE",
    } <= names
    assert not [name for name in names if "test" in name.split("/")[-1] or "/tests/" in name or "node_modules" in name]
    first, second = ({path.name: path.read_bytes() for path in built.dist.iterdir()} for built in builds)
    assert sorted(first) == [
        f"onnxrank-{onnxrank.__version__}-py3-none-any.whl",
        f"onnxrank-{onnxrank.__version__}.tar.gz",
    ]
    assert [name for name in first if first[name] != second[name]] == []


def test_the_version_has_a_changelog_and_is_the_npm_packages() -> None:
    current = PROJECT["project"]["version"]
    assert re.search(rf"^## {re.escape(current)} - \d{{4}}-\d{{2}}-\d{{2}}$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    for name in ("package.json", "package-lock.json"):
        assert json.loads((ROOT / "runtime" / "web" / name).read_text())["version"] == current
