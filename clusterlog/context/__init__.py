"""Who is asking: the request a task works for, its ids, and how they cross threads, processes and the network.

Headers and message metadata come in, headers and metadata go out; in between there is one context variable. Nothing
but the standard library is imported here.
"""
