"""Only `make lowest` runs these tests, in an environment without the exporter."""

import os

collect_ignore_glob = [] if os.environ.get("LOWEST") else ["test_*.py"]
