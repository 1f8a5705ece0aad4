"""G5: a call is answered once, to a caller who waits or has given it up."""

from __future__ import annotations

import threading

import pytest

from engine.actors.lane.messages import CallDone, PrivateCall
from engine.actors.lane.queued_call import CallAnswer, FutureReply, QueuedCall
from engine.errors import CallNotSent

CALL = PrivateCall("MASTER", "Balance")


def test_an_answer_reaches_whoever_waits_for_it() -> None:
    answer, done = CallAnswer(), CallDone(CALL, {})
    teller = threading.Thread(target=answer.tell, args=(done,))
    teller.start()
    assert answer.wait(10) is done
    teller.join()


def test_no_answer_in_time_is_none() -> None:
    assert CallAnswer().wait(0.001) is None


@pytest.mark.parametrize("with_warnings", [False, True])
def test_a_future_has_the_result_or_with_the_warnings_the_whole_answer(with_warnings: bool) -> None:
    reply, done = FutureReply(with_warnings=with_warnings), CallDone(CALL, {"a": 1}, ("WDatabase:No change",))
    assert reply.claim()
    reply.tell(done)
    assert reply.future.result(0) == (done if with_warnings else {"a": 1})


@pytest.mark.parametrize("first", ["claim", "withdraw"])
def test_a_call_is_either_claimed_or_withdrawn(first: str) -> None:
    answer = CallAnswer()
    second = "withdraw" if first == "claim" else "claim"
    assert getattr(answer, first)()
    assert not getattr(answer, second)()
    assert answer.is_withdrawn == (first == "withdraw")


def test_a_withdrawn_call_is_neither_run_nor_answered() -> None:
    answer = CallAnswer()
    queued_call = QueuedCall(PrivateCall("MASTER", "Balance", reply_to=answer), None, 0.0, 1.0)
    assert queued_call.is_wanted
    assert answer.withdraw()
    assert not queued_call.is_wanted
    assert not queued_call.take()
    queued_call.refuse(CallNotSent("too late"))
    assert answer.wait(0.001) is None


def test_of_many_who_claim_and_one_who_withdraws_one_succeeds() -> None:
    for _ in range(50):
        answer = CallAnswer()
        queued_call = QueuedCall(PrivateCall("MASTER", "Balance", reply_to=answer), None, 0.0, 1.0)
        won: list[str] = []
        gate = threading.Barrier(4)

        def run(what: str, gate: threading.Barrier = gate, queued_call: QueuedCall = queued_call,
                answer: CallAnswer = answer, won: list[str] = won) -> None:  # fmt: skip
            gate.wait()
            if queued_call.take() if what == "claim" else answer.withdraw():
                won.append(what)

        threads = [threading.Thread(target=run, args=(what,)) for what in ("claim", "claim", "claim", "withdraw")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
