"""Writes a resolved document as YAML for people: keys in their order, lists of scalars on one line."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

__all__ = ["dump_yaml"]


def dump_yaml(document: Mapping[str, Any]) -> str:
    """Return `document` as YAML text.

    Examples
    --------
    >>> print(dump_yaml({"train": ["2008-01-01", "2014-12-31"], "lr": 0.001}), end="")
    train: ['2008-01-01', '2014-12-31']
    lr: 0.001
    """
    writer = YAML(typ="rt", pure=True)
    writer.width = 110
    writer.representer.ignore_aliases = lambda *_: True
    out = io.StringIO()
    writer.dump(_styled(document), out)
    return out.getvalue()


def _styled(value: Any) -> Any:
    if isinstance(value, Mapping):
        made = CommentedMap((k, _styled(v)) for k, v in value.items())
        if not value:
            made.fa.set_flow_style()
        return made
    if isinstance(value, list | tuple):
        items = CommentedSeq(_styled(v) for v in value)
        if all(not isinstance(v, Mapping | list | tuple) for v in value):
            items.fa.set_flow_style()
        return items
    return value
