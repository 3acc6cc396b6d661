"""One line a request, for people or as JSON. No text of a request is ever logged."""

import json
import logging
import sys
import time
from typing import Any

from onnxrank.serve.observation.facts import Facts

_LOG = logging.getLogger("onnxrank.serve")
# Probes would hide the rest.
_SILENT = frozenset({"/health", "/health/live", "/health/ready", "/ping", "/metrics"})


def set_up(*, as_json: bool) -> None:
    """Send this server's and uvicorn's messages to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("onnxrank.serve", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log_request(facts: Facts) -> None:
    if facts.route in _SILENT and facts.status < 400:
        return
    fields: dict[str, Any] = {
        "request": facts.id,
        "route": facts.route,
        "status": facts.status,
        "milliseconds": round(1000 * facts.seconds, 1),
    }
    if facts.documents:
        fields |= {
            "documents": facts.documents,
            "truncated": facts.truncated,
            "tokens": facts.tokens,
            "queue_milliseconds": round(1000 * facts.timing.queue, 1),
        }
    text = " ".join(f"{name}={value}" for name, value in fields.items())
    _LOG.info(text, extra={"fields": fields})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        return json.dumps({"time": when, "level": record.levelname.lower(), **fields}, ensure_ascii=False)
