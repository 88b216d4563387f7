"""A recording HTTPS proxy for the real AI CLIs: an addon of mitmdump (mitmproxy.org).

    mitmdump -q -s record_proxy.py --set record_dir=DIR --set confdir=DIR \
        --set connection_strategy=lazy --mode regular@127.0.0.1:0 --mode regular@127.0.0.2:0 ...

It prints one JSON line, {"ports": {"127.0.0.1": N, ...}}, and serves until its standard input ends.
A test gives each run an address of its own, so that it knows whose requests it reads.

DIR/hosts/NAME.json makes NAME a host of the model API, and holds the turns of fake_model_api.py, which
answers for it; or {"close": true}, which breaks each connection. All other hosts answer 502. Nothing
leaves the machine.

DIR/ADDRESS.jsonl gets what came in by that address, a line each, before it is answered:
  {"connect": "host:port"}            a tunnel that was asked for, whatever went through it
  {"untrusted": "host", "why": "…"}   the client did not take the certificate
  {"method", "host", "path", "headers", "body", "hidden"}
                                      a request; `hidden` is what base64 in it says
  {"host", "message", "hidden"}       a message of a WebSocket or of another protocol
"""
import base64
import json
import pathlib
import re
import sys
import threading

from mitmproxy import ctx, http

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fake_model_api  # noqa: E402  it stands beside this file

BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")


def hidden(text):
    """What words of base64 say: those of HTTP Basic, of JSON web tokens."""
    found = []
    for word in BASE64.findall(text):
        data = base64.urlsafe_b64decode(word.replace("+", "-").replace("/", "_")[: len(word) // 4 * 4 ])
        said = data.decode("utf-8", "ignore")
        if said.isprintable():
            found.append(said)
    return found


class Record:
    def __init__(self):
        self.lock, self.apis = threading.Lock(), {}

    def load(self, loader):
        loader.add_option("record_dir", str, "", "Where the records go")

    def running(self):
        addresses = ctx.master.addons.get("proxyserver").listen_addrs()
        print(json.dumps({"ports": {address[0]: address[1] for address in addresses}}), flush=True)
        threading.Thread(target=self.end_with_stdin, args=(ctx.master,), daemon=True).start()

    @staticmethod
    def end_with_stdin(master):
        sys.stdin.read()
        master.event_loop.call_soon_threadsafe(master.shutdown)

    def write(self, client, entry):
        path = pathlib.Path(ctx.options.record_dir) / f"{client.sockname[0]}.jsonl"
        with self.lock, open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def api(self, host):
        """The port of the model API that a host is, or its script where it is none that answers."""
        if host not in self.apis:
            path = pathlib.Path(ctx.options.record_dir) / "hosts" / f"{host}.json"
            script = json.loads(path.read_text()) if path.is_file() else None
            if isinstance(script, list):
                script = self.answering(script)
            self.apis[host] = script
        return self.apis[host]

    @staticmethod
    def answering(turns):
        """The port of a model API. mitmproxy takes a connection to a port for one to itself if it listens on that
        port at any address, so such a port is left alone."""
        addresses = ctx.master.addons.get("proxyserver").listen_addrs()
        taken = {address[1] for address in addresses}
        while (port := fake_model_api.FakeApi(turns).__enter__().port) in taken:
            pass
        return port

    def http_connect(self, flow):
        self.write(flow.client_conn, {"connect": f"{flow.request.host}:{flow.request.port}"})

    def tls_failed_client(self, data):
        conn = data.context.client
        self.write(conn, {"untrusted": conn.sni or "", "why": conn.error or ""})

    def request(self, flow):
        request = flow.request
        host, body = request.pretty_host, request.get_text(strict=False) or ""
        headers = [[name, value] for name, value in request.headers.items(multi=True)]
        whole = "\n".join([request.path, *(value for _, value in headers), body])
        self.write(flow.client_conn, {"method": request.method, "host": host, "path": request.path,
                                      "headers": headers, "body": body, "hidden": hidden(whole)})
        api = self.api(host)
        if isinstance(api, int):
            request.scheme, request.host, request.port = "http", "127.0.0.1", api
        elif api:
            flow.kill()
        else:
            flow.response = http.Response.make(502, b"no such host")

    def message(self, flow, data):
        text = data.decode("utf-8", "replace")
        self.write(flow.client_conn, {"host": flow.server_conn.address[0] if flow.server_conn.address else "",
                                      "message": text, "hidden": hidden(text)})

    def websocket_message(self, flow):
        if flow.websocket.messages[-1].from_client:
            self.message(flow, flow.websocket.messages[-1].content)

    def tcp_message(self, flow):
        if flow.messages[-1].from_client:
            self.message(flow, flow.messages[-1].content)


addons = [Record()]
