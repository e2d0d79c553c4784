"""``serve --syslog``: lines of load balancers, and of nodes in other languages, become events.

A line's way: ``listener`` (connections and datagrams) → ``framing`` (messages) → ``inbox`` (what waits for the disk)
→ ``message`` (its head) → ``line`` (a document, as a stranger would send it) → ``web.intake``. Nobody is told how it
ended: syslog has no answers.
"""
