"""Bytes: what happened, as the ECS JSON document that will be stored.

Plain values take a short way; everything else is sanitized first. Whatever comes in, legal JSON goes out.
"""
