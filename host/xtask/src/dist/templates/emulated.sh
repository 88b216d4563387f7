#!/bin/sh
# Uses {{PROGRAM}} in a system of another processor. Runs as root in a system that is thrown away.
set -eu

export LC_ALL=C.UTF-8 HOME=/srv AIW_RUNTIME_DIR=/srv/run
mkdir -m 700 /srv/run

say() { printf '   %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

dpkg --install /dist/{{PROGRAM}}_{{VERSION}}_"$DEB".deb >/dev/null
[ "$({{PROGRAM}} --version)" = '{{PROGRAM}} {{VERSION}}' ] || fail "another version"
say "version"
mkdir -p /srv/market/.claude-plugin
printf '{"name": "here", "owner": {"name": "me"}, "plugins": []}\n' >/srv/market/.claude-plugin/marketplace.json
{{PROGRAM}} plugin marketplace add /srv/market >/dev/null || fail "a component's call"
say "a component's call"
cd /srv
echo 'return 6 * 7' >six.js
{{PROGRAM}} workflow save six six.js --description Six >/dev/null
{{PROGRAM}} workflow approve six --yes >/dev/null 2>&1
[ "$({{PROGRAM}} workflow run six)" = 42 ] || fail "a script"
say "a script"
cat >/usr/local/bin/claude <<'END'
#!/bin/sh
echo '{"type":"system","subtype":"init","session_id":"one"}'
echo '{"type":"result","is_error":false,"result":"Done by a task.","session_id":"one"}'
END
chmod 755 /usr/local/bin/claude
[ "$({{PROGRAM}} claude "anything")" = "Done by a task." ] || fail "a task"
{{PROGRAM}} claude --detach "more" >/dev/null || fail "a task in the background"
{{PROGRAM}} wait >/dev/null || fail "the end of a task in the background"
say "a task, and one in the background"
