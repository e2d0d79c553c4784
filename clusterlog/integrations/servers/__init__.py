"""The servers an application runs in: their own lines carry the request id, and none of them is kept twice."""
