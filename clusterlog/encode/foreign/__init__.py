"""Lines of other loggers, as the documents our own road would have made of them.

What enters is a parsed JSON object in somebody else's words; what leaves is ECS in the order and the bytes of
``encode.ecs``: names by a table (``names.toml``), values by kinds, secrets and names of users taken out.
"""
