"""Between reading and acknowledging: how much is sent at a time, to whom it is given, what each answer means.

What comes in are events, what leaves are their fates. The rules are pure; clock and chance are passed in.
"""
