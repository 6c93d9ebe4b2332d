# SPDX-License-Identifier: Apache-2.0
# Sourced, not run. install_missing PACKAGE...: makes sure that Debian packages are there.
# `?name` is optional: installed where apt has it, no error where not. Missing ones are installed through apt-get by
# root or through sudo; otherwise they are listed and the function fails. Safe to call twice.
# TENON_SKIP_INSTALL=1 installs nothing and believes that all is there.

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

available() {
  local candidate
  candidate=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p')
  [ -n "$candidate" ] && [ "$candidate" != "(none)" ]
}

# as_root COMMAND...: fails where it cannot be root. Asks for a password only at a terminal.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    return 126
  fi
}

apt_get() {
  as_root apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >"$install_log" 2>&1
}

install_missing() {
  [ "${TENON_SKIP_INSTALL:-}" = 1 ] && return 0
  local required=() optional=() wanted=() package
  for package in "$@"; do
    case $package in
      \?*) installed "${package#\?}" || optional+=("${package#\?}") ;;
      *) installed "$package" || required+=("$package") ;;
    esac
  done
  [ ${#required[@]} -gt 0 ] || [ ${#optional[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null || ! as_root true; then
    [ ${#optional[@]} -eq 0 ] || echo "optional packages that are not installed: ${optional[*]}" >&2
    [ ${#required[@]} -gt 0 ] || return 0
    echo "error: these packages are missing, and installing them needs apt-get and root or sudo: ${required[*]}" >&2
    return 1
  fi
  local install_log
  install_log=$(mktemp)
  for package in "${required[@]}" "${optional[@]}"; do
    available "$package" && continue
    apt_get update || true
    break
  done
  wanted=("${required[@]}")
  for package in "${optional[@]}"; do
    if available "$package"; then wanted+=("$package"); else echo "not available here: $package"; fi
  done
  if [ ${#wanted[@]} -gt 0 ]; then
    echo "installing: ${wanted[*]}"
    # Lists that are old name files that are gone: then one update and a second try.
    if ! apt_get install --no-install-recommends "${wanted[@]}" &&
      ! { apt_get update && apt_get install --no-install-recommends "${wanted[@]}"; } &&
      ! { [ ${#required[@]} -eq 0 ] || apt_get install --no-install-recommends "${required[@]}"; }; then
      tail -n 20 "$install_log" >&2
      rm -f "$install_log"
      echo "error: apt-get could not install: ${required[*]}" >&2
      return 1
    fi
  fi
  rm -f "$install_log"
}
