#!/usr/bin/env bash
# Prints the section of CHANGELOG.md for VERSION, without its heading, and fails when there is none: what is released has to be
# described. A shell script, so that the workflow can ask before anything is installed.
#   scripts/release-notes.sh VERSION [FILE]
set -euo pipefail
version=$1
file=${2:-CHANGELOG.md}

# Headings are "## 1.2.3", and a date may follow. Empty lines before the text are left out here, those after it by the shell.
notes=$(VERSION=$version awk '
  BEGIN { heading = "## " ENVIRON["VERSION"] }
  /^## / { inside = $0 == heading || index($0, heading " ") == 1; next }
  inside && (started || NF) { started = 1; print }
' "$file")

if [ -z "$version" ] || [ -z "$notes" ]; then
  echo "$file has no section \"## $version\" with anything in it" >&2
  exit 1
fi
printf '%s\n' "$notes"
