"""What one line says of an event."""

from __future__ import annotations

import pytest

from clusterlog.cli.drawing.message import message
from clusterlog.cli.drawing.pen import ASCII
from clusterlog.search.story.event import read


def edge(status, called, node="shop-1"):
    return read(
        {
            "event": {"dataset": "clusterlog.edge", "duration": 2_000_000},
            "http": {"request": {"method": "GET"}, "response": {"status_code": status} if status else {}},
            "url": {"path": "/orders"},
            "span": {"id": "e1"},
            "service": {"name": "haproxy", "node": {"name": node} if node else {}},
            "clusterlog": {"call": {"status_code": called} if called else {}},
        }
    )


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (edge(200, 200), "GET /orders -> 200 by shop-1 in 2 ms"),
        (edge(504, None), "GET /orders -> 504, shop-1 gave no answer in 2 ms"),
        (edge(503, None, ""), "GET /orders -> 503 in 2 ms"),
        (edge(None, None), "GET /orders -> no response, shop-1 gave no answer in 2 ms"),
    ],
)
def test_the_edge_says_which_node_has_answered(event, said):
    assert message(event, ASCII).whole == said
