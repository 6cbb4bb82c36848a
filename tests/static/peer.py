"""The other side of tests/static/run.sh, outside the empty root but in the same network.

  peer.py tls FOLDER      serves a backend over TLS with the certificates good, other and name; prints the ports
  peer.py health URL      waits until URL/health answers
  peer.py demo FILE       waits until an agent has answered in the demo whose output is FILE
"""

import http.server
import json
import ssl
import sys
import threading
import time
import urllib.request

SECONDS_MAX = 60
# Proxies of the environment do not apply to this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers every function call with success."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"status": "success", "value": {"orchestratorAgentId": None}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def tls(folder):
    ports = []
    for name in ("good", "other", "name"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
        # The handshake runs on the first read, so that a refused one does not stop the accept loop.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports.append(server.server_port)
    print(*ports, flush=True)
    threading.Event().wait()


def wait_for(what, question):
    """Asks until the answer is true. A connection that is refused counts as false."""
    until = time.monotonic() + SECONDS_MAX
    seen = None
    while time.monotonic() < until:
        try:
            answer = question()
            if answer:
                return answer
        except OSError as error:
            seen = error
        time.sleep(0.05)
    sys.exit(f"{what}: not within {SECONDS_MAX} s ({seen})")


def health(url):
    began = time.monotonic()

    def ask():
        with OPENER.open(f"{url}/health", timeout=5) as answer:
            return answer.status

    status = wait_for("/health", ask)
    print(f"/health {status} after {time.monotonic() - began:.2f} s")


def demo(file):
    began = time.monotonic()

    def printed():
        with open(file, encoding="utf-8") as lines:
            pairs = dict(line.strip().split("=", 1) for line in lines if "=" in line)
        return pairs if pairs.get("ADMIN_KEY") else None

    said = wait_for("the demo's output", printed)
    page = said["CONVEX_URL"]

    def post(path, body, headers):
        request = urllib.request.Request(f"{page}{path}", json.dumps(body).encode(), headers)
        request.add_header("Content-Type", "application/json")
        return OPENER.open(request, timeout=5)

    with OPENER.open(page, timeout=5) as answer:
        assert b"<html" in answer.read(), "no page"
    seconds_to_page = time.monotonic() - began
    with post("/login", {"key": said["ADMIN_KEY"]}, {}) as answer:
        headers = {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}
        headers["X-Mission-Control"] = json.load(answer)["proof"]

    def board(arguments):
        arguments["accountId"] = said["ACCOUNT_ID"]
        call = {"path": "board:snapshot", "args": arguments, "format": "json"}
        with post("/api/query", call, headers) as answer:
            return json.load(answer)["value"]

    def answers():
        """The answers of agents, each with its author and task, by content."""
        found = {}
        for task in board({})["tasks"]:
            for item in board({"taskId": task["_id"]})["task"]["thread"]:
                if item.get("authorType") == "agent":
                    found[item["content"]] = f"{item['authorName']} on “{task['title']}”"
        return found

    # The team begins with answers in its data.
    seeded = answers()
    who = wait_for("an answer of an agent", lambda: [who for text, who in answers().items() if text not in seeded])[0]
    print(f"answered by {who}: page after {seconds_to_page:.2f} s, answer after {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    {"tls": tls, "health": health, "demo": demo}[sys.argv[1]](sys.argv[2])
