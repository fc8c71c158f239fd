#!/usr/bin/env bash
# Rewrites the golden orders from a built release preset and shows what changed; look at the diff before committing it.
set -euo pipefail
cd "$(dirname "$0")/.."
STAGESIM_UPDATE_GOLDEN=1 build/release/tests/test_schedules "[golden]" > /dev/null
STAGESIM_UPDATE_GOLDEN=1 build/release/tests/test_papers > /dev/null
git --no-pager diff --stat -- tests/golden tests/papers
git --no-pager diff -- tests/golden tests/papers | head -100
