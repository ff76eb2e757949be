"""Processes that tell each other what they have measured, and how they end: here threads of one."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from landscape_cli.sharing import ranks
from landscape_cli.sharing.launch import Launch, RankError
from landscape_cli.sharing.ranks import HELLO, Ranks
from tests.support.ranks import free_port

SIZE = 3
Said = list[tuple[int, int | None, str]]


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Ranks], list[Said]]:
    """Three processes that have joined, and what each was told of lost ones."""
    monkeypatch.setattr(ranks, "GRACE_SECONDS", 0.1)
    lost: list[Said] = [[] for _ in range(SIZE)]
    port = free_port()

    def join(rank: int) -> Ranks:
        return Ranks(Launch(rank, SIZE, rank, "127.0.0.1", port), lost=lambda *said: lost[rank].append(said))

    with ThreadPoolExecutor(SIZE) as pool:
        return list(pool.map(join, range(SIZE))), lost


def together(some: list[Ranks], work: Callable[[Ranks], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(some)) as pool:
        return list(pool.map(work, some))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_values_come_to_the_first_in_order_and_all_end_well(joined: tuple[list[Ranks], list[Said]]) -> None:
    processes, lost = joined
    large = [0.1] * 300_000
    given = [{"0": large}, {"1": None, "x": "é"}, {"2": 1 / 3}]
    assert together(processes, lambda each: each.go()) == [True] * SIZE
    assert together(processes, lambda each: each.gather(given[each.launch.rank])) == [given, None, None]
    assert together(processes, lambda each: each.gather(each.launch.rank))[0] == [0, 1, 2]
    waiting = threading.Thread(target=processes[1].wait)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()  # until the first has put everything in its place
    together(processes[::2], lambda each: each.finish())
    waiting.join(10)
    together(processes, lambda each: each.finish())  # once more changes nothing
    assert lost == [[], [], []]


def test_who_is_not_to_go_on_ends_well(joined: tuple[list[Ranks], list[Said]]) -> None:
    processes, lost = joined
    together(processes, lambda each: each.go() if each.launch.rank else each.finish())
    assert together(processes[1:], lambda each: each.finish()) == [None, None]
    assert lost == [[], [], []]


def test_who_is_killed_is_missed_at_once_and_nobody_waits(joined: tuple[list[Ranks], list[Said]]) -> None:
    processes, lost = joined
    with ThreadPoolExecutor(2) as pool:
        gathering, waiting = pool.submit(processes[0].gather, 0), pool.submit(processes[1].wait)
        processes[2]._connections[0].shutdown(socket.SHUT_RDWR)
        with pytest.raises(RankError, match="process 3 of 3 has ended before all was done"):
            gathering.result(10)
        assert lost[0] == [(2, None, "")]
        processes[0].fail(1, "")
        with pytest.raises(RankError, match="process 1 of 3"):
            waiting.result(10)
    assert lost[1] == [(0, 1, "")]


def test_what_is_wrong_with_one_the_first_is_told(joined: tuple[list[Ranks], list[Said]]) -> None:
    processes, lost = joined
    processes[1].fail(2, "no room")
    until(lambda: lost[0] != [])
    assert lost[0] == [(1, 2, "no room")]
    processes[0].fail(2, "")
    until(lambda: lost[2] != [])
    assert lost[2] == [(0, 2, "")]


def test_what_all_find_wrong_the_first_alone_says(joined: tuple[list[Ranks], list[Said]]) -> None:
    processes, lost = joined
    together(processes[::-1], lambda each: each.fail(2, "no such file"))
    assert lost[0] == []


def test_who_comes_late_is_waited_for_and_who_never_comes_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "REMARK_SECONDS", 0.05)
    monkeypatch.setattr(ranks, "JOIN_SECONDS", 0.1)
    with (
        pytest.warns(match="waiting for 1 of 2 processes"),
        pytest.raises(RankError, match=r"process 1 of 2 cannot join .*1 of 2 processes did not come.* torchrun"),
    ):
        Ranks(Launch(0, 2, 0, "127.0.0.1", free_port()), lost=lambda *_: None)


@pytest.mark.parametrize("listens", [False, True])
def test_a_signal_ends_who_looks_for_the_first(monkeypatch: pytest.MonkeyPatch, *, listens: bool) -> None:
    monkeypatch.setattr(ranks, "REMARK_SECONDS", 0.05)
    monkeypatch.setattr(ranks, "BLOCKED_SECONDS", 0.3)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        if listens:  # and never answers, for which PyTorch waits
            stranger.listen()
            monkeypatch.setattr("torch.distributed.TCPStore", lambda *_, **__: threading.Event().wait(5))
        launch = Launch(1, 2, 1, "127.0.0.1", stranger.getsockname()[1])
        previous = signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, 0.7)
        begun = time.monotonic()
        try:
            with (
                pytest.warns(match=r"process 2 of 2 waits for the first at 127.0.0.1:"),
                pytest.raises(KeyboardInterrupt),
            ):
                Ranks(launch, lost=lambda *_: None)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    assert time.monotonic() - begun < 10


def test_strangers_are_none_of_the_processes() -> None:
    word = b"w" * 32
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(ranks._accept, server, 2, word)
        strangers = [socket.create_connection(server.getsockname()) for _ in range(4)]
        for stranger, said in zip(strangers, (b"x" * 32, word, word), strict=False):
            stranger.sendall(HELLO.pack(said, {b"x": 1, b"w": 7}[said[:1]]))
        strangers[3].close()
        with socket.create_connection(server.getsockname()) as process:
            process.sendall(HELLO.pack(word, 1))
            assert accepting.result(10)[1].getpeername() == process.getsockname()
        for stranger in strangers:
            stranger.close()
        accepting.result()[1].close()
