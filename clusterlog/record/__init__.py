"""What happened: lines of native and standard loggers, warnings, uncaught exceptions, steps.

Calls of the application come in; what leaves goes through the one ``slot``, or, before ``start``, to standard logging.
This room never imports the encoder: it does not know what an event looks like as bytes.
"""
