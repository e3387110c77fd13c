#!/usr/bin/env bash
# Times prompt tuning here and in Hugging Face PEFT, one after the other on the
# same machine. For small shapes both have the same weights, token sequences and
# first prompt, and their first losses must agree; an 8B model's weights are
# random on each side, and only the lengths are the same.
#
#   tools/compare-peft.sh --device cuda --shape llama-3.1-8b
#   tools/compare-peft.sh --device cpu --shape smollm2-135m --batch 8 --length 147 --steps 5
#
# PYTHON names a Python that has torch, transformers and peft; without it one is
# made in target/peer. METAPROMPT names a built program; without it cargo builds
# one. Options after `--` go to compare_peft_cuda.py (such as --all).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=cuda shape=llama-3.1-8b batch=16 length=256 targets=8 virtual=100 steps=10 warmup=3 shared=0
while (($#)); do
  case $1 in
    --device) device=$2 ;; --shape) shape=$2 ;; --batch) batch=$2 ;; --length) length=$2 ;;
    --targets) targets=$2 ;; --virtual-tokens) virtual=$2 ;; --steps) steps=$2 ;;
    --warmup) warmup=$2 ;; --shared-prefix) shared=$2 ;;
    --) shift; break ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
  shift 2
done

if [[ -z ${PYTHON:-} ]]; then
  PYTHON=target/peer/bin/python
  [[ -x $PYTHON ]] || python3 -m venv target/peer
  "$PYTHON" -m pip install --quiet torch transformers peft
fi
if [[ -z ${METAPROMPT:-} ]]; then
  cargo build --release --quiet
  METAPROMPT=${CARGO_TARGET_DIR:-target}/release/metaprompt
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
same=(--batch "$batch" --length "$length" --targets "$targets" --virtual-tokens "$virtual"
  --steps "$steps" --warmup "$warmup" --shared-prefix "$shared")
peer=("$PYTHON" tools/compare_peft_cuda.py --device "$device" --shape "$shape" "${same[@]}")
ours=("$METAPROMPT" bench step --device "$device" --json --quiet "${same[@]}")
if [[ $shape == llama-3.1-8b ]]; then
  "${peer[@]}" "$@" | tee "$work/peer"
  "${ours[@]}" --config "tools/shapes/$shape/config.json" > "$work/ours"
else
  [[ $device == cpu ]] && peer+=(--dtype float32)
  "${peer[@]}" --save-weights "$work/weights" "$@" | tee "$work/peer"
  "${ours[@]}" --backbone "$work/weights" --tokens "$work/weights/examples.json" \
    --prompt "$work/weights/prompt" > "$work/ours"
fi
"$PYTHON" - "$work/peer" "$work/ours" <<'P'
import json, sys

peers = [json.loads(line) for line in open(sys.argv[1]) if line.startswith('{"shape"')]
ours = json.load(open(sys.argv[2]))
memory = ours.get("device_peak_memory_bytes") or ours["peak_memory_bytes"]
print(f"\nmetaprompt: {1e3 * ours['seconds']:.1f} ms a step (median), {memory / 1e9:.2f} GB,"
      f" {ours['packed_tokens']} packed tokens, losses"
      f" {' '.join(f'{x:.4f}' for x in ours['losses'][:3])}, on {ours['device']}")
for peer in peers:
    name = peer["method"] + (" with checkpointing" if peer["checkpointing"] else "")
    if "median_ms" not in peer:
        print(f"PEFT {name}: out of memory")
        continue
    held = (peer.get("memory_step") or {}).get("allocated")
    print(f"PEFT {name}: {peer['median_ms']:.1f} ms, {(held or 0) / 1e9:.2f} GB, losses"
          f" {' '.join(f'{x:.4f}' for x in peer['first_losses'])}:"
          f" {peer['median_ms'] / 1e3 / ours['seconds']:.2f} times metaprompt's time"
          + (f", metaprompt's memory {100 * memory / held:.0f}%" if held else ""))
P
