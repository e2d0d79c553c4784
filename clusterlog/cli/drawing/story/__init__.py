"""One request as a picture of text, for terminals of any width.

A pure function from a ``Journey`` to rows of segments, each a text and the role by which it may be painted. Foreign
text is escaped and cut, so that no event can move what stands beside it.
"""

from clusterlog.cli.drawing.story.picture import draw, rows
from clusterlog.cli.drawing.story.selection import LEVELS, View

__all__ = ["LEVELS", "View", "draw", "rows"]
