#!/usr/bin/env bash
# From a bare machine to a first answer: installs what is missing, builds stagesim, compares the
# schedules on the AMDP paper's GPT with 8 GPUs, and writes a trace of AMDP.
set -euo pipefail
cd "$(dirname "$0")/.."

log=build/quickstart.log
program=build/quick/tools/stagesim/stagesim
trace=out/amdp.json
mkdir -p build out

# quietly <what it does> <command>: shows the output of the command only if it fails.
quietly() {
  echo "== $1"
  shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "quickstart.sh: this failed: $* (all of its output: $log)" >&2
    exit 1
  fi
}

echo "== packages"
tools/install_deps.sh
quietly "configuring" cmake --preset quick
quietly "building (a minute or two)" cmake --build --preset quick -j "$(nproc)"
echo "== stagesim compare gpt-1.5b-8xa800"
"$program" compare gpt-1.5b-8xa800
echo
echo "== stagesim run gpt-1.5b-8xa800 --set run.steps=1 --trace $trace"
"$program" run gpt-1.5b-8xa800 --set run.steps=1 --trace "$trace"
cat <<TEXT

The program:  $PWD/$program
The trace:    $PWD/$trace
To see it, open https://ui.perfetto.dev or chrome://tracing and drag the file in.
TEXT
