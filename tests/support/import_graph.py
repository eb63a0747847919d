"""The graph of imports between the rooms of this project.

A *room* is a package or module directly below `engine` or `dss_tui`, or `presets`. An *arrow* goes
from one room to another where any of its modules imports from there, inside functions too. The
room `engine` is the library's face, `engine/__init__.py`: it names for type checkers what it
imports when it is asked for.
`python -m tests.support.import_graph [FOLDER]` prints the graph of a checkout and what it breaks.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

TOPS = ("engine", "dss_tui", "presets")

#: All rooms from the bottom up: a room imports only from rooms that stand before it.
ORDER = (
    "engine.version",
    "engine.platforms",
    "engine.errors",
    "engine.own_file",
    "engine.cache",
    "engine.part",
    "engine.seeds",
    "engine.shapes",
    "engine.draws",
    "engine.user_code",
    "engine.factories",
    "engine.inert",
    "engine.told",
    "engine.breaks",
    "engine.idle_threads",
    "engine.owners",
    "engine.devices",
    "engine.data",
    "engine.networks",
    "engine.spec",
    "engine.record",
    "engine.problem",
    "engine.alignment",
    "engine.steps",
    "engine.backends",
    "engine.workers",
    "engine.training",
    "engine.path",
    "engine.methods",
    "engine.quantities",
    "engine.run",
    "engine.bench",
    "engine.doctor",
    "engine",
    "engine.__main__",
    "presets",
    "dss_tui",
    "dss_tui.figures",
    "dss_tui.viewing",
    "dss_tui.tui",
    "dss_tui.commands",
    "dss_tui.dispatch",
    "dss_tui.arguments",
    "dss_tui.cli",
    "dss_tui.__main__",
)

Graph = dict[str, set[str]]
"""The rooms that each room imports from."""


def modules(root: Path) -> dict[str, Path]:
    """Returns every module of the project below `root` by its dotted name."""
    found: dict[str, Path] = {}
    for top in TOPS:
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


def imports_of(name: str, path: Path, known: set[str]) -> Iterator[str]:
    """Yields the project's modules that one module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        yield from _named(node, known)


def _named(node: ast.AST, known: set[str]) -> Iterator[str]:
    """Yields what a statement imports: a module of `known`, or else the name of the import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            if whole in known:
                yield whole
            elif node.module in known:
                yield node.module


def on_import(path: Path) -> Iterator[ast.stmt]:
    """Yields the statements that run when a module is imported.

    Those in functions are left out, and those that only type checkers see.
    """
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            if isinstance(node, ast.stmt):
                yield node
            todo += ast.iter_child_nodes(node)


def module_graph(root: Path) -> Graph:
    """Returns the modules that each module imports when it is imported itself.

    A module below a package needs the package, but that is no arrow here: Python lets a package
    import what is in it.
    """
    found = modules(root)
    known = set(found)
    return {
        name: {other for node in on_import(path) for other in _named(node, known)} - {name}
        for name, path in found.items()
    }


def loaded_with(root: Path, starts: Iterable[str]) -> set[str]:
    """Returns the modules of the project that are loaded when some of them are imported."""
    graph = module_graph(root)
    with_packages = {
        name: others | {above for other in {name, *others} for above in _packages(other)}
        for name, others in graph.items()
    }
    return {name for start in starts for name in {start, *reachable(with_packages, start)}} & set(
        graph
    )


def _packages(module: str) -> Iterator[str]:
    """Yields the packages that a module lies in."""
    parts = module.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))


def outsiders(paths: Iterable[Path], *, everywhere: bool = False) -> set[str]:
    """Returns the top-level names that modules import when imported; `everywhere`: or later."""
    found: set[str] = set()
    for path in paths:
        whole = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for node in whole if everywhere else on_import(path):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


def room_of(module: str) -> str:
    """Returns the room that a module belongs to."""
    parts = module.split(".")
    return parts[0] if parts[0] == "presets" else ".".join(parts[:2])


def room_graph(root: Path) -> Graph:
    """Returns the arrows between the rooms of the checkout in `root`."""
    found = modules(root)
    graph: Graph = {room_of(name): set() for name in found}
    for name, path in found.items():
        for imported in imports_of(name, path, set(found)):
            graph[room_of(name)].add(room_of(imported))
    return {room: others - {room} for room, others in graph.items()}


def upward(graph: Graph) -> list[tuple[str, str]]:
    """Returns the arrows that point from a room to one that stands after it in `ORDER`."""
    place = {room: number for number, room in enumerate(ORDER)}
    return sorted(
        (room, other)
        for room, others in graph.items()
        for other in others
        if place.get(other, len(ORDER)) >= place.get(room, -1)
    )


def circles(graph: Graph) -> list[list[str]]:
    """Returns the groups of two or more rooms, or modules, that reach each other by arrows."""
    reach = {room: reachable(graph, room) for room in graph}
    groups = {
        tuple(sorted(other for other in graph if other in reach[room] and room in reach[other]))
        for room in graph
        if room in reach[room]
    }
    return sorted(map(list, groups))


def reachable(graph: Graph, start: str) -> set[str]:
    """Returns the rooms that arrows lead to from one room, itself only by way of a circle."""
    seen: set[str] = set()
    todo = list(graph.get(start, ()))
    while todo:
        room = todo.pop()
        if room not in seen:
            seen.add(room)
            todo += graph.get(room, ())
    return seen


def main(root: Path) -> None:
    """Prints the graph and what it breaks."""
    graph = room_graph(root)
    for room in sorted(graph):
        print(f"{room:20} -> {' '.join(sorted(graph[room]))}")
    arrows = sum(map(len, graph.values()))
    known = [(a, b) for a, b in upward(graph) if a in ORDER and b in ORDER]
    print(f"{len(graph)} rooms, {arrows} arrows, {len(known)} upward {known}")
    print(f"{len(circles(graph))} circles {circles(graph)}")
    inner = circles(module_graph(root))
    print(f"{len(inner)} circles between modules {inner}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2])
