"""A script that goes through every way to configure the standard library's logging."""

import logging
import logging.config
import sys
import warnings

log = logging.getLogger("shop.script")

log.info("before any configuration")
log.warning("for the handler of last resort")
logging.basicConfig(format="BASIC %(levelname)s %(message)s")
log.info("not for a console at WARNING")
log.error("order %s failed", 7, extra={"sku": "a9"})
logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"f": {"format": "DICT %(message)s"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
        "root": {"handlers": ["h"], "level": "DEBUG"},
        "loggers": {"shop.apart": {"handlers": ["h"], "propagate": False}},
    }
)
log.debug("for a console at DEBUG")
logging.getLogger("shop.apart").info("apart from the root logger")
warnings.warn("careful", stacklevel=1)
print("root handlers:", len(logging.root.handlers), "level:", logging.root.level)
try:
    raise KeyError("k")
except KeyError:
    log.exception("caught")
sys.exit("the end")
