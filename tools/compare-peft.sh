#!/usr/bin/env bash
# Times a training step here and in Hugging Face PEFT in turn on one machine: the
# same weights, token sequences, first prompt and optimizer, and losses that must
# agree. On the CPU, SmolLM2-135M on 8 examples of 60 to 250 tokens:
#
#   tools/compare-peft.sh --threads 2
#   tools/compare-peft.sh --threads 2 --all
#   tools/compare-peft.sh --task healthver --batch 8
#   tools/compare-peft.sh --device cuda --shape llama-3.1-8b --all
#
# --help says what else can be chosen. PYTHON names a Python that has torch,
# transformers, peft and gguf; without it one is made in target/peer. METAPROMPT
# names a built program; without it cargo builds one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -z ${PYTHON:-} ]]; then
  PYTHON=target/peer/bin/python
  [[ -x $PYTHON ]] || python3 -m venv target/peer
  if ! "$PYTHON" -c 'import torch, transformers, peft, gguf' 2>/dev/null; then
    echo "installing torch, transformers, peft and gguf into target/peer" >&2
    grep -E '^(torch|transformers|peft|gguf|safetensors|numpy)==' tools/requirements.txt > target/peer/requirements.txt
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --requirement target/peer/requirements.txt
  fi
fi
if [[ -z ${METAPROMPT:-} ]]; then
  cargo build --release --quiet
  METAPROMPT=${CARGO_TARGET_DIR:-target}/release/metaprompt
fi
exec "$PYTHON" tools/compare_steps.py --metaprompt "$METAPROMPT" "$@"
