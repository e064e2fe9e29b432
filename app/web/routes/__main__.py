"""The command `python -m app.web.routes`, or `make openapi`: write the API's description to its file."""

import json

from app.web.api.description import describe
from app.web.api.snapshot import SNAPSHOT
from app.web.routes import ROUTERS

if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(describe(*ROUTERS), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
