#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# data_parallel.sh BUILD: training on several ranks. One hash of the weights for any number of ranks, threads, bucket
# sizes and for runs that go on elsewhere; bad input. What needs mpirun is left out where it is missing.
source "$(dirname "${BASH_SOURCE[0]}")/../support/programs.sh"

# ---- the law ----
law=(--samples 1000 --batch 48 --dropout 0.1 --threads 1)
same() {  # same WHAT COMMAND...: the hash and the checkpoint of the first run
  local what=$1
  shift
  timeout 300 "$@" "${law[@]}" --steps 300 --shards 8 --checkpoint other >out 2>err || wrong "exit $? of $what: $(cat err)"
  [ "$(hash_of)" = "$first" ] || wrong "$what: $(hash_of), one process: $first"
  cmp -s whole other || wrong "$what: another checkpoint"
  [ -s err ] && wrong "$what: something on stderr: $(cat err)"
}
timeout 300 "$ranks" "${law[@]}" --steps 300 --shards 8 --checkpoint whole >out 2>err || wrong "exit $?: $(cat err)"
first=$(hash_of)
[ "$(grep -cE '^epoch [0-9]+  loss [0-9.]+  test accuracy 0\.[0-9]+$' out)" = 15 ] || wrong "lines of epochs: $(cat out)"
law=(--samples 1000 --batch 48 --dropout 0.1)
same 'two threads' "$ranks" --threads 2
same traced "$ranks" --threads 1 --trace
same 'traced, loopback 4, small buckets' "$ranks" --threads 1 --loopback 4 --bucket 65536 --trace
same 'loopback 2' "$ranks" --threads 1 --loopback 2
same 'loopback 4, small buckets' "$ranks" --threads 1 --loopback 4 --bucket 65536
law+=(--threads 1)
timeout 300 "$ranks" "${law[@]}" --shards 8 --steps 137 --loopback 3 --checkpoint part >out 2>err || wrong "137 steps: $(cat err)"
[ "$(hash_of)" = "$first" ] && wrong "137 steps have the hash of 300"
part=$(hash_of)
# Without a device it runs on the processor, and one rank says so.
on_cpu() {
  timeout 300 "$@" "${law[@]}" --shards 8 --steps 137 --device cuda --checkpoint other >out 2>err || wrong "exit $? of $*: $(cat err)"
  [ "$(hash_of)" = "$part" ] || wrong "--device cuda without one: $(hash_of), else $part"
  [ "$(cat err)" = 'no CUDA device, running on the CPU' ] || wrong "--device cuda without one says: $(cat err)"
}
on_cpu "$ranks" --loopback 2 --trace
[ $mpi = no ] || on_cpu mpirun -n 2 "$ranks"
same 'resumed on 2 ranks' "$ranks" --resume part --loopback 2
same 'resumed alone' "$ranks" --resume part
if [ $mpi = yes ]; then
  for n in 1 2 3 4; do same "mpirun -n $n" mpirun -n $n "$ranks"; done
  same 'mpirun -n 3, traced' mpirun -n 3 "$ranks" --trace
  same 'mpirun -n 3, small buckets' mpirun -n 3 "$ranks" --bucket 65536
  same 'resumed by mpirun -n 4' mpirun -n 4 "$ranks" --resume part
fi
"$ranks" "${law[@]}" --steps 50 --checkpoint other >out 2>err
one=$(hash_of)
"$alone" "${law[@]}" --steps 50 --checkpoint other >out 2>err
[ "$(hash_of)" = "$one" ] || wrong "one shard: $one, 03_fashion_mnist: $(hash_of)"
[ "$one" = "$first" ] && wrong "one shard has the hash of eight"

# ---- bad input ----
refused() {  # refused CODE WORDS COMMAND...
  local code=$1 words=$2 got
  shift 2
  timeout 60 "$@" --samples 100 --checkpoint other --threads 1 >out 2>err
  got=$?
  [ "$got" = "$code" ] || wrong "exit $got, not $code: $*"
  grep -q '^error: ' err && grep -qF -- "$words" err || wrong "no word of '$words': $(cat err)"
}
refused 1 --bucket "$ranks" --bucket 0
refused 1 --shards "$ranks" --shards -1
refused 1 'set_shards: 70000' "$ranks" --shards 70000
refused 1 'Loopback: 5000 ranks' "$ranks" --loopback 5000 --shards 8
refused 1 --lr "$ranks" --loopback 2 --lr nan
refused 3 '3 ranks cannot share 2 shards' "$ranks" --loopback 3 --shards 2
refused 3 'a deadline of 0' "$ranks" --loopback 2 --deadline 0
refused 3 none "$ranks" --loopback 2 --resume none
if [ $mpi = yes ]; then
  start=(--shards 2 --samples 100 --threads 1 --checkpoint other)
  timeout 60 mpirun --enable-recovery -n 1 "$ranks" "${start[@]}" --seed 1 : -n 1 "$ranks" "${start[@]}" --seed 2 >out 2>err
  [ "$(grep -cE 'error: rank [01]: .*rank 0 \([^)]+\) and rank 1 \([^)]+\) differ in seed: 1 and 2' err)" = 2 ] ||
    wrong "two seeds: $(cat err)"
  refused 1 'not for mpirun' mpirun -n 1 "$ranks" --loopback 2
fi
finish "$first"
