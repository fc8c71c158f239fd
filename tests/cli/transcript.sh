#!/usr/bin/env bash
# Prints the transcript of a case: its comments and commands as they are, with what each command now
# writes and its exit code. transcript.sh PROGRAM CASE
#
# A case file is a list of blocks. "# why" lines, then "$ command", then the answer: the exit code
# and the exact streams, two columns in; a stream that is not shown is empty. Commands run one after
# another under bash (pipefail) in a scratch folder that starts with the files of input/; `stagesim`
# is the program.
set -u
export LC_ALL=C
[ -x "$1" ] || { echo "transcript.sh: '$1' is no program" >&2; exit 1; }
program=$(realpath "$1") case_file=$(realpath "$2") input=$(realpath "$(dirname "$0")/input")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/here" && cp "$input"/* "$scratch/here" && cd "$scratch/here" || exit 1

stagesim() { "$program" "$@"; }

show() {  # show LABEL FILE
  [ -s "$2" ] || return 0
  echo "$1"
  sed 's/^\(.\)/  \1/' "$2"
  [ -z "$(tail -c 1 "$2")" ] || printf '\n(no newline at the end)\n'
}

# A block starts at its first comment, or at its command if it has none; a blank line goes before it.
before=nothing
start_block() { [ $before != answer ] || echo; }
while IFS= read -r line; do
  case $line in
    '#'*)
      start_block
      printf '%s\n' "$line"
      before=comment
      ;;
    '$ '*)
      start_block
      (set -o pipefail; eval "${line#??}") > "$scratch/out" 2> "$scratch/err" < /dev/null
      code=$?
      printf '%s\nexit %d\n' "$line" $code
      show stdout "$scratch/out"
      show stderr "$scratch/err"
      before=answer
      ;;
  esac
done < "$case_file"
