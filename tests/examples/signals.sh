#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# signals.sh BUILD: SIGINT and SIGTERM at a random moment of training. The program ends within a second with its own
# code and a checkpoint from which the run goes on to the weights of one that was never interrupted; under mpirun, which
# turns both into SIGTERM and kills a second later, one checkpoint of one step.
source "$(dirname "${BASH_SOURCE[0]}")/../support/programs.sh"
law=(--samples 1024 --batch 64 --dropout 0.1 --threads 1)

interrupt() {  # interrupt SIGNAL CODE COMMAND...: its checkpoint is `part`
  local signal=$1 code=$2 job got begin took delay
  shift 2
  rm -rf part run && mkdir run
  "$@" "${law[@]}" --steps 10000000 --checkpoint run/part >out 2>err &
  job=$!
  # From the first epoch's line on: before it, data are read.
  for _ in $(seq 500); do grep -q epoch out && break; sleep 0.02; done
  delay=$((RANDOM % 800))
  sleep "$(printf 0.%03d $delay)"
  begin=$(now)
  kill -$signal $job
  wait $job
  got=$?
  took=$(($(now) - begin))
  sed -i 's/\x1b\[K//g; s/\r$//; s/\r/\n/g' out  # mpirun's ranks write to a terminal
  what="SIG$signal $delay ms after the first epoch: $*"
  [ "$got" = "$code" ] || wrong "$what: exit $got, not $code: $(cat err)"
  # mpirun passes the signal on one second late, and ends one second after that.
  [ $took -le $([ "$1" = mpirun ] && echo ${limit:-4000} || echo 1000) ] || wrong "$what: it ended after $took ms"
  [ "$(ls run)" = part ] || wrong "$what: not one checkpoint: $(ls -A run)"
  [ "$(grep -c '^stopped by SIG' out)" = 1 ] || wrong "$what: not one line that says so: $(tail -n 3 out)"
  stopped=$(sed -nE 's/^stopped by SIG(INT|TERM).* after step ([0-9]+)$/\2/p' out)
  mv run/part part
}
# goes_on COMMAND...: from `part` over as many steps again; the same as without an interruption.
goes_on() {
  local end=$((stopped + 40)) want
  timeout 300 "$@" "${law[@]}" --steps $end --checkpoint whole >out 2>err || wrong "exit $? of $*: $(cat err)"
  want=$(hash_of)
  timeout 300 "$@" "${law[@]}" --steps $end --resume part --checkpoint resumed >out 2>err || wrong "exit $? of $* --resume: $(cat err)"
  [ -n "$want" ] && [ "$(hash_of)" = "$want" ] || wrong "$what: resumed $(hash_of), uninterrupted $want"
  cmp -s whole resumed || wrong "$what: the checkpoint of the resumed run differs"
  echo "$what: step $stopped"
}
for signal in INT TERM; do
  code=$([ $signal = INT ] && echo 130 || echo 143)
  interrupt $signal $code "$alone"
  goes_on "$alone"
done
interrupt INT 130 "$ranks" --shards 2 --loopback 2
goes_on "$ranks" --shards 2
interrupt TERM 143 "$servers" --loopback 3
goes_on "$servers" --loopback 3
interrupt TERM 143 "$servers" --loopback 3 --mode async
if [ $mpi = yes ]; then
  for signal in INT TERM; do
    interrupt $signal 1 mpirun -n 2 "$ranks" --shards 2
    goes_on "$ranks" --shards 2
    interrupt $signal 1 mpirun -n 3 "$servers"
    goes_on "$servers" --loopback 3
  done
  # With more time before SIGKILL nothing changes.
  limit=15000 OMPI_MCA_odls_base_sigkill_timeout=5 interrupt TERM 1 mpirun -n 2 "$ranks" --shards 2
  timeout 60 "$ranks" "${law[@]}" --shards 2 --steps $((stopped + 1)) --resume part --checkpoint got >out 2>err ||
    wrong "$what: the checkpoint does not load: $(cat err)"
fi

# One step that takes longer than a second: the checkpoint of the last boundary, in time.
rm -rf part run && mkdir run
"$alone" --batch 1000000 --dropout 0.1 --threads 1 --epochs 100000 --checkpoint run/part >out 2>err &
job=$!
sleep 2.5
begin=$(now)
kill -INT $job
wait $job
got=$? took=$(($(now) - begin))
[ $got = 130 ] || wrong "a long step: exit $got: $(cat err)"
[ $took -le 1500 ] || wrong "a long step: it ended after $took ms"
timeout 60 "$alone" --samples 64 --steps 1 --resume run/part --checkpoint got >out 2>err || wrong "a long step: the checkpoint does not load: $(cat err)"
finish "steps end"
