#!/usr/bin/env bash
# Rewrites the transcripts from a built program and shows what changed; a person looks at the diff.
# tests/cli/update.sh [PROGRAM] [CASE...]
set -euo pipefail
folder=$(dirname "$0")
program=${1:-$folder/../../build/release/tools/stagesim/stagesim}
cases=("${@:2}")
[ ${#cases[@]} -gt 0 ] || cases=("$folder"/cases/*.txt)
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
for case in "${cases[@]}"; do
  "$folder/transcript.sh" "$program" "$case" > "$fresh"
  cmp -s "$fresh" "$case" || { diff -u "$case" "$fresh" || true; cp "$fresh" "$case"; }
done
