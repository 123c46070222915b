"""Who may ask: over raw sockets, as no library would let us."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.view.cli.listening import is_loopback
from otel_agentlog.view.server import create_app, make_router, read_or_make_token
from otel_agentlog.view.server.limits import Limits
from tests.support.waiting import wait_until
from tests.view.server.conftest import TOKEN, client_of
from tests.view.server.served import Served, received, status_of

GOOD = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "",
        "[::1",
        "localhost@evil.example",
        "2130706433",
        "0",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/tasks", "/web/main.js", "/metrics"])
def test_a_foreign_host_is_refused(served: Served, host: str, path: str) -> None:
    """A name that was made to point here (DNS rebinding) gets nothing, not even the page."""
    assert status_of(served.ask(f"GET {path}", {"Host": host})) in (400, 403)


def test_two_hosts_are_refused(served: Served) -> None:
    """Which of two was meant, nobody may choose."""
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"

    assert status_of(served.raw(request.encode())) in (400, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_are_refused(served: Served, headers: dict[str, str]) -> None:
    """A page that is not ours can make a browser ask (CSRF); it gets no answer and changes nothing."""
    assert status_of(served.ask("GET /api/tasks", headers)) == 403
    assert status_of(served.ask("POST /api/tasks/task-paused/control", {**headers, **served.headers})) == 403


def test_our_own_page_may_ask(served: Served) -> None:
    """The origin of the page itself passes."""
    origin = {"Origin": f"http://127.0.0.1:{served.port}", "Sec-Fetch-Site": "same-origin"}

    assert status_of(served.ask("GET /api/tasks", origin)) == 200


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic dDp0", "Bearer tt\xff", f"Token {TOKEN}"]
)
def test_changing_anything_needs_the_token(served: Served, authorization: str | None) -> None:
    """Without it, or with another one, nothing is asked of a task."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = served.ask("POST /api/tasks/task-paused/control", {**headers, "Content-Length": "18"}, b'{"action":"pause"}')

    assert status_of(answer) == 401
    assert b'www-authenticate: bearer realm="agentlog"' in answer.lower()
    assert not (served.root / "task-paused" / "control.jsonl").exists()


def test_other_hosts_need_the_token_to_read(stories: Path) -> None:
    """Whoever comes from another address shows the token, however the server was started."""
    app = create_app(stories, token=TOKEN)
    stranger = TestClient(app, base_url="http://localhost", client=("192.0.2.7", 50000))

    assert stranger.get("/api/tasks").status_code == 401
    assert stranger.get("/metrics").status_code == 401
    assert stranger.get("/api/tasks", headers=GOOD).status_code == 200
    assert stranger.get("/").status_code == 200, "the page itself says nothing about tasks"


def test_reading_can_need_the_token_everywhere(stories: Path) -> None:
    """With ``--require-token`` clients of this host show it, too."""
    client = client_of(stories, reads_need_token=True)

    assert client.get("/api/overview").status_code == 401
    assert client.get("/api/overview", headers=GOOD).status_code == 200


def test_nothing_is_allowed_without_a_token_to_show(tmp_path: Path) -> None:
    """An application that allows control and has no token is not made."""
    with pytest.raises(ConfigurationError, match="token"):
        create_app(tmp_path, allow_control=True)


@pytest.mark.parametrize(
    "path",
    [
        "/web/../../../../../../etc/passwd",
        "/web/..%2f..%2f..%2fetc%2fpasswd",
        "/web/%2e%2e/cli.py",
        "/web/main.js/../../cli.py",
        "/api/tasks/..%2f..%2fetc/logs/metadata",
        "/api/tasks/%2e%2e/logs/metadata",
        "/api/tasks/%2fetc%2fpasswd/logs/metadata",
        "/api/tasks/../../etc/passwd",
        "/api/tasks/x%00y/logs/metadata",
        "/api/tasks/task-review42/logs/..%2fmetadata.json",
        "/api/tasks/task-review42/artifacts/..%2fmetadata.json",
        "/api/tasks/.server-token/logs/metadata",
        "//etc/passwd",
    ],
)
def test_no_path_leads_out(served: Served, path: str) -> None:
    """Whatever stands in the address, nothing but tasks and the page's files is read."""
    answer = served.ask(f"GET {path}")

    assert status_of(answer) in (400, 404, 422)
    assert b"root:" not in answer
    assert served.token.encode() not in answer


def test_a_folder_elsewhere_is_no_task(served: Served, tmp_path: Path, stories: Path) -> None:
    """The path of a real task's folder, which the command line understands, is not understood here."""
    path = str(stories / "task-review42").replace("/", "%2f")

    assert status_of(served.ask(f"GET /api/tasks/{path}/logs/metadata")) == 404


@pytest.mark.parametrize(
    ("line", "headers", "statuses"),
    [
        ("GET /api/tasks?q=" + "a" * 5000, {}, {414}),
        ("GET /" + "a" * 5000, {}, {414}),
        ("GET /api/tasks?q=" + "a" * 100_000, {}, {0, 400, 414, 431}),
        ("GET /api/tasks", {"X-Large": "a" * 200_000}, {0, 400, 431}),
        ("GET /api/tasks?" + "&".join(f"x{n}=1" for n in range(600)), {}, {414, 422}),
        ("GET /api/tasks?q=" + "%20a" * 120, {}, {200}),
        ("GET /api/tasks?offset=" + "9" * 400, {}, {422}),
        ("GET /api/tasks?min_cost_usd=1e999", {}, {422}),
        ("GET /api/tasks?since=99999999999999999w", {}, {422}),
        ("POST /api/tasks/last/control", {"Content-Length": "99999999999"}, {413}),
        ("POST /api/tasks/last/control", {"Content-Length": "-1"}, {400, 413}),
        ("DELETE /api/tasks/last", {}, {401, 405}),
        ("GET /api/tasks/" + "a" * 600, {}, {400, 404, 422}),
    ],
)
def test_huge_and_strange_questions_are_refused(served: Served, line: str, headers: dict[str, str], statuses: set[int]) -> None:
    """Nothing that is too large, too many or of no use is looked at."""
    assert status_of(served.ask(line, headers)) in statuses


def test_a_body_without_end_is_cut_off(served: Served) -> None:
    """A body that says nothing about its length is read no further than allowed."""
    head = f"POST /api/tasks/last/control HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nTransfer-Encoding: chunked\r\n"
    head += f"Content-Type: application/json\r\nAuthorization: Bearer {served.token}\r\nConnection: close\r\n\r\n"
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"

    assert status_of(served.raw(head.encode() + chunk * 5)) == 413


@pytest.mark.parametrize("request_bytes", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"\r\n" * 40_000])
def test_what_is_no_http_is_answered_so(served: Served, request_bytes: bytes) -> None:
    """Bytes of another protocol end in a refusal, or in none; the server goes on."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as link:
        link.sendall(request_bytes)
        answer = received(link)

    assert status_of(answer) in (0, 400, 403)
    assert served.get("api/about").status_code == 200


def test_who_sends_no_request_is_let_go(served: Served) -> None:
    """A connection that keeps its request to itself is closed; others are served in the meantime."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert served.get("api/about").status_code == 200
        assert received(slow) == b""


def test_many_slow_clients_leave_room_for_others(served: Served) -> None:
    """A hundred connections that say nothing keep nobody out."""
    slow = [socket.create_connection(("127.0.0.1", served.port), timeout=60) for _ in range(100)]
    try:
        assert served.get("api/tasks").status_code == 200
    finally:
        for link in slow:
            link.close()


@pytest.mark.parametrize("path", ["/", "/web/main.js", "/api/tasks", "/metrics", "/nothing"])
def test_every_answer_tells_browsers_what_they_may(client: TestClient, path: str) -> None:
    """No inline script, no frame, no guessing of types, no referrer, and no other site."""
    headers = client.get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control-")]


def test_the_token_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """It is made once, with mode 0600, and read again by the next start."""
    path = tmp_path / "new" / "token"
    token = read_or_make_token(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"[\w-]{43}", token)
    assert read_or_make_token(path) == token
    assert [each.name for each in path.parent.iterdir()] == ["token"]


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """So are a symlink, an empty file and a folder."""
    read_or_make_token(tmp_path / "good")
    (tmp_path / "open").write_text("x" * 43)
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "link").symlink_to(tmp_path / "good")
    (tmp_path / "empty").touch(mode=0o600)
    (tmp_path / "folder").mkdir(mode=0o700)

    for name in ("open", "link", "empty", "folder"):
        with pytest.raises(ConfigurationError, match="token-file"):
            read_or_make_token(tmp_path / name)


def test_a_router_in_another_application_checks_too(stories: Path) -> None:
    """An application of the user's own gets the endpoints with the same checks."""
    app = FastAPI()
    app.include_router(make_router(stories, token=TOKEN, allow_hosts=["agents.example"]), prefix="/agentlog")
    client = TestClient(app, base_url="http://agents.example", client=("127.0.0.1", 50000))

    assert client.get("/agentlog/api/tasks").json()["rows"]
    assert client.get("/agentlog/api/tasks", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/agentlog/api/tasks", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post("/agentlog/api/tasks/last/control", json={"action": "pause"}).status_code == 401


def test_the_application_can_be_mounted(stories: Path) -> None:
    """Below any path it serves page and data, and checks who asks."""
    app = FastAPI()
    app.mount("/agentlog", create_app(stories, token=TOKEN))
    client = TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50000))

    assert "<title>agentlog</title>" in client.get("/agentlog/").text
    assert client.get("/agentlog/api/tasks").json()["rows"]
    stranger = TestClient(app, base_url="http://localhost", client=("192.0.2.7", 50000))
    assert stranger.get("/agentlog/api/tasks").status_code == 401


@pytest.mark.parametrize(
    ("host", "known"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("agents.example", False)],
)
def test_only_the_loopback_is_no_other_host(host: str, known: bool) -> None:
    """Reading without a token is for addresses that no other host can reach."""
    assert is_loopback(host) is known


def test_the_server_ends_on_a_signal_while_somebody_listens(stories: Path, tmp_path: Path) -> None:
    """A live stream does not hold up the end."""
    with Served(stories, tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), timeout=60) as link:
        link.sendall(f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert b"200 OK" in link.recv(65536)
        server._process.stop()
        wait_until(lambda: not server._process.running, "the server to end", timeout_s=60)

        assert "Traceback" not in server.log()


def test_head_is_answered_as_get_is_without_a_body(served: Served) -> None:
    """As checks of ``curl -I`` and of load balancers have it: page, files, REST, refusals, and streams, which end at once."""
    for path in (
        "",
        "web/main.js",
        "metrics",
        "api/tasks",
        "api/overview",
        "api/openapi.json",
        "api/nothing",
        "api/tasks?limit=x",
    ):
        got = served.get(path)
        status, head, body = _parts(served.ask(f"HEAD /{path}"))
        assert (status, body) == (got.status_code, b""), path
        assert head["content-type"] == got.headers["content-type"], path
        assert head.get("etag") == got.headers.get("etag"), path
        assert head["x-frame-options"] == "DENY", path
    more_than_may_be_open = Limits().streams + 3
    for path in ("/api/live", "/api/tasks/task-paused/stream"):
        for _ in range(more_than_may_be_open):
            status, head, body = _parts(served.ask(f"HEAD {path}"))
            assert (status, head["content-type"], body) == (200, "text/event-stream; charset=utf-8", b"")
    assert status_of(served.ask("HEAD /api/tasks", {"Host": "evil.example"})) == 403
    assert "Traceback" not in served.log()


def _parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:])
    return status_of(answer), {name.lower(): value for name, _, value in lines}, body
