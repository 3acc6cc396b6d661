"""The peers have their own environment (requirements.txt), because they need transformers below 5.

Elsewhere nothing in this folder is collected, and `pytest tests/peers` fails there with "no tests ran".
"""

from importlib.util import find_spec

PEERS = ("colbert_export", "optimum", "pylate", "voyager")

collect_ignore = [] if all(map(find_spec, PEERS)) else ["test_interop.py"]
