import json

import pytest

from app.web.api.snapshot import SNAPSHOT, read_snapshot


@pytest.mark.parametrize(("root_path", "servers"), [("", None), ("/lens", [{"url": "/lens"}])])
def test_the_file_is_served_with_the_path_of_the_proxy(serve, data, root_path, servers):
    served = serve(data, "tiny", root_path=root_path).get("/openapi.json").json()
    assert served.pop("servers", None) == servers
    assert served == json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert "servers" not in read_snapshot()
