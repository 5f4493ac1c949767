#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every rule of the house that a machine can see; one line per breach, "N passed, N failed, N skipped" last.
set -u
shopt -s lastpipe # check() counts in this shell, not in a pipeline's child
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0

# check NAME: reads breaches on stdin; none is a pass.
check() {
	local breaches
	breaches=$(cat)
	if [ -z "$breaches" ]; then passed=$((passed + 1)); return; fi
	failed=$((failed + 1))
	printf 'FAIL %s\n%s\n' "$1" "$breaches" | head -40
}

mapfile -t ours < <(git ls-files --cached --others --exclude-standard '*.c' '*.h' '*.def' | while read -r f; do
	[ -f "$f" ] && echo "$f"; done)
mapfile -t c_files < <(printf '%s\n' "${ours[@]}" | grep '\.c$')
mapfile -t h_files < <(printf '%s\n' "${ours[@]}" | grep '\.h$')
mapfile -t all < <(git ls-files --cached --others --exclude-standard | while read -r f; do [ -f "$f" ] && echo "$f"; done)
mapfile -t code < <(printf '%s\n' "${all[@]}" | grep -E '\.(c|h|def|sh|py|go|rs|proto|mk)$|(^|/)Makefile$|^\.ci/run$')
mapfile -t scripts < <(printf '%s\n' "${all[@]}" | grep -E '\.sh$|^\.ci/run$')
# Product code: what an operator runs. Tests and benches may use more of libc.
mapfile -t product < <(printf '%s\n' "${ours[@]}" | grep -E '^(agent|workloadapi|federation|kmod)/' | grep -v '^agent/base/mem\.c')

for f in "${code[@]}"; do head -n 3 "$f" | grep -q 'SPDX-License-Identifier' || echo "$f: no SPDX line"; done |
	check "SPDX line in every source file"

grep -nE '\b(strcpy|strcat|sprintf|strncpy|strtok|atoi|sscanf|alloca|system|popen|gets)\(' "${product[@]}" |
	check "banned functions"

grep -nE '(^|[^_[:alnum:]>.])(malloc|calloc|realloc|reallocarray|free|strdup|strndup)[[:space:]]*\(' "${product[@]}" |
	grep -v '^kmod/' | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/\*|\*|//)' | check "heap only through agent/base/mem.h"

wc -l "${c_files[@]}" | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }' | check ".c files of 600 lines at most"
wc -l "${h_files[@]}" | awk '$2 != "total" && $1 > 200 { print $2 ": " $1 " lines" }' |
	grep -v '^kmod/uapi/svid\.h' | check ".h files of 200 lines at most"

if command -v ctags >/dev/null; then
	ctags -x --kinds-c=f --_xformat='%F %n %{end} %N' "${c_files[@]}" 2>/dev/null |
		awk '$3 - $2 + 1 > 60 { print $1 ": " $4 " has " $3 - $2 + 1 " lines" }' | check "functions of 60 lines at most"
else
	echo "ctags is missing: run make deps" | check "functions of 60 lines at most"
fi

# agent/base includes nothing of ours; no role includes another role's headers.
grep -nE '#include "(agent/[^b]|agent/b[^a]|workloadapi|federation|kmod|gen)' agent/base/*.[ch] | check "agent/base stands alone"
for role in agent/parent agent/core agent/attest agent/keys agent/undertaker agent/cli agent/db agent/oidc workloadapi federation; do
	grep -nE '#include "(agent/(parent|core|attest|keys|undertaker|cli)|workloadapi|federation)/' "$role"/*.[ch] 2>/dev/null | grep -v "#include \"$role/"
done | check "no role includes another role's headers"

awk -f tests/lint/docstring.awk "${h_files[@]}" | check "each prototype in a header has a comment, int ones say Errors:"

# PROTOCOL.md names each message of the table, and none that is not in it.
sed -nE 's/^MSG\(([A-Z0-9_]+), *[0-9]+.*/\1/p' agent/ipc/msg.def | while read -r m; do
	grep -q "\`$m\`" agent/ipc/PROTOCOL.md 2>/dev/null || echo "agent/ipc/PROTOCOL.md does not name $m"; done |
	check "PROTOCOL.md names each message"

# What SECURITY.md says is shown by a test is shown by one: `file:test`, and rows of attacks.
grep -oE '`[a-z_]+_(test|fuzz)(:[a-z0-9_]+)?`' SECURITY.md | tr -d '`' | sort -u | while IFS=: read -r file name; do
	found=$(git ls-files --cached --others --exclude-standard "tests/**/$file.*")
	if [ -z "$found" ]; then echo "SECURITY.md: no $file"; continue; fi
	# shellcheck disable=SC2086 # one word per file
	[ -z "$name" ] || grep -qE "\\b$name\\(" $found || echo "SECURITY.md: no $name in $found"; done |
	check "SECURITY.md names tests that exist"
grep -oE '\bA[0-9]+\b' SECURITY.md | sort -u | while read -r row; do
	grep -q "Case(\"$row\"" tests/attack/*.py || echo "SECURITY.md: no attack $row"; done | check "SECURITY.md names attacks that run"

# The words are spelled apart so that this file does not find itself.
grep -nE '\b(TO''DO|FIX''ME|X''XX|HA''CK)\b' "${code[@]}" | check "no unfinished work marked in code"
grep -nE '(^|[[:space:]"'"'"'=:(])/(root|home|work)/[a-z.]' "${code[@]}" | check "no path of a machine"

for d in agent/base agent/ipc agent/sandbox agent/parent agent/core agent/attest agent/keys agent/undertaker agent/cli \
	agent/db agent/oidc workloadapi federation kmod conformance tests; do
	[ -f "$d/README.md" ] || echo "$d/README.md is missing"
	[ ! -f "$d/README.md" ] || [ "$(wc -l <"$d/README.md")" -le 80 ] || echo "$d/README.md is longer than a page"
done | check "a README of one page in each folder"

if command -v shellcheck >/dev/null; then
	shellcheck -S warning "${scripts[@]}" | check "shellcheck"
else
	echo "shellcheck is missing: run make deps" | check "shellcheck"
fi
for f in "${all[@]}"; do case $f in *.py) python3 -m py_compile "$f" 2>&1 ;; esac; done | check "python compiles"
grep -nP '^ +\t|[ \t]+$' "${ours[@]}" | check "no trailing blanks, no space before tab"
awk 'FNR == 1 { n = 0 } /links: / { next } { s = $0; gsub(/\t/, "        ", s); if (length(s) > 130) print FILENAME ":" FNR ": " length(s) " columns" }' \
	"${ours[@]}" | check "lines of 130 columns at most"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
