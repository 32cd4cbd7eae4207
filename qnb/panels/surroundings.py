"""Where a run ran and on what: task, data, machine, code, packages."""

from __future__ import annotations

import time
from typing import Any

from ..errors import QnbError
from ..handle import RunHandle
from ..recorder.recorder import Recorder
from ..reports.numbers import counted
from ..secrets import masked

__all__ = ["surroundings"]

TEXT = 200_000
MAIN_PACKAGES = (
    "qnb", "numpy", "pandas", "pyarrow", "numba", "scikit-learn", "lightgbm", "xgboost", "catboost", "torch", "mlflow",
    "optuna", "plotly", "ipykernel", "jupyterlab",
)  # fmt: skip


def surroundings(handle: RunHandle) -> dict[str, Any]:
    """Return what the tab Environment shows.

    Returns
    -------
    dict
        ``groups``: title and rows of name and value. ``texts``: title and text of what is long: uncommitted changes,
        all packages. ``note``: what could not be read.
    """
    request = handle.request
    settings = request.settings
    state = handle.state
    began = state.started
    drawn = "" if state.seed is None else f"{state.seed} (drawn, none was given)"
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began)) if began else ""
    task = [
        ("Run", handle.run_id), ("Task", f"{request.task.hash} (hash of the task section)"),
        ("Submitted from", request.task.source), ("Began", moment),
        ("Threads", str(request.threads)), ("Seed", drawn or ("" if request.seed is None else str(request.seed))),
        ("Recorder", masked(settings.tracking_uri)), ("Folder", str(handle.directory.path)),
    ]  # fmt: skip
    data = [("Store", masked(settings.uri_for("day"))), ("Region", settings.region.name)]
    machine, code, packages, texts, note = [], [], [], [], ""
    try:
        recorder = handle.recorder
        tags, params = recorder.list_tags(), recorder.list_params()
        files = _texts(recorder)
    except (QnbError, OSError) as error:
        note = str(error)
    else:
        machine = [
            ("Host", tags.get("qnb.host", "")), ("Python", tags.get("qnb.python", "")),
            ("Process", tags.get("qnb.pid", "")), ("Command", params.get("cmd-sys.argv", "")),
            *((name, value) for name, value in sorted(params.items()) if name.startswith("QNB_")),
        ]  # fmt: skip
        diff = "".join(files.get(name, "") for name in ("code_cached.txt", "code_diff.txt"))
        commit = tags.get("mlflow.source.git.commit", "")
        code = [("Commit", commit)]
        if commit:
            changed = sum(line.startswith("diff --git") for line in diff.splitlines())
            code.append(("Uncommitted", f"changes in {counted(changed, 'file')}" if changed else "nothing"))
        versions = dict(line.split("==", 1) for line in files.get("packages.txt", "").splitlines() if "==" in line)
        packages = [(name, versions[name]) for name in MAIN_PACKAGES if name in versions]
        if diff:
            texts.append({"title": "Uncommitted changes", "text": diff[:TEXT]})
        if versions:
            texts.append({"title": f"All {len(versions)} packages", "text": files["packages.txt"]})
    groups = {"Task": task, "Data": data, "Machine": machine, "Code": code, "Packages": packages}
    shown = [
        {"title": title, "rows": [[name, value] for name, value in rows if value]} for title, rows in groups.items()
    ]
    return {"groups": [g for g in shown if g["rows"]], "texts": texts, "note": note}


def _texts(recorder: Recorder) -> dict[str, str]:
    names = {a.path for a in recorder.list_files() if not a.is_dir}
    wanted = ("packages.txt", "code_diff.txt", "code_cached.txt")
    return {name: str(recorder.load_object(name, trust=False)) for name in wanted if name in names}
