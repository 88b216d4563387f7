#!/bin/sh
# Installs {{PROGRAM}} {{VERSION}} as ~/.local/bin/{{PROGRAM}}: no root, and no change of your profile.
#
#   AIW_INSTALL_URL   the directory of a mirror, in place of the release's
#   AIW_INSTALL_DIR   where to install, in place of ~/.local/bin
#
# What comes is compared with the digest below before it is unpacked, wherever it comes from.
set -eu

version='{{VERSION}}'
release='{{RELEASE}}'

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

digest_of() {
  case $1 in
{{DIGESTS}}
  esac
}

# Prints the kind of archive that this system unpacks: the smaller one, where xz is installed.
kind() {
  # macOS has it in tar.
  if have xz || [ "$(uname -s)" = Darwin ]; then echo tar.xz; else echo tar.gz; fi
}

# Prints the name of this system.
detect() {
  case $(uname -m) in
    x86_64 | amd64) cpu=x86_64 ;;
    aarch64 | arm64) cpu=aarch64 ;;
    *) fail "there is no {{PROGRAM}} for this processor: $(uname -m)" ;;
  esac
  case $(uname -s) in
    Linux)
      need_glibc
      echo "$cpu-unknown-linux-gnu"
      ;;
    Darwin) echo "$cpu-apple-darwin" ;;
    *) fail "there is no {{PROGRAM}} for this system: $(uname -s)" ;;
  esac
}

need_glibc() {
  found=$(getconf GNU_LIBC_VERSION 2>/dev/null) ||
    fail "{{PROGRAM}} needs glibc {{GLIBC_MAJOR}}.{{GLIBC_MINOR}} or newer; this system has another C library, such as musl"
  found=${found#glibc }
  major=${found%%.*}
  minor=${found#*.}
  minor=${minor%%.*}
  if [ "$major" -lt {{GLIBC_MAJOR}} ] || { [ "$major" -eq {{GLIBC_MAJOR}} ] && [ "$minor" -lt {{GLIBC_MINOR}} ]; }; then
    fail "{{PROGRAM}} needs glibc {{GLIBC_MAJOR}}.{{GLIBC_MINOR}} or newer; this system has $found"
  fi
}

# fetch URL FILE: at most 128 MiB, and not for ever.
fetch() {
  # In blocks of 512 bytes, or of 1,024 in some shells.
  ulimit -f 262144 2>/dev/null || :
  if have curl; then
    # An address with https leads to no other.
    case $1 in https://*) only='=https' ;; *) only='=http,https' ;; esac
    curl --fail --silent --show-error --location --proto "$only" --speed-limit 1024 --speed-time 60 \
      --output "$2" "$1"
  else
    # wget follows https to http as well: the digest decides. A server that redirects may close the connection, which
    # wget would use again, once.
    set -- -q -T 60 -O "$2" "$1"
    if wget --help 2>&1 | grep -q -e --no-http-keep-alive; then set -- --tries=1 --no-http-keep-alive "$@"; fi
    wget "$@"
  fi
}

sha256_of() {
  if have sha256sum; then
    sha256sum <"$1" | cut -d ' ' -f 1
  elif have shasum; then
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  else
    fail "install sha256sum or shasum first"
  fi
}

main() {
  target=$(detect)
  kind=$(kind)
  wanted=$(digest_of "$target.$kind")
  [ -n "$wanted" ] || fail "there is no {{PROGRAM}} $version for $target"
  if [ -z "${AIW_INSTALL_DIR:-}" ] && [ -z "${HOME:-}" ]; then
    fail "\`HOME\` is not set: say where to install with AIW_INSTALL_DIR"
  fi
  directory=${AIW_INSTALL_DIR:-$HOME/.local/bin}
  [ ! -d "$directory/{{PROGRAM}}" ] || fail "$directory/{{PROGRAM}} is a directory; nothing was installed"
  name={{PROGRAM}}-$version-$target
  url=${AIW_INSTALL_URL:-$release}
  url=${url%/}/$name.$kind

  have curl || have wget || fail "install curl or wget first"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"; [ -z "${new:-}" ] || rm -f "$new"' EXIT
  trap 'exit 130' INT
  trap 'exit 131' QUIT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM HUP

  printf 'fetching: %s\n' "$url"
  # In a shell of its own, which the limit is for.
  (fetch "$url" "$scratch/archive") || fail "cannot fetch $url"
  found=$(sha256_of "$scratch/archive")
  if [ "$found" != "$wanted" ]; then
    case $(dd if="$scratch/archive" bs=64 count=1 2>/dev/null | tr -d '\000' | tr '[:upper:]' '[:lower:]') in
      *'<html'* | *'<!doctype'*) fail "$url is a web page, not the archive of {{PROGRAM}}; nothing was installed" ;;
    esac
    fail "$url is not what was released: its SHA-256 is $found, not $wanted; nothing was installed"
  fi
  tar -xf "$scratch/archive" -C "$scratch" "$name/{{PROGRAM}}"

  mkdir -p "$directory"
  # In place at once: what runs keeps the old file.
  new=$directory/.{{PROGRAM}}.$$
  cp "$scratch/$name/{{PROGRAM}}" "$new"
  chmod 755 "$new"
  "$new" --version >/dev/null || fail "{{PROGRAM}} does not run on this system; nothing was installed"
  mv -f "$new" "$directory/{{PROGRAM}}"
  # As version 0.6 was called. What is there already stays.
  [ -e "$directory/{{OLD}}" ] || [ -L "$directory/{{OLD}}" ] || ln -s {{PROGRAM}} "$directory/{{OLD}}"
  printf 'installed: %s\n' "$directory/{{PROGRAM}}"

  case :$PATH: in
    *:"$directory":*) ;;
    *) printf 'hint: %s is not in your PATH: add it in the profile of your shell\n' "$directory" ;;
  esac
}

main "$@"
