"""Replaces {{PROGRAM}} under everything of it that runs, and looks whether something is lost. The arguments are the command
that installs the newer package. Runs as root, and everything of {{PROGRAM}} as the user `me`."""
import contextlib
import http.server
import json
import os
import pathlib
import signal
import socketserver
import subprocess
import sys
import threading
import time

HOME = pathlib.Path("/home/me")
WORK = HOME / "work"
GO = WORK / "go"
ENVIRONMENT = {
    "HOME": str(HOME),
    "USER": "me",
    "LC_ALL": "C.UTF-8",
    "PATH": f"{HOME}/.local/bin:{os.environ['PATH']}",
    "AIW_RUNTIME_DIR": str(HOME / "run"),
    "THE_KEY": "sk-of-nobody",
}
AS_ME = ["setpriv", "--reuid=me", "--regid=me", "--clear-groups"]
PATIENCE = 60

# Runs its prompt as a script, between the lines that Claude Code begins and ends with.
CLAUDE = """#!/bin/sh
if [ "$1" = --version ]; then echo "2.1.0 (Claude Code)"; exit 0; fi
echo '{"type":"system","subtype":"init","session_id":"one"}'
cat >"$HOME/work/prompt.$$"
. "$HOME/work/prompt.$$"
echo '{"type":"result","is_error":false,"result":"Done.","session_id":"one"}'
"""

# Asks the model of the run it is in, until somebody answers, and prints the answer.
ASK = """python3 - <<'PY'
import json, os, time, urllib.request
body = json.dumps({"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]})
headers = {"authorization": "Bearer " + os.environ["ANTHROPIC_AUTH_TOKEN"], "content-type": "application/json"}
for _ in range(300):
    try:
        url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
        answer = urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers))
        print("the model says " + json.load(answer)["content"][0]["text"], flush=True)
        break
    except urllib.error.HTTPError as error:
        print(error.code, error.read(), flush=True)
        break
    except OSError:
        time.sleep(0.1)
PY
"""

WAIT = f"while [ ! -e {GO} ]; do sleep 0.05; done\n"


def fail(what):
    sys.exit(f"error: replaced: {what}")


def check(good, what):
    if not good:
        fail(what)


def until(what, look):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    fail(f"in vain waited for: {what}")


def aiw(*words, code=0):
    done = subprocess.run(
        AS_ME + ["{{PROGRAM}}", "--json", *words], cwd=WORK, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    check(done.returncode == code, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def started(script, *words):
    return aiw("claude", script, "--detach", *words)["task"]["id"]


def task(id):
    return aiw("task", "show", id)["task"]


def log(id):
    return pathlib.Path(task(id)["log"]).read_text()


def web(but=None):
    """Returns the process's id, once it runs and has another than this one."""
    def look():
        [web] = [one for one in aiw("ps")["processes"] if one["id"] == "web"]
        return web["state"] == "running" and web.get("pid") != but and web.get("pid")
    return until("the process", look)


def line_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def pids(*words):
    all_pids = [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in all_pids if line_of(pid)[1:1 + len(words)] == [word.encode() for word in words]]


class Model(http.server.BaseHTTPRequestHandler):
    """Answers as OpenAI's chat completions."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        parts = [
            {"delta": {"role": "assistant", "content": "hello"}},
            {"delta": {}, "finish_reason": "stop"},
        ]
        events = [{"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, **part}]} for part in parts]
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Session:
    """A client of `mcp serve`."""

    def __init__(self):
        self.process = subprocess.Popen(
            AS_ME + ["{{PROGRAM}}", "mcp", "serve", "--toolsets", "tasks,processes,workflows"], cwd=WORK, env=ENVIRONMENT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True, bufsize=1)
        self.id = 0
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "check", "version": "1"}}
        self.ask("initialize", hello)
        self.say({"method": "notifications/initialized"})

    def say(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.id += 1
        self.say({"id": self.id, "method": method, "params": params})
        while True:
            line = self.process.stdout.readline()
            check(line, f"the session ended before it answered {method}")
            message = json.loads(line)
            if message.get("id") == self.id:
                check("result" in message, f"{method}: {line}")
                return message["result"]

    def call(self, tool, **arguments):
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        check(not result.get("isError"), f"{tool}: {result}")
        return result.get("structuredContent") or result["content"][0]["text"]

    def leave(self):
        self.process.stdin.close()
        check(self.process.wait(PATIENCE) == 0, "the session ended with an error")


def is_replaced(pid):
    return os.readlink(f"/proc/{pid}/exe").endswith(" (deleted)")


def main(install):
    for directory in [WORK, HOME / "run"]:
        directory.mkdir(mode=0o700, exist_ok=True)
    (HOME / ".local/bin").mkdir(parents=True, exist_ok=True)
    (HOME / ".local/bin/claude").write_text(CLAUDE)
    (HOME / ".local/bin/claude").chmod(0o755)
    subprocess.run(["chown", "-R", "me:me", str(HOME)], check=True)
    # `http.server`'s own class asks for the name of the address.
    model = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Model)
    model.daemon_threads = True
    threading.Thread(target=model.serve_forever, daemon=True).start()
    url = f"openai=http://127.0.0.1:{model.server_address[1]}/v1"
    aiw("provider", "add", "up", "--api", "chat-completions", "--token-env", "THE_KEY", "--no-scrub-env", "--preset",
        "custom", "--base-url", url, "--model", "m")

    ends = started(f"{WAIT}echo the end; exit 3")
    asks = started(f"{ASK}{WAIT}{ASK}", "-p", "up")
    stays = started("exec sleep 1000")
    aiw("process", "add", "web", "--restart", "always", "--", "sh", "-c", "echo up; exec sleep 1000")
    aiw("up", "--detach", "--yes")
    session = Session()
    of_session = session.call("start_task", ai_type="claude", task=f"{WAIT}echo of the session")["task"]["id"]
    until("the model", lambda: "the model says hello" in log(asks))
    old = web()
    address = aiw("gateway", "status")["url"]
    [server], [gateway] = pids("mcp", "serve"), pids("gateway", "serve", "--runs")
    before = pids("shim")
    check(len(before) == 6, f"six supervisors, not {before}")

    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    check(all(is_replaced(pid) for pid in [server, gateway, *before]), "something runs from the newer file already")

    # The session starts {{PROGRAM}} again, from a file that has no path any more. What a task of it starts is below it.
    nested = session.call("start_task", ai_type="claude", task="{{PROGRAM}} claude --detach 'echo nested'")["task"]
    done = session.call("wait_task", id=nested["id"], timeout_seconds=45)
    check(done["standing"] == "succeeded", f"a task of the session: {done}")
    tasks = session.call("list_tasks", all=True)["tasks"]
    [inner] = [one for one in tasks if one["prompt"] == "echo nested"]
    check(inner["root_pid"] == nested["root_pid"], f"another session than {nested}: {inner}")
    said = session.call("run_workflow", code="return 6 * 7")
    check("42" in json.dumps(said), f"a script of the session: {said}")
    session.call("create_process", id="late", command="sleep", args=["1000"])
    session.call("start_process", id="late")
    session.call("stop_process", id="late")

    # A process that dies is started again by its supervisor, and by who asks for it.
    os.kill(old, signal.SIGKILL)
    again = web(but=old)
    aiw("restart", "web", "--yes")
    web(but=again)
    aiw("down")

    # So is the gateway, on its address, also where its supervisor is gone.
    os.kill(gateway, signal.SIGKILL)
    [gateway] = until("the gateway", lambda: [pid for pid in pids("gateway", "serve", "--runs") if pid != gateway])
    until("the gateway's address", lambda: aiw("gateway", "status")["url"] == address)
    parent = int(pathlib.Path(f"/proc/{gateway}/stat").read_text().rsplit(") ")[1].split()[1])
    os.kill(parent, signal.SIGKILL)
    # It ends with its supervisor, if that is seen in time.
    with contextlib.suppress(ProcessLookupError):
        os.kill(gateway, signal.SIGKILL)

    GO.touch()
    for id, text in [(ends, "the end"), (asks, "the model says hello"), (of_session, "of the session")]:
        until(f"the end of a task: {text}", lambda: task(id)["state"] == "ended")
        check(text in log(id), f"no `{text}` in: {log(id)}")
    ended = task(ends)
    check((ended["outcome"], ended["exit_code"]) == ("failed", 3), f"the end of a task: {ended}")
    check(log(asks).count("the model says hello") == 2, f"the model was not asked twice: {log(asks)}")
    check(aiw("stop", stays) and task(stays)["state"] == "ended", "a task was not stopped")
    new = started("echo new")
    until("a new task", lambda: task(new)["outcome"] == "succeeded")
    session.leave()
    until("the end of all", lambda: not pids("shim"))


main(sys.argv[1:])
