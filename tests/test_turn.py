"""The turn at the models: one at a time, in the order in which they ask."""

from __future__ import annotations

import threading

from demo.turn import Turn


def test_it_goes_to_whoever_has_waited_longest() -> None:
    turn = Turn()
    order: list[int] = []
    threads = []

    def work(number: int) -> None:
        with turn:
            order.append(number)

    with turn:
        for number in range(8):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            while len(turn._waiting) <= number:
                threading.Event().wait(0.001)
    for thread in threads:
        thread.join(60)
    assert order == list(range(8)) and not turn.locked()


def test_a_job_that_takes_one_step_after_another_lets_others_in_between() -> None:
    """With a lock of `threading` it has it again before the other one wakes."""
    turn = Turn()
    steps, seen = 0, -1

    def other() -> None:
        nonlocal seen
        with turn:
            seen = steps

    with turn:
        waiting = threading.Thread(target=other)
        waiting.start()
        while not turn._waiting:
            threading.Event().wait(0.001)
    for _ in range(1000):
        with turn:
            steps += 1
    waiting.join(60)
    assert seen == 0


def test_never_two_at_once_and_an_error_gives_it_back() -> None:
    turn = Turn()
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            try:
                with turn:
                    inside += 1
                    most = max(most, inside)
                    inside -= 1
                    raise KeyError
            except KeyError:
                pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1 and not turn.locked()
