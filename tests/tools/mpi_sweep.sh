#!/usr/bin/env bash
# mpi_sweep.sh <stagesim> <mpirun> <scratch folder>: processes write the same file as one, also after
# one of them was killed.
set -euo pipefail
. "$(dirname "$0")/../support/mpi_environment.sh"
stagesim=$1
mpirun=$2
rm -rf "$3"
mkdir -p "$3"
cd "$3"

sweep=(sweep field-p4-m8 --vary schedule=all --vary batch.microbatches=8:256:8 --vary parallel.pipeline=4,8)
"$stagesim" "${sweep[@]}" --out one.jsonl >one.txt
"$mpirun" -n 3 "$stagesim" "${sweep[@]}" --out three.jsonl >three.txt
cmp one.jsonl three.jsonl
diff <(grep -v jsonl one.txt) <(grep -v jsonl three.txt)

"$mpirun" -n 3 "$stagesim" "${sweep[@]}" --out killed.jsonl >killed.txt 2>&1 &
launcher=$!
while [ ! -s killed.jsonl ]; do sleep 0.02; done
# A process of this launcher; where all is done already there is none.
if victim=$(pgrep -P $launcher | tail -n 1) && [ -n "$victim" ]; then kill -9 "$victim" 2>/dev/null || true; fi
code=0
wait $launcher || code=$?
echo "the launcher ended with $code after $(wc -l <killed.jsonl) lines"
cat killed.txt
"$stagesim" "${sweep[@]}" --out killed.jsonl >resumed.txt
cmp one.jsonl killed.jsonl
