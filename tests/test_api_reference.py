"""The generated API reference: every public name is in it, once, and code in texts and links to the source resolve."""

from __future__ import annotations

import importlib
import inspect
import operator
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml

import mfmgdm_lib as mm

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def extensions() -> SimpleNamespace:
    pytest.importorskip("sphinx")
    names = ("api_names", "api_pages", "repository", "source_links")
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def pages(extensions: SimpleNamespace) -> dict[str, str]:
    return extensions.api_pages.pages()


@pytest.fixture(scope="module")
def documented(pages: dict[str, str]) -> list[str]:
    text = "\n".join(pages.values())
    constants = re.findall(r"(?m)^\.\. py:data:: (\S+)\n   :module: (\S+)$", text)
    others = re.findall(r"(?m)^\.\. auto(?:class|exception|function):: (\S+)$", text)
    return [*others, *(f"{module}.{name}" for name, module in constants)]


def public_modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(mm.__path__, prefix="mfmgdm_lib.")
    names = [module.name for module in found if "._" not in module.name]
    return [mm, *(importlib.import_module(name) for name in names if not name.startswith("mfmgdm_lib.cli"))]


def test_every_public_name_is_in_the_reference(extensions: SimpleNamespace, documented: list[str]) -> None:
    values = {operator.attrgetter(name.partition(".")[2])(mm): name for name in documented if is_code(name)}
    n_names = 0
    for module in public_modules():
        for name in module.__all__:
            value, full = getattr(module, name), f"{module.__name__}.{name}"
            if isinstance(value, ModuleType):
                continue
            n_names += 1
            if inspect.isroutine(value) or inspect.isclass(value):
                assert values[value].count(".") <= full.count("."), full
            public = extensions.api_names.paths()[full].name
            assert public in documented, full
            assert operator.attrgetter(public.partition(".")[2])(mm) is value
    assert n_names > 500


def is_code(name: str) -> bool:
    value = operator.attrgetter(name.partition(".")[2])(mm)
    return inspect.isroutine(value) or inspect.isclass(value)


def test_nothing_is_in_the_reference_twice(documented: list[str]) -> None:
    assert len(documented) == len(set(documented)) > 390


def test_everything_in_the_reference_has_a_sentence_that_says_what_it_is(extensions: SimpleNamespace) -> None:
    assert [entry.name for entry in extensions.api_names.entries() if not entry.summary.strip()] == []


def test_every_module_of_the_package_has_a_page_and_the_contents_take_them_all(pages: dict[str, str]) -> None:
    modules = {found.name for found in pkgutil.iter_modules(mm.__path__) if not found.name.startswith("_")} - {"cli"}
    offered = {name for name in mm.__all__ if isinstance(getattr(mm, name), ModuleType)}
    assert {f"mfmgdm_lib.{name}" for name in modules | offered} <= pages.keys()
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry for part in toc["parts"] for entry in part["chapters"] if entry["file"] == "book/api/index"]
    assert entries[0]["sections"] == [{"glob": "book/api/mfmgdm*"}]
    assert all(name.startswith("mfmgdm") for name in pages)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("mfmgdm_lib.models.MFMGDM", "mm.MFMGDM"),
        ("mfmgdm_lib.energies.autocovariance.Autocovariance", "mm.energies.Autocovariance"),
        ("mfmgdm_lib.support.Move", "mm.Move"),
        ("mfmgdm_lib.descents.communicator.Communicator", "mfmgdm_lib.descents.Communicator"),
        ("mfmgdm_lib.companion.figures.generation_report", "mm.plotting.generation_report"),
        ("mfmgdm_lib.specification.spec", "mm.spec"),
    ],
)
def test_a_thing_is_called_what_is_typed(extensions: SimpleNamespace, name: str, typed: str) -> None:
    names = extensions.api_names
    assert names.shown(names.paths()[name].name) == typed


def test_the_page_of_a_module_names_what_it_has_from_others(pages: dict[str, str]) -> None:
    assert ":py:obj:`mm.spec <mfmgdm_lib.spec>`" in pages["mfmgdm_lib.models"]
    assert "autofunction:: mfmgdm_lib.spec\n" in pages["mfmgdm_lib.specification"]


def test_each_command_has_its_help(pages: dict[str, str]) -> None:
    help_of = re.findall(r"Usage: (mfmgdm[ a-z0-9]*) [\[A-Z]", pages["mfmgdm"])
    assert {"mfmgdm", "mfmgdm generate", "mfmgdm reproduce table1", "mfmgdm verify"} <= {*help_of}
    assert len(help_of) > 12


def test_pages_are_written_only_where_they_change_and_old_ones_go(
    extensions: SimpleNamespace, tmp_path: Path, pages: dict[str, str]
) -> None:
    folder = tmp_path / "book" / "api"
    folder.mkdir(parents=True)
    for name in ("mfmgdm_lib.gone.rst", "index.md"):
        (folder / name).touch()
    app = SimpleNamespace(srcdir=tmp_path)
    extensions.api_pages.write_pages(app)
    assert {path.name for path in folder.iterdir()} == {"index.md", *(f"{name}.rst" for name in pages)}
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "mfmgdm_lib.models.rst").write_text("old", encoding="utf-8")
    extensions.api_pages.write_pages(app)
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"mfmgdm_lib.models.rst"}
    assert (folder / "mfmgdm_lib.models.rst").read_text(encoding="utf-8") == pages["mfmgdm_lib.models"]


OBJECTS = {
    "mfmgdm_lib.MFMGDM": 0,
    "mfmgdm_lib.Descent": 0,
    "mfmgdm_lib.Descent.steps": 0,
    "mfmgdm_lib.energies.Energy": 0,
    "mfmgdm_lib.energies.Energy.jacobian": 0,
    "mfmgdm_lib.processes.AR": 0,
    "mfmgdm_lib.processes.WhiteNoise": 0,
}
IN_DESCENT = ("mfmgdm_lib.Descent", "mfmgdm_lib.descents.descent", "mfmgdm_lib")


@pytest.mark.parametrize(
    ("code", "page", "scope", "target"),
    [
        ("mm.MFMGDM", "notebooks/01", (), "mfmgdm_lib.MFMGDM"),
        ("mfmgdm_lib.MFMGDM", "notebooks/01", (), "mfmgdm_lib.MFMGDM"),
        ("mm.processes.AR([0.1])", "notebooks/01", (), "mfmgdm_lib.processes.AR"),
        ("mm.MFMGDM(energy, target).sample(x0)", "notebooks/01", (), "mfmgdm_lib.MFMGDM"),
        ("mm.MFMGDM or so", "notebooks/01", (), None),
        ("mm.nothing", "notebooks/01", (), None),
        ("MFMGDM", "notebooks/01", (), None),
        ("energy.jacobian(x)", "book/notation", (), "mfmgdm_lib.energies.Energy.jacobian"),
        ("energy.jacobian(x)", "notebooks/01", (), None),
        ("energy", "book/notation", (), None),
        ("steps", "book/api/x", IN_DESCENT, "mfmgdm_lib.Descent.steps"),
        ("Energy", "book/api/x", IN_DESCENT, "mfmgdm_lib.energies.Energy"),
        ("WhiteNoise()", "book/api/x", IN_DESCENT, "mfmgdm_lib.processes.WhiteNoise"),
        ("results/", "book/api/x", IN_DESCENT, None),
    ],
)
def test_code_in_a_text_leads_to_what_it_names(
    extensions: SimpleNamespace, code: str, page: str, scope: tuple[str, ...], target: str | None
) -> None:
    assert extensions.api_pages.target_of(code, page, OBJECTS, scope) == target


def test_names_of_the_notation_page_stand_for_classes_that_it_has(extensions: SimpleNamespace) -> None:
    text = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
    for variable, name in extensions.api_pages.VARIABLES.items():
        assert f"`{variable}." in text
        assert extensions.api_names.paths()[name].kind == "class"


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("paths (*, time) and (N, *event_shape)", r"paths (\*, time) and (N, \*event_shape)"),
        ("the product of x_{t} and |W|", r"the product of x\_{t} and \|W\|"),
        ("Brockwell, *Time Series: Theory*, and (*, K)", r"Brockwell, *Time Series: Theory*, and (\*, K)"),
        ("of `a_ | b` and :math:`x_{t}`, ``*c``", "of `a_ | b` and :math:`x_{t}`, ``*c``"),
        (">>> f(*values) | g_", ">>> f(*values) | g_"),
    ],
)
def test_what_is_no_markup_in_a_docstring_is_escaped(extensions: SimpleNamespace, line: str, written: str) -> None:
    assert extensions.api_pages.plain([line]) == [written]


def test_a_formula_is_left_as_it_is(extensions: SimpleNamespace) -> None:
    lines = [".. math:: |x_{t}|", "", "          (*, y)", "", "of (*, y)"]
    assert extensions.api_pages.plain(lines) == [*lines[:-1], r"of (\*, y)"]


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://git.example.org/somebody/name.git", "https://git.example.org/somebody/name"),
        ("https://git.example.org/somebody/name/\n", "https://git.example.org/somebody/name"),
        ("https://me:secret@git.example.org/group/part/name", "https://git.example.org/group/part/name"),
        ("git@git.example.org:somebody/name.git", "https://git.example.org/somebody/name"),
        ("ssh://git@git.example.org:2222/somebody/name.git", "https://git.example.org/somebody/name"),
        ("", None),
        ("/srv/git/name.git", None),
        ("file:///srv/git/name.git", None),
        ("http://git.example.org/somebody/name", None),
        ("https://192.168.0.1/somebody/name", None),
        ("https://localhost/somebody/name", None),
        ("git@work:somebody/name.git", None),
    ],
)
def test_the_address_of_a_remote(extensions: SimpleNamespace, remote: str, address: str | None) -> None:
    assert extensions.repository.web_address(remote) == address


def test_the_address_of_a_repository_is_that_of_its_origin(extensions: SimpleNamespace, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert extensions.repository.repository_address(tmp_path) is None
    remote = ["git", "remote", "add", "origin", "git@git.example.org:somebody/name.git"]
    subprocess.run(remote, cwd=tmp_path, check=True)
    assert extensions.repository.repository_address(tmp_path) == "https://git.example.org/somebody/name"
    assert extensions.repository.commit(tmp_path) == ""


def test_the_source_is_in_the_site_where_the_repository_is_on_no_host(extensions: SimpleNamespace) -> None:
    assert extensions.source_links.extension_for(None) == "sphinx.ext.viewcode"
    assert extensions.source_links.extension_for("https://git.example.org/a/b") == "sphinx.ext.linkcode"


def test_a_link_to_the_repository_leads_to_the_lines(extensions: SimpleNamespace) -> None:
    resolve = extensions.source_links.resolver("https://git.example.org/a/b", "abc")
    address = resolve("py", {"module": "mfmgdm_lib", "fullname": "MFMGDM.freeze"})
    start, first, last = re.fullmatch(r"(.+)#L(\d+)-L(\d+)", address).groups()
    assert start == "https://git.example.org/a/b/blob/abc/mfmgdm_lib/models.py"
    lines = (ROOT / "mfmgdm_lib" / "models.py").read_text(encoding="utf-8").splitlines()[int(first) - 1 : int(last)]
    assert lines[0].startswith("    def freeze(") and lines[-1] == "        )"
    assert "descents/descent.py#L" in resolve("py", {"module": "mfmgdm_lib", "fullname": "Descent.rate"})  # a property
    assert resolve("py", {"module": "mfmgdm_lib.companion", "fullname": "SERIES"}) is None
    assert resolve("py", {"module": "mfmgdm_lib", "fullname": "nothing"}) is None
