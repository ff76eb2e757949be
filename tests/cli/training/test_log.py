"""Logs that are not replaced."""

from __future__ import annotations

from pathlib import Path

from tests.support.train_command import SHORT


def test_a_file_that_is_no_log_is_not_replaced(landscape, interrupted: list[str]) -> None:
    Path("notes.csv").write_text("precious")
    done = landscape(*interrupted, "--resume", "--log", "notes.csv")
    assert done.code == 2
    assert "notes.csv is not the log of this training" in done.err
    assert Path("notes.csv").read_text() == "precious"


def test_the_log_of_another_training_is_not_replaced(landscape) -> None:
    assert landscape(*SHORT, "--log", "one.csv", "-o", "one.st").code == 0
    before = Path("one.csv").read_bytes()
    more = ["--seed", "9", "--log", "one.csv", "-o", "two.st", "--checkpoint-every", "1", "--resume"]
    done = landscape(*SHORT, *more)
    assert done.code == 2
    assert "there is no two.st.resume to resume from: beginning" in done.err
    assert Path("one.csv").read_bytes() == before
    assert not Path("two.st").exists()
