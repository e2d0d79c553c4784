"""What an event says with its values left out."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlog.search.story.event import read
from clusterlog.search.template import shape, template


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("order 54833 failed", "order * failed"),
        ("took 1.5 s, -3 left", "took * s, * left"),
        ("at 12:30:05", "at *"),
        ("request 0193f0c2a1b27c3d8e4f5a6b7c8d9e0f", "request *"),
        ("request 0193f0c2-a1b2-7c3d-8e4f-5a6b7c8d9e0f.", "request *."),
        ("/orders/54833/items/7", "/orders/*/items/*"),
        ("node shop-1 on utf8, sha256 and v2", "node shop-1 on utf8, sha256 and v2"),
        ("defaced facade", "defaced facade"),
        ("", ""),
    ],
)
def test_a_shape_has_stars_for_numbers_and_ids_and_keeps_names(words: str, expected: str) -> None:
    assert shape(words) == expected


def test_a_shape_looks_at_no_more_than_a_bounded_piece() -> None:
    assert len(shape("x " * 1_000_000)) == 2000


def test_a_line_logged_with_arguments_is_its_template_and_any_other_the_shape_of_its_message(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "order 7 of 9 paid", clusterlog={"template": "order %d of 9 paid"})
    shop.log(2, "order 7 paid", clusterlog={"template": "order 7 paid"})
    shop.log(3, "order 7 paid")
    assert [template(read(each)) for each in story.documents] == ["order %d of 9 paid", "order * paid", "order * paid"]


def test_an_answer_is_its_route_a_call_its_path_whatever_the_host_and_a_step_its_name(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(1, 1, "GET /orders/{id}", 200, url={"path": "/orders/7"})
    shop.access(2, 1, "GET /orders/7", 200)
    del story.documents[-1]["clusterlog"]["route"]
    shop.call(3, 1, "POST http://10.0.0.7:8001/orders/7/pay", 200, span="c1")
    shop.step(4, 1, "reserve stock", span="p1")
    assert [template(read(each)) for each in story.documents] == [
        "GET /orders/{id}",
        "GET /orders/*",
        "POST /orders/*/pay",
        "reserve stock",
    ]
