#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# data_parallel.sh BUILD [MOMENTS]: training on several ranks. One hash of the weights for any number of ranks, threads,
# bucket sizes and for runs that go on elsewhere; a rank that is killed or stopped at MOMENTS random moments (1) ends
# the others in time, with rank, host, step and operation, and leaves a checkpoint that loads. What needs mpirun is left
# out where it is missing.
set -u
export OMP_WAIT_POLICY=passive
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1
build=$(cd "$1" && pwd) moments=${2:-1}
program=$build/examples/04_data_parallel alone=$build/examples/03_fashion_mnist
[ -x "$program" ] || { echo "skipped: $program was not built"; exit 77; }
mpi=no
command -v mpirun >/dev/null && ldd "$program" | grep -q 'libmpi\.' && mpi=yes
folder=$(mktemp -d)
started=()
clean_up() { for p in ${started[@]+"${started[@]}"}; do kill -KILL "$p" 2>/dev/null; done; rm -rf "$folder"; }
trap clean_up EXIT
cd "$folder" || exit 1
failures=0
wrong() { echo "FAILED: $*"; failures=$((failures + 1)); }
hash_of() { grep -Ex 'weights [0-9a-f]{16}' out; }

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
timeout 300 "$program" "${law[@]}" --steps 300 --shards 8 --checkpoint whole >out 2>err || wrong "exit $?: $(cat err)"
first=$(hash_of)
[ "$(grep -cE '^epoch [0-9]+  loss [0-9.]+  test accuracy 0\.[0-9]+$' out)" = 15 ] || wrong "lines of epochs: $(cat out)"
law=(--samples 1000 --batch 48 --dropout 0.1)
same 'two threads' "$program" --threads 2
same traced "$program" --threads 1 --trace
same 'traced, loopback 4, small buckets' "$program" --threads 1 --loopback 4 --bucket 65536 --trace
same 'loopback 2' "$program" --threads 1 --loopback 2
same 'loopback 4, small buckets' "$program" --threads 1 --loopback 4 --bucket 65536
law+=(--threads 1)
timeout 300 "$program" "${law[@]}" --shards 8 --steps 137 --loopback 3 --checkpoint part >out 2>err || wrong "137 steps: $(cat err)"
[ "$(hash_of)" = "$first" ] && wrong "137 steps have the hash of 300"
part=$(hash_of)
# Without a device it runs on the processor, and one rank says so.
on_cpu() {
  timeout 300 "$@" "${law[@]}" --shards 8 --steps 137 --device cuda --checkpoint other >out 2>err || wrong "exit $? of $*: $(cat err)"
  [ "$(hash_of)" = "$part" ] || wrong "--device cuda without one: $(hash_of), else $part"
  [ "$(cat err)" = 'no CUDA device, running on the CPU' ] || wrong "--device cuda without one says: $(cat err)"
}
on_cpu "$program" --loopback 2 --trace
[ $mpi = no ] || on_cpu mpirun -n 2 "$program"
same 'resumed on 2 ranks' "$program" --resume part --loopback 2
same 'resumed alone' "$program" --resume part
if [ $mpi = yes ]; then
  for n in 1 2 3 4; do same "mpirun -n $n" mpirun -n $n "$program"; done
  same 'mpirun -n 3, traced' mpirun -n 3 "$program" --trace
  same 'mpirun -n 3, small buckets' mpirun -n 3 "$program" --bucket 65536
  same 'resumed by mpirun -n 4' mpirun -n 4 "$program" --resume part
fi
"$program" "${law[@]}" --steps 50 --checkpoint other >out 2>err
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
refused 1 --bucket "$program" --bucket 0
refused 1 --shards "$program" --shards -1
refused 1 'set_shards: 70000' "$program" --shards 70000
refused 1 'Loopback: 5000 ranks' "$program" --loopback 5000 --shards 8
refused 1 --lr "$program" --loopback 2 --lr nan
refused 3 '3 ranks cannot share 2 shards' "$program" --loopback 3 --shards 2
refused 3 'a deadline of 0' "$program" --loopback 2 --deadline 0
refused 3 none "$program" --loopback 2 --resume none
if [ $mpi = yes ]; then
  start=(--shards 2 --samples 100 --threads 1 --checkpoint other)
  timeout 60 mpirun --enable-recovery -n 1 "$program" "${start[@]}" --seed 1 : -n 1 "$program" "${start[@]}" --seed 2 >out 2>err
  [ "$(grep -cE 'error: rank [01]: .*rank 0 \([^)]+\) and rank 1 \([^)]+\) differ in seed: 1 and 2' err)" = 2 ] ||
    wrong "two seeds: $(cat err)"
  refused 1 'not for mpirun' mpirun -n 1 "$program" --loopback 2
fi

# ---- a rank that is lost ----
now() { date +%s%3N; }
# One that ended and that nobody has waited for is not alive.
alive() { local p; for p in "$@"; do grep -qs '^State:.[^ZX]' "/proc/$p/status" && return 0; done; return 1; }
# Writes the process's number, and its exit code when it ends.
cat >wrapper <<'W'
"$@" &
echo $! >child.$OMPI_COMM_WORLD_RANK
echo $$ >wrapper.$OMPI_COMM_WORLD_RANK
wait $!
code=$?
echo $code >code.$OMPI_COMM_WORLD_RANK
exit $code
W
lose() {  # lose SIGNAL LIMIT_MS MPIRUN_OPTION...: one of 4 ranks at a random moment; the others' end is waited for
  local signal=$1 limit=$2 job victim delay begin r survivors=()
  shift 2
  rm -f child.* wrapper.* code.* last
  timeout -k 5 60 mpirun "$@" -n 4 bash wrapper "$program" "${law[@]}" --shards 8 --epochs 1000000 --deadline 3 \
    --checkpoint last >out 2>err &
  job=$!
  for _ in $(seq 500); do [ "$(cat wrapper.* 2>/dev/null | wc -l)" = 4 ] && break; sleep 0.02; done
  started=($(cat child.* wrapper.*) $job)
  victim=$((RANDOM % 4)) delay=$((RANDOM % 2500))
  sleep "$(printf %d.%03d $((delay / 1000)) $((delay % 1000)))"
  begin=$(now)
  # The wrapper first, so that mpirun sees what happens to a program of its own.
  [ $signal = KILL ] && kill -KILL "$(cat wrapper.$victim)"
  kill -$signal "$(cat child.$victim)"
  for r in 0 1 2 3; do [ $r = $victim ] || survivors+=("$(cat child.$r)"); done
  while alive "${survivors[@]}" && [ $(($(now) - begin)) -lt 20000 ]; do sleep 0.02; done
  took=$(($(now) - begin))
  what="rank $victim, SIG$signal after $delay ms${*:+, $*}"
  [ $took -le $limit ] || wrong "$what: the others ended after $took ms, the limit is $limit"
  [ $signal = KILL ] || kill -KILL "$(cat child.$victim)" 2>/dev/null
  wait $job
  code=$?
  while alive "${started[@]}" && [ $(($(now) - begin)) -lt 20000 ]; do sleep 0.02; done
  all=$(($(now) - begin))
  alive "${started[@]}" && wrong "$what: processes are left"
  started=()
  lost=$victim
  [ -e last ] || return
  timeout 60 "$program" "${law[@]}" --shards 8 --steps 1 --resume last --checkpoint other >out2 2>err2 ||
    wrong "$what: the checkpoint does not load: $(cat err2)"
}
recovered() {  # recovered SIGNAL
  lose "$1" 3000 --enable-recovery
  for r in 0 1 2 3; do
    [ $r = $lost ] && continue
    # rank, host, step, operation, and who is lost
    grep -qE "error: (rank $r: )?tenon::dist: rank $r \([^)]+\)[,:] .*(step|start)[^,:]*[,:] .*(rank $lost|MPI_Init)" err ||
      wrong "$what: rank $r says: $(grep "rank $r" err)"
    case $(cat code.$r 2>/dev/null) in [34]) ;; *) wrong "$what: rank $r ended with $(cat code.$r 2>&1)" ;; esac
  done
  echo "$what: $took ms"
}
if [ $mpi = yes ]; then
  for _ in $(seq "$moments"); do
    recovered KILL
    recovered STOP
    lose KILL 5000
    [ $all -le 5000 ] || wrong "$what, plain mpirun: the job ended after $all ms"
    [ $code != 0 ] || wrong "$what, plain mpirun: exit code 0"
    echo "$what, plain mpirun: $all ms"
  done
fi

[ "$failures" = 0 ] && echo "passed: $first, mpirun: $mpi"
exit $((failures > 0))
