"""Where the repository is on the web, if anywhere: the address of its home, and of lines of its files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

__all__ = ["ROOT", "commit", "repository_address", "web_address"]

ROOT = Path(__file__).resolve().parents[2]

# As git spells them: https://host/owner/name.git, ssh://git@host:22/owner/name.git and git@host:owner/name.git. A name
# without a dot is a machine of a private network or an alias of somebody's own, and a colon before slashes a scheme.
_HOST = r"(?P<host>[\w-]+(?:\.[\w-]+)+)"
_REMOTE = re.compile(
    rf"(?:https://(?:[^/@]+@)?{_HOST}/|ssh://(?:[^/@]+@)?{_HOST.replace('host', 'ssh')}(?::\d+)?/"
    rf"|(?:[^/@:]+@)?{_HOST.replace('host', 'scp')}:(?!/))(?P<path>[\w.~-]+(?:/[\w.~-]+)+)/?"
)


def web_address(remote: str) -> str | None:
    """Return the page of the host that a remote is on: `https://host/owner/name`; None for any other remote.

    Names and passwords that the remote may have are left out.
    """
    found = _REMOTE.fullmatch(remote.strip())
    if found is None:
        return None
    host = found["host"] or found["ssh"] or found["scp"]
    return None if re.fullmatch(r"[\d.]+", host) else f"https://{host}/{found['path'].removesuffix('.git')}"


def repository_address(root: Path = ROOT) -> str | None:
    """Return where the repository that the book is built from has its home on the web.

    None where its remote `origin` is missing, or is no repository of a web host: a folder, say.
    """
    return web_address(_git(root, "remote", "get-url", "origin"))


def commit(root: Path = ROOT) -> str:
    """Return the commit that is checked out; empty outside a repository."""
    return _git(root, "rev-parse", "HEAD")


def _git(root: Path, *words: str) -> str:
    """Return what git prints, and nothing where it fails or is not installed."""
    try:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
