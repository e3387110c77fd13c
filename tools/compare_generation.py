"""How fast does Hugging Face transformers generate and score on this CPU, and how fast metaprompt?

    python tools/compare_generation.py
    python tools/compare_generation.py --what score --rounds 5 --threads 2
    python tools/compare_generation.py --shape tiny --requests 8 --rounds 1
    python tools/compare_generation.py --corpora jnlpba mts-dialog ddi2013 pubmedqa --labelled healthver headqa

Both sides get the same weights (random ones of --shape in f32, or those of
--weights DIR), the same soft prompts (a PEFT adapter for each task) and the same
token sequences, and take turns, so that what else the machine does falls on both.

generate: --requests examples of --lengths tokens, of --tasks tasks, each behind its
task's prompt of --virtual-tokens; all in one batch; greedy; --new-tokens each. The
peer runs `model.generate` on the batch padded on the left, either with the prompts
as `inputs_embeds` ("prompts in the batch") or with the prompts' keys and values
computed before and handed over as `past_key_values` ("prompts cached", whose copy
isn't timed), or that with one batch for each task, so that less is padded ("task by
task"). With --corpora the requests are examples of these corpora, encoded as for
training, in equal parts.

score: the log-likelihood of each answer of a closed set, behind one prompt:
"labels" (three for all examples, 1 to 3 tokens, as in healthver) and "options"
(four for each example, 3 to 12 tokens, as in headqa). All examples begin with the same
--instruction tokens. The peer takes its examples in order of length, --score-batch
at once, and forms logits only where it needs them (`logits_to_keep`): one padded
sequence for each example and answer ("sequences"), each example once with its keys
and values repeated for its answers ("examples once"), or that with the prompt and
the instruction computed only once ("prefix cached").

A ratio is the fastest of the peer's ways over metaprompt, medians of --rounds after
one that warms up. Peaks are of each process's whole memory (VmHWM), the weights
included; the peer's is that of the fastest way. Answers must agree: generated tokens
by share (random weights tie now and then), log-likelihoods within 1e-4 of the mean.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
import transformers
from transformers.utils.logging import disable_progress_bar

from drawn_examples import SHAPES
from frozen_model import build_model


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=["generate", "score"], default=["generate", "score"])
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="a Hugging Face directory in place of --shape")
    parser.add_argument("--requests", type=int, default=64, help="generated answers, one batch (default 64)")
    parser.add_argument("--tasks", type=int, default=8, help="tasks, with a prompt each (default 8)")
    parser.add_argument("--virtual-tokens", type=int, default=100, help="of each prompt (default 100)")
    parser.add_argument("--lengths", default="60-250", metavar="A-B", help="tokens of an example (default 60-250)")
    parser.add_argument("--new-tokens", type=int, default=32, help="of each answer (default 32)")
    parser.add_argument("--examples", type=int, default=32, help="examples that are scored (default 32)")
    parser.add_argument("--instruction", type=int, default=40, help="first tokens that scored examples share (default 40)")
    parser.add_argument("--score-batch", type=int, default=16, help="the peer's examples at once (default 16)")
    parser.add_argument("--corpora", nargs="+", default=[], metavar="NAME", help="corpora of the generated answers' requests")
    parser.add_argument("--labelled", nargs="+", default=[], metavar="NAME", help="corpora whose labels are scored")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds (default 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both sides (default all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metaprompt", default=os.environ.get("METAPROMPT", "target/release/metaprompt"),
                        help="the built program (default $METAPROMPT, else target/release/metaprompt)")
    arguments = parser.parse_args()
    shortest, _, longest = arguments.lengths.partition("-")
    try:
        arguments.lengths = range(int(shortest), int(longest or shortest) + 1)
    except ValueError:
        parser.error("--lengths is a number of tokens, or two with a hyphen")
    if not arguments.lengths or arguments.lengths.start <= max(arguments.instruction, 0):
        parser.error("--lengths goes from few to many, all more than --instruction")
    if arguments.corpora:
        arguments.tasks = len(arguments.corpora)
        if arguments.requests % arguments.tasks:
            parser.error("--requests is divided among --corpora in equal parts")
    counts = (arguments.requests, arguments.tasks, arguments.virtual_tokens, arguments.new_tokens - 1,
              arguments.examples, arguments.score_batch, arguments.rounds, arguments.threads)
    if min(counts) < 1:
        parser.error("counts must be positive, --new-tokens at least 2")
    return arguments


def prepare_weights(arguments, folder):
    """The model, and the directory that metaprompt reads."""
    if arguments.weights:
        model = transformers.AutoModelForCausalLM.from_pretrained(arguments.weights, dtype=torch.float32)
        return model.requires_grad_(False).eval(), arguments.weights
    model = build_model(arguments.shape, torch.float32, torch.device("cpu")).eval()
    model.save_pretrained(folder / "weights")
    return model, folder / "weights"


def make_prompts(model, arguments, folder):
    """A soft prompt for each task: as a tensor, and as a PEFT adapter on disk."""
    generator = torch.Generator().manual_seed(arguments.seed)
    table = model.get_input_embeddings().weight
    config = peft.PromptTuningConfig(task_type=peft.TaskType.CAUSAL_LM, num_virtual_tokens=arguments.virtual_tokens)
    wrapped = peft.get_peft_model(model, config)
    prompts, folders = [], []
    for task in range(arguments.tasks):
        tokens = torch.randint(len(table), (arguments.virtual_tokens,), generator=generator)
        prompt = table[tokens].clone()
        with torch.no_grad():
            wrapped.prompt_encoder["default"].embedding.weight.copy_(prompt)
        folders.append(folder / f"prompt-{task}")
        wrapped.save_pretrained(folders[-1])
        prompts.append(prompt)
    return prompts, folders


def reset_peak():
    Path("/proc/self/clear_refs").write_text("5")


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


class Timing:
    """Seconds of each round and the most memory of one way to do the work."""

    def __init__(self):
        self.seconds, self.memory = [], 0

    def median(self):
        return statistics.median(self.seconds)


def take_turns(ways, ours, rounds):
    """Runs the peer's ways and `ours` in turn; timings by name, last results by name."""
    timings = {name: Timing() for name in [*ways, "metaprompt"]}
    results = {}
    for round_ in range(rounds + 1):
        for name, (prepare, work) in ways.items():
            prepared = prepare()
            reset_peak()
            start = time.perf_counter()
            with torch.inference_mode():
                results[name] = work(*prepared)
            seconds = time.perf_counter() - start
            del prepared
            if round_ > 0:
                timings[name].seconds.append(seconds)
                timings[name].memory = max(timings[name].memory, peak())
        if round_ > 0:  # metaprompt warms up in each process
            seconds, memory, results["metaprompt"] = ours()
            timings["metaprompt"].seconds.append(seconds)
            timings["metaprompt"].memory = max(timings["metaprompt"].memory, memory)
    return timings, results


def run_metaprompt(kind, weights, tokens_file, prompt_folders, arguments, *more):
    command = [arguments.metaprompt, "bench", kind, "--backbone", weights, "--tokens", tokens_file, "--rounds", 1,
               "--device", "cpu", "--threads", arguments.threads, "--json", "--quiet", *more, "--prompt", *prompt_folders]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"metaprompt failed:\n{done.stderr}")
    return json.loads(done.stdout)


def prefill(model, embeddings):
    """Keys and values of sequences that are all as long."""
    with torch.inference_mode():
        return model(inputs_embeds=embeddings, use_cache=True, logits_to_keep=1).past_key_values


def cache_of(layers):
    cache = transformers.DynamicCache()
    for index, (keys, values) in enumerate(layers):
        cache.update(keys, values, index)
    return cache


def layers_of(cache):
    return [(layer.keys, layer.values) for layer in cache.layers]


def left_padded(sequences):
    """Ids and mask."""
    longest = max(map(len, sequences))
    ids = torch.tensor([[0] * (longest - len(s)) + s for s in sequences])
    mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences])
    return ids, mask


def encoded(arguments, corpus, count, folder):
    """Tokens of examples of a corpus, in the embedded backbone's vocabulary: contexts and answers."""
    file = folder / f"{corpus}.tokens.json"
    command = [arguments.metaprompt, "bench", "step", "--device", "cpu", "--task", corpus, "--batch", count, "--steps", 0,
               "--save-tokens", file, "--quiet"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"metaprompt failed:\n{done.stderr}")
    examples = json.loads(file.read_text())["examples"]
    return [e["context"] for e in examples], [e["target"] for e in examples]


# --- generation ---------------------------------------------------------------------------------


def compare_generation(model, weights, prompts, folders, draw, arguments, folder):
    count = arguments.requests
    tasks = [index % arguments.tasks for index in range(count)]
    if arguments.corpora:
        of_task = [encoded(arguments, c, count // arguments.tasks, folder)[0] for c in arguments.corpora]
        contexts = [of_task[task][index // arguments.tasks] for index, task in enumerate(tasks)]
    else:
        contexts = [draw(random.choice(arguments.lengths)) for _ in range(count)]
    file = folder / "requests.json"
    file.write_text(json.dumps({"examples": [{"context": c, "task": t} for c, t in zip(contexts, tasks)]}))
    ids, mask = left_padded(contexts)
    embed = model.get_input_embeddings()
    settings = dict(max_new_tokens=arguments.new_tokens, min_new_tokens=arguments.new_tokens, do_sample=False,
                    use_cache=True, pad_token_id=0, eos_token_id=None)
    longest = ids.shape[1]

    def in_batch():
        # The prompt stands next to its example: padding, prompt, tokens.
        rows, masks = [], []
        for context, task in zip(contexts, tasks):
            padding = longest - len(context)
            row = [embed(torch.zeros(padding, dtype=torch.long)), prompts[task], embed(torch.tensor(context))]
            rows.append(torch.cat(row))
            masks.append([0] * padding + [1] * (arguments.virtual_tokens + len(context)))
        return model.generate(inputs_embeds=torch.stack(rows), attention_mask=torch.tensor(masks), **settings)

    pinned = [layers_of(prefill(model, prompt[None])) for prompt in prompts]
    everyone = [
        tuple(torch.cat([pinned[task][layer][side] for task in tasks]) for side in (0, 1))
        for layer in range(len(pinned[0]))
    ]
    before = torch.zeros(count, arguments.virtual_tokens, dtype=torch.long)

    def cached(cache):
        all_ids = torch.cat([before, ids], 1)
        all_mask = torch.cat([before + 1, mask], 1)
        out = model.generate(all_ids, attention_mask=all_mask, past_key_values=cache, **settings)
        return out[:, all_ids.shape[1]:]

    def by_task(caches):
        answers = [None] * count
        for task, cache in enumerate(caches):
            mine = [index for index in range(count) if tasks[index] == task]
            ids, mask = left_padded([contexts[index] for index in mine])
            all_ids = torch.cat([before[mine], ids], 1)
            all_mask = torch.cat([before[mine] + 1, mask], 1)
            out = model.generate(all_ids, attention_mask=all_mask, past_key_values=cache, **settings)
            for index, answer in zip(mine, out[:, all_ids.shape[1]:]):
                answers[index] = answer
        return torch.stack(answers)

    def caches_by_task():
        def repeated(task):
            return [(k.repeat(tasks.count(task), 1, 1, 1), v.repeat(tasks.count(task), 1, 1, 1)) for k, v in pinned[task]]
        return ([cache_of(repeated(task)) for task in range(arguments.tasks)],)

    def ours():
        result = run_metaprompt("generate", weights, file, folders, arguments, "--batch", count, "--tasks",
                                arguments.tasks, "--new-tokens", arguments.new_tokens, "--ignore-end")
        mix = result["mixes"][0]
        return mix["seconds"], result["peak_memory_bytes"], mix

    ways = {
        "prompts in the batch": (tuple, in_batch),
        "prompts cached": (lambda: (cache_of(everyone),), cached),
        "task by task": (caches_by_task, by_task),
    }
    timings, results = take_turns(ways, ours, arguments.rounds)
    mine = torch.tensor(results["metaprompt"].pop("answers"))
    agreement = {}
    for name in ways:
        theirs = results[name]
        if theirs.shape != mine.shape:
            raise SystemExit(f"{name}: {tuple(theirs.shape)} tokens, metaprompt {tuple(mine.shape)}")
        same = theirs == mine
        agreement[name] = {
            "tokens": same.float().mean().item(),
            # Until an answer parts from the other's, each token had the same past.
            "whole_answers": same.all(1).float().mean().item(),
            "first_tokens": same[:, 0].float().mean().item(),
        }
    report("generate", timings, {"agreement": agreement, "metaprompt": results["metaprompt"]})
    worst = min(a["first_tokens"] for a in agreement.values())
    if worst < 0.9:
        raise SystemExit(f"only {worst:.0%} of the first tokens agree")


# --- scoring ------------------------------------------------------------------------------------


def drawn_labels(draw, answers_of, arguments):
    instruction = draw(arguments.instruction)
    contexts = [
        instruction + draw(random.choice(arguments.lengths) - arguments.instruction) for _ in range(arguments.examples)
    ]
    return contexts, [answers_of() for _ in range(arguments.examples)]


def corpus_labels(corpus, arguments, folder):
    contexts, targets = encoded(arguments, corpus, arguments.examples, folder)
    labels = sorted(set(map(tuple, targets)))
    return contexts, [[list(label) for label in labels] for _ in contexts]


def compare_scoring(name, model, weights, prompt, prompt_folder, contexts, answers, arguments, folder):
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"examples": [{"context": c, "answers": a} for c, a in zip(contexts, answers)]}))
    order = sorted(range(len(contexts)), key=lambda i: len(contexts[i]))
    batches = [order[i:i + arguments.score_batch] for i in range(0, len(order), arguments.score_batch)]
    embed = model.get_input_embeddings()
    virtual = arguments.virtual_tokens

    def likelihoods(logits, targets):
        """`Σ ln p` of each row's targets; logits stand at the places before them, padded on the right."""
        logs = torch.log_softmax(logits.float(), -1)
        places = [(torch.arange(len(t)), torch.tensor(t)) for t in targets]
        return [logs[row, at, tokens].sum().item() for row, (at, tokens) in enumerate(places)]

    def sequences():
        scores = [None] * len(contexts)
        for batch in batches:
            rows = [(i, answer) for i in batch for answer in answers[i]]
            ids, mask = left_padded([contexts[i] + answer[:-1] for i, answer in rows])
            # As in generation: padding, prompt, tokens.
            pads = (ids.shape[1] - mask.sum(1)).tolist()
            ones = mask.new_ones(virtual)
            embedded = embed(ids)
            embeddings = torch.stack([torch.cat([e[:pad], prompt, e[pad:]]) for e, pad in zip(embedded, pads)])
            mask = torch.stack([torch.cat([m[:pad], ones, m[pad:]]) for m, pad in zip(mask, pads)])
            keep = max(len(answer) for _, answer in rows)
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            logits = model(inputs_embeds=embeddings, attention_mask=mask, position_ids=positions, use_cache=False,
                           logits_to_keep=keep).logits
            shifted = [logits[r, keep - len(answer):] for r, (_, answer) in enumerate(rows)]
            shifted = torch.stack([torch.cat([s, s.new_zeros(keep - len(s), s.shape[1])]) for s in shifted])
            found = iter(likelihoods(shifted, [answer for _, answer in rows]))
            for i in batch:
                scores[i] = [next(found) for _ in answers[i]]
        return scores

    def after_examples(batch, cache, mask, last):
        """Scores of a batch whose examples are in the cache; `last` are the logits at their ends."""
        first = torch.log_softmax(last.float(), -1)
        scores = [[first[r, answer[0]].item() for answer in answers[i]] for r, i in enumerate(batch)]
        rows = [(r, place, a) for r, i in enumerate(batch) for place, a in enumerate(answers[i]) if len(a) > 1]
        if rows:
            repeat = torch.tensor([r for r, _, _ in rows])
            longest = max(len(answer) - 1 for *_, answer in rows)
            expanded = cache_of([(k[repeat], v[repeat]) for k, v in layers_of(cache)])
            ids = torch.tensor([answer[:-1] + [0] * (longest + 1 - len(answer)) for *_, answer in rows])
            more = torch.tensor([[1] * (len(a) - 1) + [0] * (longest + 1 - len(a)) for *_, a in rows])
            mask = torch.cat([mask[repeat], more], 1)
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -longest:]
            logits = model(ids, attention_mask=mask, position_ids=positions, past_key_values=expanded,
                           use_cache=True).logits
            rest = likelihoods(logits, [answer[1:] for *_, answer in rows])
            for (r, place, _), more in zip(rows, rest):
                scores[r][place] += more
        return scores

    def once(shared, prefix):
        """Examples once, after `shared` tokens whose keys and values `prefix` gives for a batch."""
        scores = [None] * len(contexts)
        for batch in batches:
            ids, mask = left_padded([contexts[i][shared:] for i in batch])
            cache, length = prefix(len(batch))
            mask = torch.cat([torch.ones(len(batch), length, dtype=torch.long), mask], 1)
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, length:]
            out = model(ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                        logits_to_keep=1)
            for i, of_example in zip(batch, after_examples(batch, out.past_key_values, mask, out.logits[:, -1])):
                scores[i] = of_example
        return scores

    def examples_once():
        def prompts_again(count):
            cache = model(inputs_embeds=prompt.expand(count, -1, -1), use_cache=True, logits_to_keep=1).past_key_values
            return cache, virtual
        return once(0, prompts_again)

    common = len(os.path.commonprefix(contexts))
    shared = min(common, min(map(len, contexts)) - 1)
    known = layers_of(prefill(model, torch.cat([prompt, embed(torch.tensor(contexts[0][:shared], dtype=torch.long))])[None]))

    def prefix_cached():
        def expand(count):
            return cache_of([(k.expand(count, -1, -1, -1), v.expand(count, -1, -1, -1)) for k, v in known]), virtual + shared
        return once(shared, expand)

    def ours():
        result = run_metaprompt("score", weights, file, [prompt_folder], arguments)
        return result["seconds"], result["peak_memory_bytes"], result

    ways = {
        "sequences": (tuple, sequences),
        "examples once": (tuple, examples_once),
        "prefix cached": (tuple, prefix_cached),
    }
    timings, results = take_turns(ways, ours, arguments.rounds)
    mine = torch.tensor(results["metaprompt"].pop("log_likelihoods"))
    difference = {
        way: ((torch.tensor(results[way]) - mine).abs().max() / mine.abs().mean()).item() for way in ways
    }
    report(f"score {name}", timings, {"largest_relative_difference": difference, "metaprompt": results["metaprompt"]})
    if max(difference.values()) > 1e-4:
        raise SystemExit(f"log-likelihoods differ: {difference}")


# --- report -------------------------------------------------------------------------------------


def report(title, timings, more):
    mine = timings["metaprompt"]
    peers = {name: timing for name, timing in timings.items() if name != "metaprompt"}
    fastest = min(peers, key=lambda name: peers[name].median())
    line = {
        "measure": title,
        "seconds": {name: timing.seconds for name, timing in timings.items()},
        "median_seconds": {name: timing.median() for name, timing in timings.items()},
        "peak_memory_bytes": {name: timing.memory for name, timing in timings.items()},
        "fastest_peer": fastest, "ratio": peers[fastest].median() / mine.median(),
        "memory_share": mine.memory / peers[fastest].memory, **more,
    }
    print(json.dumps(line))
    print(f"\n{title:24} {'seconds':>9}  {'least - most':>17}  {'peak GB':>8}  {'against metaprompt':>18}")
    for name, timing in timings.items():
        print(f"{name:24} {timing.median():9.3f}  {min(timing.seconds):7.3f} - {max(timing.seconds):<7.3f}"
              f"  {timing.memory / 1e9:8.2f}  {timing.median() / mine.median():16.2f} x")
    print(flush=True)


def main():
    arguments = parse_arguments()
    if not Path(arguments.metaprompt).is_file():
        raise SystemExit(f"{arguments.metaprompt}: not there; build it, or name it with --metaprompt")
    disable_progress_bar()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    random.seed(arguments.seed)
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft)}
    print(json.dumps({**versions, "python": sys.version.split()[0], "arguments": vars(arguments)}, default=str), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, weights = prepare_weights(arguments, folder)
        prompts, prompt_folders = make_prompts(model, arguments, folder)
        vocabulary = model.config.vocab_size

        def draw(count):
            return [random.randrange(vocabulary) for _ in range(count)]

        if "generate" in arguments.what:
            compare_generation(model, weights, prompts, prompt_folders, draw, arguments, folder)
        if "score" in arguments.what:
            labels = [draw(count) for count in (1, 2, 3)]
            if arguments.labelled:
                sets = {corpus: corpus_labels(corpus, arguments, folder) for corpus in arguments.labelled}
            else:
                sets = {
                    "labels": drawn_labels(draw, lambda: labels, arguments),
                    "options": drawn_labels(draw, lambda: [draw(random.randint(3, 12)) for _ in range(4)], arguments),
                }
            for name, (contexts, answers) in sets.items():
                compare_scoring(name, model, weights, prompts[0], prompt_folders[0], contexts, answers, arguments, folder)


if __name__ == "__main__":
    main()
