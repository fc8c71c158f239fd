#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test. Arguments go on to ctest:
#   tools/test.sh -R amdp
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install_deps.sh --tests
cmake --preset release
cmake --build --preset release -j "$(nproc)"
ctest --preset release --output-on-failure -j "$(nproc)" "$@"
