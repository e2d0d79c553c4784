"""``POST /_bulk``: one request led from its bytes to its answer."""

from __future__ import annotations

import time
from contextlib import suppress

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from clusterlog.errors import StoreUnavailable
from clusterlog.web.faults import ILLEGAL, JSON, UNAVAILABLE, Fault, known
from clusterlog.web.intake.answer import answer, is_brief
from clusterlog.web.intake.body import RETRY_AFTER_S, Load, Share, received, unpacked
from clusterlog.web.intake.bulk import items
from clusterlog.web.intake.fates import Intake

THREADS = 4
"""Requests that are unpacked, read and stored at once. Storing is one at a time; reading is bound to one CPU."""
_REFRESH = frozenset({"true", "wait_for", ""})
_PARAMETERS = frozenset(
    "refresh filter_path pretty human error_trace format type routing timeout pipeline wait_for_active_shards op_type"
    " require_alias require_data_stream list_executed_pipelines include_source_on_error"
    " _source _source_includes _source_excludes batch_size master_timeout".split()
)
"""What senders to Elasticsearch and OpenSearch may say beside a request. Only the first two mean anything here."""


class Bulk:
    """Answers requests to take events in."""

    def __init__(self, intake: Intake, load: Load | None = None) -> None:
        self._intake = intake
        self._load = load or Load()
        self._limiter = CapacityLimiter(THREADS)

    async def answer(self, request: Request) -> Response:
        """The answer to one request: what it calls created is on disk. Raises Fault."""
        known(request, _PARAMETERS)
        refresh = request.query_params.get("refresh", "false")
        if refresh not in _REFRESH and refresh != "false":
            raise Fault(400, ILLEGAL, f"Unknown value for refresh: [{refresh[:40]}].")
        with self._load.begin() as share:
            body = await received(request.headers, request.stream(), share)
            told = await to_thread.run_sync(self._answered, request, body, share, limiter=self._limiter)
        return Response(told, 200, media_type=JSON)

    def _answered(self, request: Request, body: bytes, share: Share) -> bytes:
        begun = time.monotonic()
        target = request.path_params.get("target", "")
        found = list(items(unpacked(request.headers, body, share), target))
        try:
            judged = self._intake.take(found, request.client.host if request.client else "")
        except StoreUnavailable as error:
            raise Fault(503, UNAVAILABLE, str(error), {"Retry-After": str(RETRY_AFTER_S)}) from None
        if request.query_params.get("refresh", "false") in _REFRESH:
            with suppress(StoreUnavailable):  # all is safe, and found later
                self._intake.store.flush()
        took = round((time.monotonic() - begun) * 1000)
        return answer(judged, took, brief=is_brief(request.query_params.get("filter_path", "")))
