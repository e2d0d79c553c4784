"""Requests coming in: the middlewares for ASGI and WSGI, and how Starlette, FastAPI and Flask are put on them."""
