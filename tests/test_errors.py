"""Text of others in messages: on one line, as a terminal can show it, short, and harmless where it is copied."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path

import pytest

from landscape_cli.errors import LandscapeWarning, ModelError, Remark, escaped, one_line, quoted, shown

HOSTILE = "a\x1b[31m\x9b2J\u202eb\r\n\t\x00\u2066\u200f\ud800\x7f\u2028;$(touch x)`y`'\"[red]:bomb:"


@pytest.mark.parametrize("text", [HOSTILE, *map(chr, (*range(32), *range(127, 160), 0x061C, 0xFEFF, 0xE0001, 0xDC80))])
def test_escaped(text: str) -> None:
    assert escaped(text).isprintable()
    escaped(text).encode()
    assert escaped(escaped(text)) == escaped(text)
    assert escaped(text).encode("latin-1").decode("unicode_escape") == text


def test_what_prints_stays() -> None:
    text = "γ, é, 日本 \\x1b [red] :bomb: 'quoted'"
    assert escaped(text) == text == shown(text) == str(ModelError(text)) == str(Remark(text))


def test_errors_and_warnings_are_escaped() -> None:
    for kind in (ModelError, LandscapeWarning, Remark):
        assert str(kind(f"{HOSTILE}!")) == escaped(HOSTILE) + "!"
    with pytest.warns(Remark, match=r"\\x1b"):
        warnings.warn("\x1b", Remark, stacklevel=1)
    assert one_line(ValueError(f"a{HOSTILE}\nb")).isprintable()


def test_shown_is_short() -> None:
    assert len(shown("\x1b" * 10**6)) < 110
    assert len(quoted("'" * 10**6)) < 1100


@pytest.mark.parametrize("text", ["a b", "a'; touch x; '", "$(touch x)", "`touch x`", "", "a\nb", "~", "#", "a\\"])
def test_quoted_is_one_word(text: str) -> None:
    assert shlex.split(f"add --model {quoted(text)} end") == ["add", "--model", escaped(text), "end"]
    assert shlex.split(quoted(Path("-rf"))) == ["./-rf"]
    assert quoted("plain/name.st") == "plain/name.st"
