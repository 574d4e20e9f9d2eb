# Sourced by the suites: how a shell script reports its checks to `cargo xtask conformance`.
# A check is a function; its name with spaces for underscores is the name of the check. It fails at its first failing command.

set -uo pipefail

check() {
  local name=${1//_/ } status
  if [ -n "${ONLY:-}" ] && [[ $name != *"$ONLY"* ]]; then return; fi
  echo "@begin $name"
  (set -eE; trap 'echo "failed: line $LINENO: $BASH_COMMAND"' ERR; "$@") 2>&1
  status=$?
  if [ $status = 0 ]; then echo "@ok"; else echo "@fail status $status"; fi
}

# equal WHAT EXPECTED GOT
equal() {
  [ "$2" = "$3" ] && return 0
  printf '%s:\nexpected: %s\ngot:      %s\n' "$1" "$(head -c 500 <<<"$2")" "$(head -c 500 <<<"$3")"
  return 1
}

# contains TEXT PATTERN: an extended regular expression
contains() {
  grep -qE -- "$2" <<<"$1" && return 0
  printf 'no match for %s in:\n%s\n' "$2" "$(head -c 1500 <<<"$1")"
  return 1
}
