"""The package structure, the direction of imports, and the public names."""

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import onnxrank

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {"runtime": "onnxrank", "quantize": "onnxrank.quantize", "export": "onnxrank.export"}
TORCH = {"torch", "transformers"}
# The part of the npm package in runtime/web/ that `onnxrank demo` serves; the rest is for development.
SERVED = {"package.json", "src", "demo"}


# The rooms (subpackages) of a folder, in order; each may import those before it. "" means the top-level modules.
ROOMS = {
    "runtime": ("artifact", "text", "engine", "", "proof", "quality", "cli"),
    "export": ("checkpoint", "graph", "architectures", "families", "proof", "artifact", ""),
}
# Modules at the top that every room may import.
FOUNDATIONS = {"onnxrank.errors", "onnxrank.progress", "onnxrank.export.helper_process", "onnxrank.export.options"}
FOUNDATIONS |= {"onnxrank.leftovers", "onnxrank.export.scratch"}
# What a room may not import although it comes earlier.
APART = {("runtime", "quality"): {"proof"}}


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
        for pattern in patterns:
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
            allowed = set(order[: order.index(own) + 1]) - APART.get((folder, own), set())
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


def test_every_room_says_what_lives_there() -> None:
    for package in packages_on_disk():
        assert import_module(package).__doc__, package


def test_importing_is_light_and_quick() -> None:
    code = (
        "import sys, time; start = time.process_time(); import onnxrank; spent = time.process_time() - start; "
        "heavy = {'torch', 'onnx', 'onnx_ir', 'transformers', 'onnxruntime', 'typer', 'faiss'} & set(sys.modules); "
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


def _not_shipped(folder: str, names: list[str]) -> set[str]:
    return set(names) - SERVED if Path(folder) == ROOT / "runtime" / "web" else {"__pycache__"} & set(names)


def test_a_wheel_carries_every_module_and_the_demo(tmp_path: Path) -> None:
    # In a copy, because setuptools builds in the source folder and would ship leftovers of an earlier build.
    for name in ["pyproject.toml", "README.md", "LICENSE", "NOTICE"]:
        shutil.copy(ROOT / name, tmp_path)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=_not_shipped)
    expected = {
        "/".join([*package.split("."), *path.relative_to(tmp_path / folder).parts])
        for folder, package in FOLDERS.items()
        for path in (tmp_path / folder).rglob("*")
        if path.is_file()
    }
    # setuptools' own build hook, because pip would download setuptools first.
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == expected
