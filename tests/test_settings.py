"""What the environment sets, and what it says that cannot be."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from app.database import DatabaseRefused
from app.settings import SettingRefused, Settings

DATABASE = {"DATABASE_URL": "postgresql://ann:opensesame@db.example/shop"}


def test_what_is_set_is_read() -> None:
    settings = Settings.from_environment(
        {
            **DATABASE,
            "OVERPROOF_POOL_SIZE": " 4 ",
            "OVERPROOF_MAX_REPORT_BYTES": "1",
            "OVERPROOF_SECRET_KEY": "k" * 32,
        }
    )

    assert (settings.pool_size, settings.max_report_bytes, settings.secret_key) == (4, 1, "k" * 32)
    assert settings.database_url.database == "shop"


def test_what_is_not_set_has_the_documented_value() -> None:
    settings = asdict(Settings.from_environment(DATABASE))

    del settings["database_url"], settings["secret_key"]
    assert settings == {
        "pool_size": 10,
        "queue_length": 200,
        "queue_timeout_s": 10.0,
        "requests_per_minute": 6_000,
        "requests_per_minute_of_address": 12_000,
        "sign_ins_per_minute_of_address": 60,
        "statement_timeout_s": 30.0,
        "idle_timeout_s": 30.0,
        "max_body_bytes": 65_536,
        "max_report_bytes": 33_554_432,
        "max_bodies_bytes": 67_108_864,
        "body_timeout_s": 60.0,
        "max_answers_bytes": 33_554_432,
        "answer_timeout_s": 120.0,
    }


@pytest.mark.parametrize("value", ["", "  "])
def test_what_is_blank_has_its_default(value: str) -> None:
    names = ("OVERPROOF_POOL_SIZE", "OVERPROOF_MAX_REPORT_BYTES", "OVERPROOF_SECRET_KEY")
    settings = Settings.from_environment({**DATABASE, **dict.fromkeys(names, value)})

    assert settings.pool_size == Settings.pool_size
    assert settings.max_report_bytes == Settings.max_report_bytes
    assert len(settings.secret_key) == 43  # 32 random bytes


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ten", "²", "٣", "1e3"])
@pytest.mark.parametrize("name", ["OVERPROOF_POOL_SIZE", "OVERPROOF_MAX_REPORT_BYTES"])
def test_a_number_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingRefused, match=f"^{name} must be a whole number of at least 1, not {value!r}$"):
        Settings.from_environment({**DATABASE, name: value})


def test_0_requests_are_no_limit() -> None:
    names = ("OVERPROOF_REQUESTS_PER_MINUTE", "OVERPROOF_REQUESTS_PER_MINUTE_OF_ADDRESS")

    settings = Settings.from_environment({**DATABASE, **dict.fromkeys(names, "0")})

    assert (settings.requests_per_minute, settings.requests_per_minute_of_address) == (0, 0)


def test_a_short_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingRefused) as refused:
        Settings.from_environment({**DATABASE, "OVERPROOF_SECRET_KEY": "opensesame" * 3 + "!"})

    assert str(refused.value) == "OVERPROOF_SECRET_KEY must have at least 32 characters, chosen at random"


def test_two_processes_have_no_secret_in_common_by_chance() -> None:
    assert Settings.from_environment(DATABASE).secret_key != Settings.from_environment(DATABASE).secret_key


def test_no_secret_is_in_their_repr() -> None:
    text = repr(Settings.from_environment({**DATABASE, "OVERPROOF_SECRET_KEY": "k" * 32}))

    assert "opensesame" not in text
    assert "kkk" not in text


def test_without_a_database_they_are_refused() -> None:
    with pytest.raises(DatabaseRefused):
        Settings.from_environment({})
