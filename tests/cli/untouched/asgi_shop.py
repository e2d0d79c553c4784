"""A bare ASGI application that has never heard of clusterlog."""

import logging

log = logging.getLogger("shop.api")


async def app(scope, receive, send):
    """Answer ``/ok`` and fail at ``/boom``; no lifespan."""
    assert scope["type"] == "http"
    log.info("in the view")
    if scope["path"] == "/boom":
        log.warning("about to fail")
        raise RuntimeError("bang")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"fine"})
