"""Settings speak the words of the init section; the registry finds without importing; errors offer the nearest."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from qnb import errors, registry
from qnb.config import REGIONS, Settings
from qnb.errors import ConfigError, ExpressionError, Problem, UnknownNameError, nearest


def test_the_words_of_the_init_section_are_understood(tmp_path: Path) -> None:
    settings = Settings().with_(
        provider_uri=str(tmp_path), region="us", kernels=1,
        exp_manager={"class": "MLflowExpManager", "kwargs": {"uri": "sqlite:///x.db", "default_exp_name": "mine"}},
    )  # fmt: skip
    assert settings.uri_for("day") == str(tmp_path)
    assert settings.region is REGIONS["us"]
    assert settings.threads == 1
    assert (settings.recorder_uri, settings.experiment) == ("sqlite:///x.db", "mine")


def test_frequencies_have_their_own_folder_and_tilde_is_home() -> None:
    settings = Settings().with_(provider_uri={"day": "~/d", "1min": "/m"})
    assert settings.uri_for("day") == str(Path.home() / "d")
    assert settings.uri_for("1min") == "/m"


@pytest.mark.parametrize(("key", "value", "hint"), [("regoin", "cn", "region"), ("region", "mars", "cn, us, tw")])
def test_a_wrong_setting_is_answered_with_the_right_one(key: str, value: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        Settings().with_(**{key: value})


def test_settings_survive_json() -> None:
    settings = Settings().with_(provider_uri={"day": "/d"}, region="tw", recorder_uri="sqlite:///y.db")
    assert Settings.from_json(settings.to_json()) == settings


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNB_THREADS", "3")
    monkeypatch.setenv("QNB_RECORDER_URI", "sqlite:///z.db")
    assert Settings.from_env().threads == 3
    assert Settings.from_env().recorder_uri == "sqlite:///z.db"


def test_problems_are_all_told_with_their_lines() -> None:
    error = ConfigError([Problem("a", "do b", "x.y", 3), Problem("c", path="z")], source="f.yaml")
    assert str(error) == "f.yaml: 2 problems\n  line 3: a; do b\n  z: c"


def test_an_expression_error_points_at_the_column() -> None:
    assert str(ExpressionError("unexpected ')'", text="Mean($close))", column=13)).splitlines()[-1].index("^") == 14


@pytest.mark.parametrize(
    "error",
    [
        ConfigError([Problem("a", line=1)], source="s"),
        UnknownNameError("model", "lstmm", ["lstm"]),
        ExpressionError("m", text="t", column=2),
        errors.MissingExtraError("torch", "torch"),
    ],
)
def test_errors_travel_between_processes(error: Exception) -> None:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_nearest_names_come_first() -> None:
    assert nearest("lstmm", ["lstm", "alstm", "gru"]) == ("lstm", "alstm")
    assert nearest("zzz", ["lstm"]) == ()


def test_a_wrong_plugin_name_offers_the_right_one() -> None:
    with pytest.raises(UnknownNameError, match="DropnaLabel"):
        registry.find("processor", "DropnaLable")


def test_parameters_are_read_without_importing() -> None:
    member = registry.locate("model", "LGBModel")
    names = [p.name for p in registry.parameters(member)]
    assert "loss" in names


def test_every_family_lists_members_with_a_docstring() -> None:
    for kind in ("model", "processor", "operator", "strategy", "record"):
        found = registry.members(kind)
        assert found, kind
        undocumented = [m.dotted for m in found.values() if not m.doc]
        assert not undocumented
