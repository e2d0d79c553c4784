"""Rules, workers and requests as Hypothesis makes them: few names, so that rules meet, clash and narrow each other."""

from __future__ import annotations

import logging

from hypothesis import strategies as st

from clusterlog.control.rules.rule import Limits, Member, Predicate, RequestFacts, Rule, Selector

LOGGERS = ("", "orders", "orders.stock", "orders.stock.db", "ordersx", "orders.stockroom", "payments")
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
NODES = ("n-1", "n-2", "m-1", "n[1]")
SERVICES = ("shop", "orders")
WORDS = ("a", "b")


def _some(*values: object) -> st.SearchStrategy[tuple[object, ...]]:
    return st.just(()) | st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map(tuple)


selectors = st.builds(
    Selector,
    service=_some(*SERVICES),
    node=_some(*NODES[:3], "n-*", "n[[]1]", "*"),
    host=_some(*WORDS),
    role=_some("apply", "send", *WORDS),
    version=_some("1.0", "1.1"),
    worker=_some(0, 1, 2),
    percent=st.none() | st.none() | st.floats(0, 100) | st.sampled_from([0, 5, 50, 100]),
)
predicates = st.builds(
    Predicate,
    request=st.sampled_from(["", "r1", "r2"]),
    user=st.sampled_from(["", "u1"]),
    tenant=st.sampled_from(["", "t1"]),
    route=st.sampled_from(["", "/cart*", "/cart/1"]),
).filter(lambda made: made != Predicate())
members = st.builds(
    Member,
    service=st.sampled_from(SERVICES),
    node=st.sampled_from(NODES),
    host=st.sampled_from(WORDS),
    role=st.sampled_from(["apply", "send"]),
    tags=_some(*WORDS),
    version=st.sampled_from(["1.0", "1.1"]),
    number=st.integers(0, 2),
)
requests = st.builds(
    RequestFacts,
    request=st.sampled_from(["", "r1", "r2"]),
    user=st.sampled_from(["", "u1"]),
    tenant=st.sampled_from(["", "t1"]),
    route=st.sampled_from(["", "/cart/1", "/"]),
)
rules = st.builds(
    Rule,
    id=st.text("abcdef", min_size=1, max_size=6),
    logger=st.sampled_from(LOGGERS),
    level=st.sampled_from(LEVELS),
    kind=st.sampled_from(["set", "set", "cap"]),
    # Half of them mean everybody: rules that mean nobody show nothing.
    selector=st.just(Selector()) | selectors,
    predicate=st.none() | st.none() | predicates,
    limits=st.builds(Limits, lines_per_s=st.integers(0, 9), lines=st.integers(0, 9)),
    created_ns=st.integers(0, 1 << 62),
    expires_ns=st.just(0) | st.integers(0, 1 << 62),
    rev=st.integers(1, 4),
    actor=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    reason=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    more=st.sampled_from(["", "", '{"later":[1,"\N{SNOWMAN}"]}']),
)
for kind, strategy in (
    (Selector, selectors),
    (Predicate, predicates),
    (Member, members),
    (RequestFacts, requests),
    (Rule, rules),
):
    st.register_type_strategy(kind, strategy)
