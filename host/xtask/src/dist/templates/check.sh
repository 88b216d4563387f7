#!/bin/sh
# Installs each package of {{PROGRAM}} in this system, uses it, and removes it. Runs as root in a system that is thrown away.
set -eu

useradd --create-home --shell /bin/sh me
home=/home/me
export LC_ALL=C.UTF-8

say() { printf '   %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs a command as an ordinary user.
as_me() {
  setpriv --reuid=me --regid=me --clear-groups env -i HOME=$home USER=me LC_ALL=$LC_ALL PATH="$home/.local/bin:$PATH" \
    AIW_RUNTIME_DIR="$home/run" sh -c 'cd "$HOME" && exec "$@"' sh "$@"
}

# After a failure too, nothing runs on, which this system would wait for.
end() {
  [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
  as_me sh -c 'kill -9 -1' 2>/dev/null || true
}
trap end EXIT

# Uses what is installed, and leaves nothing in the home but ~/.aiw.
use() {
  program=$(as_me sh -c 'command -v {{PROGRAM}}')
  [ "$(as_me {{PROGRAM}} --version)" = '{{PROGRAM}} {{VERSION}}' ] || fail "$1: another version"
  took "$1"
  rm -rf $home/.aiw $home/run
  as_me mkdir -p .claude .codex .gemini run
  as_me sh -c 'printf "{\n  \"numStartups\": 3, \"mcpServers\": {}\n}\n" > .claude.json
    printf "# mine\nmodel = \"x\"\n" > .codex/config.toml
    printf "{ \"theme\": \"dark\" }\n" > .gemini/settings.json'
  before=$(as_me sh -c 'cat .claude.json .codex/config.toml .gemini/settings.json | sha256sum')
  as_me {{PROGRAM}} setup claude codex gemini --yes >/tmp/setup 2>&1 || { cat /tmp/setup; fail "$1: setup"; }
  [ "$before" != "$(as_me sh -c 'cat .claude.json .codex/config.toml .gemini/settings.json | sha256sum')" ] ||
    fail "$1: setup changed nothing"
  as_me {{PROGRAM}} setup claude codex gemini --undo --yes >/tmp/setup 2>&1 || { cat /tmp/setup; fail "$1: undo"; }
  [ "$before" = "$(as_me sh -c 'cat .claude.json .codex/config.toml .gemini/settings.json | sha256sum')" ] ||
    fail "$1: undo is not what was before"
  as_me sh -c 'echo "return 6 * 7" > six.js && {{PROGRAM}} workflow save six six.js --description Six' >/dev/null
  as_me {{PROGRAM}} workflow approve six --yes >/dev/null 2>&1
  [ "$(as_me {{PROGRAM}} workflow run six)" = 42 ] || fail "$1: a script"
  as_me {{PROGRAM}} doctor >/tmp/doctor 2>&1 || [ $? = 1 ] || { cat /tmp/doctor; fail "$1: doctor"; }
  as_me rm -rf .claude .codex .gemini .claude.json six.js run
  say "$1: $program is {{VERSION}}; setup, undo, a script, doctor"
}

# Nothing is left but ~/.aiw.
gone() {
  [ -z "$(as_me sh -c 'command -v {{PROGRAM}}' || true)" ] || fail "$1: still there"
  [ -d $home/.aiw ] || fail "$1: ~/.aiw is gone"
  left=$(find $home -mindepth 1 -path $home/.aiw -prune -o -type f -print | grep -v -e '/\.bash' -e '/\.profile$' || true)
  [ -z "$left" ] || fail "$1 left: $left"
  system=$(find / -xdev \( -path /proc -o -path /dev -o -path /dist -o -path /tmp \) -prune -o -type f -newer /tmp/start -print |
    grep -v -e '^/home/' -e '^/var/\(lib/dpkg\|log\|cache\|lib/apt\)' -e '^/etc/ld.so.cache' -e __pycache__ || true)
  [ -z "$system" ] || fail "$1 left: $system"
}

# How long it took from nothing installed to the first answer.
from_now() { since=$(date +%s%N); }
took() {
  hundredths=$((($(date +%s%N) - since) / 10000000))
  times="$times$(printf '%5d.%02d s  %s' $((hundredths / 100)) $((hundredths % 100)) "$1")
"
}
times=

begin() {
  touch /tmp/start
  sleep 1
}

begin
from_now
dpkg --install /dist/{{PROGRAM}}_{{VERSION}}_"$(dpkg --print-architecture)".deb >/dev/null
use deb
dpkg --verify {{PROGRAM}}
dpkg --purge {{PROGRAM}} >/dev/null
gone deb

begin
export npm_config_cache=/tmp/npm npm_config_update_notifier=false
npm_install="npm install --global --offline --no-audit --no-fund --loglevel=error"
npm_purge() {
  npm uninstall --global {{PROGRAM}} $(npm ls --global --parseable | sed -n 's|.*/\({{PROGRAM}}-linux-[a-z0-9]*\)$|\1|p') >/dev/null 2>&1
}
of_npm="/dist/{{PROGRAM}}-linux-$(node --print process.arch)-{{VERSION}}.tgz /dist/{{PROGRAM}}-{{VERSION}}.tgz"
for scripts in false true; do
  from_now
  $npm_install --ignore-scripts=$scripts $of_npm >/tmp/log 2>&1 || { cat /tmp/log; fail npm; }
  place=$(readlink -f "$(command -v {{PROGRAM}})")
  kind=$(head -c 4 "$place" | od -An -c | tr -d ' ')
  case $scripts-$kind in
    false-177ELF) what='npm, the binary in place of the launcher' ;;
    true-'#!/u') what='npm without scripts, through the launcher' ;;
    *) fail "npm: $place is $kind with --ignore-scripts=$scripts" ;;
  esac
  use "$what"
  npm_purge
  gone npm
done

begin
pip="python3 -m pip --disable-pip-version-check --no-cache-dir"
broken=$($pip install --help | grep -o -e --break-system-packages | head -n 1 || true)
of_pip=$(echo /dist/*-manylinux_*_"$(uname -m)".whl)
from_now
$pip install --quiet --no-index --root-user-action=ignore $broken "$of_pip" 2>/dev/null ||
  $pip install --quiet --no-index $broken "$of_pip"
use wheel
[ "$(as_me agentic-warden --version)" = '{{PROGRAM}} {{VERSION}}' ] || fail "wheel: agentic-warden"
$pip uninstall --quiet --yes $broken agentic-warden 2>/dev/null
gone wheel

begin
name={{PROGRAM}}-{{VERSION}}-$(uname -m)-unknown-linux-gnu
from_now
as_me mkdir -p .local/bin
as_me sh -c "tar -xzf /dist/$name.tar.gz && mv $name/{{PROGRAM}} .local/bin/ && rm -r $name"
use archive
as_me rm .local/bin/{{PROGRAM}}
gone archive

begin
python3 /serve.py /dist >/tmp/port &
server=$!
until [ -s /tmp/port ]; do sleep 0.1; done
port=$(cat /tmp/port)
for way in wrong cut short html missing; do
  if as_me env AIW_INSTALL_URL="http://127.0.0.1:$port/$way" sh /dist/install.sh >/tmp/log 2>&1; then
    fail "install.sh takes what is $way"
  fi
  say "install.sh, $way: $(tail -n 1 /tmp/log)"
  gone "install.sh, $way"
done
for way in good redirect; do
  from_now
  as_me env AIW_INSTALL_URL="http://127.0.0.1:$port/$way" sh /dist/install.sh >/tmp/log 2>&1 || { cat /tmp/log; fail "$way"; }
  use "install.sh, $way"
  as_me rm .local/bin/{{PROGRAM}}
  gone "install.sh, $way"
done
kill "$server"
server=

# The same binary with a higher version, in place of one under which everything runs.
newer=/tmp/newer
mkdir $newer
of_dpkg=/dist/{{PROGRAM}}_{{VERSION}}_$(dpkg --print-architecture).deb
dpkg --install "$of_dpkg" >/dev/null
dpkg-deb --raw-extract "$of_dpkg" $newer/deb
sed -i 's/^Version: /&1/' $newer/deb/DEBIAN/control
dpkg-deb --build -Znone $newer/deb $newer/deb.deb >/dev/null
replaced() {
  say_what=$1
  shift
  rm -rf $home/.aiw $home/work $home/run
  python3 /replaced.py "$@"
  say "replaced by $say_what: tasks, processes, the gateway and a session go on"
}
replaced dpkg dpkg --install $newer/deb.deb
[ "$(dpkg-query --show --showformat='${Version}' {{PROGRAM}})" = 1{{VERSION}} ] || fail "dpkg replaced nothing"
dpkg --purge {{PROGRAM}} >/dev/null
n=0
for tarball in $of_npm; do
  n=$((n + 1))
  mkdir $newer/$n
  tar -xzf "$tarball" -C $newer/$n
  sed -i 's/"{{VERSION}}"/"1{{VERSION}}"/' $newer/$n/package/package.json
  tar -czf $newer/$n.tgz -C $newer/$n package
done
for scripts in false true; do
  $npm_install --ignore-scripts=$scripts $of_npm >/dev/null 2>&1
  replaced "npm, --ignore-scripts=$scripts" $npm_install --ignore-scripts=$scripts $newer/1.tgz $newer/2.tgz
  npm ls --global --parseable --long | grep -q ':{{PROGRAM}}@1{{VERSION}}' || fail "npm replaced nothing"
  npm_purge
done

say "from nothing installed to the first answer:"
printf '%s' "$times"
