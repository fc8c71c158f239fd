#!/usr/bin/env bash
# example_gate.sh <stagesim> <example folder> <scratch folder>: the gate that README shows passes, fails
# on a planted regression, and has no verdict without a baseline.
set -euo pipefail
stagesim=$1
rm -rf "$3"
cp -r "$2" "$3"
cd "$3"
gate() {
  local code=0
  ./check.sh "$stagesim" . || code=$?
  [ $code = "$1" ] || { echo "exit code $code, expected $1" >&2 && exit 1; }
}
gate 0
grep -q 'tests="20" failures="0" errors="0"' check.xml

# Half of the step times that were stored: now looks twice as slow.
cp baseline.json good.json
sed -i -E 's/^( *"step_time_ms": )[0-9.]+/\11.5/' baseline.json
gate 1
grep -q 'failures="2"' check.xml
grep -q '| amdp | step_time_ms | 1.5 | .*worse' check.md

cp good.json baseline.json
sed -i 's/"micro": 4/"micro": 2/' scenario.json
gate 4
grep -q 'input batch.micro: 4 and 2' check.md
sed -i 's/"micro": 2/"micro": 4/' scenario.json
rm baseline.json
gate 4
grep -q 'errors="1"' check.xml
./check.sh --save "$stagesim"
cmp good.json baseline.json
