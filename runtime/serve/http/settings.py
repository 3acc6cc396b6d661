"""What the operator chooses about HTTP; what he chooses about scoring is the scheduler's."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """uds: a Unix socket instead of host and port. api_keys: a file with a key in each line. cors: origins whose pages
    may ask. max_body: in bytes. timeout, drain: seconds for one request, and after SIGTERM for those that were
    admitted. read_timeout: seconds for a client to send a body.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: Path | None = None
    api_keys: Path | None = None
    cors: tuple[str, ...] = ()
    max_documents: int = 10_000
    max_body: int = 32 << 20
    timeout: float = 60.0
    drain: float = 30.0
    read_timeout: float = 30.0
    tei_metrics: bool = False
