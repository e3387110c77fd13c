"""Times a training step of metaprompt and of Hugging Face PEFT in turn, on one machine.

    tools/compare-peft.sh --device cpu --threads 2 --all

(the shell script finds or makes the Python and the program that this needs). Both
sides train on the same token sequences from the same initial prompt, through the
same frozen weights, with the same AdamW, clip and rate; the losses of their first
steps must agree, or this fails. Only the random weights of large shapes are each side's
own, since they are too many to be written down: there losses aren't compared.

Rounds alternate: some steps of PEFT, whose process stays and waits, then some of
metaprompt in a fresh process, so that what else the machine does falls on both.
Medians are over the measured steps of all rounds. With --rounds 1, the default on
a GPU, PEFT's process has ended before metaprompt's begins: two models at once may
not fit. Memory is each process's peak (VmHWM) on the CPU and the allocator's on a
GPU. Arguments after `--` go to `metaprompt bench step` (such as --recompute mlp).
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from comparison_table import print_table
from drawn_examples import LARGE, SHAPES, draw_examples, draw_lengths

TOOLS = Path(__file__).resolve().parent
# Eight examples as clinical sentences and short abstracts are: 147 tokens in the mean.
LENGTHS = "60,84,108,129,150,175,220,250"
CONFIGURATIONS = list(itertools.product(("prompt-tuning", "lora"), (False, True)))
# Relative difference of the first losses; both sides compute in f32 on the CPU.
TOLERANCES = {"cpu": 1e-4, "cuda": 1e-3}
COMPARED_LOSSES = 3


def parse_arguments():
    own, program = sys.argv[1:], []
    if "--" in own:
        own, program = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metaprompt", type=Path, required=True, metavar="PROGRAM", help=argparse.SUPPRESS)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cpu")
    parser.add_argument("--threads", type=int, metavar="N", help="on both sides; default all cores")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights", metavar="PATH", help="frozen weights: a Hugging Face directory, a GGUF file, or "
                         "embedded (SmolLM2-135M-Instruct; the default on the CPU)")
    weights.add_argument("--shape", choices=SHAPES, help="random weights of this shape (on a GPU llama-3.1-8b)")
    examples = parser.add_mutually_exclusive_group()
    examples.add_argument("--lengths", metavar="LENGTHS", help="of drawn examples: a list, or a range (60-250) of which "
                          f"--batch are drawn; default on the CPU {LENGTHS}")
    examples.add_argument("--length", type=int, metavar="N", help="of every drawn example; default on a GPU 256")
    examples.add_argument("--task", metavar="NAMES", help="examples of these corpora (healthver,jnlpba)")
    parser.add_argument("--data", metavar="DIR", help="folder of the corpora (default target/data)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest example of a corpus (default as in training)")
    parser.add_argument("--batch", type=int, metavar="N", help="examples in a step (default 8 on the CPU, 16 on a GPU)")
    parser.add_argument("--targets", type=int, default=8, metavar="N", help="target tokens of drawn examples (default 8)")
    parser.add_argument("--shared-prefix", type=int, default=0, metavar="N", help="first tokens equal in drawn examples")
    parser.add_argument("--virtual-tokens", type=int, default=100, metavar="N", help="of the soft prompt (default 100)")
    parser.add_argument("--method", choices=["prompt-tuning", "lora"], default="prompt-tuning", help="PEFT's")
    parser.add_argument("--checkpointing", action="store_true", help="PEFT with gradient checkpointing")
    parser.add_argument("--all", action="store_true", help="both methods, each without and with checkpointing")
    parser.add_argument("--rounds", type=int, metavar="N", help="default 3 on the CPU, 1 on a GPU")
    parser.add_argument("--steps", type=int, metavar="N", help="measured in a round (default 2 on the CPU, 10 on a GPU)")
    parser.add_argument("--warmup", type=int, metavar="N", help="not measured: at PEFT's start and in each of metaprompt's "
                        "processes (default 1 on the CPU, 3 on a GPU)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    arguments = parser.parse_args(own)
    arguments.program = program
    cpu = arguments.device == "cpu"
    for name, on_cpu, on_gpu in [("rounds", 3, 1), ("steps", 2, 10), ("warmup", 1, 3)]:
        if getattr(arguments, name) is None:
            setattr(arguments, name, on_cpu if cpu else on_gpu)
    if not (arguments.weights or arguments.shape):
        arguments.weights, arguments.shape = ("embedded", None) if cpu else (None, "llama-3.1-8b")
    if not (arguments.lengths or arguments.length or arguments.task):
        if cpu and arguments.batch in (None, LENGTHS.count(",") + 1):
            arguments.lengths = LENGTHS
        else:
            arguments.length = 147 if cpu else 256
    arguments.threads = arguments.threads or (os.cpu_count() if cpu else None)
    if arguments.task and not arguments.weights:
        parser.error("--task needs --weights: random ones have no tokenizer")
    if min(arguments.rounds, arguments.steps, arguments.targets, arguments.virtual_tokens, arguments.batch or 1) < 1:
        parser.error("--rounds, --steps, --batch, --targets and --virtual-tokens must be positive")
    if arguments.warmup < 0:
        parser.error("--warmup can't be negative")
    if arguments.all and (arguments.method != "prompt-tuning" or arguments.checkpointing):
        parser.error("--all chooses --method and --checkpointing itself")
    return arguments


def example_lengths(arguments):
    """Lengths of the drawn examples."""
    batch = arguments.batch or (8 if arguments.device == "cpu" else 16)
    if not arguments.lengths:
        return [arguments.length] * batch
    try:
        numbers = [int(part) for part in arguments.lengths.replace("-", ",").split(",")]
    except ValueError:
        numbers = []
    if "-" in arguments.lengths and len(numbers) == 2 and numbers[0] <= numbers[1]:
        return draw_lengths(*numbers, batch, arguments.seed)
    if "-" in arguments.lengths or not numbers:
        sys.exit(f"--lengths {arguments.lengths}: give a range (60-250) or a list (60,84,108)")
    if arguments.batch not in (None, len(numbers)):
        sys.exit(f"--batch {arguments.batch} and --lengths of {len(numbers)} examples: leave --batch out, the list says how many")
    return numbers


class Comparison:
    """The two sides with all that they share, in a folder for a while."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.weights = self.find_weights()
        self.tokens = folder / "examples.json"
        self.make_examples()

    def run(self, command):
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"failed with {done.returncode}: {' '.join(map(str, command))}")
        return done.stdout

    def metaprompt(self, *command):
        own = ["--device", self.arguments.device, "--seed", self.arguments.seed, "--json", "--quiet"]
        if self.arguments.threads:
            own += ["--threads", self.arguments.threads]
        return json.loads(self.run([self.arguments.metaprompt, *command, *own]))

    def find_weights(self):
        """Where both sides find the weights; None where each makes its own."""
        if self.arguments.weights == "embedded":
            return Path(self.metaprompt("backbone", "fetch")["path"])
        if self.arguments.weights:
            return Path(self.arguments.weights)
        return None if self.arguments.shape in LARGE else self.folder / "start" / "model"

    def make_examples(self):
        """One file of token sequences for both sides."""
        arguments = self.arguments
        if not arguments.task:
            lengths = example_lengths(arguments)
            if min(lengths) <= arguments.targets + arguments.shared_prefix:
                sys.exit(f"an example of {min(lengths)} tokens has no room for --targets {arguments.targets} and "
                         f"--shared-prefix {arguments.shared_prefix} with context between them")
            # Below every vocabulary that the weights may have: shapes know theirs.
            vocabulary = SHAPES[arguments.shape]["vocab_size"] if arguments.shape else 32000
            examples = draw_examples(lengths, arguments.targets, arguments.shared_prefix, vocabulary, arguments.seed)
            self.tokens.write_text(json.dumps({"examples": examples}))
            return
        command = ["bench", "step", "--task", arguments.task, "--steps", 0, "--save-tokens", self.tokens,
                   "--backbone", self.weights, "--batch", arguments.batch or 8,
                   "--virtual-tokens", arguments.virtual_tokens]
        command += ["--data", arguments.data] if arguments.data else []
        command += ["--max-tokens", arguments.max_tokens] if arguments.max_tokens else []
        self.metaprompt(*command)

    def peer(self, method, checkpointing):
        """PEFT's process, ready to run steps."""
        arguments = self.arguments
        command = [sys.executable, TOOLS / "compare_peft.py", "--rounds", "--device", arguments.device,
                   "--tokens", self.tokens, "--virtual-tokens", arguments.virtual_tokens, "--method", method]
        command += ["--model", self.weights] if arguments.weights else ["--shape", arguments.shape]
        command += ["--checkpointing"] if checkpointing else []
        command += ["--threads", arguments.threads] if arguments.threads else []
        command += ["--save-start", self.folder / "start"] if self.weights else []
        return Peer([str(part) for part in command])

    def steps(self):
        """A round of ours."""
        arguments = self.arguments
        command = ["bench", "step", "--tokens", self.tokens, "--virtual-tokens", arguments.virtual_tokens,
                   "--steps", arguments.steps, "--warmup", arguments.warmup]
        if self.weights:
            command += ["--backbone", self.weights, "--prompt", self.folder / "start" / "prompt"]
        else:
            command += ["--config", TOOLS / "shapes" / arguments.shape / "config.json"]
        return self.metaprompt(*command, *arguments.program)

    def compare(self, method, checkpointing):
        """All rounds of one of PEFT's configurations."""
        arguments = self.arguments
        name = method + (" with checkpointing" if checkpointing else "")
        say(f"PEFT {name}: starting")
        peer = self.peer(method, checkpointing)
        theirs, ours, losses = [], [], []
        memory = our_memory = 0
        for round_ in range(arguments.rounds):
            wanted = [arguments.steps] if round_ or not arguments.warmup else [arguments.warmup, arguments.steps]
            for steps in wanted:
                result = peer.steps(steps)
                if "ms" not in result:
                    peer.end()
                    say(f"PEFT {name}: out of memory")
                    return {"method": method, "checkpointing": checkpointing, "out_of_memory": result["out_of_memory"]}
                losses += result["losses"]
            theirs += [ms / 1e3 for ms in result["ms"]]
            memory = max(memory, held(result["memory"]) or 0)
            if arguments.rounds == 1:
                peer.end()
            say(f"round {round_ + 1} of {arguments.rounds}: PEFT {name} {statistics.median(theirs):.3f} s")
            mine = self.steps()
            if round_ == 0 and method == "prompt-tuning" and self.weights:
                self.check_losses(losses, mine["losses"])
            ours += mine["all_seconds"]
            our_memory = max(our_memory, mine.get("device_peak_memory_bytes") or mine["peak_memory_bytes"] or 0)
            say(f"round {round_ + 1} of {arguments.rounds}: metaprompt {statistics.median(ours):.3f} s")
        if arguments.rounds > 1:
            peer.end()
        return {
            "method": method, "checkpointing": checkpointing, "machine": peer.machine,
            "seconds": statistics.median(theirs), "all_seconds": theirs, "losses": losses,
            "memory": memory or None, "memory_before": held(peer.ready["memory"]),
            "metaprompt": {"seconds": statistics.median(ours), "all_seconds": ours, "losses": mine["losses"],
                           "memory": our_memory or None, "packed_tokens": mine["packed_tokens"],
                           "threads": mine["threads"], "device": mine["device"]},
        }

    def check_losses(self, theirs, ours):
        """The first steps of both must be the same steps."""
        tolerance = TOLERANCES[self.arguments.device]
        pairs = list(zip(theirs, ours))[:COMPARED_LOSSES]
        differences = [abs(their - our) / abs(their) for their, our in pairs]
        say("losses of the first steps, PEFT and metaprompt: "
            + ", ".join(f"{their:.6f} {our:.6f}" for their, our in pairs)
            + f"; largest relative difference {max(differences):.1e}")
        # Not `>`: a loss that isn't a number must fail too.
        if not max(differences) <= tolerance:
            sys.exit(f"the losses differ by more than {tolerance:g}: the two don't do the same step, so their times say nothing")


class Peer:
    """PEFT's process, which runs steps when it is asked to."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.machine = self.read()
        self.ready = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"PEFT's process ended with {self.process.wait()}")
        return json.loads(line)

    def steps(self, count):
        if "ready" not in self.ready:
            return self.ready
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait()


def held(memory):
    """Bytes of a peak as PEFT's side tells it."""
    return memory.get("allocated", memory.get("process"))


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    arguments = parse_arguments()
    configurations = CONFIGURATIONS if arguments.all else [(arguments.method, arguments.checkpointing)]
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments, Path(folder))
        results = [comparison.compare(*configuration) for configuration in configurations]
        print_table(results, arguments, comparison.tokens)
    if arguments.json:
        arguments.json.write_text(json.dumps({"arguments": vars(arguments), "results": results}, default=str) + "\n")


if __name__ == "__main__":
    main()
