#!/usr/bin/env bash
# mpi_execute.sh <stagesim> <mpirun> <scratch folder>: the same schedules with four processes and
# with one give the timelines that are predicted, in order, weight versions and activations.
set -euo pipefail
. "$(dirname "$0")/../support/mpi_environment.sh"
stagesim=$1
mpirun=$2
rm -rf "$3"
mkdir -p "$3"
cd "$3"

for schedule in 1f1b zb-h1 amdp chimera; do
  "$stagesim" run field-p4-m8 --schedule $schedule --timeline predicted.json >run.txt
  "$stagesim" execute field-p4-m8 --schedule $schedule --timeline one.json >one.txt
  "$mpirun" -n 4 "$stagesim" execute field-p4-m8 --schedule $schedule --repeat 2 --timeline four.json >four.txt
  cat four.txt
  grep -q ", 4 processes; the run of the median wall of 2" four.txt
  [ "$(grep -c "as predicted" four.txt)" = 1 ]
  "$stagesim" validate predicted.json four.json
  "$stagesim" validate predicted.json one.json >one_valid.txt
done

# What cannot run ends all processes, with a message and no hang.
for arguments in "-n 5 $stagesim execute unit-p4-m8" "-n 2 $stagesim execute unit-p4-m8 --work train" \
  "-n 2 $stagesim execute nosuch"; do
  code=0
  # shellcheck disable=SC2086
  timeout 60 "$mpirun" $arguments >refused.txt 2>&1 || code=$?
  cat refused.txt
  [ $code = 2 ]
  grep -q "error: " refused.txt
done
