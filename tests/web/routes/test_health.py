from app.explorer.visits.health import Health
from app.web.routes import health


def test_alive_and_ready(client):
    assert client.get("/livez").json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["worker"] == "alive"
    assert ready.headers["Cache-Control"] == "no-store"


def test_trouble_is_503(client, monkeypatch):
    monkeypatch.setattr(health, "check_health", lambda r: Health(False, {"worker": "stopped"}))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "worker": "stopped"}
