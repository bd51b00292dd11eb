"""The files around the library: pins, notebooks, Python versions, the README's examples, and the site check."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "notebooks").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(lines: list[str]) -> dict[str, str]:
    """Read lines of the form name==version, leaving out comments and options."""
    pins = [line.split("==") for line in lines if not line.startswith(("#", "-")) and line.strip()]
    return {normalise(name): version.strip() for name, version in pins}


@pytest.fixture(scope="module")
def constraints() -> dict[str, str]:
    return read_pins((ROOT / "constraints.txt").read_text().splitlines())


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="module")
def environment() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text())
    return content


def direct_names(project: dict[str, Any]) -> set[str]:
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    return {normalise(match[0]) for r in requirements if (match := NAME.match(r))}


def conda_parts(environment: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Split environment.yml into what conda installs and what pip installs."""
    dependencies = environment["dependencies"]
    (pip,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    return [entry for entry in dependencies if isinstance(entry, str)], pip


def test_every_pin_is_exact_and_public(constraints: dict[str, str]) -> None:
    # A local version, as in 2.13.0+cpu, exists on some registries only.
    assert not {name: version for name, version in constraints.items() if not re.fullmatch(r"[0-9][0-9a-z.]*", version)}


def test_every_direct_dependency_is_pinned(constraints: dict[str, str], project: dict[str, Any]) -> None:
    assert direct_names(project) <= constraints.keys()


def test_environment_has_the_pinned_versions(
    constraints: dict[str, str], project: dict[str, Any], environment: dict[str, Any]
) -> None:
    _, pip = conda_parts(environment)
    pins = read_pins(pip)
    assert pins.keys() == direct_names(project)
    assert pins == {name: constraints[name] for name in pins}
    # The packages that those bring along come at the pinned versions as well.
    assert "--constraint constraints.txt" in pip


def test_python_versions_agree(project: dict[str, Any], environment: dict[str, Any]) -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    oldest = project["requires-python"].removeprefix(">=")
    conda, _ = conda_parts(environment)
    (python,) = (entry for entry in conda if entry.startswith("python="))
    makefile = re.search(r"(?m)^OLDEST := (\S+)$", (ROOT / "Makefile").read_text())
    assert makefile is not None
    assert makefile[1] == oldest
    assert tools["mypy"]["python_version"] == oldest
    assert tools["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert [int(part) for part in python.removeprefix("python=").split(".")] >= [int(p) for p in oldest.split(".")]


def test_versions_of_this_project_agree() -> None:
    import mfmgdm_lib

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == mfmgdm_lib.__version__


def test_a_wheel_has_all_packages_and_all_stored_results() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = [path.parent.relative_to(ROOT) for path in (ROOT / "mfmgdm_lib").rglob("__init__.py")]
    assert sorted(setup["packages"]) == sorted([*(".".join(path.parts) for path in packages), "mfmgdm_lib.results"])
    assert setup["package-dir"] == {"mfmgdm_lib.results": "results"}
    results = ROOT / "results"
    shipped = {path for pattern in setup["package-data"]["mfmgdm_lib.results"] for path in results.glob(pattern)}
    assert {path for path in tracked_files() if results in path.parents} == shipped


def test_each_source_has_its_executed_notebook() -> None:
    assert SOURCES
    assert [path.stem for path in SOURCES] == [path.stem for path in NOTEBOOKS], "run `make notebooks`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_executed(path: Path) -> None:
    code = [
        cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code" and cell.source.strip()
    ]
    assert code
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run `make notebooks`"
    assert any(cell.outputs for cell in code)
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    # A stored warning would be compared with, and shown.
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_the_cells_of_its_source(path: Path) -> None:
    # One way only: jupytext's --sync goes by file times, which a checkout sets as it likes.
    def written(notebook: Any) -> list[tuple[str, str, dict[str, Any]]]:
        return [(cell.cell_type, cell.source.rstrip(), dict(cell.metadata)) for cell in notebook.cells]

    executed, source = nbformat.read(path, as_version=4), jupytext.read(path.with_suffix(".md"))
    assert written(executed) == written(source), "run `make notebooks`"


def tracked_files() -> list[Path]:
    """List what is committed or will be: all that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name]


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    # Spelled so that this file does not match itself.
    folders = re.compile(r"(?<![\w./~-])/(?:work|root|home/\w+|Users/\w+|tmp/\w+)" + "/")
    found = []
    for path in tracked_files():
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            lines = content.decode("utf-8").splitlines()
            found += [
                f"{path.relative_to(ROOT)}:{n}: {line[:120]}" for n, line in enumerate(lines, 1) if folders.search(line)
            ]
    assert not found


def test_every_module_says_in_one_sentence_what_it_holds() -> None:
    modules = [path for path in tracked_files() if path.suffix == ".py" and path.is_file()]
    opening = {path: (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n\n")[0] for path in modules}
    sentence = re.compile(r"[A-Z](?:(?!\. [A-Z])[^\n]){,118}\.")
    assert not [f"{path.relative_to(ROOT)}: {text}" for path, text in opening.items() if not sentence.fullmatch(text)]


GOOD_PAGE = """<!doctype html><html><head><script src="mathjax.js"></script><link rel="canonical" href="https://a.example/">
</head><body><h1 id="top">x</h1><span class="math">\\(x\\)</span><img src="a.png" alt="a dot">
<a href="https://a.example/paper">elsewhere</a><a href="#top">up</a></body></html>"""


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("", "", ""),
        ("mathjax.js", "https://cdn.example/mathjax.js", "loads https://cdn.example/mathjax.js"),
        ("mathjax.js", "//cdn.example/mathjax.js", "loads //cdn.example/mathjax.js"),
        ("mathjax.js", "other.js", "loads no MathJax"),
        ("a.png", "b.png", "b.png, which is not there"),
        ("a.png", "https://a.example/a.png", "loads https://a.example/a.png"),
        ("canonical", "stylesheet", "loads https://a.example/"),
        ("#top", "#bottom", "no such anchor"),
        ("#top", "gone.html", "gone.html, which is not there"),
        ("<body>", "<body><iframe src='https://a.example/f'></iframe>", "loads https://a.example/f"),
        ("<body>", "<style>@import 'https://a.example/s.css';</style><body>", "loads https://a.example/s.css"),
        ("<body>", "<style>i{src:url(https://a.example/f.woff)}</style><body>", "loads https://a.example/f.woff"),
        ("<body>", "<script>const u = 'https://unpkg.com/x'</script><body>", "contains the script address"),
        ("<body>", "<script>const png = 'iVBOR//MLcdnZ1aoeO3bt1K'</script><body>", ""),
    ],
)
def test_site_check(tmp_path: Path, before: str, after: str, complaint: str) -> None:
    for name in ["mathjax.js", "other.js", "a.png"]:
        (tmp_path / name).touch()
    (tmp_path / "index.html").write_text(GOOD_PAGE.replace(before, after) if before else GOOD_PAGE)
    command = [sys.executable, ROOT / "tools" / "check_site.py", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == bool(complaint), run.stdout + run.stderr
    assert complaint in run.stderr


def test_site_check_reads_notebooks(tmp_path: Path) -> None:
    (tmp_path / "mathjax.js").touch()
    (tmp_path / "a.png").touch()
    (tmp_path / "index.html").write_text(GOOD_PAGE)
    cells = [nbformat.v4.new_code_cell("'{eq}`x`'"), nbformat.v4.new_markdown_cell("see {numref}`x`")]
    text = nbformat.writes(nbformat.v4.new_notebook(cells=cells))
    script = f"saveNotebook(...{json.dumps(['page.ipynb', text])});\n"
    (tmp_path / "page.ipynb.js").write_text(script, encoding="utf-8")
    command = [sys.executable, ROOT / "tools" / "check_site.py", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "page.ipynb.js: has {numref}`, which plain Jupyter does not understand" in run.stderr


def test_site_check_weighs_the_site(tmp_path: Path) -> None:
    (tmp_path / "mathjax.js").touch()
    (tmp_path / "index.html").write_text(GOOD_PAGE)
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(30_000_001)
    command = [sys.executable, ROOT / "tools" / "check_site.py", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "30.0 MB; expected at most 30" in run.stderr


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_examples_print_what_they_say(tmp_path: Path, page: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    said = [example.rstrip().rpartition("# ")[2] for example in examples]
    command = [sys.executable, "-c", "".join(examples)]  # each goes on from the one before
    run = subprocess.run(command, capture_output=True, check=True, text=True, cwd=tmp_path)
    assert run.stdout.splitlines() == said


def test_the_readme_names_every_part_of_the_library() -> None:
    parts = {path.name for path in (ROOT / "mfmgdm_lib").glob("[a-z]*.py")}
    parts |= {f"{path.parent.name}/" for path in (ROOT / "mfmgdm_lib").glob("*/__init__.py")}
    tree = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .partition("    mfmgdm_lib/ ")[2]
        .partition("    notebooks/ ")[0]
    )
    assert set(re.findall(r"(?m)^ {6}(\S+)", tree)) == parts


def test_every_path_that_the_contributors_guide_names_is_there() -> None:
    text = re.sub(r"```.*?```", "", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.findall(r"`((?:mfmgdm_lib|tests|book|notebooks|companion|processes|tools)/[\w./]*)`", text)
    roots = (ROOT, ROOT / "mfmgdm_lib")
    assert len(named) > 12
    assert not [path for path in named if "N" not in path and not any((root / path).exists() for root in roots)]
