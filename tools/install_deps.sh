#!/usr/bin/env bash
# Installs what stagesim needs and is not there yet (Debian 12, Ubuntu 22.04, Ubuntu 24.04).
#   tools/install_deps.sh           to build and run
#   tools/install_deps.sh --tests   also to build the tests and the benchmarks
#   tools/install_deps.sh --ci      also for the format check, clang builds and fuzzing
set -euo pipefail

usage() {
  sed -n '2,5s/^# \{0,1\}//p' "$0"
}

# libboost-program-options-dev brings all Boost headers, Boost.Graph's among them.
packages=(g++ cmake ninja-build libboost-program-options-dev nlohmann-json3-dev libfmt-dev libsqlite3-dev libtbb-dev zlib1g-dev)
with_clang=no
for option in "$@"; do
  case "$option" in
    --tests) packages+=(catch2 libbenchmark-dev) ;;
    --ci) packages+=(catch2 libbenchmark-dev clang clang-format-14 clang-tidy-14 git libsimgrid-dev libboost-mpi-dev openmpi-bin) && with_clang=yes ;;
    -h | --help) usage && exit 0 ;;
    *) echo "install_deps.sh: unknown option '$option'" >&2 && usage >&2 && exit 2 ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "This is neither Debian nor Ubuntu; stagesim needs what these Debian packages hold: ${packages[*]}"
  for tool in g++ cmake ninja; do
    command -v "$tool" >/dev/null || { echo "install_deps.sh: '$tool' is not found" >&2 && exit 1; }
  done
  exit 0
fi

# A tool may come from elsewhere than a package; a library must be one.
is_there() {
  case "$1" in
    g++ | cmake | git) command -v "$1" >/dev/null && return ;;
    ninja-build) command -v ninja >/dev/null && return ;;
    clang) command -v clang++ >/dev/null && return ;;
  esac
  [ "$(dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | head -n 1)" = installed ]
}

say_and_stop() {
  echo "install_deps.sh: missing packages, and no root or sudo to install them. As root, run" >&2
  echo "  apt-get install --no-install-recommends $*" >&2
  exit 1
}

# install_missing <packages>: says nothing and does nothing if all are there.
install_missing() {
  local missing=() package
  for package in "$@"; do
    is_there "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=(env)
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo true; then say_and_stop "${missing[@]}"; fi
    as_root=(sudo env)
  fi
  echo "installing ${missing[*]}"
  local install=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "${missing[@]}")
  local log
  log=$(mktemp)
  # The package lists may be absent or old: only then are they fetched.
  if ! "${install[@]}" </dev/null >"$log" 2>&1; then
    if ! "${as_root[@]}" apt-get update -qq </dev/null >"$log" 2>&1 ||
      ! "${install[@]}" </dev/null >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      rm -f "$log"
      echo "install_deps.sh: apt-get could not install ${missing[*]}" >&2
      exit 1
    fi
  fi
  rm -f "$log"
}

install_missing "${packages[@]}"

# The sanitizer and fuzzer runtimes of clang are a package of their own in some releases.
if [ "$with_clang" = yes ] && ! compgen -G "$(clang++ -print-resource-dir)/lib/*/libclang_rt.fuzzer*" >/dev/null; then
  install_missing "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"
fi
