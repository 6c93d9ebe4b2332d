# SPDX-License-Identifier: Apache-2.0
# programs.sh: what the scripts that run the examples share. Sourced with BUILD as $1, it makes the programs' names, a
# folder of its own to work in, whether ranks can be started by mpirun, and how a failure is told: `wrong WORDS`, and
# `finish WORDS` at the end.
set -u
# On a machine that is busy, threads that wait by spinning would take a hundred times as long.
export OMP_WAIT_POLICY=passive
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1
build=$(cd "$1" && pwd)
alone=$build/examples/03_fashion_mnist ranks=$build/examples/04_data_parallel servers=$build/examples/05_parameter_server
for p in "$alone" "$ranks" "$servers"; do [ -x "$p" ] || { echo "skipped: $p was not built"; exit 77; }; done
mpi=no
command -v mpirun >/dev/null && ldd "$ranks" | grep -q 'libmpi\.' && mpi=yes
folder=$(mktemp -d)
started=()  # processes that must not outlive the script
trap 'for p in ${started[@]+"${started[@]}"}; do kill -KILL "$p" 2>/dev/null; done; rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
wrong() { echo "FAILED: $*"; failures=$((failures + 1)); }
finish() {
  [ "$failures" = 0 ] && echo "passed: $*, mpirun: $mpi"
  exit $((failures > 0))
}
hash_of() { grep -Ex 'weights [0-9a-f]{16}' out; }
now() { date +%s%3N; }
