"""One request as a picture of text, for terminals of any width, for pipes and for issues.

Pure functions from a ``Journey`` to rows of segments, each a text and the role by which it may be painted. Foreign text
is escaped and cut, so that no event can move what stands beside it.
"""

from clusterlog.cli.drawing.story.picture import draw, rows, summary
from clusterlog.cli.drawing.story.plain import markdown, plain
from clusterlog.cli.drawing.story.selection import LEVELS, View

__all__ = ["LEVELS", "View", "draw", "markdown", "plain", "rows", "summary"]
