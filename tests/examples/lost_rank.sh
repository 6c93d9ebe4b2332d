#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lost_rank.sh BUILD [MOMENTS]: a rank that is killed or stopped at MOMENTS random moments (1) ends the others in time,
# with rank, host, step and operation, and leaves a checkpoint that loads; so does a worker or a server.
source "$(dirname "${BASH_SOURCE[0]}")/../support/programs.sh"
moments=${2:-1}
[ $mpi = yes ] || { echo "skipped: no mpirun"; exit 77; }
law=(--samples 1000 --batch 48 --dropout 0.1 --threads 1)

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
  timeout -k 5 60 mpirun "$@" -n 4 bash wrapper "$ranks" "${law[@]}" --shards 8 --epochs 1000000 --deadline 3 \
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
  timeout 60 "$ranks" "${law[@]}" --shards 8 --steps 1 --resume last --checkpoint other >out2 2>err2 ||
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

for _ in $(seq "$moments"); do
  recovered KILL
  recovered STOP
  lose KILL 5000
  [ $all -le 5000 ] || wrong "$what, plain mpirun: the job ended after $all ms"
  [ $code != 0 ] || wrong "$what, plain mpirun: exit code 0"
  echo "$what, plain mpirun: $all ms"
done

# ---- the parameter server ----
law=(--samples 1024 --batch 64 --dropout 0.1 --threads 1)
for victim in 0 1 2; do
  rm -f pid.* out err
  timeout -k 5 60 mpirun --enable-recovery -n 3 bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$@"' - \
    "$servers" "${law[@]}" --epochs 100000 --deadline 3 --checkpoint last >out 2>err &
  job=$!
  for _ in $(seq 500); do [ "$(cat pid.* 2>/dev/null | wc -l)" = 3 ] && break; sleep 0.02; done
  sleep 1.5
  begin=$(now)
  kill -KILL "$(cat pid.$victim)"
  wait $job
  took=$(($(now) - begin))
  [ $took -le 4000 ] || wrong "rank $victim killed: the others ended after $took ms"  # mpirun's own end included
  for r in 0 1 2; do
    [ $r = $victim ] || grep -qE "error: rank $r: tenon::dist: rank $r \([^)]+\), (after )?step [0-9]+[^:]*: .*rank $victim \([^)]+\)" err ||
      wrong "rank $victim killed: rank $r says $(grep "rank $r" err)"
  done
done
finish "$moments moments"
