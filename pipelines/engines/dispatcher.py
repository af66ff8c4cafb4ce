"""The dispatcher assigns the items of all queues of an engine to workers, and runs those of crashed workers again.

The local and the ray engine share it; each has its own kind of workers, and of a host that starts them
(`pipelines.engines.workers`). One thread decides. It never waits for a worker, only for something to happen: what
workers report and consumers ask for lands in its mailbox.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakSet

from corpus.execution import Job
from pipelines.engines.item_queue import ItemQueue, item_label, number_job
from pipelines.engines.queues import Finished, Results
from pipelines.engines.worker_record import Event, WorkerRecord
from pipelines.engines.workers import Amounts, Notify, NumberedJob, Usage, WorkerHost

SWAP_ITEMS = 16  # that wait for a model, so that it is worth to load it where another one is idle

_POLL_S = 1.0  # how often a host is asked again for room, while items wait for it
_START_S = 120.0  # without a sign of life, for a process that is being started on a busy machine
_JOIN_S = 10.0


class Dispatcher:
    """The queues of an engine, its workers, and the thread that brings them together. It starts with the first queue.

    `stall_timeout_s` is how long a worker may show no sign of life; 0 is for ever.
    """

    def __init__(
        self,
        host: WorkerHost,
        notify: Notify,
        stall_timeout_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self._host = host
        self._notify = notify
        self._stall_timeout_s = stall_timeout_s
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._queues: list[ItemQueue] = []
        self._records: list[WorkerRecord] = []
        self._mailboxes: WeakSet[Results] = WeakSet()
        self._lines: list[str] = []  # to be printed when the lock is free
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._checked_s = clock()

    # For consumers, from any thread.

    def open_queue(self, job: Job[Any, Any], results: Results, priority: int = 0) -> ItemQueue:
        """See `StreamingEngine.open_queue`."""
        queue = ItemQueue(number_job(job), results, priority, self)
        with self.lock:
            self.check()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
                self._thread.start()
            self._queues.append(queue)
            self._mailboxes.add(results)
        return queue

    def wait(self, results: Results, timeout_s: float | None = None) -> Finished | None:
        """See `StreamingEngine.wait`."""
        if os.getpid() != self._pid:
            self.check()
        return results.get(timeout_s)

    def has_room(self, queue: ItemQueue) -> bool:
        """See `JobQueue.has_room`."""
        if self._failure is not None or queue.is_done or queue.error is not None:
            return False
        resources, usage = queue.resources, self._usage()
        with suppress(Exception):  # the host's refusal is reported for the items
            members = self._members(queue)
            if any(len(record.assigned) < resources.in_flight for record in members):
                return True
            if not queue.numbered.dedicated:
                free = any(self._is_free(record) for record in self._records)
                return self._host.can_work(resources, usage) and (free or self._host.can_start(resources, usage))
            can_start = self._may_add_worker(queue) and self._host.can_start(resources, usage)
            return can_start and (not members or self._host.can_work(resources, usage))
        return False

    def check(self) -> None:
        """Raises RuntimeError where it has ended, or belongs to the process that this one was forked from."""
        if os.getpid() != self._pid:
            raise RuntimeError("an engine can't be used in a forked copy of its process: open one there")
        if self._failure is not None:
            raise RuntimeError(f"the engine has ended: {self._failure}") from self._failure

    def wake(self) -> None:
        """Makes the thread look at queues and workers again."""
        self._events.put(None)

    def post(self, event: Event) -> None:
        """Lets the thread call `event`."""
        self._events.put(event)

    def close(self) -> None:
        """Stops all workers at once, and waits for their end. Whoever waits for an item gets RuntimeError."""
        if os.getpid() != self._pid:
            return
        self._fail(RuntimeError("the engine was closed"))
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)
        self._host.close()

    # Events, in the dispatcher's thread and with the lock.

    def on_opened(self, record: WorkerRecord, job: NumberedJob) -> None:
        """Handles that a worker has opened its job."""
        if record.queue is not None and record.queue.numbered is job:
            record.opening = False

    def on_not_opened(self, record: WorkerRecord, job: NumberedJob, error: BaseException) -> None:
        """Handles that a job raised when a worker opened it: no other worker need try."""
        queue = record.queue
        if queue is None or queue.numbered is not job:
            return
        queue.break_off(error, record.assigned)
        self._set_free(record)
        if record.dedicated is not None:
            self._let_leave(record)

    def on_finished(self, record: WorkerRecord, number: int, result: Any, error: BaseException | None) -> None:
        """Handles that an item has ended; one that the worker has no more is late, and left out."""
        if number not in record.assigned or record.queue is None:
            return
        record.opening = False
        record.assigned.remove(number)
        record.queue.finish(number, result, error)
        if not record.assigned:
            self._set_free(record)

    def on_stalled(self, record: WorkerRecord, seconds: float) -> None:
        """Handles that a worker shows no sign of life: it is stopped, and its items are taken back."""
        if record.leaving:
            return
        labels = [item_label(record.queue.item(number)) for number in record.assigned] if record.queue else []
        elsewhere = f": {', '.join(labels)} runs elsewhere" if labels else ""
        self._lines.append(f"{record.worker.name} showed no sign of life for {seconds:.0f} s and is stopped{elsewhere}")
        record.holding = record.resources()
        self._take_back(record, f"no sign of life for {seconds:.0f} s")
        record.leaving = True
        record.worker.stop()

    def on_ended(self, record: WorkerRecord, reason: str) -> None:
        """Handles a worker's end: a crash, where it was not to end."""
        if record not in self._records:
            return
        self._records.remove(record)
        if not record.leaving:
            self._take_back(record, reason)

    def _take_back(self, record: WorkerRecord, reason: str) -> None:
        queue, assigned = record.queue, record.assigned
        record.queue, record.assigned = None, []
        if queue is None or queue.cancelled or not assigned:
            return
        if record.opening:
            holders = sum(not other.opening for other in self._members(queue) if other is not record)
            queue.on_failed_open(assigned, holders, reason)
        else:
            queue.on_crash(assigned)

    # The thread.

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001 - those who wait must get it, whatever it is
            self._fail(error)

    def _turn(self) -> bool:
        """Waits for something to happen, handles it, and returns whether there is another turn."""
        event: Event | None = None
        with suppress(Empty):
            event = self._events.get(timeout=self._timeout())
        with self.lock:
            if self._failure is not None:
                return False
            while True:
                if event is not None:
                    event()
                try:
                    event = self._events.get_nowait()
                except Empty:
                    break
            self._check_signs_of_life()
            self._retire_queues()
            self._assign()
            lines, self._lines = self._lines, []
        for line in lines:
            self._notify(line)
        return True

    def _timeout(self) -> float | None:
        with self.lock:
            periods = [self._stall_timeout_s / 4] if self._stall_timeout_s and self._records else []
            if any(queue.waiting for queue in self._queues):
                periods.append(_POLL_S)
            return min(periods, default=None)

    def _fail(self, error: BaseException) -> None:
        with self.lock:
            if self._failure is None:
                self._failure = error
                for results in list(self._mailboxes):
                    results.fail(error)
            for record in self._records:
                record.worker.stop()

    def _check_signs_of_life(self) -> None:
        """Finds workers without heartbeats for too long; only while this thread itself was not held up."""
        if not self._stall_timeout_s:
            return
        now, before = self.clock(), self._checked_s
        self._checked_s = now
        late = now - before > self._stall_timeout_s / 2
        for record in list(self._records):
            if late or not record.worker.has_heartbeats:
                record.last_sign_s = now
                continue
            patience = self._stall_timeout_s if record.started else max(self._stall_timeout_s, _START_S)
            if now - record.last_sign_s > patience:
                self.on_stalled(record, now - record.last_sign_s)

    def _retire_queues(self) -> None:
        """Lets go of queues of which nothing comes any more, and of the workers that hold their models."""
        for queue in [queue for queue in self._queues if queue.is_done]:
            self._queues.remove(queue)
            for record in self._records:
                if record.leaving:
                    continue
                if record.queue is queue:  # it was cancelled
                    self._stop(record)
                elif record.dedicated is queue:
                    self._let_leave(record)
                else:
                    record.worker.release(queue.numbered)
            queue.drop()
            self._host.release(queue.numbered)
        for record in self._records:  # its last item is with another worker
            holder = record.dedicated
            if holder is not None and holder.closed and self._gives_way(record):
                self._let_leave(record)

    # Assigning, in the thread and with the lock.

    def _assign(self) -> None:
        usage = self._usage()
        reserved = False  # cores are kept for a queue of higher priority that needs several
        in_order = sorted((queue for queue in self._queues if queue.waiting), key=lambda queue: -queue.priority)
        for queue in in_order:
            needs_cores = not queue.resources.waits_on_network and not queue.resources.gpus
            if reserved and needs_cores:
                continue
            try:
                while queue.waiting and self._assign_one(queue, usage):
                    pass
                if queue.waiting and needs_cores and self._host.reserves_cores:
                    reserved = reserved or not self._host.can_work(queue.resources, usage)
            except Exception as error:  # noqa: BLE001 - the host's refusal, or its fault: it is the queue's error
                queue.break_off(error)
        self._swap(in_order)

    def _assign_one(self, queue: ItemQueue, usage: Usage) -> bool:
        """Gives an item to a worker: an idle one, or if there is room a new one, or one that has items of the queue.

        A model's worker is filled up before another one is started.
        """
        resources = queue.resources
        can_work = self._host.can_work(resources, usage)
        if can_work and (idle := self._idle_worker(queue)):
            if idle.dedicated is not None:
                usage.idle.add(resources, -1)
            usage.busy.add(resources)
            return self._give(queue, idle)
        dedicated = queue.numbered.dedicated
        if dedicated and self._fill(queue):
            return True
        if can_work and self._may_add_worker(queue) and self._host.can_start(resources, usage):
            record = WorkerRecord(self, queue if dedicated else None)
            record.worker = self._host.create(queue.numbered, record)
            self._records.append(record)
            usage.busy.add(resources)
            return self._give(queue, record)
        return not dedicated and self._fill(queue)

    def _fill(self, queue: ItemQueue) -> bool:
        """Gives an item to the worker that has the fewest of the queue's, and room for another."""
        members = [record for record in self._records if record.queue is queue and not record.leaving]
        members = [record for record in members if len(record.assigned) < queue.resources.in_flight]
        return any(self._give(queue, record) for record in sorted(members, key=lambda record: len(record.assigned)))

    def _give(self, queue: ItemQueue, record: WorkerRecord) -> bool:
        number = queue.take(record.assigned)
        if number is None:
            return False
        if not record.assigned:
            record.queue, record.opening = queue, not record.worker.holds(queue.numbered)
        record.assigned.append(number)
        record.worker.start(queue.numbered, number, queue.item(number))
        return True

    def _idle_worker(self, queue: ItemQueue) -> WorkerRecord | None:
        """Returns a worker without items that the queue may have: one that holds its job, else the longest idle."""
        if queue.numbered.dedicated:
            return next((record for record in self._members(queue) if not record.assigned), None)
        free = [record for record in self._records if self._is_free(record)]
        return next((record for record in free if record.worker.holds(queue.numbered)), free[0] if free else None)

    def _set_free(self, record: WorkerRecord) -> None:
        record.queue, record.assigned, record.opening = None, [], False
        self._records.remove(record)
        self._records.append(record)  # those at the front are idle for longest

    def _is_free(self, record: WorkerRecord) -> bool:
        return record.dedicated is None and record.queue is None and not record.leaving

    def _members(self, queue: ItemQueue) -> list[WorkerRecord]:
        """Returns the workers that work for the queue, or for it alone."""
        return [record for record in self._records if queue in (record.queue, record.dedicated) and not record.leaving]

    def _may_add_worker(self, queue: ItemQueue) -> bool:
        return queue.max_workers is None or len(self._members(queue)) < queue.max_workers

    def _usage(self) -> Usage:
        usage = Usage()
        for record in self._records:
            resources = record.resources()
            if resources is not None:
                (usage.busy if record.assigned or record.leaving else usage.idle).add(resources)
        return usage

    # Who has to leave.

    def _swap(self, waiting: list[ItemQueue]) -> None:
        """Lets idle models leave for queues that wait for their room, where it is worth it, or nothing else runs."""
        if any(record.leaving and record.dedicated for record in self._records):
            return  # the room of this one may be enough
        nothing_runs = not any(record.assigned for record in self._records)
        for queue in waiting:
            if not queue.waiting or not (nothing_runs or queue.closed or queue.waiting >= SWAP_ITEMS):
                continue
            for record in self._in_the_way(queue):
                self._let_leave(record)
                return

    def _in_the_way(self, queue: ItemQueue) -> list[WorkerRecord]:
        """Returns idle workers of other models without which the queue would have room; none if it has without."""
        idle = [record for record in self._records if self._gives_way(record) and record.dedicated is not queue]
        usage = self._usage()
        if not idle or self._has_host_room(queue, usage):
            return []
        usage.idle = Amounts()
        return idle if self._has_host_room(queue, usage) else []

    def _gives_way(self, record: WorkerRecord) -> bool:
        holder = record.dedicated
        return holder is not None and not (record.assigned or record.leaving or holder.waiting)

    def _has_host_room(self, queue: ItemQueue, usage: Usage) -> bool:
        with suppress(Exception):  # reported where an item is assigned
            return self._host.can_work(queue.resources, usage) and self._host.can_start(queue.resources, usage)
        return False

    def _let_leave(self, record: WorkerRecord) -> None:
        record.holding, record.leaving = record.resources(), True
        record.worker.leave()

    def _stop(self, record: WorkerRecord) -> None:
        record.holding, record.leaving = record.resources(), True
        record.queue, record.assigned = None, []
        record.worker.stop()
