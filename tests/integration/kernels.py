"""Real notebook kernels for tests: cells go in, what they printed comes out."""

from __future__ import annotations

import os
import queue
import signal
from pathlib import Path

__all__ = ["Notebook"]

ROOT = Path(__file__).resolve().parents[2]


class Notebook:
    """A real kernel, as a notebook has one.

    Parameters
    ----------
    folder : Path
        Its working folder.
    environment : str
        Variables it has beside those of this process.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        from jupyter_client import KernelManager

        env = os.environ | {
            "QNB_WORKERS": "2", "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython"),
            "TMPDIR": str(folder / "tmp"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"), **environment,
        }  # fmt: skip
        self._manager = KernelManager()
        runtime = Path(env["JUPYTER_RUNTIME_DIR"])
        runtime.mkdir(exist_ok=True)
        with (runtime / "kernel.txt").open("ab") as said:
            self._manager.start_kernel(cwd=str(folder), env=env, stdout=said, stderr=said)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def run(self, code: str, timeout: float = 60) -> str:
        """Run a cell and return what it printed; an error fails the test."""
        asked = self._client.execute(code)
        said = []
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=timeout)
            except queue.Empty:
                raise AssertionError(f"no answer to {code[:60]!r}") from None
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
            elif message["msg_type"] == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(said)

    @property
    def pid(self) -> int:
        """The kernel's process."""
        return int(self._manager.provisioner.pid)

    def close(self, *, kill: bool = False) -> None:
        """Shut the kernel down, or kill it."""
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=kill)
