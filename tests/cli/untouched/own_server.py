"""A program that configures its logging and starts its own uvicorn."""

import logging.config
import sys

import uvicorn
from asgi_shop import app

CONFIG = {
    "version": 1,
    "formatters": {"short": {"format": "%(name)s says %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "short"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}

if __name__ == "__main__":
    logging.config.dictConfig(CONFIG | {"disable_existing_loggers": False})
    uvicorn.run(app, port=int(sys.argv[1]))
