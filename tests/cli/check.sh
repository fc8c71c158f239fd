#!/usr/bin/env bash
# Passes when the program answers a case exactly as its file says. check.sh PROGRAM CASE
set -eu
grep -q '^\$ ' "$2" || { echo "$2: no '\$ command' line"; exit 1; }
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
"$(dirname "$0")/transcript.sh" "$1" "$2" > "$fresh"
diff -u --label expected --label actual "$2" "$fresh"
