"""What is shown of a text: no credential, in whatever form, and everything else as it is."""

import gc
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rxassist.errors import redaction
from rxassist.errors.redaction import (
    HIDDEN,
    Secrets,
    beginning,
    holds_secret,
    printable,
    redacted,
    redacted_data,
)

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=30)
WORDS = st.text("éü \n", max_size=20)  # no characters of keys
ESCAPES = {
    "itself": lambda char: char,
    "percent": lambda char: f"%{ord(char):02X}",
    "percent twice": lambda char: f"%25{ord(char):02x}",
    "code point": lambda char: f"\\u{ord(char):04x}",
    "code point twice": lambda char: f"\\\\u{ord(char):04X}",
    "byte": lambda char: f"\\x{ord(char):02x}",
    "backslash": lambda char: char if char.isalnum() else f"\\{char}",  # ``\\x`` is another
    "capital": str.upper,
}


@pytest.fixture
def secret():
    """Keep secrets for the time of a test: ``secret(key)``."""
    kept = []

    def keep(key):
        secrets = Secrets(1)
        secrets.add(key)
        kept.append(secrets)
        return secrets

    yield keep
    kept.clear()
    gc.collect()


def only(key):
    """Know this secret alone: a failure keeps those of other examples alive."""
    redaction._all.clear()
    secrets = Secrets(1)
    secrets.add(key)
    return secrets


@settings(deadline=None)
@given(KEYS.filter(lambda key: "\\" not in key and "%" not in key), st.data(), WORDS, WORDS)
def test_a_secret_is_hidden_however_each_of_its_characters_is_escaped(key, data, before, after):
    secrets = only(key)
    forms = st.lists(st.sampled_from(sorted(ESCAPES)), min_size=len(key), max_size=len(key))
    text = "".join(ESCAPES[form](char) for form, char in zip(data.draw(forms), key, strict=True))
    shown = redacted(f"{before}{text}{after}")
    assert secrets.kept
    assert shown.replace("\\", "") == f"{before}{HIDDEN}{after}"


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("escape", [quote, lambda text: json.dumps(text)[1:-1], repr])
@settings(deadline=None)
@given(key=KEYS)
def test_a_secret_is_hidden_that_was_escaped_as_a_whole(escape, times, key):
    secrets = only(key)
    assume(secrets.kept)
    assume("\\" not in key or "%" not in key)  # which might be read in too many ways
    text = key
    for _ in range(times):
        text = escape(text)
    assert key[:8] not in redacted(text)
    assert HIDDEN in redacted(text)
    assert secrets.kept


@settings(deadline=None)
@given(KEYS, st.text(max_size=60))
def test_what_holds_no_secret_is_shown_as_it_is(key, text):
    secrets = only(f"Q{key}")
    if "q" not in text.lower() and "//" not in text and "%" not in text and "\\" not in text:
        assert redacted(text) == text
        assert not holds_secret(text)
    assert secrets.kept


@pytest.mark.parametrize("key", ["", "k", "1234567", "\\\\\\\\\\\\\\\\a"])
def test_a_short_key_hides_nothing(secret, key):
    secret(key)
    assert redacted(f"a{key} b k 1234567") == f"a{key} b k 1234567"


def test_a_key_that_was_cut_is_hidden_and_a_word_that_begins_like_it_is_not(secret):
    secret("assistant-key-1")
    assert redacted("assistant-k… and assistant-k") == "***… and ***"
    assert redacted("assistants, assistan") == "assistants, ***"


def test_secrets_that_overlap_are_hidden_together(secret):
    for key in ("abcdefgh", "abcdefghijkl", "ijklmnop", "klmnopqrstuv"):
        secret(key)
    assert redacted("<abcdefghijklmnopqrstuv>") == "<***>"


def test_a_secret_is_forgotten_when_others_took_its_place_and_when_nobody_keeps_it():
    secrets = Secrets(2)
    for number in range(3):
        secrets.add(f"secret-{number}-x")
    assert redacted("secret-0-x secret-1-x secret-2-x") == "secret-0-x *** ***"
    del secrets
    gc.collect()
    assert redacted("secret-1-x") == "secret-1-x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:word@a/b@c", "http://***@a/b@c"),
        ("see http://a.invalid/@me", "see http://a.invalid/@me"),
        ("http://a, me@b", "http://a, me@b"),
        ("'http://me@a'", "'http://***@a'"),
        (r"http:\/\/me:wo\"rd@a\/b", r"http:\/\/***@a\/b"),
        ("http%3A%2F%2Fme%3Awo%252Frd%40a%2Fb", "http%3A%2F%2F***%40a%2Fb"),
        ("//me@a//you@b", "//***@a//***@b"),
    ],
)
def test_users_in_urls_are_hidden(text, shown):
    assert redacted(text) == shown


def test_data_keeps_its_shape(secret):
    secret("secret-1-x")
    given = {"secret-1-x": ["a secret-1-x", b"\xffsecret-1-x", None, 1.5, ("secret-1-x",)]}
    assert redacted_data(given) == {"***": ["a ***", b"\xff***", None, 1.5, ("***",)]}


def test_a_text_is_redacted_before_it_is_cut(secret):
    secret("secret-1-x")
    assert beginning("abc secret-1-x def", 8) == "abc *** "
    assert beginning("abc secret-1-x", 6) == "abc **"


@settings(deadline=None)
@given(st.text())
def test_what_is_printable_is_one_line_and_stays_so(text):
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    shown.encode()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    "text",
    [
        "\\" * 2_000_000,
        "%25" * 700_000,
        "//" * 1_000_000,
        "//a@" * 500_000,
        "secret-1" * 250_000,
        "%2F" * 700_000,
    ],
    ids=["backslashes", "percents", "slashes", "users", "beginnings", "quoted"],
)
def test_a_long_text_is_read_in_time(secret, text):
    secret("secret-1-x")
    begin = time.process_time()
    redacted(text)
    assert time.process_time() - begin < 10
