"""Files of other loggers into a spool: found, cut into lines, numbered, written, and remembered.

What enters are names of files; what leaves are segments like any writer's, one instance for each file, and a bookmark
by which the next run goes on. Whoever is killed in between loses nothing and doubles nothing.
"""
