"""Run notebooks that the book offers as a reader would: in an empty folder, the library from a wheel, plain Jupyter.

    python tools/run_downloaded.py _build/html/_sources/notebooks [STEM ...]

The environment is a fresh one. Third-party packages are lent to it by the interpreter that runs this, which is quicker
than installing them again; the library is not, and neither are the tools of the book. `make installed` runs this.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path

from site_notebooks import notebook_text

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["06_financial_data", "14_your_own_series", "12_paper_against_this_run"]
"""Short ones; the first and the last read results that come with the library."""

BOOK_TOOLS = ["jupyter_book", "jupyter_cache", "jupytext", "myst_nb", "myst_parser", "sphinx"]
UNSET = ("PYTHONPATH", "PYTHONHOME", "MFMGDM_DATA_DIR", "VIRTUAL_ENV")


def build_wheel(folder: Path) -> Path:
    """Build the library's wheel with the setuptools that is installed."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # what an earlier build left would be packed again
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, *command, str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_environment(folder: Path, wheel: Path) -> Path:
    """Make an environment that has the wheel; return its interpreter."""
    venv.create(folder, symlinks=os.name != "nt")
    scripts, library = ("Scripts", "Lib") if os.name == "nt" else ("bin", "lib")
    python = folder / scripts / Path(sys.executable).name
    command = ["-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, *command], check=True)
    (packages,) = (folder / library).rglob("site-packages")
    # What a .pth file names is searched last, and no .pth file in there is read, such as that of an editable install.
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for name in BOOK_TOOLS:
        (packages / f"{name}.py").write_text(f"raise ImportError('{name} is a tool of the book')\n")
    return python


def run(python: Path, script: Path, folder: Path) -> bool:
    """Execute the notebook that a script of the site holds in an empty folder; tell whether every cell ran."""
    folder.mkdir()
    notebook = folder / script.stem
    notebook.write_text(notebook_text(script), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    began = time.monotonic()
    command = ["-m", "nbconvert", "--to", "notebook", "--execute", "--log-level", "WARN", notebook.name]
    done = subprocess.run(
        [str(python), *command],
        cwd=folder,
        env={**kept, "PYTHONNOUSERSITE": "1", "IPYTHONDIR": str(folder.parent / "ipython")},
        check=False,
        capture_output=True,
        text=True,
    )
    print(f"{notebook.stem}: {'failed' if done.returncode else 'ran'} in {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    return done.returncode == 0


def library_folder(python: Path, folder: Path) -> Path:
    """Return where the environment has the library from."""
    code = "import mfmgdm_lib; print(mfmgdm_lib.__path__[0])"
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    said = subprocess.run([str(python), "-c", code], cwd=folder, env=kept, check=True, capture_output=True, text=True)
    return Path(said.stdout.strip())


def main() -> int:
    """Run the notebooks that are named; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the notebooks are")
    parser.add_argument("stems", nargs="*", default=PAGES, help=f"which of them (default: {' '.join(PAGES)})")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name).resolve()
        wheel = build_wheel(scratch / "wheel")
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        python = make_environment(scratch / "environment", wheel)
        found = library_folder(python, scratch)
        if not found.is_relative_to(scratch):
            print(f"The library comes from {found}; expected the wheel's, in {scratch}.", file=sys.stderr)
            return 1
        ran = [run(python, arguments.folder / f"{stem}.ipynb.js", scratch / stem) for stem in arguments.stems]
    return int(not all(ran))


if __name__ == "__main__":
    sys.exit(main())
