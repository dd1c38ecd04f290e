"""Leave only DynamoDB in botocore's list of endpoints, of whose 1.2 MB every start would read each byte.

usage: cut_endpoints.py FILE
"""

import json
import sys
from pathlib import Path

path = Path(sys.argv[1])
endpoints = json.loads(path.read_text())
for partition in endpoints["partitions"]:
    partition["services"] = {"dynamodb": partition["services"]["dynamodb"]}
path.write_text(json.dumps(endpoints, separators=(",", ":")))
