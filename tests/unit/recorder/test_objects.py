"""Objects become files by what they are, under the stem of their name, and foreign code is never run."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from qnb.errors import RecorderError
from qnb.recorder.base import ArtifactInfo
from qnb.recorder.objects import CARD, find_artifact, load_object, save_object


class FolderModel:
    """A model that writes a folder."""

    def __init__(self, weight: float = 0.0) -> None:
        self.weight = weight

    def save(self, path: Path) -> None:
        path.mkdir()
        (path / "weight.txt").write_text(repr(self.weight))

    @classmethod
    def load(cls, path: Path) -> FolderModel:
        return cls(float((path / "weight.txt").read_text()))


class FileModel(FolderModel):
    """A model that writes one file."""

    def save(self, path: Path) -> None:
        path.write_text(repr(self.weight))

    @classmethod
    def load(cls, path: Path) -> FileModel:
        return cls(float(path.read_text()))


class LazyModel(FolderModel):
    """A model that writes nothing."""

    def save(self, path: Path) -> None:
        """Do nothing."""


class Figure:
    """What a plotly figure looks like from here."""

    def to_plotly_json(self) -> dict[str, Any]:
        return {"data": []}

    def to_json(self) -> str:
        return json.dumps(self.to_plotly_json())


@pytest.mark.parametrize(
    ("value", "name", "stored", "kind"),
    [
        (pd.DataFrame({"a": [1]}), "pred.pkl", "pred.parquet", "table"),
        (pd.Series([1.0]), "ic.parquet", "ic.parquet", "table"),
        (pd.DataFrame({"a": [[1], [2]]}), "odd.pkl", "odd.pkl", "pickle"),
        ({"a": [1, None, True, 1e-300, "ü"]}, "config.pkl", "config.json", "json"),
        ([], "empty", "empty.json", "json"),
        (float("inf"), "number", "number.json", "json"),
        (2**80, "big.pkl", "big.json", "json"),
        ((1, 2), "pair.pkl", "pair.pkl", "pickle"),
        ({1: 2}, "keys", "keys.pkl", "pickle"),
        ({"a": (1,)}, "inner.pkl", "inner.pkl", "pickle"),
        (OrderedDict(a=1), "ordered.pkl", "ordered.pkl", "pickle"),
        (np.arange(3, dtype="float32"), "array.pkl", "array.npy", "array"),
        (np.float64(0.5), "scalar.pkl", "scalar.npy", "array"),
        (np.array([None]), "objects.pkl", "objects.pkl", "pickle"),
        ("a: 1\n", "task.yaml", "task.yaml", "text"),
        ("text", "note.pkl", "note.txt", "text"),
        ("<p>", "report.html", "report.html", "html"),
        ("a", "dotted.0.5", "dotted.0.5.txt", "text"),
        (b"\x00", "raw.pkl", "raw.bin", "bytes"),
        (b"\x00", "image.png", "image.png", "bytes"),
        (pd.Timestamp("2020-01-01"), "when", "when.pkl", "pickle"),
    ],
)
def test_the_format_follows_from_the_object(value: Any, name: str, stored: str, kind: str, tmp_path: Path) -> None:
    saved = save_object(value, name, tmp_path)
    assert (saved.path.name, saved.kind) == (stored, kind)
    back = load_object(saved.path, trusted=True)
    assert type(back) is type(value)
    if isinstance(value, pd.DataFrame | pd.Series):
        assert back.equals(value)
    else:
        np.testing.assert_equal(back, value)


def test_a_figure_is_its_json(tmp_path: Path) -> None:
    saved = save_object(Figure(), "drawdown.pkl", tmp_path)
    assert (saved.path.name, saved.kind) == ("drawdown.json", "figure")
    assert load_object(saved.path, trusted=False) == {"data": []}


def test_json_that_is_none_stays_text(tmp_path: Path) -> None:
    assert load_object(save_object("not json", "x.json", tmp_path).path, trusted=False) == "not json"


@pytest.mark.parametrize("model", [FolderModel(2.5), FileModel(2.5)])
def test_a_model_saves_itself(model: FolderModel, tmp_path: Path) -> None:
    saved = save_object(model, "params.pkl", tmp_path)
    assert (saved.path.name, saved.kind) == ("params.model", "model")
    assert not list(saved.path.glob("*.pkl"))
    back = load_object(saved.path, trusted=True)
    assert type(back) is type(model)
    assert back.weight == 2.5
    with pytest.raises(RecorderError, match="trust=True"):
        load_object(saved.path, trusted=False)


def test_a_model_that_saves_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match=r"LazyModel\.save\(path\) wrote nothing"):
        save_object(LazyModel(), "params.pkl", tmp_path)


def test_a_foreign_pickle_is_never_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.write_text, (tmp_path / "ran", "code"))

    (tmp_path / "pred.pkl").write_bytes(cloudpickle.dumps(Evil()))
    with pytest.raises(RecorderError, match="foreign code"):
        load_object(tmp_path / "pred.pkl", trusted=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("named", "content"),
    [
        (
            "qnb.data.dataset:DatasetH",
            {
                "dataset": {"class": "Popen", "module_path": "subprocess", "kwargs": {"args": ["touch", "ran"]}},
                "state": [],
            },
        ),
        ("qnb.recorder.objects:json.decoder.JSONDecoder", {}),
        ("qnb.models.linear:LinearModel.mro", {}),
        ("qnb.models.linear:BaseModel", {}),
        ("qnb.training.model:BaseModel", {}),
        ("qnb.models.general:GeneralPTNN", {"arguments": {"pt_model_uri": "os.system"}}),
        ("qnb.pool.backends.kernel:KernelBackend", {}),
        ("subprocess:Popen", {}),
    ],
)
def test_a_foreign_card_names_models_of_qnb_alone(
    named: str, content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "params.model"
    folder.mkdir()
    (folder / CARD).write_text(json.dumps({"class": named, "file": "state"}))
    (folder / "state").write_text(json.dumps(content))
    with pytest.raises(RecorderError, match="reading it can run foreign code"):
        load_object(folder, trusted=False)
    assert [p.name for p in tmp_path.iterdir()] == ["params.model"]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_card_stays_in_its_folder(trusted: bool, tmp_path: Path) -> None:
    folder = tmp_path / "params.model"
    folder.mkdir()
    for file in ("../other", "/etc/passwd", "state/../..", ["state"]):
        (folder / CARD).write_text(json.dumps({"class": "qnb.models.linear:LinearModel", "file": file}))
        with pytest.raises(RecorderError, match="can only be 'state'"):
            load_object(folder, trusted=trusted)


def test_an_array_file_holding_pickles_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(RecorderError, match="cannot be read"):
        load_object(tmp_path / "x.npy", trusted=True)


@pytest.mark.parametrize("name", ["x.parquet", "x.npy", "x.pkl"])
def test_a_broken_file_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(RecorderError, match="x\\."):
        load_object(tmp_path / name, trusted=True)


def test_a_card_of_a_class_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(json.dumps({"class": "qnb.nowhere:Model"}))
    with pytest.raises(RecorderError, match="cannot be read"):
        load_object(tmp_path, trusted=True)


def test_what_cannot_be_saved_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match=r"a generator cannot be saved.*give it save"):
        save_object((n for n in range(3)), "g.pkl", tmp_path)


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("pred.pkl", ["pred.parquet"], "pred.parquet"),
        ("pred", ["pred.parquet", "pred.json"], "pred.parquet"),
        ("a/pred.pkl", ["a/pred.parquet"], "a/pred.parquet"),
        ("a/pred.pkl", ["pred.parquet"], None),
        ("pred.pkl", ["pred.pkl", "pred.parquet"], "pred.pkl"),
        ("params.pkl", ["params.model", "long_params.json"], "params.model"),
        ("ic_0.5", ["ic_0.5.parquet", "ic_0.parquet"], "ic_0.5.parquet"),
        ("report.html", ["report"], None),
        ("note.pkl", ["note.txt"], "note.txt"),
    ],
)
def test_an_artifact_is_found_by_its_stem(name: str, there: list[str], expected: str | None) -> None:
    assert find_artifact(name, [ArtifactInfo(p, False) for p in there]) == expected
