"""What is to be said about a request in a few lines: why it failed, where the time went, what is known to be lacking.

The rules are deterministic, each sentence names the events it stands on, and it is the same text wherever it is shown.
"""

from clusterlog.search.story.verdict.sentences import verdict
from clusterlog.search.story.verdict.wording import Sentence

__all__ = ["Sentence", "verdict"]
