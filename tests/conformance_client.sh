#!/usr/bin/env bash
# aiw as the client of one scenario of the conformance suite: logs in with a browser whose user agrees to everything, calls a tool,
# and logs in for more where the answer says so.
#
# conformance_client.sh AIW URL
set -u
aiw=$1 url=$2
HOME=$(mktemp -d)
trap 'rm -rf "$HOME"' EXIT
export HOME AIW_HOME="$HOME/aiw" BROWSER="$HOME/browser"
printf '#!/bin/sh\nexec curl -sL -b "" "$1" >/dev/null 2>&1\n' >"$BROWSER"
chmod +x "$BROWSER"

given() { # a field of what the suite tells a client
    python3 -c 'import json, os, sys; print(json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}").get(sys.argv[1], ""))' "$1"
}
client=()
if [ -n "$(given client_id)" ]; then
    given client_secret | "$aiw" secret set client
    client=(--client-id "$(given client_id)" --client-secret client)
fi
call() { "$aiw" mcp call server test-tool '{}' 2>&1; }

"$aiw" mcp add server --url "$url" --no-check
call
timeout 20 "$aiw" mcp login server "${client[@]}"
said=$(call)
more=$(grep -o 'mcp login server --scope[^`]*' <<<"$said" | head -1)
if [ -n "$more" ]; then
    read -ra more <<<"$more"
    timeout 20 "$aiw" "${more[@]}"
    call
fi
exit 0
