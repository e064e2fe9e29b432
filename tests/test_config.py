import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import Settings

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"


def test_every_setting_has_a_sentence():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith((".", "first")), name


def test_the_docs_have_every_setting():
    rows = re.findall(r"^\| `SINGULAR_LENS_(\w+)` \| (.*?) \| (.*?) \|$", OPERATIONS.read_text(encoding="utf-8"), re.M)
    documented = {name.lower(): sentence for name, _, sentence in rows}
    assert documented == {name: field.description for name, field in Settings.model_fields.items()}


def test_the_environment_sets_them(monkeypatch):
    monkeypatch.setenv("SINGULAR_LENS_MODELS", "demo, gpt2")
    monkeypatch.setenv("SINGULAR_LENS_PORT", "81")
    settings = Settings()
    assert settings.models == ("demo", "gpt2")
    assert settings.port == 81


def test_arguments_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("SINGULAR_LENS_PORT", "81")
    assert Settings(port=82).port == 82


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70_000),
        ("port", "http"),
        ("device", "tpu"),
        ("device", "cuda:x"),
        ("weights", "cooked"),
        ("models", ""),
        ("public_url", "javascript:alert(1)"),
        ("root_path", "lens/"),
        ("trusted_proxies", "proxy.example"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "10.0.0.0/33"),
        ("trusted_proxies", "127.0.0.1, 0.0.0.0/0"),
        ("trusted_proxies", "::/0"),
        ("trusted_proxies", "*"),
        ("quota_gib", 0),
        ("queue_size", 0),
        ("wait_seconds", -1),
        ("waiters", 100_000),
        ("allow_jobs", "perhaps"),
    ],
)
def test_bad_values_are_refused(name, value):
    with pytest.raises(ValidationError) as refusal:
        Settings(**{name: value})
    assert [error["loc"][:1] for error in refusal.value.errors()] == [(name,)]


def test_proxies_are_addresses_and_networks(monkeypatch):
    monkeypatch.setenv("SINGULAR_LENS_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,2001:DB8::/32, ::1")
    assert Settings().trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32", "::1/128")


def test_settings_cannot_change():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


@pytest.mark.parametrize(
    ("said", "audience"),
    [
        ({"host": "127.0.0.1"}, "local"),
        ({"host": "0.0.0.0"}, "off"),
        ({"host": "0.0.0.0", "prompts": "public"}, "off"),
        ({"host": "0.0.0.0", "prompts": "public", "generation": "public"}, "public"),
        ({"host": "127.0.0.1", "prompts": "off", "generation": "public"}, "off"),
        ({"host": "127.0.0.1", "generation": "off"}, "off"),
    ],
)
def test_texts_are_continued_for_nobody_who_may_run_none(said, audience):
    assert Settings(**said).generation_for == audience


@pytest.mark.parametrize("name", ["allow_jobs", "prompts", "generation"])
def test_what_the_public_never_does_is_refused_beside_it(name):
    with pytest.raises(
        ValidationError, match=f"SINGULAR_LENS_{name.upper()} cannot be set beside SINGULAR_LENS_PUBLIC"
    ):
        Settings(public=True, **{name: True if name == "allow_jobs" else "local"})


def test_the_public_sees_what_was_computed_beforehand_so_all_of_it_is(monkeypatch):
    monkeypatch.delenv("SINGULAR_LENS_PRECOMPUTE", raising=False)
    public = Settings(public=True)
    assert (public.prompts_for, public.generation_for, public.computes_for_visits) == ("off", "off", False)
    assert public.precompute_of == "all"
    assert Settings(public=True, precompute=False).precompute_of == "nothing"
    assert (Settings().precompute_of, Settings(precompute=True).precompute_of) == ("usual", "all")
