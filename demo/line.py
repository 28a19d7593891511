"""Who waits for what, and whose turn it is: Gradio's queue, fair to every visitor.

Gradio serves whoever asked first, so that one with many jobs makes all others wait for them, and a
job that nobody waits for any more goes on if it is no generator.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from gradio.queueing import Event, EventQueue, Queue
from gradio.utils import cancel_tasks

MOST_OF_ONE = 8  # jobs of one visitor that may wait for the same thing


class FairQueue(Queue):
    """Everyone's first job comes before anyone's second, and so on.

    A visitor is a session; programs that name none are told apart by where they call from.
    """

    async def push(self, body: Any, request: Any, username: str | None) -> tuple[bool, Any, Any]:
        fn = self.blocks.fns.get(body.fn_index)
        line = self.event_queue_per_concurrency_id.get(fn.concurrency_id) if fn else None
        if line is not None:
            visitor = body.session_hash or _place(request)
            own = sum(_visitor(event) == visitor for event in line.queue)
            if own >= MOST_OF_ONE:
                return (
                    False,
                    f"{own} of your jobs wait already: wait for one of them.",
                    "queue_full",
                )
        outcome = await super().push(body, request, username)
        if fn is not None and fn.concurrency_id in self.event_queue_per_concurrency_id:
            self.order(self.event_queue_per_concurrency_id[fn.concurrency_id])
            self.broadcast_estimations(fn.concurrency_id)
        result: tuple[bool, Any, Any] = outcome
        return result

    def order(self, line: EventQueue) -> None:
        """Sort those who wait by how many jobs of theirs come first, then by when they came."""
        running = (event for job in self.active_jobs if job for event in job)
        jobs = Counter(_visitor(e) for e in running if e.concurrency_id == line.concurrency_id)
        places = {}
        for event in sorted(line.queue, key=lambda event: event.enqueue_time):
            places[event._id] = jobs[_visitor(event)], event.enqueue_time
            jobs[_visitor(event)] += 1
        line.queue.sort(key=lambda event: places[event._id])

    async def clean_events(
        self, *, session_hash: str | None = None, event_id: str | None = None
    ) -> None:
        """The visitor has left: their jobs end, also those that run."""
        await super().clean_events(session_hash=session_hash, event_id=event_id)
        running = [event for job in self.active_jobs if job for event in job]
        gone = {e for e in running if e.session_hash == session_hash or e._id == event_id}
        # The connection's own task may be at its end, too: none of theirs must end with it halfway.
        await asyncio.shield(
            cancel_tasks({f"{event.session_hash}_{event.fn._id}" for event in gone})
        )

    def compute_analytics_summary(self, records: Any) -> Any:
        """Nothing: it is for the monitoring page, which is closed, and costs more every time."""
        return self.cached_event_analytics_summary


def _visitor(event: Event) -> str:
    # Gradio gives an event without a session one of its own name.
    named: str = event.session_hash
    return _place(event.request) if named == event._id else named


def _place(request: Any) -> str:
    host: str = request.client.host if request and request.client else ""
    return f"from {host}"
