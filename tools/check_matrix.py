"""Install the library at its pinned versions for each interpreter named, and run the README's Python examples there.

`make matrix` runs this; each Python takes its own environment, torch included, and some minutes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print a line for each interpreter, and fail if one of them fails."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    said = [example.rstrip().rpartition("# ")[2] for example in examples]
    failures = [python for python in sys.argv[1:] if not check(python, "".join(examples), said)]
    sys.exit(f"failed: {', '.join(failures)}" if failures else 0)


def check(python: str, script: str, said: list[str]) -> bool:
    """Whether the library installs for an interpreter, and the examples print what the README says."""
    with tempfile.TemporaryDirectory() as folder:
        own = str(Path(folder, "venv", "bin", "python"))
        install = [own, "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), str(ROOT)]
        for command in ([python, "-m", "venv", str(Path(folder, "venv"))], install):
            if subprocess.run(command, check=False).returncode:
                print(f"{python}: does not install")
                return False
        run = subprocess.run([own, "-c", script], capture_output=True, text=True, cwd=folder, check=False)
    right = run.stdout.splitlines() == said
    print(f"{python}: {'runs the examples' if right else 'prints ' + run.stdout + run.stderr}")
    return right


if __name__ == "__main__":
    main()
