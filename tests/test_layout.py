"""Who may import whom, from the syntax trees; what `import chroma` loads."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys

from scripts.import_graph import IMPORTS, ROOT, SOURCES

# the only packages that import these, anywhere in them
OWNERS = {
    "duckdb": {"chroma.storage.filters", "chroma.storage.sql"},
    "hnswlib": {"chroma.storage.index"},
    "onnxruntime": {"chroma.embedding.minilm"},
    "tokenizers": {"chroma.embedding.minilm"},
    "fcntl": {
        "chroma.storage.io",
        "chroma.server.limits",  # bytes that the system has not sent
        "chroma.server.security",
        "chroma.maintenance",
        "chroma.pipelines",
    },
}
# the packages of storage/ that call the operating system
FILE_CALLS = {"chroma.storage.io", "chroma.storage.interface"}
# what users import; everything else in chroma/ is a package
ROOT_OF_CHROMA = {"__init__", "__main__", "_version", "config", "errors", "factories", "types"}
ROOT_OF_STORAGE = {"__init__", "check", "engine", "manifest", "memory_budget", "scheduler"}
# what the other packages of storage/ may use of `os`: nothing that touches a file
HARMLESS = {
    "cpu_count",
    "environ",
    "fsencode",
    "getpid",
    "path",
    "register_at_fork",
    "sched_getaffinity",
    "strerror",
    "urandom",
}

# what `import chroma` loads besides the standard library
LOADED = {"chroma", "chroma._version"}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def package_of(module: str) -> str:
    """The folder that a module is in. What lies in the two roots is a package of its own."""
    if SOURCES[module].name == "__init__.py":
        return module if module not in ("chroma", "chroma.storage") else f"{module}.__init__"
    package = module.rpartition(".")[0]
    return module if package in ("chroma", "chroma.storage") else package


def test_storage_knows_nothing_of_chroma() -> None:
    wrong = [
        f"{module}:{found.line} imports {found.module}"
        for module in SOURCES
        if within(module, "chroma.storage")
        for found in IMPORTS[module]
        if found.module.split(".")[0] in {"chroma", "storage"} and not within(found.module, "chroma.storage")
    ]
    assert not wrong
    absolute = [
        module
        for module in SOURCES
        if within(module, "chroma.storage")
        and re.search(r"^\s*(from|import) (chroma|storage)\b", SOURCES[module].read_text(), re.M)
    ]
    assert not absolute, "imports inside storage/ are relative, so that the folder's name does not matter"


def test_only_embedded_imports_the_engine() -> None:
    wrong = [
        f"{module}:{found.line} imports {found.module}"
        for module in SOURCES
        if not within(module, "chroma.storage") and not within(module, "chroma.embedded")
        for found in IMPORTS[module]
        if within(found.module, "chroma.storage") and not within(found.module, "chroma.storage.interface")
    ]
    assert not wrong


def test_the_interface_knows_the_compiled_part_only() -> None:
    """The client alone carries both, without what is compiled."""
    wrong = [
        f"{module}:{found.line} imports {found.module}"
        for package, below in (("interface", {"interface", "native"}), ("native", {"native"}))
        for module in SOURCES
        if within(module, f"chroma.storage.{package}")
        for found in IMPORTS[module]
        if found.module.startswith("chroma.storage.") and found.module.split(".")[2] not in below
    ]
    assert not wrong


def test_heavy_libraries_have_few_importers() -> None:
    wrong = [
        f"{module}:{found.line} imports {found.module}"
        for module in SOURCES
        for found in IMPORTS[module]
        if package_of(module) not in OWNERS.get(found.module.split(".")[0], {package_of(module)})
        and not found.typing_only
    ]
    assert not wrong


def test_only_io_touches_the_file_system() -> None:
    wrong = []
    for module, file in SOURCES.items():
        if not within(module, "chroma.storage") or package_of(module) in FILE_CALLS:
            continue
        wrong += [
            f"{module}:{found.line} {found.module}"
            for found in IMPORTS[module]
            if found.module in {"tempfile", "shutil", "mmap"}
            or (found.module == "os" and found.name is not None)
        ]
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                if node.attr not in HARMLESS:
                    wrong.append(f"{module}:{node.lineno} os.{node.attr}")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
                wrong.append(f"{module}:{node.lineno} open()")
    assert not wrong


def test_the_twins_do_not_know_each_other() -> None:
    for one, other in (("chroma._async", "chroma._sync"), ("chroma._sync", "chroma._async")):
        wrong = [
            f"{module}:{found.line} imports {found.module}"
            for module in SOURCES
            if within(module, one)
            for found in IMPORTS[module]
            if within(found.module, other)
        ]
        assert not wrong


def test_the_roots_hold_what_users_import() -> None:
    for package, wanted in (("chroma", ROOT_OF_CHROMA), ("storage", ROOT_OF_STORAGE)):
        assert {file.stem for file in (ROOT / package).glob("*.py")} == wanted


def check_acyclic(graph: dict[str, set[str]]) -> None:
    finished: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> None:
        assert node not in path, " -> ".join((*path[path.index(node) :], node))
        if node not in finished:
            for target in sorted(graph[node] - {node}):
                visit(target, (*path, node))
            finished.add(node)

    for node in graph:
        visit(node, ())


def test_no_package_is_in_a_circle() -> None:
    """Imports for typing and inside functions count as well."""
    graph: dict[str, set[str]] = {package_of(module): set() for module in SOURCES}
    for module in SOURCES:
        for found in IMPORTS[module]:
            if found.module in SOURCES:
                graph[package_of(module)].add(package_of(found.module))
    check_acyclic(graph)


def test_no_import_cycles() -> None:
    """Imports inside functions count as well: they are for late loading, never to cut a circle."""
    graph = {
        module: {
            found.module
            for found in IMPORTS[module]
            if found.module in SOURCES and found.module != module and not found.typing_only
        }
        for module in SOURCES
    }
    # the names of a package's __init__ are lazy: importing `chroma` itself imports none of them
    graph["chroma"] = set()
    check_acyclic(graph)


def test_importing_chroma_is_light() -> None:
    code = (
        "import sys; before = set(sys.modules); import chroma, json;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    loaded = set(json.loads(answer.stdout))
    ours = {module for module in loaded if within(module, "chroma")}
    others = {module for module in loaded - ours if module.split(".")[0] not in sys.stdlib_module_names}
    assert ours == LOADED
    assert not others


def test_packages_are_listed_for_the_build() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    match = re.search(r"^packages = \[(.*?)\]", text, re.S | re.M)
    assert match is not None
    listed = set(re.findall(r'"([\w.]+)"', match.group(1)))
    assert listed == {module for module, file in SOURCES.items() if file.name == "__init__.py"}
    unlisted = {
        module
        for module in SOURCES
        if module.rpartition(".")[0] and module.rpartition(".")[0] not in listed and module not in listed
    }
    assert not unlisted, "a folder of modules lacks its __init__.py"


def test_the_link_to_storage_is_relative() -> None:
    link = ROOT / "chroma" / "storage"
    assert link.is_symlink()
    assert str(link.readlink()) == "../storage"
