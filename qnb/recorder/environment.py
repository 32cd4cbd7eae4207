"""What a run records about its surroundings: command line, host, QNB_* variables, packages, uncommitted code."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import distributions
from typing import Any

__all__ = ["environment_tags", "record_environment"]

GIT_TIMEOUT = 10.0
DIFF_LIMIT = 5_000_000
_SECRET = re.compile(r"(?i)(password|passwd|token|secret|key)")


def environment_tags() -> dict[str, str]:
    """Return what fits into tags: command line, host, Python, commit; nothing that looks like a secret."""
    tags = {
        "qnb.command": _masked(shlex.join(sys.orig_argv)),
        "qnb.host": platform.node(),
        "qnb.python": platform.python_version(),
    }
    for name, value in os.environ.items():
        if name.startswith("QNB_") and not _SECRET.search(name):
            tags[f"env.{name}"] = _masked(value)
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["qnb.commit"] = commit.strip()
    return tags


def record_environment(recorder: Any) -> None:
    """Save the packages and, inside a git tree, status, unstaged and staged differences as artifacts."""
    packages = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions() if d.metadata["Name"]})
    objects: dict[str, str] = {"packages.txt": "\n".join(packages) + "\n"}
    if _git("rev-parse", "--is-inside-work-tree"):
        for name, words in (
            ("code_status.txt", ("status", "--porcelain")),
            ("code_diff.txt", ("diff",)),
            ("code_cached.txt", ("diff", "--cached")),
        ):
            text = _git(*words)
            if text:
                objects[name] = text[:DIFF_LIMIT]
    recorder.save_objects(artifact_path="environment", **objects)


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, errors="replace", timeout=GIT_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _masked(text: str) -> str:
    return re.sub(r"(://[^:/@\s]+):[^@/\s]+@", r"\1:***@", text)
