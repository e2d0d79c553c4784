"""The hub: the bus in the server's own home, for the nodes of other machines.

A request to ask comes in and is done on that bus; a request for news stays until there is some. ``feed`` numbers what
has come, ``cluster`` stands between one name space of the bus and all who ask for it, ``endpoint`` is its HTTP. Who is
let in is decided before (``web.guard``); what the bytes mean, and whether they are believed, is nothing of the hub's.
"""
