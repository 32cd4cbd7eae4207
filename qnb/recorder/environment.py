"""What a run records about its surroundings: command line, host, QNB_* variables, packages, uncommitted code."""

from __future__ import annotations

import getpass
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..secrets import is_secret, masked

__all__ = ["command_line", "environment_files", "environment_params", "environment_tags", "user_name"]

GIT_SECONDS = 20.0
LARGEST_DIFF = 10_000_000
_SECRET = re.compile(r"password|passwd|token|secret|key", re.IGNORECASE)
_PACKAGE = re.compile(r"^(?P<name>.+?)-(?P<version>[^-]+)\.dist-info$")


def environment_params() -> dict[str, str]:
    """Return command line and ``QNB_*`` variables; what is named like a secret becomes ``***``."""
    params = {"cmd-sys.argv": command_line()}
    for name, value in sorted(os.environ.items()):
        if name.startswith("QNB_"):
            params[name] = "***" if _SECRET.search(name) else masked(value)
    return params


def environment_tags() -> dict[str, str]:
    """Return host, process and Python version; the ``mlflow.source`` tags are what MLflow's pages show."""
    return {
        "qnb.host": platform.node(),
        "qnb.pid": str(os.getpid()),
        "qnb.python": platform.python_version(),
        "mlflow.source.name": masked(sys.argv[0] if sys.argv else "", arguments=True),
        "mlflow.source.type": "LOCAL",
    }


def command_line() -> str:
    """Return the command line of this process without secrets."""
    words: list[str] = []
    follows = False
    for word in sys.argv:
        name, equals, _ = word.partition("=")
        if follows and not word.startswith("-"):
            words.append("***")
        else:
            words.append(f"{name}=***" if equals and is_secret(name.lstrip("-")) else masked(word, arguments=True))
        follows = word.startswith("-") and is_secret(word.lstrip("-"))
    return " ".join(words)


def user_name() -> str:
    """Return the user's name, ``unknown`` where the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def environment_files(folder: Path, *, code: bool) -> tuple[dict[str, str], str]:
    """Return texts by file name, and the commit.

    ``packages.txt`` lists the installed packages. Inside a git tree: ``code_diff.txt``, ``code_status.txt`` and
    ``code_cached.txt`` (staged), with secrets masked. Outside one, or without git, those are left out.

    Parameters
    ----------
    folder : Path
        The working folder of the run.
    code : bool
        Whether uncommitted code is wanted.
    """
    texts = {"packages.txt": "".join(f"{n}=={v}\n" for n, v in _packages().items())}
    if (_git(folder, "rev-parse", "--is-inside-work-tree") or "").strip() != "true":
        return texts, ""
    wanted = {"code_diff.txt": ("diff",), "code_status.txt": ("status",), "code_cached.txt": ("diff", "--cached")}
    for name, words in wanted.items() if code else ():
        text = _git(folder, *words)
        if text is not None:
            texts[name] = masked(text)
    return texts, (_git(folder, "rev-parse", "HEAD") or "").strip()


def _packages() -> Mapping[str, str]:
    """Return installed packages by name, from the names of their folders: reading their metadata takes far longer."""
    found: dict[str, str] = {}
    for entry in sys.path:
        try:
            names = os.listdir(entry or ".")
        except OSError:
            continue
        for name in names:
            match = _PACKAGE.match(name)
            if match:
                found.setdefault(match["name"].replace("_", "-").lower(), match["version"])
    return dict(sorted(found.items()))


def _git(folder: Path, *words: str) -> str | None:
    """Return what git prints, cut at `LARGEST_DIFF` bytes; None when it fails or is not there."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "LC_ALL": "C"}
    with tempfile.TemporaryFile() as out:
        try:
            done = subprocess.run(
                ["git", "-c", "core.quotepath=off", *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.DEVNULL, timeout=GIT_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        out.seek(0)
        data = out.read(LARGEST_DIFF + 1)
    cut = f"\n(cut at {LARGEST_DIFF} bytes)\n" if len(data) > LARGEST_DIFF else ""
    return data[:LARGEST_DIFF].decode("utf-8", "replace") + cut
