"""What a worker process does when its engine is no longer there: it ends, and prints no traceback."""

from __future__ import annotations

import multiprocessing

from pipelines.engines.process_main import received_messages


def test_messages_end_with_leave_or_with_the_sender() -> None:
    sender, receiver = multiprocessing.Pipe()
    for message in (("close", 1, b""), ("leave", 0, b""), ("close", 2, b"")):
        sender.send(message)
    assert list(received_messages(receiver)) == [("close", 1, b"")]
    sender.close()
    assert list(received_messages(receiver)) == [("close", 2, b"")]


def test_an_end_that_was_closed_with_messages_unread_is_an_end() -> None:
    sender, receiver = multiprocessing.Pipe()
    receiver.send(("alive", 0, b""))  # which nobody reads: the connection is reset
    sender.close()
    assert list(received_messages(receiver)) == []
