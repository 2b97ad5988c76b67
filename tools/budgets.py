"""Print the house's figures beside their budgets, and fail on what breaks one without a stated reason.

Usage: python tools/budgets.py [PROJECT]      (standard library only)
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

FILE_MEDIAN, FILE_MAX = 150, 400
BODY_MEDIAN, BODY_P90, BODY_MAX = 10, 30, 60
ARGUMENTS_MAX = 8

# "path", "path:function" or the name of a figure -> the reason why it may exceed its budget.
EXCUSED: dict[str, str] = {
    "src/kokeilu/estimate/randomisation.py:randomisation_test": (
        "three say what is tested and seven how; an object for one of the seven would serve this function alone"
    ),
    "src/kokeilu/power/solve.py:detectable_effect": "every assumption of a power question is named where it is asked",
    "src/kokeilu/power/solve.py:power_at": "every assumption of a power question is named where it is asked",
    "src/kokeilu/power/solve.py:sample_size": "every assumption of a power question is named where it is asked",
    "src/kokeilu/power/simulate.py:simulate_power": (
        "the trial takes four arguments, its effects three, the simulation four; an object would serve this alone"
    ),
    "median file": "mechanisms state their law, sources and an example in the docstring",
}


@dataclass
class Figures:
    """What was counted."""

    files: list[int] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    unannotated: list[str] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    raises: int = 0
    over: list[tuple[str, str]] = field(default_factory=list)


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function from its def line to its end, less the docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """Return the arguments of a function, without self or cls."""
    every = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    return [a for i, a in enumerate(every) if not (i == 0 and a.arg in ("self", "cls"))]


def is_annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether every argument and the return value carry a type."""
    rest = [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
    return node.returns is not None and all(a.annotation is not None for a in arguments(node) + rest)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def read_source(path: Path, name: str, figures: Figures) -> None:
    """Count one source file."""
    text = path.read_text(encoding="utf-8")
    figures.files.append(text.count("\n"))
    if figures.files[-1] > FILE_MAX:
        figures.over.append((name, f"{figures.files[-1]} lines (at most {FILE_MAX})"))
    for node in functions(ast.parse(text)):
        where = f"{name}:{node.name}"
        size, count = body_lines(node), len(arguments(node))
        figures.bodies.append(size)
        if size > BODY_MAX:
            figures.over.append((where, f"{size} lines (at most {BODY_MAX})"))
        if count > ARGUMENTS_MAX:
            figures.over.append((where, f"{count} arguments (at most {ARGUMENTS_MAX})"))
        if not is_annotated(node):
            figures.unannotated.append(where)
        if not node.name.startswith("_") and ast.get_docstring(node) is None:
            figures.undocumented.append(where)


def read_test(path: Path, name: str, figures: Figures) -> None:
    """Count the pytest.raises of one test file, and those that do not pin the message."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
            figures.raises += 1
            if not any(keyword.arg in ("match", "check") for keyword in node.keywords):
                figures.unmatched.append(f"{name}:{node.lineno}")


def quantile(values: Sequence[int], share: float) -> int:
    """Return the value below which the given share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure_whole(figures: Figures) -> None:
    """Add the figures over all files and functions that break a budget."""
    for name, value, budget in (
        ("median file", median(figures.files), FILE_MEDIAN),
        ("median function body", median(figures.bodies), BODY_MEDIAN),
        ("90th percentile of function bodies", quantile(figures.bodies, 0.9), BODY_P90),
    ):
        if value > budget:
            figures.over.append((name, f"{value:.0f} lines (at most {budget})"))


def breaches(figures: Figures) -> list[str]:
    """Return what breaks a budget and has no stated reason."""
    rows = [f"{where}: {what}" for where, what in figures.over if where not in EXCUSED]
    rows += [f"{where}: not annotated" for where in figures.unannotated]
    rows += [f"{where}: pytest.raises without match" for where in figures.unmatched]
    unused = sorted(set(EXCUSED) - {where for where, _ in figures.over})
    return rows + [f"{where}: excused in tools/budgets.py, but within its budget" for where in unused]


def report(figures: Figures) -> None:
    """Print the figures, a line each."""
    bodies, files = figures.bodies, figures.files
    public = len(bodies) - len(figures.undocumented)
    print(
        f"files      {len(files)}, {sum(files):,} lines; "
        f"median {median(files):.0f} ({FILE_MEDIAN}), max {max(files)} ({FILE_MAX})"
    )
    print(
        f"functions  {len(bodies):,}; body median {median(bodies):.0f} ({BODY_MEDIAN}), "
        f"p90 {quantile(bodies, 0.9)} ({BODY_P90}), max {max(bodies)} ({BODY_MAX})"
    )
    print(f"annotated  {100 * (1 - len(figures.unannotated) / len(bodies)):.1f} % of functions (100 %)")
    print(f"documented {len(figures.undocumented)} public functions without a docstring, {public:,} others")
    print(f"raises     {figures.raises - len(figures.unmatched)} of {figures.raises} pin the message")
    for where, what in figures.over:
        if where in EXCUSED:
            print(f"excused    {where}: {what}: {EXCUSED[where]}")


def main() -> int:
    """Count, print, and return 1 where a budget is broken."""
    project = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
    figures = Figures()
    for path in sorted((project / "src" / "kokeilu").rglob("*.py")):
        read_source(path, path.relative_to(project).as_posix(), figures)
    for path in sorted((project / "tests").rglob("*.py")):
        read_test(path, path.relative_to(project).as_posix(), figures)
    if not figures.bodies:
        print(f"no functions under {project / 'src' / 'kokeilu'}")
        return 1
    measure_whole(figures)
    report(figures)
    rows = breaches(figures)
    for row in rows:
        print(f"over       {row}")
    return 1 if rows else 0


if __name__ == "__main__":
    sys.exit(main())
