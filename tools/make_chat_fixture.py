"""Writes crates/backbone/tests/fixtures/files/chat.json: chat templates as transformers renders them.

    python tools/make_chat_fixture.py

Each template was written for this and uses what models' templates use: trimmed blocks, loop variables,
namespaces, slices, Python's string methods, macros, `tojson`, loop controls, generation blocks.
"""

import json
import pathlib

from transformers.utils.chat_template_utils import render_jinja_template

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/backbone/tests/fixtures/files/chat.json"

TEMPLATES = {
    "blocks": """{{ bos_token }}
{% for message in messages %}
    {% if message['role'] == 'system' %}
[system] {{ message['content'] | trim }}
    {% else %}
[{{ message.role }}] {{ message['content'].strip() + eos_token }}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
[assistant] {% endif %}
""",
    "namespace": """{%- set ns = namespace(system='none', turns=0) -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}{%- set ns.system = message['content'] -%}{%- continue -%}{%- endif -%}
{%- set ns.turns = ns.turns + 1 -%}
{{ '<' ~ message.role|upper ~ ' ' ~ loop.index0 ~ '/' ~ loop.length ~ '>' }}{{ message['content'] }}
{%- if not loop.last %}

{% endif -%}
{%- endfor -%}
{{ '(' + ns.system + ', ' + (ns.turns|string) + ')' }}""",
    "slices": """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set first = messages[0]['content'] %}
{% else %}{% set rest = messages %}{% set first = '' %}{% endif %}
{% for message in rest %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('roles must alternate, beginning with user') }}{% endif %}
{% if loop.first and first %}{{ '<<' + first + '>>' }}{% endif %}
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}
{% elif message['role'] == 'assistant' %}{% generation %} {{ message['content'] + eos_token }}{% endgeneration %}{% endif %}
{% endfor %}""",
    "methods": """{% macro shout(text) %}{{ text.upper() }}!{% endmacro %}
{% for message in messages %}
{% if message.content.startswith('#') or 'skip' in message.content %}{% break %}{% endif %}
{{ shout(message.role) }} {{ message.content.split('\\n')[0] | tojson }} {{ message | tojson }} {{ message.content.replace('a', 'o').lower() }}
{% if tools is defined and tools is not none %}tools{% endif %}{% if date is not defined %} undated{% endif %}
{% endfor %}{{ [1, 2.5, none, true, 'x<y & "z"'] | tojson }}""",
    # What templates of models that answer in channels need: a macro that calls itself and one that
    # sets what isn't defined outside, a namespace that looks ahead, a slice from the loop's index.
    "channels": """{%- macro nested(depth, open="(", close=")") -%}
    {%- if depth > 0 -%}{{- open + nested(depth - 1) + close }}{%- else -%}{{- "." }}{%- endif -%}
{%- endmacro -%}
{%- macro first_message() -%}
    {%- if identity is not defined %}{%- set identity = "A model." %}{%- endif %}
    {{- identity + "\n" + nested(2, open="[") }}
    {%- if tools -%}{{- "tools" }}{%- endif -%}
{%- endmacro -%}
{{- "<|start|>system<|message|>" }}
{{- first_message() }}
{{- "<|end|>" }}
{%- if messages and (messages[0].role == "developer" or messages[0].role == "system") %}
    {%- set rest = messages[1:] %}
    {{- "<|start|>developer<|message|>" + messages[0].content + "<|end|>" }}
{%- else %}
    {%- set rest = messages %}
{%- endif %}
{%- set last = namespace(name=none) %}
{%- for message in rest -%}
    {%- if message.role == 'assistant' -%}
        {%- if "content" in message and "begin" in message.content and rest|length == 1 %}
            {{- raise_exception("it can't begin") }}
        {%- endif %}
        {%- set later = namespace(found=false) %}
        {%- for other in rest[loop.index:] %}
            {%- if other.role == 'assistant' and "tool_calls" not in other %}
                {%- set later.found = true %}
            {%- endif %}
        {%- endfor %}
        {{- "<|channel|>" + ("analysis" if later.found else "final") + "<|message|>" + message.content }}
        {{- "<|return|>" if loop.last and not add_generation_prompt else "<|end|>" }}
        {%- set last.name = message.role %}
    {%- elif message.role == 'user' -%}
        {{- "<|start|>user" + (" to " + last.name if last.name is not none else "") + "<|message|>" + message.content + "<|end|>" }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|start|>assistant
{%- endif -%}""",
}

CHATS = [
    [{"role": "user", "content": " Is <b>this</b> & that a finding?\n\n"}],
    [
        {"role": "system", "content": "You read notes.\n"},
        {"role": "user", "content": "What is \u00b5g, and what's \"BP\"?"},
        {"role": "assistant", "content": "A unit.\nAnd pressure."},
        {"role": "user", "content": "# skip the rest"},
    ],
    [{"role": "assistant", "content": "I begin."}, {"role": "assistant", "content": "And go on."}],
    [],
]


def main():
    cases = []
    for name, template in TEMPLATES.items():
        for chat in CHATS:
            for generation in (False, True):
                try:
                    text = render_jinja_template(
                        [chat], chat_template=template, add_generation_prompt=generation, bos_token="<s>", eos_token="</s>"
                    )[0][0]
                    outcome = {"text": text}
                except Exception as error:
                    outcome = {"error": f"{type(error).__name__}: {error}"}
                cases.append({"name": name, "messages": chat, "generation": generation, **outcome})
    OUT.write_text(json.dumps({"templates": TEMPLATES, "cases": cases}, indent=0) + "\n")
    print(len(cases), [case["error"] for case in cases if "error" in case])


if __name__ == "__main__":
    main()
