"""Checks docker-compose.yml against the published schema of Compose files, which lies beside this program as it stands
at commit 170098b of https://github.com/compose-spec/compose-spec (Apache-2.0)."""

import json
import pathlib
import sys

import jsonschema
import yaml

schema = json.loads(pathlib.Path(__file__).with_name("compose-spec.json").read_text())
document = yaml.safe_load(pathlib.Path(sys.argv[1]).read_text())
found = list(jsonschema.Draft7Validator(schema).iter_errors(document))
for error in found:
    print("/".join(str(part) for part in error.path), error.message[:300])
named = {name for service in document["services"].values() for name in service.get("depends_on", [])}
unknown = sorted(named - document["services"].keys())
print(f"{sys.argv[1]}: {len(found)} faults, {len(document['services'])} services, unknown ones depended on: {unknown}")
sys.exit(1 if found or unknown else 0)
