"""Resolve every dependency and write the exact versions to constraints.txt and environment.yml.

The first interpreter given (the oldest Python supported) decides the versions. Each further one is resolved within
them and only adds what it needs on top, so one file of pins serves all. `make lock` runs this.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
ENVIRONMENT = ROOT / "environment.yml"
# What the dependencies need on macOS and on Windows only, and a resolution on Linux would not come across.
OTHER_PLATFORMS = ["appnope", "colorama"]
HEADER = """\
# Every package of the environment, direct or not, at the exact version this project was run with.
# Written by `make lock` (tools/lock.py) from the ranges in pyproject.toml; run that instead of editing by hand.
# A pin that a platform or a Python version does not need installs nothing there.
"""


def normalise(name: str) -> str:
    """Spell a distribution's name the way the packaging standards compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_requirements(project: dict[str, object]) -> list[str]:
    """List the requirements that pyproject.toml states, those of the extras included."""
    dependencies = project["dependencies"]
    extras = project["optional-dependencies"]
    assert isinstance(dependencies, list)
    assert isinstance(extras, dict)
    return [*dependencies, *(requirement for extra in extras.values() for requirement in extra)]


def resolve(python: str, requirements: list[str], pins: dict[str, str]) -> dict[str, str]:
    """Ask pip, under one interpreter, which versions it would install within the pins so far."""
    with tempfile.TemporaryDirectory() as folder:
        constraint = Path(folder, "constraints.txt")
        constraint.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        report = Path(folder, "report.json")
        command = [
            python,
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--quiet",
            "--report",
            str(report),
        ]
        subprocess.run([*command, "--constraint", str(constraint), *requirements], check=True)
        installed = json.loads(report.read_text())["install"]
    # A local version (torch 2.13.0+cpu) says which build this machine got, not which release.
    return {normalise(i["metadata"]["name"]): i["metadata"]["version"].partition("+")[0] for i in installed}


def rewrite_environment(text: str, pins: dict[str, str]) -> str:
    """Replace the version of each `- name==version` line of environment.yml by the pinned one."""

    def pinned(match: re.Match[str]) -> str:
        return f"{match['head']}{pins[normalise(match['name'])]}"

    return re.sub(r"(?m)^(?P<head> *- (?P<name>[A-Za-z0-9._-]+)==)\S+", pinned, text)


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="+", help="interpreters to resolve for, oldest Python first")
    pythons: list[str] = parser.parse_args().pythons
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = direct_requirements(project) + OTHER_PLATFORMS
    pins: dict[str, str] = {}
    for python in pythons:
        pins = resolve(python, requirements, pins) | pins
        print(f"{python}: {len(pins)} packages so far")
    CONSTRAINTS.write_text(HEADER + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))
    ENVIRONMENT.write_text(rewrite_environment(ENVIRONMENT.read_text(), pins))
    print(f"wrote {CONSTRAINTS.name} and {ENVIRONMENT.name}: {len(pins)} pins")


if __name__ == "__main__":
    main()
