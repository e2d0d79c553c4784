"""Safe on disk: bytes go in under a number and come out under the same number, whatever happened to the process.

What enters is a finished JSON document without its first members, which are numbered here; what leaves are records
(instance, sequence, bytes). The room knows bytes only: no event, no level, no network.
"""
