"""Joining OpenTelemetry and leaving it again: nothing of it is imported here, its SDK is waited for.

The processor goes to the global ``TracerProvider``, the present one or the one that is set later. ``start`` joins by
itself, and so does ``instrument("opentelemetry")``; it is left when nobody wants it joined any more.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from clusterlog.context import innermost, tracing
from clusterlog.context.patching import Patch, wait_no_more, when_imported
from clusterlog.integrations.instrumentation import Instrumentation

SDK = "opentelemetry.sdk.trace"
_API = "opentelemetry.trace"

_wanted: set[str] = set()
_processors: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def put_into_all() -> Instrumentation:
    """Join OpenTelemetry as soon as its SDK is there."""
    return Instrumentation("opentelemetry", joined("instrument"))


def joined(who: str) -> Callable[[], None]:
    """Join on behalf of ``who``; returns what takes that back. Idempotent for each of them."""
    _wanted.add(who)
    for patch in _PATCHES:
        if not patch.on:
            patch.install()
    when_imported(SDK, _join)

    def leave() -> None:
        _wanted.discard(who)
        if not _wanted:
            _leave()

    return leave


def _join(_: ModuleType) -> None:
    """The SDK is there: its ids win from here on."""
    from clusterlog.integrations.opentelemetry.tracer import OpenTelemetry

    innermost.join(OpenTelemetry())
    _attach(getattr(sys.modules.get(_API), "_TRACER_PROVIDER", None))


def _leave() -> None:
    innermost.join(None)
    wait_no_more(SDK, _join)
    for patch in _PATCHES:
        patch.remove()
    for processor in list(_processors.values()):
        processor.on = False
    _forget()


def _attach(provider: Any) -> None:
    """Give a provider its processor, which can never be taken off again, only fall silent."""
    if not _wanted or SDK not in sys.modules or not hasattr(provider, "add_span_processor"):
        return
    processor = _processors.get(provider)
    if processor is None:
        from clusterlog.integrations.opentelemetry.processor import SpanProcessor

        processor = _processors[provider] = SpanProcessor()
        provider.add_span_processor(processor)
    processor.on = True


def _providing(patch: Patch) -> Any:
    """The API's own setting of the global provider, whichever way it came to it."""
    original = patch.original

    @wraps(original)
    def _set_tracer_provider(tracer_provider: Any, *args: Any, **named: Any) -> Any:
        done = original(tracer_provider, *args, **named)
        if patch.on:
            _attach(getattr(sys.modules.get(_API), "_TRACER_PROVIDER", None))
        return done

    return _set_tracer_provider


def _starting(patch: Patch) -> Any:
    """``Tracer.start_span`` of the SDK: within a request that is in a trace already no span is the root of another."""
    original = patch.original

    @wraps(original)
    def start_span(self: Any, name: Any, context: Any = None, kind: Any = None, *args: Any, **named: Any) -> Any:
        if not patch.on or tracing.joined is None:
            return original(self, name, context, *_given(kind, args), **named)
        from clusterlog.integrations.opentelemetry import tracer

        if context is None:
            context = tracer.continued()
        span = original(self, name, context, *_given(kind, args), **named)
        if not span.is_recording():
            tracer.unrecorded(span, kind, context)
        return span

    return start_span


def _given(kind: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return args if kind is None and not args else (kind, *args)


def _forget() -> None:
    begun: Any = sys.modules.get("clusterlog.integrations.opentelemetry.begun")
    if begun is not None:
        begun.begun.clear()


_PATCHES = (Patch(f"{_API}:_set_tracer_provider", _providing), Patch(f"{SDK}:Tracer.start_span", _starting))

if hasattr(os, "register_at_fork"):
    # What is under way ends in the process it began in.
    os.register_at_fork(after_in_child=_forget)
