#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# parameter_server.sh BUILD: training with workers and servers. Synchronous: one hash for any number of servers, that of
# 04_data_parallel with as many shards as workers, also for a run that goes on elsewhere; asynchronous: it learns; bad
# input; a worker or a server that is killed ends the others in time. What needs mpirun is left out where it is missing.
set -u
export OMP_WAIT_POLICY=passive
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1
build=$(cd "$1" && pwd)
program=$build/examples/05_parameter_server other=$build/examples/04_data_parallel
[ -x "$program" ] && [ -x "$other" ] || { echo "skipped: $program was not built"; exit 77; }
mpi=no
command -v mpirun >/dev/null && ldd "$program" | grep -q 'libmpi\.' && mpi=yes
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
wrong() { echo "FAILED: $*"; failures=$((failures + 1)); }
hash_of() { grep -Ex 'weights [0-9a-f]{16}' out; }
law=(--samples 1024 --batch 64 --dropout 0.1 --threads 1)

# ---- synchronous ----
same() {  # same WHAT COMMAND...
  local what=$1
  shift
  timeout 120 "$@" "${law[@]}" --steps 100 --checkpoint got >out 2>err || wrong "exit $? of $what: $(cat err)"
  [ "$(hash_of)" = "$first" ] || wrong "$what: $(hash_of), data parallel: $first"
  cmp -s whole got || wrong "$what: another checkpoint"
  tail -n 1 out | grep -qE '^test accuracy 0\.[0-9]{4} after [0-9.]+ epochs, [0-9.]+ s$' || wrong "$what: last line $(tail -n 1 out)"
}
for workers in 1 2; do
  timeout 120 "$other" "${law[@]}" --steps 100 --shards $workers --checkpoint whole >out 2>err || wrong "exit $?: $(cat err)"
  first=$(hash_of)
  for servers in 1 2; do
    same "$workers workers, $servers servers" "$program" --servers $servers --loopback $((workers + servers))
    [ $mpi = no ] || same "mpirun, $workers workers, $servers servers" \
      mpirun -n $((workers + servers)) "$program" --servers $servers --mode sync
  done
done
timeout 120 "$program" "${law[@]}" --steps 37 --loopback 3 --checkpoint part >out 2>err || wrong "37 steps: $(cat err)"
[ "$(hash_of)" = "$first" ] && wrong "37 steps have the hash of 100"
part=$(hash_of)
timeout 120 "$program" "${law[@]}" --steps 37 --loopback 3 --device cuda --checkpoint got >out 2>err || wrong "--device cuda: $(cat err)"
[ "$(hash_of)" = "$part" ] || wrong "--device cuda without one: $(hash_of), else $part"
[ "$(cat err)" = 'no CUDA device, running on the CPU' ] || wrong "--device cuda without one says: $(cat err)"
same 'resumed with 2 servers' "$program" --resume part --loopback 4 --servers 2 --split 1000
same 'resumed data parallel' "$other" --shards 2 --resume part --loopback 2

# ---- asynchronous ----
learns() {
  timeout 120 "$@" "${law[@]}" --mode async --epochs 30 --checkpoint got >out 2>err || wrong "exit $? of $*: $(cat err)"
  tail -n 1 out | grep -qE '^test accuracy 0\.[6-9][0-9]{3} after 30 epochs' || wrong "$*: $(tail -n 1 out)"
}
learns "$program" --loopback 3
learns "$program" --loopback 4 --servers 2 --staleness 1
[ $mpi = no ] || learns mpirun -n 4 "$program" --servers 2

# ---- bad input ----
refused() {  # refused CODE WORDS COMMAND...
  local code=$1 words=$2 got
  shift 2
  timeout 60 "$@" --samples 100 --checkpoint got --threads 1 >out 2>err
  got=$?
  [ "$got" = "$code" ] || wrong "exit $got, not $code: $*"
  grep -qF -- "$words" err || wrong "no word of '$words': $(cat err)"
}
refused 1 --servers "$program" --servers 0
refused 1 'leave no worker' "$program" --servers 2 --loopback 2
refused 1 --split "$program" --split 0
refused 1 --lr "$program" --lr nan
refused 3 none "$program" --loopback 3 --resume none
"$program" --mode other >out 2>err && wrong "a mode that does not exist"
if [ $mpi = yes ]; then
  start=("$program" --samples 100 --threads 1 --checkpoint got)
  timeout 60 mpirun --enable-recovery -n 1 "${start[@]}" --lr 0.1 : -n 2 "${start[@]}" --lr 0.2 >out 2>err
  grep -qE 'error: rank [012]: .*rank 0 \([^)]+\) and rank 1 \([^)]+\) differ in --lr: 0.1[0-9]* and 0.2' err ||
    wrong "two rates: $(cat err)"

  # ---- a rank that is lost ----
  for victim in 0 1 2; do
    rm -f pid.* out err
    timeout -k 5 60 mpirun --enable-recovery -n 3 bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$@"' - \
      "$program" "${law[@]}" --epochs 100000 --deadline 3 --checkpoint last >out 2>err &
    job=$!
    for _ in $(seq 500); do [ "$(cat pid.* 2>/dev/null | wc -l)" = 3 ] && break; sleep 0.02; done
    sleep 1.5
    begin=$(date +%s%3N)
    kill -KILL "$(cat pid.$victim)"
    wait $job
    took=$(($(date +%s%3N) - begin))
    [ $took -le 4000 ] || wrong "rank $victim killed: the others ended after $took ms"  # mpirun's own end included
    for r in 0 1 2; do
      [ $r = $victim ] || grep -qE "error: rank $r: tenon::dist: rank $r \([^)]+\), (after )?step [0-9]+[^:]*: .*rank $victim \([^)]+\)" err ||
        wrong "rank $victim killed: rank $r says $(grep "rank $r" err)"
    done
  done
fi

[ "$failures" = 0 ] && echo "passed: $first, mpirun: $mpi"
exit $((failures > 0))
