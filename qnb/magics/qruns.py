"""What ``%qruns`` shows: the browser, which degrades to a table where no widget can be drawn."""

from __future__ import annotations

from ..config import Settings
from ..options import parse_line, runs_parser

__all__ = ["show_runs"]


def show_runs(line: str, settings: Settings) -> None:
    """Show the browser for the options in `line`.

    Raises
    ------
    QnbError
        For an unknown option or experiment, or a filter that cannot be read.
    """
    options = parse_line(runs_parser(), line)
    if options.uri:
        settings = settings.with_(recorder_uri=options.uri)
    if options.clean:
        from ..cleaning import clean_runs

        print(clean_runs(settings))
        return
    from IPython.display import display

    from ..panels.browser import RunsBrowser

    display(RunsBrowser(settings, experiment=options.experiment or "", text=options.filter, limit=options.max))
