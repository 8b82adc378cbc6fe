#!/usr/bin/env bash
# Compares the micro-benchmarks of the working tree with those of another commit: ten runs of each,
# in turn, so that what disturbs one disturbs the other, and then benchstat.
#
#   bench/diff.sh REF [pattern]      or: make bench-diff REF=HEAD~1 BENCH=Deliver
set -euo pipefail
cd "$(dirname "$0")/.."
ref=${1:?"the commit to compare with is missing: make bench-diff REF=HEAD~1"}
pattern=${2:-.}
runs=${RUNS:-10}
packages=(codec session router reactor)
benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

commit=$(git rev-parse --verify --quiet "$ref^{commit}") || { echo "bench-diff: $ref is not a commit of this repository" >&2; exit 2; }
work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree" 2>/dev/null || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/tree" "$commit"

# build FOLDER NAME compiles the benchmarks of a tree; a package that a commit lacks is left out.
build() {
	for package in "${packages[@]}"; do
		[ -d "$1/$package" ] || continue
		(cd "$1" && go test -c -o "$work/$2-$package.test" "./$package")
	done
}
build "$work/tree" old
build . new

for ((run = 1; run <= runs; run++)); do
	echo "bench-diff: run $run of $runs" >&2
	for side in old new; do
		for package in "${packages[@]}"; do
			[ -x "$work/old-$package.test" ] && [ -x "$work/new-$package.test" ] || continue
			(cd "$package" && "$work/$side-$package.test" -test.run '^$' -test.bench "$pattern" -test.benchmem \
				-test.benchtime "${BENCHTIME:-200ms}") >>"$work/$side.txt"
		done
	done
done
go run "$benchstat" "$ref=$work/old.txt" "working-tree=$work/new.txt"
