#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fashion_mnist.sh BUILD: the first training program as its users meet it: one hash for any number of threads and for a
# run that was interrupted, its last two lines, and one line starting with "error:" for everything that goes wrong.
set -u
# On a machine that is busy, threads that wait by spinning would take a hundred times as long.
export OMP_WAIT_POLICY=passive
program=$1/examples/03_fashion_mnist
[ -x "$program" ] || { echo "skipped: $program was not built"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
wrong() { echo "FAILED: $*"; failures=$((failures + 1)); }

# The law, on whatever data this machine has.
law=(--samples 1320 --batch 64 --dropout 0.1)
train() { "$program" "${law[@]}" "$@" >out 2>err || wrong "exit $? of $*: $(cat err)"; }
hash_of() { grep -Ex 'weights [0-9a-f]{16}' out; }
train --steps 300 --threads 1 --checkpoint whole
first=$(hash_of)
tail -n 2 out | head -n 1 | grep -qEx 'weights [0-9a-f]{16}' || wrong "no line of weights before the last: $(tail -n 2 out)"
tail -n 1 out | grep -qEx 'test accuracy 0\.[0-9]{4} after 14\.29 epochs, [0-9]+\.[0-9] s' || wrong "last line: $(tail -n 1 out)"
[ "$(grep -cE '^weights' out)" = 1 ] || wrong "not one line of weights"
grep -q "$(printf '[\r\033]')" out && wrong "a progress bar in a file"
grep -qE '^epoch 1  loss [0-9.]+  test accuracy 0\.[0-9]+$' out || wrong "no line for epoch 1"
[ -s err ] && wrong "something on stderr: $(cat err)"
train --steps 300 --threads 2 --checkpoint two
[ "$(hash_of)" = "$first" ] || wrong "two threads: $(hash_of), one: $first"
cmp -s whole two || wrong "the checkpoints of one and two threads differ"
train --steps 137 --threads 2 --checkpoint part
[ "$(hash_of)" = "$first" ] && wrong "137 steps have the hash of 300"
train --steps 300 --threads 1 --resume part --checkpoint resumed
[ "$(hash_of)" = "$first" ] || wrong "resumed: $(hash_of), uninterrupted: $first"
cmp -s whole resumed || wrong "the checkpoint of the resumed run differs"
train --steps 300 --threads 1 --seed 2 --checkpoint other
[ "$(hash_of)" = "$first" ] && wrong "another seed has the same hash"

"$program" --help >out 2>err || wrong "--help: exit $?"
for option in epochs steps samples batch lr dropout seed threads data checkpoint resume; do
  grep -q -- "--$option" out || wrong "--help does not name --$option"
done

# A data set of four small files.
number() { printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"; }
images() { number 2051; number "$1"; number 28; number 28; head -c $(($1 * 784)) /dev/zero; }
labels() { number 2049; number "$1"; head -c "$1" /dev/zero | tr '\0' "${2:-\\1}"; }
small() {
  rm -rf set && mkdir set
  for part in train t10k; do images 8 >set/$part-images-idx3-ubyte; labels 8 >set/$part-labels-idx1-ubyte; done
}

# Everything else is an error: exit code 1, one line that says what is wrong, and files as they were. An option given
# twice would be an error of its own, so the usual ones are added only where they are not the one tried.
refused() {
  local words=$1 code
  shift
  case " $* " in *" --data "*) ;; *) set -- "$@" --data set ;; esac
  case " $* " in *" --checkpoint "*) ;; *) set -- "$@" --checkpoint kept ;; esac
  timeout 60 "$program" "$@" >out 2>err
  code=$?
  [ "$code" = 1 ] || wrong "exit $code, not 1: $*"
  [ "$(wc -l <err)" = 1 ] && grep -q '^error: .' err || wrong "stderr of $*: $(cat err)"
  grep -qF -- "$words" err || wrong "no word of '$words' for $*: $(cat err)"
  cmp -s kept old || { wrong "$* changed the old checkpoint"; cp old kept; }
}
echo old >old && cp old kept
small
refused 'Batches: a batch of 0 rows' --batch 0
refused 'Batches: a batch of -1 rows' --batch -1
refused --batch --batch many
refused --steps --steps -1
refused --samples --samples -1
refused --epochs --epochs -1
refused --epochs --epochs 99999999999999999999
refused --threads --threads -1
refused --seed --seed -1
refused --dropout --dropout 1
refused --dropout --dropout -0.1
refused --dropout --dropout nan
refused --lr --lr nan
refused --lr --lr -1
refused --no-such-option --no-such-option
refused surplus surplus
refused none --data "$folder/none"
refused /dev/null --data /dev/null
refused none --resume "$folder/none"
refused "$folder" --resume "$folder"
head -c 100 whole >cut && refused cut --resume cut
head -c "$(($(wc -c <whole) - 1))" whole >cut && refused cut --resume cut
head -c 5000 /dev/urandom >noise && refused noise --resume noise
: >empty && refused empty --resume empty
refused /no/such/folder --checkpoint "$folder/no/such/folder/file"
mkdir taken && refused taken --checkpoint taken
refused --checkpoint --checkpoint ''

"$program" --data set --batch 3 --epochs 2 --checkpoint small >out 2>err || wrong "a small data set: $(cat err)"
tail -n 1 out | grep -q ' after 2 epochs' || wrong "a small data set: $(tail -n 1 out)"
"$program" --data set --batch 9223372036854775807 --epochs 1 --checkpoint small >out 2>err || wrong "a batch of everything: $(cat err)"
gzip set/train-images-idx3-ubyte
"$program" --data set --batch 3 --epochs 1 --checkpoint small >out 2>err || wrong "a packed file: $(cat err)"
head -c 40 set/train-images-idx3-ubyte.gz >cut && mv cut set/train-images-idx3-ubyte.gz && refused idx --data set
small; head -c 3000 set/t10k-images-idx3-ubyte >cut && mv cut set/t10k-images-idx3-ubyte && refused idx --data set
small; labels 8 '\12' >set/train-labels-idx1-ubyte && refused idx --data set
small; labels 7 >set/t10k-labels-idx1-ubyte && refused idx --data set
small; rm set/t10k-labels-idx1-ubyte && refused t10k-labels --data set
small; images 0 >set/train-images-idx3-ubyte; labels 0 >set/train-labels-idx1-ubyte; refused 'no training or no test images' --data set
small; images 0 >set/t10k-images-idx3-ubyte; labels 0 >set/t10k-labels-idx1-ubyte; refused 'no training or no test images' --data set
[ -z "$(ls -A | grep '\.tmp$')" ] || wrong "temporary files are left: $(ls -A)"

[ "$failures" = 0 ] && echo "passed: $first"
exit $((failures > 0))
