#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# parameter_server.sh BUILD: training with workers and servers. Synchronous: one hash for any number of servers, that of
# 04_data_parallel with as many shards as workers, also for a run that goes on elsewhere; asynchronous: it learns; bad
# input. What needs mpirun is left out where it is missing.
source "$(dirname "${BASH_SOURCE[0]}")/../support/programs.sh"
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
  timeout 120 "$ranks" "${law[@]}" --steps 100 --shards $workers --checkpoint whole >out 2>err || wrong "exit $?: $(cat err)"
  first=$(hash_of)
  for n in 1 2; do
    same "$workers workers, $n servers" "$servers" --servers $n --loopback $((workers + n))
    [ $mpi = no ] || same "mpirun, $workers workers, $n servers" \
      mpirun -n $((workers + n)) "$servers" --servers $n --mode sync
  done
done
timeout 120 "$servers" "${law[@]}" --steps 37 --loopback 3 --checkpoint part >out 2>err || wrong "37 steps: $(cat err)"
[ "$(hash_of)" = "$first" ] && wrong "37 steps have the hash of 100"
part=$(hash_of)
timeout 120 "$servers" "${law[@]}" --steps 37 --loopback 3 --device cuda --checkpoint got >out 2>err || wrong "--device cuda: $(cat err)"
[ "$(hash_of)" = "$part" ] || wrong "--device cuda without one: $(hash_of), else $part"
[ "$(cat err)" = 'no CUDA device, running on the CPU' ] || wrong "--device cuda without one says: $(cat err)"
same 'resumed with 2 servers' "$servers" --resume part --loopback 4 --servers 2 --split 1000
same 'resumed data parallel' "$ranks" --shards 2 --resume part --loopback 2

# ---- asynchronous ----
learns() {
  timeout 120 "$@" "${law[@]}" --mode async --epochs 30 --checkpoint got >out 2>err || wrong "exit $? of $*: $(cat err)"
  tail -n 1 out | grep -qE '^test accuracy 0\.[6-9][0-9]{3} after 30 epochs' || wrong "$*: $(tail -n 1 out)"
}
learns "$servers" --loopback 3
learns "$servers" --loopback 4 --servers 2 --staleness 1
[ $mpi = no ] || learns mpirun -n 4 "$servers" --servers 2

# ---- bad input ----
refused() {  # refused CODE WORDS COMMAND...
  local code=$1 words=$2 got
  shift 2
  timeout 60 "$@" --samples 100 --checkpoint got --threads 1 >out 2>err
  got=$?
  [ "$got" = "$code" ] || wrong "exit $got, not $code: $*"
  grep -qF -- "$words" err || wrong "no word of '$words': $(cat err)"
}
refused 1 --servers "$servers" --servers 0
refused 1 'leave no worker' "$servers" --servers 2 --loopback 2
refused 1 --split "$servers" --split 0
refused 1 --lr "$servers" --lr nan
refused 3 none "$servers" --loopback 3 --resume none
"$servers" --mode other >out 2>err && wrong "a mode that does not exist"
if [ $mpi = yes ]; then
  start=("$servers" --samples 100 --threads 1 --checkpoint got)
  timeout 60 mpirun --enable-recovery -n 1 "${start[@]}" --lr 0.1 : -n 2 "${start[@]}" --lr 0.2 >out 2>err
  grep -qE 'error: rank [012]: .*rank 0 \([^)]+\) and rank 1 \([^)]+\) differ in --lr: 0.1[0-9]* and 0.2' err ||
    wrong "two rates: $(cat err)"
fi
finish "$first"
