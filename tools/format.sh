#!/usr/bin/env bash
# Formats all C++ and CUDA files. With --check it changes nothing, lists the files that would
# change, and exits with 1 if there are any.
set -euo pipefail
cd "$(dirname "$0")/.."

check=no
case "${1:-}" in
  "") ;;
  --check) check=yes ;;
  *) echo "usage: tools/format.sh [--check]" >&2 && exit 2 ;;
esac

# Other versions lay out some lines differently.
formatter=
for candidate in clang-format-14 clang-format; do
  if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
    formatter=$candidate
    break
  fi
done
if [ -z "$formatter" ]; then
  echo "format.sh: clang-format 14 is not found; 'tools/install_deps.sh --ci' installs it" >&2
  exit 2
fi

# All files that git tracks or would track; all but build folders where there is no git.
sources() {
  git ls-files -z -co --exclude-standard -- '*.hpp' '*.cpp' '*.cu' 2>/dev/null ||
    find . \( -name .git -o -name build -o -name out \) -prune -o \
      \( -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' \) -print0
}

different=0
while IFS= read -r -d '' file; do
  [ -f "$file" ] || continue  # removed, but not committed yet
  if "$formatter" --dry-run -Werror "$file" >/dev/null 2>&1; then continue; fi
  different=$((different + 1))
  echo "$file"
  if [ "$check" = no ]; then "$formatter" -i "$file"; fi
done < <(sources)

if [ "$different" -gt 0 ] && [ "$check" = yes ]; then
  echo "format.sh: $different files are not formatted; tools/format.sh formats them" >&2
  exit 1
fi
