"""Checks that nothing in a run is meant for a search: a range in the plain form is a value to some models."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Problem
from ..task.distribution import is_distribution
from ..task.document import walk
from .subject import Subject

__all__ = ["check_search"]


def check_search(subject: Subject) -> Iterator[Problem]:
    """Warn of each distribution in the arguments of the model."""
    for path, value in walk(subject.model):
        if path and is_distribution(value):
            message = f"{path[-1]} is a distribution, and a run takes one value: {value}"
            place = ".".join(["task.model.kwargs", *map(str, path)])
            yield subject.problem(
                message, place, remedy="write the value, or search it with %%qtune or qnb tune -c", severity="warning"
            )
