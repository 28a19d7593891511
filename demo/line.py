"""Who waits for what, and whose turn it is: Gradio's queue, fair to every visitor.

Gradio serves whoever asked first, so that one with many jobs makes all others wait for them, and a
job that nobody waits for any more goes on if it is no generator. Nor does it tell who waits what
place they have, but in English.
"""

from __future__ import annotations

import asyncio
from html import escape
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from gradio.queueing import Event, EventQueue, Queue
from gradio.server_messages import ProcessGeneratingMessage
from gradio.utils import cancel_tasks, diff

from demo.status_line import StatusLine
from demo.text import language_of, say

MOST_OF_ONE = 8  # jobs of one visitor that may wait for the same thing


class FairQueue(Queue):
    """Everyone's first job comes before anyone's second, and so on.

    A visitor is a session; programs that name none are told apart by where they call from. Whoever
    waits is told their place whenever it changes, in the status line of the job.
    """

    rounds: WeakKeyDictionary[Event, int]
    told: WeakKeyDictionary[Event, list[Any]]  # what was last sent to those who wait

    @classmethod
    def take_over(cls, queue: Queue) -> None:
        """Make a queue fair that Gradio has made."""
        queue.__class__ = cls
        queue.rounds, queue.told = WeakKeyDictionary(), WeakKeyDictionary()

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
        outcome: tuple[bool, Any, Any] = await super().push(body, request, username)
        return outcome

    def order(self, line: EventQueue) -> None:
        """Sort those who wait by their rounds, and in each by when they came.

        Each of a visitor's jobs is a round later than the one before; the first of a newcomer is in
        the round that is being served (start-time fair queueing; Goyal, Vin and Cheng 1996).
        """
        running = [event for job in self.active_jobs if job for event in job]
        running = [event for event in running if event.concurrency_id == line.concurrency_id]
        known = {e: self.rounds[e] for e in (*running, *line.queue) if e in self.rounds}
        served = min(
            (known[e] for e in running if e in known), default=min(known.values(), default=0)
        )
        for event in line.queue:
            if event not in known:
                own = (known[e] for e in known if _visitor(e) == _visitor(event))
                known[event] = self.rounds[event] = max(own, default=served - 1) + 1
        line.queue.sort(key=lambda event: (known[event], event.enqueue_time))

    def broadcast_estimations(self, concurrency_id: str, after: int | None = None) -> None:
        """Someone came, began or left: what everyone's place is now. Gradio calls it, too."""
        line = self.event_queue_per_concurrency_id[concurrency_id]
        self.order(line)
        super().broadcast_estimations(concurrency_id)
        if line.concurrency_limit is None or line.current_concurrency < line.concurrency_limit:
            return  # the first begins at once, and then it is called again
        for place, event in enumerate(line.queue, start=1):
            self.tell(event, place)

    def tell(self, event: Event, place: int) -> None:
        """Say it where the job will show its steps, as if it were the first of them."""
        outputs = event.fn.outputs
        said_in = next((i for i, one in enumerate(outputs) if isinstance(one, StatusLine)), None)
        if said_in is None:
            return
        data = [None if one.stateful else gr.skip() for one in outputs]
        data[said_in] = escape(say(language_of(event.request), "status_place", number=place))
        if data != self.told.get(event):
            step = {"data": data, "is_generating": True}
            self.send_message(event, ProcessGeneratingMessage(output=step, success=True))
            self.told[event] = data

    def send_message(self, event: Event, message: Any) -> None:
        """After the first step the page is sent what differs from the one before.

        To Gradio the job's own first step is the first, also where a place was told before.
        """
        if isinstance(message, ProcessGeneratingMessage) and (before := self.told.pop(event, None)):
            data = [diff(old, new) for old, new in zip(before, message.output["data"], strict=True)]
            message.output = {**message.output, "data": data}
        super().send_message(event, message)

    async def remove_from_queue(self, event_id: str) -> None:
        """A job that waits is cancelled."""
        event = self.event_ids_to_events.get(event_id)
        await super().remove_from_queue(event_id)
        if event is not None and event_id not in self.event_ids_to_events:
            self.broadcast_estimations(event.concurrency_id)

    async def clean_events(
        self, *, session_hash: str | None = None, event_id: str | None = None
    ) -> None:
        """The visitor has left: their jobs end, also those that run."""

        def theirs(events: list[Event]) -> list[Event]:
            return [e for e in events if e.session_hash == session_hash or e._id == event_id]

        lines = list(self.event_queue_per_concurrency_id.values())
        waiting = theirs([event for line in lines for event in line.queue])
        await super().clean_events(session_hash=session_hash, event_id=event_id)
        for concurrency_id in {event.concurrency_id for event in waiting}:
            self.broadcast_estimations(concurrency_id)
        gone = theirs([event for job in self.active_jobs if job for event in job])
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
