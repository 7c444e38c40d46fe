"""A viewer that polls over HTTP in virtual time: its pure plan against the forwarder's API."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from common.http import Response
from forwarder.server.api import Api, ApiResponse
from forwarder.server.log_pages import BodyRequest
from tests.simulation.fault import FaultError, Kind
from tui.client.polling import PollError, PollPlan

if TYPE_CHECKING:
    from tests.simulation.forwarder import Forwarder
    from tests.simulation.viewer import Viewer

ROUND_EVERY_MS = 3_000


class Poller:
    """One viewer's rounds."""

    def __init__(self, viewer: Viewer, now: int) -> None:
        """The first round is due at ``now``."""
        self._viewer = viewer
        self._plan = PollPlan(viewer.session)
        self._next_at = now
        self.is_in_round = False
        self.began_at = now
        self.has_proved = False
        """Whether a response has moved the verified time since the judge last looked."""

    def step(self, forwarder: Forwarder | None, now: int, asks: int) -> None:
        """Send at most ``asks`` requests."""
        if self._plan._session is not self._viewer.session:  # a new life
            self._plan = PollPlan(self._viewer.session)
            self.is_in_round = False
        if not self.is_in_round:
            if now < self._next_at:
                return
            self._plan.begin_round(now)
            self.is_in_round = True
            self.began_at = now
        for _ in range(asks):
            if not self._ask(forwarder, now):
                self._plan.end_round()
                self.is_in_round = False
                self._next_at = now + ROUND_EVERY_MS
                break

    def _ask(self, forwarder: Forwarder | None, now: int) -> bool:
        """Send the next request; returns whether the round goes on."""
        ask = self._plan.next_request()
        if ask is None:
            return False
        answer = None if forwarder is None else self._get(forwarder, ask.target, now)
        if answer is None:
            return False
        before = self._viewer.complete_through or -1
        try:
            self._viewer.apply(self._plan.take_response(ask, answer, now))
        except PollError as error:
            if answer.status == HTTPStatus.BAD_REQUEST:
                raise FaultError(Kind.NEVER_CONVERGES, f"{ask.target}: {error}") from error
            return False
        self.has_proved |= (self._viewer.complete_through or -1) > before
        return True

    def _get(self, forwarder: Forwarder, target: str, now: int) -> Response | None:
        """Send one request; None if it failed, as while bodies are fetched."""
        steps = Api({forwarder.group.name: forwarder.hub}).respond("GET", target, None, now)
        while True:
            try:
                needed = next(steps)
            except StopIteration as stop:
                reply: ApiResponse = stop.value
                return Response(reply.status, reply.body)
            if isinstance(needed, BodyRequest):
                forwarder.fetch_bodies(needed.from_, needed.through)
                return None
