"""A Flask application that has never heard of clusterlog."""

import logging

from flask import Flask

log = logging.getLogger("shop.api")
app = Flask(__name__)
log.info("module loaded")


@app.get("/ok")
def ok():
    """Answer."""
    log.info("in the view")
    log.debug("too quiet to be told")
    return "fine"


@app.get("/boom")
def boom():
    """Fail."""
    log.warning("about to fail")
    raise RuntimeError("bang")
