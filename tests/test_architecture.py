"""The diagram of who may import whom, as a table, and what no module may do."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "kokeilu"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [path.relative_to(SOURCE).as_posix() for path in FILES]

GROUND = {"errors", "_checks"}
TO_CORE = GROUND | {"_kernels", "core"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "_checks": {"errors"},
    "_kernels": {"errors"},
    "core": GROUND | {"_kernels"},
    "assign": TO_CORE,
    "balance": TO_CORE,
    "estimate": TO_CORE,
    "power": TO_CORE | {"estimate"},
    "plan": TO_CORE | {"assign", "balance", "estimate", "power"},
    "ceremony": TO_CORE | {"assign"},
    "report": GROUND | {"core", "plan"},
    "io": TO_CORE | {"plan"},  # the kernels for Seed and digest, which files carry
    "testing": GROUND | {"_kernels", "core"},
    "datasets": TO_CORE | {"assign", "balance", "estimate", "power", "plan", "io"},
    "__main__": TO_CORE | {"assign", "balance", "estimate", "power", "plan", "ceremony", "io", "report", "datasets"},
    "__init__": TO_CORE
    | {"assign", "balance", "estimate", "power", "plan", "ceremony", "io", "report", "datasets", "testing"},
}

LEVELS: tuple[set[str], ...] = (
    {"errors"},
    {"_checks"},
    {"_kernels"},
    {"core"},
    {"assign", "balance", "estimate"},
    {"power"},
    {"plan", "ceremony"},
    {"report", "io", "testing"},
    {"datasets"},
    {"__main__", "__init__"},
)

# Rooms on top, which may use the public names like any user, and the files that may write to the terminal.
WHOLE = {"datasets", "__main__"}
SPEAKS = {"__main__.py", "datasets/demo.py", "power/workers.py"}

# A foreign package -> the rooms and files that may import it. Packages not named here are for nobody.
EVERYWHERE = tuple(MAY_IMPORT)
FOREIGN: dict[str, tuple[str, ...]] = {
    "numpy": EVERYWHERE,
    "scipy": EVERYWHERE,
    "pandas": ("core/table.py", "core/assignment.py", "core/results.py", "datasets"),
    "pyarrow": ("core/table.py", "io"),
    "statsmodels": ("estimate", "balance", "power", "plan"),
    "matplotlib": ("report",),
    "jinja2": ("report",),
    "hypothesis": ("testing",),
    "causaldata": ("datasets",),
}
# Heavy or optional: imported inside the function that needs them, so that `import kokeilu` stays light.
INSIDE_FUNCTIONS = {"statsmodels", "matplotlib", "jinja2", "causaldata"}
STANDARD = set(__import__("sys").stdlib_module_names)
BANNED_MODULES = {
    "locale",
    "random",
    "secrets",
    "pickle",
    "shelve",
    "logging",
    "socket",
    "urllib",
    "http",
    "time",
}
TERMINAL = {"sys.stdout", "sys.stderr"}
CLOCKS = {"datetime", "date", "dt", "time"}
CLOCK_CALLS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}


def room(name: str) -> str:
    """Return the room of a file: its folder, or its own name on the ground floor."""
    return name.split("/")[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Yield every imported module with its statement; `from kokeilu import x` counts as kokeilu.x."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module == "kokeilu":
                yield from ((f"kokeilu.{alias.name}", node) for alias in node.names if alias.name != "__version__")
            else:
                yield module, node


def at_module_level(tree: ast.AST) -> set[ast.AST]:
    """Return the nodes that run on import: all but what stands in functions."""
    found: set[ast.AST] = set()
    pending = list(ast.iter_child_nodes(tree))
    while pending:
        node = pending.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not is_type_checking(node):
            found.add(node)
            pending += ast.iter_child_nodes(node)
    return found


def only_for_types(tree: ast.AST) -> set[ast.AST]:
    """Return what stands under `if TYPE_CHECKING`: foreign types in annotations cost nothing at run time."""
    return {inner for node in ast.walk(tree) if is_type_checking(node) for inner in ast.walk(node)}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def upward(name: str, tree: ast.AST) -> Iterator[str]:
    here = room(name)
    if here not in MAY_IMPORT:
        yield f"{name}: the room {here!r} is not in the diagram"
        return
    for_types = only_for_types(tree)
    for module, node in imports(tree):
        parts = module.split(".")
        if module == "kokeilu" and here not in WHOLE and not only_the_version(tree):
            yield f"{name}:{node.lineno} imports the whole of kokeilu, which hides what it needs"
        if parts[0] != "kokeilu" or len(parts) == 1:
            continue
        allowed = lower_than(here) if node in for_types else MAY_IMPORT[here]
        if parts[1] not in allowed | {here}:
            yield f"{name}:{node.lineno} imports kokeilu.{parts[1]}; {here} may import {sorted(allowed)}"


def lower_than(here: str) -> set[str]:
    """Return the rooms below: what an annotation may name, where the diagram is narrower than that."""
    return set().union(*(rooms for rooms in LEVELS[: level_of(here)]))


def level_of(here: str) -> int:
    return next(i for i, rooms in enumerate(LEVELS) if here in rooms)


def only_the_version(tree: ast.AST) -> bool:
    """Tell whether a module takes nothing but the version from the package."""
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and ast.unparse(n.value) in ("kokeilu", "kk")]
    return all(name.attr == "__version__" for name in names)


def foreign(name: str, tree: ast.AST) -> Iterator[str]:
    early, for_types = at_module_level(tree), only_for_types(tree)
    for module, node in imports(tree):
        top = module.split(".")[0]
        if top in STANDARD or top in ("kokeilu", "__future__") or node in for_types:
            continue
        places = FOREIGN.get(top, ())
        if not any(place in (name, room(name)) for place in places):
            yield f"{name}:{node.lineno} imports {top}; only {places or 'nobody'} may"
        if top in INSIDE_FUNCTIONS and node in early:
            yield f"{name}:{node.lineno} imports {top} at the top; do it inside the function that needs it"


def habits(name: str, tree: ast.AST) -> Iterator[str]:
    banned = BANNED_MODULES - ({"time"} if room(name) == "plan" else set())
    for module, node in imports(tree):
        if module.split(".")[0] in banned:
            yield f"{name}:{node.lineno} imports {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{name}:{node.lineno} uses assert; raise a typed error"
        if isinstance(node, ast.Call):
            yield from (f"{name}:{node.lineno} {what}" for what in bad_call(node, name))
        if isinstance(node, ast.Attribute) and name not in SPEAKS and ast.unparse(node) in TERMINAL:
            yield f"{name}:{node.lineno} writes to the terminal"


def bad_call(node: ast.Call, name: str) -> Iterator[str]:
    called = ast.unparse(node.func)
    first, last = called.split(".")[0], called.split(".")[-1]
    if called == "print" and name not in SPEAKS:
        yield "prints"
    if last in ("filterwarnings", "simplefilter", "catch_warnings"):
        yield "changes the warnings of the whole process"
    if called.startswith(("np.random.", "numpy.random.")) and last != "Philox":
        yield f"calls {called}; random words come from _kernels.streams"
    if called in ("default_rng", "RandomState", "hash"):
        yield f"calls {called}, which is not the same everywhere"
    if first in CLOCKS and first != called and last in CLOCK_CALLS and room(name) != "plan":
        yield f"reads the clock: {called}"


Rule = Callable[[str, ast.AST], Iterator[str]]


def test_the_diagram_points_down() -> None:
    for here, rooms in MAY_IMPORT.items():
        assert rooms <= lower_than(here), here


def test_there_is_something_to_check() -> None:
    assert "errors.py" in NAMES


@pytest.mark.parametrize("rule", [upward, foreign, habits], ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_house_rules(name: str, rule: Rule) -> None:
    tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
    assert list(rule(name, tree)) == []


@pytest.mark.parametrize(
    ("rule", "name", "code", "says"),
    [
        (upward, "assign/x.py", "from kokeilu.estimate import means", "imports kokeilu.estimate"),
        (upward, "estimate/x.py", "def f():\n    from kokeilu import power", "imports kokeilu.power"),
        (upward, "_kernels/x.py", "from kokeilu.core.arms import Arms", "imports kokeilu.core"),
        (upward, "plan/x.py", "import kokeilu as kk\nkk.arms()", "the whole of kokeilu"),
        (upward, "core/x.py", "if TYPE_CHECKING:\n    from kokeilu.plan.plan import Plan", "imports kokeilu.plan"),
        (upward, "shop/x.py", "", "not in the diagram"),
        (foreign, "assign/x.py", "import pandas as pd", "imports pandas"),
        (foreign, "core/lottery.py", "import pyarrow.compute", "imports pyarrow"),
        (foreign, "core/x.py", "import hypothesis", "imports hypothesis"),
        (foreign, "estimate/x.py", "import statsmodels.api as sm", "inside the function"),
        (foreign, "core/x.py", "import requests", "only nobody may"),
        (habits, "core/x.py", "assert True", "assert"),
        (habits, "core/x.py", "print(1)", "prints"),
        (habits, "core/x.py", "sys.stderr.write('')", "terminal"),
        (habits, "core/x.py", "np.random.default_rng(1)", "default_rng"),
        (habits, "core/x.py", "warnings.filterwarnings('ignore')", "warnings"),
        (habits, "report/x.py", "datetime.now()", "clock"),
        (habits, "report/x.py", "import locale", "locale"),
        (habits, "core/x.py", "from time import perf_counter", "time"),
    ],
)
def test_each_rule_can_fail(rule: Rule, name: str, code: str, says: str) -> None:
    assert any(says in row for row in rule(name, ast.parse(code)))
