"""The public names, and the properties that all of them share."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import os
import pkgutil
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import mfmgdm_lib as mm

STABLE = [
    "processes.AR",
    "processes.ARGARCH",
    "processes.CIR",
    "processes.Exponential",
    "processes.GARCH",
    "processes.TruncatedGaussian",
    "processes.WhiteNoise",
    "initial_distribution",
    "energies.Autocovariance",
    "energies.StylizedFacts",
    "estimate_target",
    "target_from_data",
    "MGDM",
    "MFMGDM",
    "FrozenFlow",
    "stream_paths",
    "FrozenState",
    "reverse_kl_trace",
    "log_determinant",
    "Determinants",
    "Stochastic",
    "data.sp500",
]


def modules() -> Iterator[ModuleType]:
    """Every module that is not private."""
    yield mm
    for found in pkgutil.walk_packages(mm.__path__, prefix="mfmgdm_lib."):
        if "._" not in found.name:
            yield importlib.import_module(found.name)


every_module = pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)


@pytest.mark.parametrize("name", STABLE)
def test_stable_name_is_there(name: str) -> None:
    found = mm
    for part in name.split("."):
        assert part in found.__all__
        found = getattr(found, part)
    assert callable(found)


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        (mm.processes.AR, ["coefficients", "innovation_std"]),
        (mm.processes.CIR, ["kappa", "theta", "sigma", "dt"]),
        (mm.processes.GARCH, ["omega", "alpha", "beta", "degrees_of_freedom"]),
        (
            mm.processes.ARGARCH,
            ["phi", "omega", "alpha", "beta", "mean", "degrees_of_freedom", "asymmetry", "skew"],
        ),
        (mm.processes.Exponential, ["mean"]),
        (mm.processes.TruncatedGaussian, ["location", "scale"]),
        (mm.processes.TruncatedGaussian.from_moments, ["mean", "stddev"]),
        (mm.processes.AR.sample, ["self", "n", "length", "seed"]),
        (mm.energies.StylizedFacts, ["lags", "leverage"]),
        (mm.estimate_target, ["energy", "process", "n_samples", "length", "seed"]),
        (mm.target_from_data, ["energy", "series"]),
        (mm.MGDM, ["energy", "target", "step_size", "support", "inner_steps"]),
        (mm.MFMGDM, ["energy", "target", "step_size", "ensemble_size", "support", "inner_steps"]),
        (mm.MFMGDM.sample, ["self", "x0", "n_steps"]),
        (mm.MFMGDM.freeze, ["self", "x0", "n_steps", "start"]),
        (mm.FrozenFlow.sample, ["self", "sample_shape", "seed"]),
        (mm.FrozenFlow.sample_and_log_prob, ["self", "sample_shape", "seed", "determinants"]),
        (mm.FrozenFlow.log_prob, ["self", "x", "determinants", "seed"]),
        (mm.FrozenFlow.inverse, ["self", "x"]),
        (mm.FrozenFlow.load, ["path", "energy"]),
        (
            mm.reverse_kl_trace,
            ["model", "process", "start", "n_steps", "n_paths", "length", "seed", "determinants"],
        ),
        (mm.stream_paths, ["flow", "n_paths", "path", "seed", "force", "batch", "dtype"]),
        (mm.log_determinant, ["model", "state", "determinants", "seed"]),
        (mm.Determinants, ["backend", "probes", "step_error", "every", "on_fold"]),
        (mm.Stochastic, ["probes", "coupling_paths", "tolerance", "max_products"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_stable_name_keeps_its_parameters(call: object, parameters: list[str]) -> None:
    assert list(inspect.signature(call).parameters)[: len(parameters)] == parameters  # type: ignore[arg-type]


@every_module
def test_module_opens_with_a_docstring_and_lists_what_is_public(module: ModuleType) -> None:
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@every_module
def test_every_public_function_class_and_method_is_documented(module: ModuleType) -> None:
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), name
        if inspect.isclass(value) and value.__module__.startswith("mfmgdm_lib"):
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                    assert inspect.getdoc(member), f"{name}.{attribute}"


# Each may import from what stands before it: the way through, from a process to a figure.
ORDER = [
    *("_environment", "_lazy", "_deprecated", "errors", "_arguments", "_checks", "_columns", "_progress"),
    *("_arrays", "_provenance", "specification"),
    *(
        "support",
        "_fields",
        "_conjugate_gradients",
        "_lanczos",
        "_threads",
        "_fields",
        "processes",
        "energies",
        "target",
        "descents",
        "log_determinants",
        "runs",
        "flows",
        "entropy",
        "stopping",
    ),
    *(
        "models",
        "divergence",
        "statistics",
        "field_statistics",
        "two_sample",
        "risk",
        "coverage",
        "backtests",
        "report",
        "joint_report",
        "generation",
        "data",
        "field_generation",
        "forecasting",
        "io",
        "plotting",
        "distributed",
        "companion",
        "cli",
    ),
]
ROOT = Path(mm.__file__).parent
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").removesuffix("."): path
    for path in sorted(ROOT.rglob("*.py*"))  # where there is a stub, it has the imports, and comes after the module
    if path.suffix in (".py", ".pyi")
}
STUBS = sorted(ROOT.rglob("*.pyi"))


def imported(source: Path) -> Iterator[str]:
    """Modules of the library that a file imports anywhere: in functions and for type checkers alone, too."""
    for statement in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = []
        if isinstance(statement, ast.ImportFrom) and statement.module:
            names = [f"{statement.module}.{alias.name}" for alias in statement.names]
        elif isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        for name in names:
            package, _, module = name.partition(".")
            if package == ROOT.name:
                yield module if module in SOURCES else module.rpartition(".")[0]


def test_nothing_imports_backwards() -> None:
    assert {module.partition(".")[0] for module in SOURCES} - {""} == {*ORDER}
    for module, source in SOURCES.items():
        if module:  # the front door takes from every room
            for name in imported(source):
                place = ORDER.index(name.partition(".")[0])
                assert place <= ORDER.index(module.partition(".")[0]), f"{module} imports {name}"


def test_no_imports_go_round_in_a_circle() -> None:
    graph = {module: {*imported(source)} - {module} for module, source in SOURCES.items() if module}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises an error that names the circle


HEAVY = ["arch", "kymatio", "matplotlib", "numpy", "pandas", "scipy", "statsmodels", "sympy", "torch"]

WITHOUT_NUMBERS = """
import os
import mfmgdm_lib
assert {*mfmgdm_lib.__all__} < {*dir(mfmgdm_lib)}
assert not hasattr(mfmgdm_lib, "nothing_of_the_kind")
assert os.environ["GOMP_SPINCOUNT"]  # before torch, which reads it once

import click
from click.testing import CliRunner
from mfmgdm_lib.cli import main
def walk(command, words):
    yield words
    for name, part in getattr(command, "commands", {}).items():
        yield from walk(part, [*words, name])
asked = list(walk(main, []))
for words in asked:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0 and "Usage:" in result.output, words
assert len(asked) > 12, asked
"""


def test_no_numerical_package_is_loaded_by_the_import_of_the_library_nor_by_help() -> None:
    code = f"{WITHOUT_NUMBERS}\nimport sys\nloaded = sys.modules.keys() & set({HEAVY})\nassert not loaded, loaded"
    environment = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "MFMGDM_TUNE")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr


TRACE = """
import sys
import mfmgdm_lib as mm
process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
target = mm.estimate_target(energy, process, n_samples=300, length=64, seed=1)
model = mm.MFMGDM(energy, target, step_size=1.0)
start = mm.initial_distribution(process)
mm.reverse_kl_trace(model, process, start, n_steps=2, n_paths=16, length=64, seed=2)
model.freeze(start.sample(16, 64, seed=3), n_steps=2, start=start).sample(2, seed=4)
"""


def test_a_trace_of_ar_loads_no_package_that_it_does_not_use() -> None:
    heavy = [*(name for name in HEAVY if name not in ("numpy", "scipy", "torch")), "scipy.signal", "scipy.stats"]
    code = f"{TRACE}\nloaded = sys.modules.keys() & set({[*heavy, 'scipy.optimize']})\nassert not loaded, loaded"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("given", "spins", "settings"),
    [
        ({}, "10000", [(-3, 2**25), (-1, 2**29)]),
        ({"MFMGDM_TUNE": "0"}, None, []),
        ({"GOMP_SPINCOUNT": "7", "MALLOC_ARENA_MAX": "2"}, "7", []),
    ],
)
def test_import_leaves_environment_and_allocator_alone_where_it_is_told(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None, settings: list[tuple[int, int]]
) -> None:
    for name in ("GOMP_SPINCOUNT", "MFMGDM_TUNE", *(name for name in os.environ if name.startswith("MALLOC_"))):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    made: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *setting: made.append(setting))
    monkeypatch.setattr("ctypes.CDLL", lambda name: library)
    runpy.run_path(str(ROOT / "_environment.py"))
    assert (os.environ.get("GOMP_SPINCOUNT"), made) == (spins, settings)


def test_each_public_name_is_loaded_when_it_is_first_used() -> None:
    code = "import mfmgdm_lib as mm\nfor name in mm.__all__: assert getattr(mm, name) is vars(mm)[name], name"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_names_for_type_checkers_are_those_that_are_loaded(stub: Path) -> None:
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT.parent).parts))
    seen = {name: value for name, value in runpy.run_path(str(stub)).items() if not name.startswith("__")}
    assert {*seen} == {*package.__all__}
    for name, value in seen.items():
        assert getattr(package, name) is value, name


@pytest.mark.parametrize("package", [mm, mm.companion])
def test_former_names_work_with_a_warning(package: ModuleType) -> None:
    for name, now in package._MOVED.items():
        with pytest.warns(DeprecationWarning, match=re.escape(f"{package.__name__}.{name} is now {now}")):
            assert getattr(package, name) is pkgutil.resolve_name(now)


def test_package_is_marked_as_typed() -> None:
    assert (resources.files(mm) / "py.typed").is_file()


def test_version_is_a_version() -> None:
    assert [part.isdigit() for part in mm.__version__.split(".")] == [True] * 3
