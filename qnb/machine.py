"""What tells one process from a later one with the same number, and one start of the machine from the next.

Neither looks at the clock of the day, which may be set while runs are going.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

__all__ = ["ProcessId", "boot_id", "is_full", "private_memory", "process_id"]

SMALL = 1 << 20
_STAT_START = 19
_STAT_STATE = 0


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process for good: its number and when it began.

    Attributes
    ----------
    pid : int
        Number of the process; used again by the system after its end.
    began : float
        Ticks since the machine started (Linux), else seconds since the epoch; 0 where it is not known.
    """

    pid: int
    began: float = 0.0

    @classmethod
    def of(cls, raw: object) -> ProcessId:
        """Return what a file says, ``[pid, began]``; number 0, which no process has, where it says something else."""
        match raw:
            case [int(pid), int() | float() as began]:
                return cls(pid, float(began))
            case _:
                return cls(0)

    @property
    def alive(self) -> bool:
        """Whether this very process is there and has not ended; a zombie has ended."""
        if self.pid <= 0:
            return False
        now = _stat(self.pid)
        return now is not None and (not self.began or now == self.began)


def process_id(pid: int | None = None) -> ProcessId:
    """Return the identity of process `pid`, by default of this one."""
    number = os.getpid() if pid is None else pid
    return ProcessId(number, _stat(number) or 0.0)


@cache
def boot_id() -> str:
    """Return a text that is another after every start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(round(psutil.boot_time() / 60))


def private_memory(pid: int) -> int:
    """Return the bytes of memory that process `pid` has for itself; mapped files, which can be dropped, are left out.

    0 for a process that is gone. Where the system does not tell them apart it is the resident memory.
    """
    try:
        if sys.platform == "linux":
            total = 0
            for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith(("RssAnon:", "RssShmem:", "VmSwap:")):
                    total += int(line.split()[1]) * 1024
            return total
        return int(psutil.Process(pid).memory_info().rss)
    except (OSError, psutil.Error, ValueError):
        return 0


def is_full(folder: Path) -> bool:
    """Return whether the disk that holds `folder` has no room for a small file; False where that is not known."""
    try:
        disk = os.statvfs(folder)
    except (AttributeError, OSError):  # Windows has no such call
        return False
    return disk.f_bavail * disk.f_frsize < SMALL or (disk.f_files > 0 and disk.f_favail == 0)


def _stat(pid: int) -> float | None:
    """Return when process `pid` began; None when there is none or it is a zombie."""
    if sys.platform == "linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        return None if fields[_STAT_STATE] in "ZX" else float(fields[_STAT_START])
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None
