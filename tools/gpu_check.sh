#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: probes it, calibrates a profile, runs every schedule on it beside its
# prediction, validates all timelines, and leaves all results and a summary in a folder. Under 9 minutes on one GPU.
#   tools/gpu_check.sh [--bin FOLDER] RESULTS
# FOLDER holds stagesim and stagesim-probe; without it they are built first (build/quick).
set -euo pipefail

bin=
[ "${1:-}" != --bin ] || { bin=${2:?--bin needs a folder} && shift 2; }
[ $# = 1 ] && [ "${1#-}" = "$1" ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
command -v nvidia-smi >/dev/null || { echo "gpu_check.sh: no nvidia-smi, so no NVIDIA GPU here" >&2 && exit 2; }
mkdir -p "$1"
results=$(cd "$1" && pwd)
if [ -z "$bin" ]; then
  cd "$(dirname "$0")/.."
  cmake --preset quick >"$results/build.txt"
  cmake --build --preset quick -j "$(nproc)" --target stagesim stagesim-probe >>"$results/build.txt"
  bin=build/quick/tools/bin
  mkdir -p $bin
  cp build/quick/tools/stagesim/stagesim build/quick/tools/probe/stagesim-probe $bin/
fi
bin=$(cd "$bin" && pwd)
cd "$results"

nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv >machine.txt
cat machine.txt
name=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)

"$bin/stagesim-probe" --budget "${PROBE_SECONDS:-100}" --out probe.json 2>left_out.txt
case "$name" in
  *H100*SXM* | *"H100 80GB HBM3"*) base=h100-sxm-80gb ;;
  *H200*) base=h200-sxm-141gb ;;
  *B200*) base=b200-sxm-180gb ;;
  *A100*40GB*) base=a100-sxm-40gb ;;
  *A100*) base=a100-sxm-80gb ;;
  *V100*) base=v100-sxm-32gb ;;
  *L40S*) base=l40s ;;
  *4090*) base=rtx-4090 ;;
  *) base= ;;
esac
if [ -n "$base" ]; then
  "$bin/stagesim" calibrate probe.json --profile "$base" --dtype bf16 --name measured --out measured.json >calibrate.txt
  sed -n '/^GEMMs/,$p' calibrate.txt
else
  echo "no profile to start from for '$name': nothing calibrated" | tee calibrate.txt
fi

# row <work> <schedule> <options>: predicted and measured step time, and the error, from the text report. The measured
# timeline stays beside it.
row() {
  local work=$1 schedule=$2 status=0
  local file="execute_${work}_$schedule.txt"
  shift 2
  "$bin/stagesim" execute --schedule "$schedule" "$@" --backend cuda --work "$work" --repeat 3 \
    --timeline "measured_${work}_$schedule.json" >"$file" 2>&1 || status=$?
  case $status in
    0) awk -v work="$work" -v name="$schedule" '/^step ms/ { printf "%-6s %-18s %10s %10s %8s %%\n", work, name, $3, $4, $5 }' "$file" ;;
    *) printf '%-6s %-18s FAILED, exit %d: %s\n' "$work" "$schedule" $status "$(head -n 1 "$file")" ;;
  esac
}
ops=(--ranks 4 --microbatches 8 --F 10 --B 20)
# Mostly matrix products: the ranks have multiprocessors of their own, but share the GPU's memory.
model=(--set model.preset=llama-3-8b --set model.layers=8 --set model.seq=2048
  --set model.vocab=32000 --microbatches 8)
if [ -s measured.json ]; then model+=(--set "cluster.gpu=measured.json"); else model+=(--set "cluster.gpu=${base:-a100-sxm-80gb}"); fi
# The cuda backend takes the ranks' share of one GPU, so the link does not matter: a free one.
model+=(--set cluster.p2p.latency_us=0 --set cluster.p2p.gb_per_s=1e6)

schedules=$("$bin/stagesim" list schedules | awk '/^  [a-z0-9-]+ / { print $1 }')
[ -n "$schedules" ] || { echo "gpu_check.sh: stagesim list names no schedules" >&2 && exit 3; }
{
  printf '%-6s %-18s %10s %10s %8s\n' work schedule predicted measured error
  for work in spin gemm; do
    for schedule in $schedules; do row $work "$schedule" "${ops[@]}"; done
  done
  # A model's own kernels, timed on each rank's share first; then one rank with the whole GPU, beside the profile.
  for schedule in gpipe 1f1b interleaved-1f1b zb-h1 zb-v dualpipe chimera pipedream-2bw amdp; do
    row model "$schedule" "${model[@]}" --ranks 4
  done
} | tee summary.txt
status=0
"$bin/stagesim" execute --schedule 1f1b "${model[@]}" --ranks 1 --backend cuda --work model --repeat 3 >one_rank.txt 2>&1 || status=$?
if [ $status = 0 ]; then sed -n '/^kernels of a stage/,$p' one_rank.txt; else echo "one rank: FAILED, exit $status: $(head -n 1 one_rank.txt)"; fi | tee -a summary.txt
for work in spin gemm model; do
  awk -v work=$work '$1 == work && $0 !~ /FAILED/ { e = $5 + 0; print e < 0 ? -e : e }' summary.txt | sort -n |
    awk -v work=$work '{ e[NR] = $1 } END { if (NR) printf "%s: %d schedules, |error| %.2f %% median, %.2f %% at most\n", work, NR, e[int((NR + 1) / 2)], e[NR] }'
done | tee -a summary.txt

# All pairs of a work at once: op by op, and whether the schedules rank as predicted.
for schedule in $schedules; do
  "$bin/stagesim" run --schedule "$schedule" "${ops[@]}" --timeline "predicted_$schedule.json" >"run_$schedule.txt" 2>&1 ||
    echo "run $schedule: FAILED"
done | tee -a summary.txt
for work in spin gemm; do
  pairs=()
  for schedule in $schedules; do
    [ ! -e "measured_${work}_$schedule.json" ] || pairs+=("predicted_$schedule.json" "measured_${work}_$schedule.json")
  done
  [ ${#pairs[@]} -gt 0 ] || continue
  "$bin/stagesim" validate "${pairs[@]}" >"validate_$work.txt" || echo "$work: validate FAILED, exit $?"
  sed -n "s/^\(.*rank correlation\)/$work: \1/p" "validate_$work.txt"
done | tee -a summary.txt
! grep -q FAILED summary.txt
