"""Serves the packages on loopback, some of them as bad servers do. The first argument is the directory."""
import http.server
import pathlib
import socketserver
import sys

DIRECTORY = pathlib.Path(sys.argv[1])


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, way, name = self.path.split("/", 2)
        if way == "redirect":
            self.send_response(302)
            self.send_header("Location", f"/good/{name}")
            self.end_headers()
            return
        if way == "missing":
            self.send_error(404)
            return
        body = (DIRECTORY / name).read_bytes()
        length = len(body)
        if way == "html":
            body = b"<!DOCTYPE html><html>Please log in</html>"
            length = len(body)
        elif way == "wrong":
            body = body[:-1] + bytes([body[-1] ^ 1])
        elif way == "cut":
            body = body[: length // 2]
        elif way == "short":
            body = body[: length // 2]
            length = len(body)
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# `http.server`'s own class asks for the name of the address.
socketserver.ThreadingTCPServer.daemon_threads = True
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server)
print(server.server_address[1], flush=True)
server.serve_forever()
