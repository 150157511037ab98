"""The layout that the build, the checkers and pymilter count on, and imports that point one way.

A source root is a top-level folder that holds the package ``gatepost_<folder>``. pymilter's
extension is importable as ``milter``; a ``milter/__init__.py`` here would hide it.
"""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
ROOTS = sorted(path.parts[-3] for path in ROOT.glob("*/gatepost_*/__init__.py"))
DAEMONS = {"sasl", "policy", "milter", "tracker", "bounces", "events", "dashboard"}
NOT_SHIPPED = {"stack", "bench"}  # for script/server, the tests and the measurements
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEVELOPMENT = [text for group in PROJECT["dependency-groups"].values() for text in group]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
RUNTIME = (ROOT / "requirements-runtime.lock").read_text(encoding="utf-8")

# Of our own packages, what each may import beside itself.
MAY_IMPORT = {
    "core": set[str](),
    "cli": {"core", *DAEMONS},
    "stack": set(ROOTS) - {"bench"},
    "bench": set(ROOTS),
}
# Modules of a daemon that may touch sockets, threads and the store; all others are sans-I/O.
SHELLS = {
    "main", "shell", "service", "holdings", "listening", "crew", "calculators", "report", "counters", "loop",
    "records", "rounds", "keeping", "ingesting", "peers", "making", "single", "retention",
    "following", "calling", "resolving", "sending", "files", "follower", "journald", "helper", "queue",
    "releasing", "posting",
}  # fmt: skip
DOES_IO = {
    "asyncio", "select", "selectors", "socket", "socketserver", "sqlalchemy", "sqlite3", "subprocess",
    "threading", "Milter", "milter", "gatepost_core.serving.prefork", "gatepost_core.serving.listen",
    "gatepost_core.spool", "gatepost_core.store",
}  # fmt: skip

# Of one package's own folders and modules, what each may import; a module stands for itself.
MODULES_MOST = 20
DOCTOR_MOST = 3_150  # lines, its tests among them
LAYERS = {
    "core": {
        "domain": set[str](),
        "keys": {"domain"},
        "settings": {"domain"},
        "store": {"domain", "keys", "settings", "spool"},
        "postfix": {"domain", "settings"},
        "spool": set[str](),
        "serving": {"domain"},
        "service": {"domain", "keys", "settings", "store"},
        "serving.boot": {"domain", "keys", "settings", "spool", "store"},
    },
    "milter": {
        "editing": set[str](),
        "parts": {"editing"},
        "html": {"editing", "parts"},
        "css": {"editing", "parts", "html"},
        "surgery": {"editing", "parts", "html", "css"},
        "features": {"editing", "parts", "html", "css", "surgery"},
        "dkim": {"editing", "parts"},
        "transaction": {"editing"},
        "holding": set[str](),
        "submitted": {"editing"},
        "libmilter": {"editing", "transaction", "holding", "judge", "submitted"},
    },
}

# Written in two halves, so that this file does not hold them.
HOSTS = [
    f"{name}.{domain}"
    for name, domain in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("galaxy.ansible", "com"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("registry-1.docker", "io"),
        ("index.docker", "io"),
        ("crates", "io"),
        ("proxy.golang", "org"),
        ("anaconda", "org"),
    )
]


def source_files(root: str) -> list[Path]:
    return sorted((ROOT / root / f"gatepost_{root}").rglob("*.py"))


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts[1:])
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, each in full; ``from a import b`` counts as ``a.b`` too."""
    names = set()
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            # What is imported by its name in a text counts too, as far as the text goes.
            names |= set(re.findall(r"gatepost_[a-z]+(?:\.[a-z_]+)*", ast.unparse(node.args[0])))
    return frozenset(names)


def test_the_roots_of_this_repository_are_found() -> None:
    assert set(ROOTS) >= {"core", "sasl", "policy", "milter", "cli", "stack"}


@pytest.mark.parametrize("root", ROOTS)
def test_a_source_root_holds_one_package_and_nothing_else_that_could_be_imported(root: str) -> None:
    folder = ROOT / root
    importable = {
        entry.name
        for entry in folder.iterdir()
        if entry.suffix in {".py", ".pyc", ".so", ".pth"}
        or (entry.is_dir() and entry.name != "__pycache__" and any(entry.rglob("*.py")))
    }
    assert importable == {f"gatepost_{root}"}


@pytest.mark.parametrize("root", ROOTS)
def test_every_folder_of_a_package_is_a_package(root: str) -> None:
    for path in source_files(root):
        if "migrations" not in path.parts:  # Alembic reads those as files
            assert (path.parent / "__init__.py").exists(), path


def test_no_folder_of_code_stands_outside_a_source_root() -> None:
    others = {"tests", "docs", "typings", "script", "ansible", "var", "dist"}
    for folder in ROOT.iterdir():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in {*ROOTS, *others}:
            assert not any(folder.rglob("*.py")), folder


def test_folders_of_tests_are_packages_all_the_way_down() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for folder in path.relative_to(ROOT).parents[:-1]:
            assert (ROOT / folder / "__init__.py").exists(), folder


@pytest.mark.parametrize("root", ROOTS)
def test_imports_point_one_way(root: str) -> None:
    allowed = {f"gatepost_{name}" for name in {root, *MAY_IMPORT.get(root, {"core"})}}
    for path in source_files(root):
        ours = {name.partition(".")[0] for name in imports(path) if name.startswith("gatepost_")}
        assert ours & {f"gatepost_{name}" for name in ROOTS} <= allowed, path


def test_the_command_imports_only_pure_parts_of_daemons() -> None:
    for path in source_files("cli"):
        for name in imports(path):
            package, _, module = name.partition(".")
            if package.removeprefix("gatepost_") in DAEMONS:
                assert module.partition(".")[0] not in SHELLS, path


@pytest.mark.parametrize("root", sorted(DAEMONS & set(ROOTS)))
def test_codec_and_session_of_a_daemon_are_sans_io(root: str) -> None:
    pure = [
        path for path in source_files(root) if path.stem not in SHELLS and "backends" not in path.parts
    ]  # a back end asks somebody else: that is I/O, behind the Authenticator interface
    assert len(pure) > 1
    for path in pure:
        touched = {
            name
            for name in imports(path)
            if any(name == banned or name.startswith(f"{banned}.") for banned in DOES_IO)
        }
        assert not touched, f"{path} imports {touched}"


@pytest.mark.parametrize("root", sorted(DAEMONS & set(ROOTS)))
def test_nothing_in_a_daemon_imports_its_shell_but_the_shell(root: str) -> None:
    for path in source_files(root):
        if path.stem not in SHELLS:
            shells = {f"gatepost_{root}.{name}" for name in SHELLS}
            assert not shells & imports(path), path


@pytest.mark.parametrize("root", ROOTS)
def test_imports_within_a_package_run_in_no_circle(root: str) -> None:
    own = {module_name(path): path for path in source_files(root)}
    graph = {name: {other for other in imports(path) if other in own} - {name} for name, path in own.items()}
    # A package's own file is only a way to its modules, unless a name of its own is imported.
    packages = {name for name, path in own.items() if path.name == "__init__.py"}
    list(graphlib.TopologicalSorter({name: deps - packages for name, deps in graph.items()}).static_order())


@pytest.mark.parametrize(
    ("root", "layer"), [(root, layer) for root, layers in LAYERS.items() for layer in layers]
)
def test_imports_between_the_folders_of_a_package_point_down(root: str, layer: str) -> None:
    package = f"gatepost_{root}"
    paths = [path for path in source_files(root) if _layer(root, path) == layer]
    assert paths
    for path in paths:
        used = {
            name.split(".")[1]
            for name in imports(path)
            if name.startswith(f"{package}.") and not name.startswith(f"{package}.__")
        }
        assert used <= {*LAYERS[root][layer], layer.partition(".")[0]}, path


def test_what_a_folder_of_core_offers_is_taken_from_there() -> None:
    """Whoever uses core need not know in which module of a folder a name stands."""
    outside = [path for root in ROOTS if root != "core" for path in source_files(root)]
    for path in [*outside, *(ROOT / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatepost_core."):
                better = _offering(str(node.module), frozenset(alias.name for alias in node.names))
                assert not better, f"{path}:{node.lineno}: write {' and '.join(better)}"


@cache
def _offering(module: str, names: frozenset[str]) -> list[str]:
    """Return the imports to write for those names that the module's folder offers."""
    folder = importlib.import_module(".".join(module.split(".")[:2]))
    here = importlib.import_module(module)
    offered = set(getattr(folder, "__all__", ())) if folder is not here else set[str]()
    same = [name for name in sorted(names & offered) if getattr(here, name, None) is getattr(folder, name)]
    return [f"'from {folder.__name__} import {name}'" for name in same]


def _layer(root: str, path: Path) -> str:
    """Return the longest name in LAYERS that a module is, or is in; empty for one that has none."""
    own = module_name(path).partition(".")[2]
    return max((name for name in LAYERS[root] if f"{own}.".startswith(f"{name}.")), key=len, default="")


@pytest.mark.parametrize("root", ["core", "sasl", "policy", "milter", "tracker", "events", "dashboard"])
def test_no_floor_of_a_package_is_crowded(root: str) -> None:
    """Whoever looks for something meets few names at each level."""
    for folder in {path.parent for path in source_files(root) if "migrations" not in path.parts}:
        names = [entry.name for entry in folder.iterdir() if not entry.name.startswith("_")]
        assert len(names) <= MODULES_MOST, folder


@pytest.mark.parametrize("root", ["sasl", "policy", "milter", "tracker"])
def test_whom_postfix_asks_only_reads_the_store(root: str) -> None:
    """None of their modules leads to one that needs SQLAlchemy, not even one loaded only when needed."""
    own = {module_name(path): path for name in (root, "core") for path in source_files(name)}
    left, seen = [module_name(path) for path in source_files(root)], set[str]()
    while left:
        name = left.pop()
        used = imports(own[name])
        assert not any(one.partition(".")[0] in ("sqlalchemy", "alembic") for one in used), name
        seen.add(name)
        left += [one for one in used if one in own and one not in seen]
    assert "gatepost_core.store.sqlite.reader" in seen


@pytest.mark.parametrize("root", ROOTS)
def test_only_the_store_itself_knows_what_it_is_kept_in(root: str) -> None:
    """All others are given a backend, or the reader of the daemons that Postfix asks."""
    engines = ("gatepost_core.store.sqlite", "sqlite3")
    for path in source_files(root):
        if not module_name(path).startswith("gatepost_core.store"):
            assert not [one for one in imports(path) if one.startswith(engines)], path


# The store's reader moves entries under its own lock, in C: 0.4 microseconds less a look-up than ``Recent``.
REMEMBERING = {"gatepost_core.domain.memo": "lru_cache", "gatepost_core.store.sqlite.reader": "OrderedDict"}


def test_what_is_remembered_is_remembered_in_one_way() -> None:
    """One memo, bounded and measured; what is loaded once when first needed is none."""
    for root in set(ROOTS) - NOT_SHIPPED:
        for path in source_files(root):
            found = set(re.findall(r"\b(?:lru_cache|OrderedDict)\b", path.read_text(encoding="utf-8")))
            assert found <= {REMEMBERING.get(module_name(path))}, path


def test_doctor_stays_small_whatever_it_looks_at() -> None:
    """New checks find room by tables and by what checks share."""
    files = [
        *(ROOT / "cli/gatepost_cli/checks").glob("*.py"),
        ROOT / "cli/gatepost_cli/doctor.py",
        *(ROOT / "tests/cli").glob("test_doctor*.py"),
    ]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < DOCTOR_MOST


def test_milter_is_pymilters_extension_also_when_python_starts_in_the_repository() -> None:
    code = "import milter, Milter; print(milter.__file__); print(Milter.__file__); milter.getversion()"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    extension, module = run.stdout.splitlines()
    assert extension.endswith(".so")
    assert module.endswith("Milter/__init__.py")
    assert not Path(extension).is_relative_to(ROOT / "milter")


def test_checkers_and_the_build_name_every_root() -> None:
    tools = PROJECT["tool"]
    assert set(ROOTS) <= set(tools["ruff"]["src"])
    assert {*ROOTS, "typings"} <= set(tools["mypy"]["mypy_path"])
    assert set(ROOTS) == set(tools["hatch"]["build"]["dev-mode-dirs"])
    assert {*(f"gatepost_{root}" for root in ROOTS), "tests"} == set(tools["mypy"]["packages"])
    shipped = {f"{root}/gatepost_{root}" for root in set(ROOTS) - NOT_SHIPPED}
    assert set(tools["hatch"]["build"]["targets"]["wheel"]["packages"]) == shipped


def locked(text: str = LOCK) -> dict[str, Version]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", text, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_the_lock_file_satisfies_the_project() -> None:
    pins = locked()
    for text in [*PROJECT["project"]["dependencies"], *DEVELOPMENT]:
        wanted = Requirement(text)
        pin = pins.get(canonicalize_name(wanted.name))
        assert pin is not None, f"{wanted.name} is not in requirements.lock"
        assert pin in wanted.specifier, f"{wanted} but {pin} is locked"


@pytest.mark.parametrize("text", [LOCK, RUNTIME], ids=["development", "runtime"])
def test_every_locked_library_has_hashes_and_the_file_no_address(text: str) -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    pinned = [block for block in blocks if re.match(r"[A-Za-z0-9._-]+(\[.*\])?==", block)]
    assert len(pinned) == len(locked(text)) > 20
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in pinned)
    assert "://" not in text
    assert not re.search(r"^\s*(-i|--(extra-)?index-url|--find-links)\b", text, re.MULTILINE)


def test_what_a_release_installs_is_what_was_tested_with() -> None:
    """The runtime lock is the part of the development lock that the project's dependencies lead to."""
    runtime = locked(RUNTIME)
    assert {name: version for name, version in locked().items() if name in runtime} == runtime
    direct: set[str] = {
        canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]
    }
    assert direct <= set(runtime)
    only_development = {canonicalize_name(Requirement(text).name) for text in DEVELOPMENT}
    assert not only_development & set(runtime) - direct
    assert set(runtime) == closure(direct)


def closure(names: set[str]) -> set[str]:
    """Return these libraries and all that they need here, as their installed metadata say."""
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                left |= {canonicalize_name(needed.name)} - found
    return found


def tracked_texts() -> Iterator[tuple[Path, str]]:
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            raw = path.read_bytes()
            if b"\0" not in raw[:8192]:
                yield path, raw.decode("utf-8", "replace").lower()


def test_no_tracked_file_names_a_package_registry() -> None:
    seen = 0
    for path, text in tracked_texts():
        seen += 1
        assert not [host for host in HOSTS if host in text], path
    assert seen > 50
