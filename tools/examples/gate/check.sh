#!/usr/bin/env bash
# The example gate: check.sh [STAGESIM] [FOLDER FOR REPORTS]. Fails when a schedule gets worse than
# baseline.json by more than is allowed; `check.sh --save [STAGESIM]` stores what is there now.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
what=("$here/scenario.json" --schedules amdp,zb-v)
if [ "${1:-}" = --save ]; then exec "${2:-stagesim}" check "${what[@]}" --save "$here/baseline.json"; fi
reports=${2:-.}
exec "${1:-stagesim}" check "${what[@]}" --baseline "$here/baseline.json" \
  --tolerance step_time_ms=0.5% --tolerance tokens_per_s=0.5% --tolerance mfu=0.5% --tolerance bubble=2% \
  --tolerance bubble_over_ideal=2% --tolerance peak_memory_gib=1% --limit peak_memory_gib=76 \
  --report "$reports/check.md" --junit "$reports/check.xml"
