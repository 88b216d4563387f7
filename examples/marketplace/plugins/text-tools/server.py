#!/usr/bin/env python3
"""An MCP server over standard input and output, without dependencies: one tool, `word_count`."""

import json
import sys

VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

WORD_COUNT = {
    "name": "word_count",
    "description": "Count the words, lines and characters of a text.",
    "inputSchema": {
        "type": "object",
        "properties": {"text": {"type": "string", "description": "The text to count"}},
        "required": ["text"],
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}


class RpcError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def answer(method, params):
    if method == "initialize":
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "text-tools", "version": "0.1.0"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [WORD_COUNT]}
    if method == "tools/call":
        if params.get("name") != "word_count":
            raise RpcError(-32602, f"unknown tool: {params.get('name')}")
        text = (params.get("arguments") or {}).get("text")
        if not isinstance(text, str):
            return {"content": [{"type": "text", "text": "`text` must be a string"}], "isError": True}
        counts = {"words": len(text.split()), "lines": len(text.splitlines()), "characters": len(text)}
        return {"content": [{"type": "text", "text": json.dumps(counts)}], "structuredContent": counts}
    # Newer clients probe with `server/discover` first and go on with `initialize` on this error.
    raise RpcError(-32601, f"method not found: {method}")


def reply(line):
    try:
        message = json.loads(line)
        request, method, params = message.get("id"), message["method"], message.get("params") or {}
    except (ValueError, KeyError, AttributeError):
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "not a JSON-RPC request"}}
    if request is None:
        return None  # a notification
    try:
        return {"jsonrpc": "2.0", "id": request, "result": answer(method, params)}
    except RpcError as error:
        return {"jsonrpc": "2.0", "id": request, "error": {"code": error.code, "message": str(error)}}


def main():
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    for line in sys.stdin:
        if line.strip() and (message := reply(line)) is not None:
            print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
