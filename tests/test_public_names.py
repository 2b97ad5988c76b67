"""What `import kokeilu as kk` offers is written down once, and nothing that is registered is forgotten."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import kokeilu
from kokeilu.core import registry

PUBLIC = """
arms Arm Arms Bernoulli Complete Stratified Clustered randomise verify adopt save load
check_balance estimate_effects DifferenceInMeans Regression randomisation_test Holm
Mean Proportion detectable_effect sample_size power_at simulate_power Shift
Plan Outcome Analysis Deviation enrol analyse save_plan load_plan write_report
datasets errors
""".split()


def modules(*packages: str) -> list[str]:
    """Return the dotted names of the modules in packages of kokeilu."""
    found = []
    for package in packages:
        path = importlib.import_module(f"kokeilu.{package}").__path__
        found += [f"kokeilu.{package}.{item.name}" for item in pkgutil.iter_modules(path)]
    return found


def test_all_is_sorted_out() -> None:
    assert len(set(kokeilu.__all__)) == len(kokeilu.__all__)
    assert set(PUBLIC) <= set(kokeilu.__all__), f"not exported: {sorted(set(PUBLIC) - set(kokeilu.__all__))}"


@pytest.mark.parametrize("name", sorted(kokeilu.__all__))
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    value = getattr(kokeilu, name)
    if not name.startswith("__"):
        assert value.__doc__, f"kokeilu.{name} has no docstring"


def test_dir_shows_the_public_names() -> None:
    assert set(kokeilu.__all__) <= set(dir(kokeilu))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="randomize"):
        _ = kokeilu.randomize


@pytest.mark.parametrize("module", modules("assign", "estimate", "power", "plan", "balance", "core", "ceremony"))
def test_registered_classes_are_exported(module: str) -> None:
    importlib.import_module(module)
    missing = [
        f'add "{cls.__name__}": "{cls.__module__}" to the public names in src/kokeilu/__init__.py'
        for cls in registry.registered().values()
        if cls.__module__ == module and not cls.__name__.startswith("_") and cls.__name__ not in kokeilu.__all__
    ]
    assert missing == []


@pytest.mark.parametrize(
    "module", modules("_kernels", "core", "assign", "balance", "estimate", "power", "plan", "ceremony", "io")
)
def test_every_module_says_what_it_offers(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__doc__
    missing = [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)]
    assert missing == []


def test_the_import_is_light() -> None:
    code = "import kokeilu, sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"statsmodels", "matplotlib", "jinja2", "hypothesis", "causaldata", "polars"}
    assert heavy & set(loaded) == set()


def test_star_import_needs_no_extra() -> None:
    """hypothesis is an extra: what `from kokeilu import *` brings must not need it."""
    assert "testing" not in kokeilu.__all__
    assert importlib.import_module("kokeilu.testing").check_mechanism
