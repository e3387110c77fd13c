"""One function per native format; each returns the bytes of a split's files.

Every function takes the split's examples and gives `{path: bytes}`, paths
relative to the task's folder. Line ends are `\\n` everywhere.
"""

import csv
import io
import json
import re
from xml.sax.saxutils import escape

#: sentences of one note, for the formats that have documents
NOTE = 5


def conll(split, examples):
    """`token<TAB>tag` lines in IOB2, a blank line after each sentence."""
    out = []
    for text, spans in examples:
        for m in re.finditer(r"[^\s.,;:()]+(?:[.,:][^\s.,;:()]+)*|[.,;:()]", text):
            tag = "O"
            for start, end, kind in spans:
                if start <= m.start() < end:
                    tag = ("B-" if m.start() == start else "I-") + kind
                    assert m.end() <= end, "a token crosses the end of a mention"
            out.append(f"{m.group()}\t{tag}\n")
        out.append("\n")
    return {f"{split}.tsv": "".join(out).encode()}


def gad_tsv(split, examples):
    """`index sentence label` with a header, no quoting."""
    out = ["index\tsentence\tlabel\n"]
    for i, (text, label) in enumerate(examples):
        assert "\t" not in text and "\n" not in text
        out.append(f"{i}\t{text}\t{label}\n")
    return {f"{split}.tsv": "".join(out).encode()}


def pubmedqa_json(split, examples):
    """A dictionary by id with `QUESTION`, `CONTEXTS` and `final_decision`."""
    rows = {
        f"{split}-{i}": {"QUESTION": question, "CONTEXTS": [context], "final_decision": label}
        for i, ((context, question), label) in enumerate(examples)
    }
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items())
    return {f"{split}.json": ("{\n" + lines + "\n}\n").encode()}


def pair_xml(split, examples):
    """`<pair pid value>` elements with a premise and a hypothesis."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n<pairs>\n']
    for i, ((premise, hypothesis), label) in enumerate(examples):
        out.append(
            f'<pair pid="{i}" value="{label}">\n<premise>{escape(premise)}</premise>\n'
            f"<hypothesis>{escape(hypothesis)}</hypothesis>\n</pair>\n"
        )
    out.append("</pairs>\n")
    return {f"{split}.xml": "".join(out).encode()}


def dialogue_csv(split, examples):
    """`ID,section_header,section_text,dialogue`, dialogues in multi-line cells."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(["ID", "section_header", "section_text", "dialogue"])
    for i, (dialogue, summary, header) in enumerate(examples):
        rows.writerow([i, header, summary, dialogue])
    return {f"{split}.csv": buffer.getvalue().encode()}


def marked_jsonl(split, examples):
    """`text` with inline markers and `label`, one object a line."""
    lines = (json.dumps({"text": text, "label": label}) + "\n" for text, label in examples)
    return {f"{split}.jsonl": "".join(lines).encode()}


def brat(split, examples):
    """Notes of `NOTE` sentences, one a line, each a `.txt` with its `.ann`."""
    files = {}
    for n in range(0, len(examples), NOTE):
        text, rows = "", []
        for sentence, spans in examples[n:n + NOTE]:
            for start, end, kind in spans:
                at = len(text) + start
                rows.append(f"T{len(rows) + 1}\t{kind} {at} {len(text) + end}\t{sentence[start:end]}\n")
            text += sentence + "\n"
        name = f"{split}/note-{n // NOTE:03d}"
        files[name + ".txt"] = text.encode()
        files[name + ".ann"] = "".join(rows).encode()
    return files
