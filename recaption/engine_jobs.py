"""Which requests go to the engine next, and which of them is to blame when it dies.

A request that kills the engine takes hundreds of others along that happened to be in hand. It is found by elimination:
those that were in hand run again; those that were in hand twice run apart from all others, at most eight at once; those
of a handful that died, one at a time. One that then dies alone is the culprit, and costs exactly its own row.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from recaption.requests import Answer, Request

HANDFUL = 8

_INNOCENT, _TWICE, _ALONE = 0, 2, 3  # how suspicious a job is: below _TWICE it runs with all others


@dataclass(slots=True)
class Job:
    """A request in hand."""

    number: int
    request: Request
    future: Future[Answer] = field(default_factory=Future)
    suspicion: int = _INNOCENT


class Jobs:
    """All requests that wait for the engine or are with it. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._suspects: deque[Job] = deque()  # the least suspicious first: answers in between show a sound engine
        self.sent: dict[int, Job] = {}

    def __len__(self) -> int:
        return self.waiting + len(self.sent)

    @property
    def waiting(self) -> int:
        """How many are not sent."""
        return len(self._waiting) + len(self._suspects)

    @property
    def can_send(self) -> bool:
        """False also while those that are sent must end first."""
        return bool(self._queue())

    def add(self, job: Job) -> None:
        self._waiting.append(job)

    def send_next(self) -> Job | None:
        """The job to send now, which counts as sent from here on; None where there is none."""
        queue = self._queue()
        if not queue:
            return None
        job = queue.popleft()
        self.sent[job.number] = job
        return job

    def _queue(self) -> deque[Job] | None:
        apart = [job.suspicion for job in self.sent.values() if job.suspicion >= _TWICE]
        if not apart and not self._suspects:
            return self._waiting
        if len(apart) < len(self.sent) or not self._suspects:
            return None
        room = HANDFUL if max([*apart, self._suspects[0].suspicion]) == _TWICE else 1
        return self._suspects if len(self.sent) < room else None

    def died(self) -> Job | None:
        """The engine died: all that was sent will be sent again, save the culprit, if that is clear now."""
        sent, self.sent = list(self.sent.values()), {}
        if len(sent) == 1 and sent[0].suspicion > _INNOCENT:
            return sent[0]
        for job in sent:
            job.suspicion = _ALONE if len(sent) <= HANDFUL else job.suspicion + 1
        self._waiting.extendleft(reversed([job for job in sent if job.suspicion < _TWICE]))
        suspects = [*self._suspects, *(job for job in sent if job.suspicion >= _TWICE)]
        self._suspects = deque(sorted(suspects, key=lambda job: (job.suspicion, job.number)))
        return None

    def clear(self) -> list[Job]:
        """Give up: all jobs, in the order in which they came."""
        jobs = sorted([*self.sent.values(), *self._suspects, *self._waiting], key=lambda job: job.number)
        self._waiting.clear()
        self._suspects.clear()
        self.sent.clear()
        return jobs
