"""What became of requests: logs and metrics. May import requests and scheduling/."""
