#!/usr/bin/env python3
"""What jinja2, set up as transformers does, makes of chat templates, for TextTests.

    python3 Tests/Reference/templates_reference.py DATA OUTPUT

DATA is the folder that MINIMA_DATA names; OUTPUT gets conversations.json (every template of data/templates with
every conversation) and language.json (short templates, one for each part of the language). A case is
{"source" or "template", "variables", and one of "text", "raised" (the message of raise_exception), "error"}.
"""
import itertools
import json
import pathlib
import sys
from datetime import datetime, timezone

import jinja2
from transformers.utils import chat_template_utils

# 2026-11-22 04:05:06 UTC, a Sunday.
NOW = 1795320306


class Clock:
    @staticmethod
    def now():
        return datetime.fromtimestamp(NOW, timezone.utc)


chat_template_utils.datetime = Clock

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "  Weather at a place, <now> & later \u2014 caf\u00e9\n",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": " The city "},
            "unit": {"type": ["string", "null"], "enum": ["celsius", "fahrenheit"], "default": None},
            "days": {"type": "integer", "minimum": 1, "x-scale": 1.5e-7, "strict": True}},
            "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "search", "description": "", "return": {"type": "string"},
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}},
    {"type": "function", "function": {"name": "bare"}},
]


def call(name, arguments, identifier="abcDEF123"):
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def tool(text, identifier="abcDEF123"):
    return {"role": "tool", "content": text, "tool_call_id": identifier, "name": "get_weather"}


SYSTEM = {"role": "system", "content": "  You are terse. /no_think \n"}
ARGUMENTS = {"city": "Z\u00fcrich", "days": 2, "ratio": 0.1, "big": 1e16, "flag": True, "none": None,
             "nested": {"a": [1, {"b": "\u2028\"\\"}], "c": []}}

CONVERSATIONS = {
    "empty": [],
    "one": [user("Hello")],
    "system": [SYSTEM, user("Hi there")],
    "system-only": [SYSTEM],
    "turns": [SYSTEM, user("a"), assistant("b"), user("c"), assistant("d"), user(" e\n")],
    "ends-with-assistant": [user("a"), assistant("  b\n\n")],
    "unicode": [user("e\u0301\u00e9 \U0001F469\u200d\U0001F680 \u4f60\u597d \u00a0nbsp\u00a0 \x00\x1f\u2028 <|im_end|>\r\n"),
                assistant("\u0130\u00df \ufb01"), user("\u03a3\u03a3")],
    "think": [user("a"), assistant("<think>\nwhy\n</think>\n\nbecause"), user("b"),
              assistant("<think>x</think>y</think>\n\nz")],
    "reasoning": [user("a"), assistant("b", reasoning_content="\nlong thought\n"), user("c"),
                  assistant("", reasoning_content="again")],
    "call": [user("weather?"), assistant("", tool_calls=[call("get_weather", ARGUMENTS)]), tool("sunny \u2600"),
             assistant("It is sunny."), user("thanks")],
    "call-null": [SYSTEM, user("weather?"), assistant(None, tool_calls=[call("get_weather", ARGUMENTS)]),
                  tool("sunny")],
    "call-text": [user("weather?"), assistant("<think>hm</think>\n\nLet me see", tool_calls=[
        call("get_weather", {"city": "Bern"}), call("search", {}, "xyz000000")]), tool("1"), tool("2", "xyz000000"),
        assistant("done")],
    "call-string": [user("q"), assistant(None, tool_calls=[call("search", "{\"q\": 1}")]), tool("r")],
    "call-flat": [user("q"), assistant("", tool_calls=[{"name": "search", "arguments": {"q": "x"}}]), tool("r")],
    "call-short-id": [user("q"), assistant("", tool_calls=[call("search", {}, "1")]), tool("r", "1"), user("s")],
    "calls-none": [user("q"), assistant("a", tool_calls=None), user("r")],
    "calls-empty": [user("q"), assistant("a", tool_calls=[]), user("r")],
    "tool-first": [tool("x"), user("y")],
    "tool-object": [user("q"), {"role": "tool", "content": {"content": "deep"}, "tool_call_id": "abcDEF123"},
                    {"role": "tool", "content": [1, "b"], "tool_call_id": "abcDEF123"}],
    "tool-response": [user("q"), user("<tool_response>x</tool_response>"), assistant("a")],
    "parts": [user([{"type": "text", "text": "hello"}, {"type": "image"}])],
    "null": [user(None)],
    "no-content": [{"role": "user"}, {"role": "assistant"}],
    "unknown-role": [{"role": "developer", "content": "x"}, user("y")],
    "two-systems": [SYSTEM, user("a"), {"role": "system", "content": "again"}, user("b")],
    "twice-user": [user("a"), user("b")],
    "ipython": [user("a"), {"role": "ipython", "content": {"out": [1.0, -0.0, 1e-5, 123456789012345678901]}}],
    "items": [user("a"), assistant("", tool_calls=[call("get_weather", {"items": 1, "keys": "k", "get": None})])],
}

OPTIONS = [
    {},
    {"add_generation_prompt": True},
    {"tools": TOOLS},
    {"tools": TOOLS, "add_generation_prompt": True, "enable_thinking": False},
    {"tools": [], "add_generation_prompt": True, "enable_thinking": True},
    {"tools": TOOLS[:1], "tools_in_user_message": False, "date_string": "1 Jan 2026", "builtin_tools": ["search", "code_interpreter"]},
    {"custom_tools": TOOLS[:1], "documents": [{"title": "t", "text": "x"}]},
]

# Every statement, operator, filter, test and method once; and what jinja2 does that one would not guess.
LANGUAGE = r"""
a{{ 1 }}b
{% if x is defined %}1{% else %}0{% endif %}
{{ text }}|{{ none }}|{{ yes }}|{{ no }}|{{ three }}|{{ half }}|{{ list }}|{{ obj }}|{{ missing }}|
{{ [text, none, yes, 1.0, 1e16, 1e-5, 1e100, 0.1, -0.0, 123456.789, 1e15] }}{{ (1,) }}{{ () }}{{ {'a': 1, 2: 'b'} }}
{{ ["it's", 'say "x"', 'both \' "', "\n\t\\\x00\u2028\u00e9\U0001F600"] }}
{{ 'a' 'b' "c" }}{{ "\x41\u00e9\101\q\U0001F600\'\a\b\f\v\0" }}
{{ "\é\q" }}
{{ "\x4" }}
{{ "\ud800" }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 3 ** 2 }}
{{ -3 | abs }} {{ -2 ** 2 }} {{ +3 - -3 }} {{ 1 - 1 - 1 }} {{ 2 * 3 + 4 * 5 }} {{ '1' ~ 2 * 3 }}
{{ 1 + 2 ~ 3 + 4 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ '1' == 1 }} {{ [1, 2] == [1, 2] }} {{ [1] == (1,) }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }}
{{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'b' in 'abc' }} {{ 2 in list }} {{ 'k' in obj }} {{ 'z' not in obj }} {{ missing in list }} {{ 1 in missing }}
{{ 1 and 0 }} {{ '' or 'x' }} {{ none or missing or 'y' }} {{ not 1 }} {{ not not '' }} {{ 1 if no }} {{ 1 if yes else 2 }} {{ 1 if no else 2 if no else 3 }}
{{ 1 if yes else 2 | string ~ 'x' }}
{{ list[0] }} {{ list[-1] }} {{ list[99] }} {{ list[1:] }} {{ list[::-1] }} {{ list[-2:] }} {{ list[:1] }} {{ list[5:1] }} {{ text[1] }} {{ text[::-1] }} {{ text[1:3] }} {{ list[::2] }} {{ list[3:0:-2] }} {{ (1,2,3)[1:] }} {{ list[none:2] }}
{{ list[::0] }}
{{ obj.k }} {{ obj['k'] }} {{ obj.items() | list }} {{ obj.missing }} {{ obj['missing'] is defined }} {{ obj.get('k') }} {{ obj.get('z', 5) }} {{ obj.keys() | list }} {{ obj.values() | list }} {{ pairs.items is defined }} {{ pairs['items'] }}
{{ none.foo }}|{{ none['foo'] }}|{{ three.foo }}|{{ text.foo }}|{{ list.foo }}|{{ list.0 }}|{{ list['0'] }}
{{ missing.foo }}
{{ missing['foo'] }}
{{ missing() }}
{{ missing + 1 }}
{{ 1 + missing }}
{{ missing < 1 }}
{{ missing == none }} {{ missing == missing2 }} {{ missing != 1 }} {{ missing | length }} {{ missing | list }} {{ missing | upper }}{{ missing ~ 'x' }} {{ [missing] }}
{{ text() }}
{{ none + 1 }}
{{ 'a' + 1 }}
{{ 'a' ~ 1 }} {{ 'a' * 3 }} {{ 2 * 'ab' }} {{ [1] * 2 }} {{ [1] + [2] }} {{ (1,) + (2,) }}
{{ [1] + (2,) }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 9223372036854775807 + 0 }}
{{ text.__class__ }}
{{ text.__class__.__mro__ }}
{{ ''.__class__.__base__.__subclasses__() }}
{{ text.__class__ is defined }} {{ obj.__class__ is defined }} {{ text['__class__'] is defined }}
{{ obj._x }}|{{ obj['_x'] }}
{{ list.append(1) }}
{{ list.append is defined }} {{ obj.update is defined }} {{ list.index is defined }} {{ list.index(2) }} {{ list.count(1) }}
{{ obj.update({'a': 1}) }}
{{ obj.pop('k') }}
{{ range.__class__ }}
{{ raise_exception('no: ' ~ text) }}
{{ raise_exception(none) }}
{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}
{% set x = 1 %}{% for i in list %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}
{% set x %}a{{ text }}b{% endset %}[{{ x }}]{% set y | upper | trim %} abc {% endset %}[{{ y }}]
{% set a, b = [1, 2] %}{{ a }}{{ b }}{% set (c, d) = (3, 4) %}{{ c }}{{ d }}
{% set a, b = [1] %}
{% set a = 1, 2 %}{{ a }}{% set b = 1, %}{{ b }}
{% set ns = namespace(a=1, b=[]) %}{% for i in list %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}{{ ns.c is defined }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{% set ns.z = ns.zz %}{{ ns.z is defined }}
{% set obj.k = 1 %}
{% set ns = namespace() %}{% set ns._x = 1 %}
{% set ns = namespace(_x=1) %}
{% for i in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.previtem is defined }}{{ loop.nextitem }};{% endfor %}
{% for i in [] %}x{% else %}none{% endfor %}{% for i in missing %}x{% else %}none{% endfor %}
{% for k, v in obj.items() %}{{ k }}={{ v }};{% endfor %}{% for k in obj %}{{ k }}{% endfor %}{% for c in 'aé😀' %}{{ c }},{% endfor %}
{% for k, v in obj | items %}{{ k }}={{ v }};{% endfor %}{% for k, v in obj | dictsort(reverse=true) %}{{ k }}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for i in none %}{% endfor %}
{% for i in 3 %}{% endfor %}
{% for i in list if i is odd %}{{ i }}{{ loop.index }}{{ loop.last }}{% else %}none{% endfor %}
{% for i in list if i > 99 %}{{ i }}{% else %}none{% endfor %}
{% for i in list %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in list %}{% for j in list %}{% if j == 2 %}{% break %}{% endif %}{{ i }}{{ j }}{{ loop.depth }} {% endfor %}{% endfor %}
{% break %}
{% for i in tree recursive %}{{ i.n }}{{ loop.depth }}{% if i.c %}({{ loop(i.c) }}){% endif %}{% endfor %}
{% for i in list %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i // 2) }}{% endfor %}
{% for i in range(3) %}{{ i }}{% endfor %}{{ range(1, 10, 4) | list }}{{ range(5, 0, -2) | list }}{{ range(0) | list }}
{{ range(1000000) | length }}
{% for i in list %}{% else %}{% endfor %}{{ i is defined }}{{ loop is defined }}
{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, b=4) }}{{ m() }}{{ m(a=1, c=3) }}
{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(x=2) }}
{% set g = 1 %}{% macro m() %}{{ g }}{% set g = 5 %}{{ g }}{% endmacro %}{{ m() }}{% set g = 2 %}{{ m() }}{{ g }}
{% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(5) }}
{% macro w(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call w('b') %}in{{ text }}{% endcall %}
{% macro w() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) w() %}{{ a }}{{ b }}{% endcall %}
{% macro w() %}x{% endmacro %}{% call w() %}y{% endcall %}
{% filter upper %}abc{{ text }}{% endfilter %}{% filter replace('a', 'b') | trim %} aa {% endfilter %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}{{ a }}{{ c }}
{% generation %}a{{ text }}{% set q = 1 %}{% endgeneration %}{{ q }}
{% raw %}{{ x }}{% if %}{% endraw %}b{%- raw -%}  {{ y }} {%- endraw -%}  c
{# comment {{ x }} #}a{#- b -#}  c
a  {%- if yes -%}  b  {%- endif -%}  c
a  {{- 1 -}}  b
a  {%+ if yes +%}  b  {% endif %}
{{ "a" }}   {# x #}   {{ "b" }}
{%- print 1, 2 -%}
{% unknown %}
{% if %}
{% if x %}
{{ x
{{ }}
{{ x y }}
{{ 1 + }}
{{ (1 }}
{{ x.  }}
{% for in x %}{% endfor %}
{% set true = 1 %}
{% include 'x' %}
{% extends 'x' %}
{% import 'x' as y %}
{{ text | nofilter }}
{{ text is notest }}
{{ text is string }}{{ 1 is string }}{{ 1 is number }}{{ true is number }}{{ 1.5 is float }}{{ 1 is integer }}{{ true is integer }}{{ none is none }}{{ obj is mapping }}{{ list is mapping }}
{{ list is sequence }}{{ text is sequence }}{{ obj is sequence }}{{ none is sequence }}{{ missing is sequence }}{{ obj.items() is sequence }}{{ range(2) is sequence }}{{ 1 is iterable }}{{ text is iterable }}{{ missing is iterable }}{{ none is iterable }}
{{ yes is true }}{{ 1 is true }}{{ no is false }}{{ yes is boolean }}{{ 1 is boolean }}{{ 3 is odd }}{{ 3 is even }}{{ 9 is divisibleby 3 }}{{ 9 is divisibleby(2) }}{{ 1 is eq 1 }}{{ 1 is ne 1 }}{{ 1 is lt 2 }}{{ 2 is ge 2 }}{{ 'a' is in 'abc' }}{{ 'a' is equalto 'a' }}{{ none is sameas none }}{{ 'A' is upper }}{{ 'a' is lower }}{{ '1' is lower }}
{{ x is not defined }}{{ not x is defined }}{{ text is defined and text is string }}{{ text is string == true }}{{ 'upper' is filter }}{{ 'odd' is test }}
{{ missing is none }}{{ missing is string }}{{ range is callable }}{{ text.upper is callable }}{{ obj.items is callable }}
{{ ' a b '.strip() }}|{{ ' a b '.lstrip() }}|{{ ' a b '.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.strip('ab') }}|{{ '\u00a0a\u2003'.strip() }}|{{ '\u200ba'.strip() }}
{{ 'a,b,,c'.split(',') }}{{ ' a  b c '.split() }}{{ 'a b c'.split(' ', 1) }}{{ 'a b c'.split(none, 1) }}{{ 'a b c'.rsplit(' ', 1) }}{{ ' a  b  c '.rsplit(none, 1) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'a,b,c'.split(',', maxsplit=1) }}{{ 'abab'.split('ab') }}
{{ 'a'.split('') }}
{{ 'a\nb\r\nc\n'.splitlines() }}{{ 'a\nb'.splitlines(true) }}{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'a'.partition('=') }}{{ 'a'.rpartition('=') }}
{{ ', '.join(['a', 'b']) }}{{ ''.join(obj) }}
{{ ','.join([1]) }}
{{ 'aaa'.replace('a', 'bb') }}{{ 'aaa'.replace('a', 'b', 2) }}{{ 'abc'.replace('', '-') }}{{ 'abc'.replace('', '-', 2) }}{{ 'é'.replace('e', 'x') }}
{{ 'abc'.startswith('ab') }}{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.endswith('bc') }}{{ 'abc'.endswith('') }}{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ 'abc'.removesuffix('x') }}
{{ 'aébé'.find('é') }}{{ 'aébé'.rfind('é') }}{{ 'a'.find('x') }}{{ 'aébé'.index('b') }}{{ 'aaaa'.count('aa') }}{{ 'aé'.count('') }}
{{ 'a'.index('x') }}
{{ 'hello wORLD it\'s'.title() }}|{{ 'hELLO wORLD'.capitalize() }}|{{ 'ÀÉ ß ŉ'.upper() }}|{{ 'ÀÉİ ΑΣ ΑΣΑ Σ'.lower() }}|{{ 'aBc'.swapcase() }}|{{ 'ǆ'.title() }}|{{ 'ß'.capitalize() }}
{{ '12'.isdigit() }}{{ '²'.isdigit() }}{{ '½'.isnumeric() }}{{ '٣'.isdecimal() }}{{ 'aé'.isalpha() }}{{ 'a1'.isalnum() }}{{ ' \n'.isspace() }}{{ ''.isspace() }}{{ 'aB'.islower() }}{{ 'AB1'.isupper() }}{{ 'a'.isascii() }}
{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}{{ 'a'.center(4, '*') }}{{ 'ab'.center(5, '*') }}{{ 'ab'.center(3, '*') }}{{ 'a'.center(2, '*') }}
{{ '{} {}'.format(1, 'a') }}{{ '{0}{1}{0}'.format('x', 'y') }}{{ '{a}{{}}'.format(a=1) }}{{ '%s %d %%' % ('a', 3) }}{{ '%s' % 5 }}{{ '%r' | format('x') }}
{{ text | upper }}{{ text | lower }}{{ text | title }}{{ 'foo-bar (baz) it\'s' | title }}{{ text | capitalize }}{{ text | length }}{{ 'é😀' | length }}{{ list | length }}{{ obj | length }}{{ obj | count }}
{{ none | length }}
{{ 3 | length }}
{{ ' a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 5 | trim }}|{{ none | trim }}
{{ missing | default('d') }}{{ none | default('d') }}{{ '' | default('d', true) }}{{ '' | d('d', boolean=true) }}{{ missing | default }}
{{ list | first }}{{ list | last }}{{ [] | first }}{{ 'abc' | first }}{{ obj | first }}{{ list | select('odd') | first }}
{{ list | select('odd') | last }}
{{ list | join }}{{ list | join(', ') }}{{ people | join('|', attribute='name') }}{{ [1, none, 'a'] | join(',') }}{{ 'abc' | join('-') }}
{{ people | map(attribute='name') | list }}{{ people | map(attribute='zip', default='z') | list }}{{ ['a', 'b'] | map('upper') | list }}{{ [[1, 2], [3]] | map('join', '-') | list }}{{ people | map(attribute='deep.x') | list }}
{{ list | select('odd') | list }}{{ list | reject('odd') | list }}{{ [0, 1, '', 'a'] | select | list }}{{ [0, 1] | reject | list }}{{ list | select('gt', 2) | list }}{{ list | reject('in', [1, 2]) | list }}{{ ['a', 1] | select('string') | list }}
{{ people | selectattr('age', 'gt', 3) | map(attribute='name') | list }}{{ people | selectattr('zip') | list | length }}{{ people | rejectattr('age', 'equalto', 3) | list | length }}{{ people | selectattr('zip', 'defined') | list }}{{ people | selectattr('deep.x', '==', 1) | list | length }}
{{ 'yes' if list | select('gt', 99) else 'no' }}{% set g = list | select('odd') %}{{ g | list }}{{ g | list }}
{{ list | select('odd') | length }}
{{ (list | map('string'))[0] }}
{{ [3, 1, 2] | sort }}{{ [3, 1, 2] | sort(reverse=true) }}{{ ['b', 'A', 'c'] | sort }}{{ ['b', 'A', 'c'] | sort(case_sensitive=true) }}{{ people | sort(attribute='age') | map(attribute='name') | list }}{{ [1, 'a'] | length }}
{{ [1, 'a'] | sort }}
{{ [3, 1, 2] | min }}{{ [3, 1, 2] | max }}{{ people | max(attribute='age') }}{{ [] | max }}{{ [1, 2, 1, 3, 2] | unique | list }}{{ ['a', 'A', 'b'] | unique | list }}{{ [1, 2, 3] | sum }}{{ people | sum(attribute='age') }}{{ [0.1, 0.2] | sum }}
{{ list | reverse | list }}{{ 'abc' | reverse }}{{ obj | reverse | list }}
{{ {'b': 1, 'a': 2, 'C': 0} | dictsort }}{{ {'b': 1, 'a': 2} | dictsort(by='value') }}{{ {'b': 1, 'a': 2, 'C': 0} | dictsort(true) }}
{% for key, items in people | groupby('age') %}{{ key }}:{{ items | map(attribute='name') | join(',') }};{% endfor %}
{{ [1,2,3,4,5] | batch(2) | list }}{{ [1,2,3,4,5] | batch(2, 0) | list }}{{ [1,2,3,4,5] | slice(2) | list }}{{ [1,2,3,4,5] | slice(3, 'x') | list }}
{{ '3' | int }}{{ '3.7' | int }}{{ 'x' | int }}{{ 'x' | int(5) }}{{ 3.9 | int }}{{ -3.9 | int }}{{ 'ff' | int(base=16) }}{{ true | int }}{{ '3.5' | float }}{{ 'x' | float }}{{ 'x' | float(1.5) }}{{ 3 | float }}{{ none | int }}{{ ' 4 ' | int }}
{{ 2.5 | round }}{{ 3.14159 | round(2) }}{{ 2.675 | round(2) }}{{ 7 | round }}{{ 2.1 | round(0, 'ceil') }}{{ 2.9 | round(0, 'floor') }}{{ 2.123 | round(2, 'ceil') }}{{ -1.5 | abs }}{{ 1234567.5 | round | int }}
{{ 'abc' | replace('b', 'x') }}{{ 'aaa' | replace('a', 'x', 2) }}{{ 5 | replace(5, 6) }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}|{{ 'a\n' | indent }}|
{{ 'foo bar baz qux' | truncate(9) }}|{{ 'foo bar baz qux' | truncate(9, true) }}|{{ 'foo bar baz qux' | truncate(11) }}|{{ 'foo bar baz qux' | truncate(9, false, '', 0) }}|{{ 'abc' | center(7) }}|{{ 'a b  c' | wordcount }}
{{ text | tojson }}{{ list | tojson }}{{ obj | tojson }}{{ none | tojson }}{{ [yes, no, 1.5, 1e16, 1e-7] | tojson }}{{ 'é<>&\'"\\\n\x7f\u2028' | tojson }}{{ 'é😀\x7f' | tojson(ensure_ascii=true) }}
{{ {'b': 1, 'a': [1, {'c': []}], 'd': {}} | tojson(indent=2) }}{{ [1, [2]] | tojson(indent='--') }}{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}{{ {'b': [1, 2]} | tojson(separators=(',', ':')) }}{{ {1: 2, none: 3, true: 4} | tojson }}{{ [1, 2] | tojson(indent=0) }}
{{ missing | tojson }}
{{ range | tojson }}
{{ big | tojson }}{{ big }}{{ deep | tojson }}{{ deep }}
{{ '<b>' | safe }}{{ '<b>' + ('<i>' | safe) }}{{ ('<i>' | safe) + '<b>' }}{{ '<b>' ~ ('<i>' | safe) }}{{ '<b>&"\'' | escape }}{{ '<b>' | e | e }}{{ ('<' | safe) | string }}
{{ [1, 2] | string }}{{ none | string }}{{ {'a': 1} | string }}{{ 'ab' | list }}{{ obj | list }}{{ (1, 2) | list }}
{{ obj | attr('items') is defined }}{{ obj | attr('k') is defined }}
{{ dict(a=1, b=2) }}{{ dict([('a', 1)]) }}
{{ strftime_now('%Y-%m-%d %d %b %B %A %H:%M:%S %j %%') }}|{{ strftime_now('') }}|{{ strftime_now('é') }}
{% set j = joiner(', ') %}{% for i in list %}{{ j() }}{{ i }}{% endfor %}
{{ list | map('nofilter') | list }}
{{ list | select('notest') | list }}
{{ {1: 'a', 1.0: 'b', true: 'c'} }}{{ {'a': 1}['a'] }}{{ {1: 'x'}[1.0] }}
{{ {[1]: 2} }}
{{ obj[[1]] }}|{{ list['a'] }}|{{ list[1.0] }}
{{ list.0.1 }}
{{ 1.5.foo }}
{{ 007 }}
{{ 0x1F }}{{ 0b101 }}{{ 0o17 }}{{ 1_000 }}{{ 1e3 }}{{ 1.5E-3 }}{{ 00 }}
{{ 'a' if yes }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ (1, 2,) }}{{ text.upper() | lower }}{{ (text | upper).lower() }}{{ text | upper | length + 1 }}
{{ text if text is string else 'no' }}{{ 'x' if missing is defined and missing.y else 'z' }}
{{ list | length - 1 }}{{ (list | length) > 2 and true }}{{ not(no) }}{{ 2 not in [1] }}
{{ [x for x in list] }}
{{ {} is mapping }}{{ [] is sequence }}{{ '' is string }}{{ '%s-%s' | format('a', 1) }}
{{ "{{ not a tag }}" }}{{ '%}' }}{{ {'a': {'b': 1}}.a.b }}{{ {'a': {'b': {}}} }}
{% if (list | length) == 4 and (obj.k == 'v' or no) %}ok{% endif %}{% if list %}t{% endif %}{% if not [] %}t{% endif %}{% if 0.0 %}{% elif '' %}{% elif 'x' %}e{% else %}n{% endif %}
{{ text is string is true }}
{{ m.x() }}
{{ [1, 2, 3] | first + 1 }}
{{ list | map(attribute=none) | list }}
{{ -list }}
{{ none < 1 }}
{{ 'a' < 1 }}
{{ 1 in 5 }}
{{ 1 in 'abc' }}
{% for x in list -%}
   {{ x }}
{%- endfor %}

{% if yes %}
  line
    {% if yes %}
  inner
    {% endif %}
	{# comment #}
end
{% endif %}
trailing
"""


def variables():
    return {
        "text": "Hello \u00e9 World", "none": None, "yes": True, "no": False, "three": 3, "half": 0.5,
        "list": [1, 2, 3, 4], "obj": {"k": "v", "n": 1, "_x": "hidden"}, "pairs": {"items": "mine", "a": 1},
        "people": [{"name": "Ann", "age": 5, "deep": {"x": 1}}, {"name": "bob", "age": 3, "deep": {"x": 2}},
                   {"name": "Cy", "age": 5, "deep": {}}],
        "tree": [{"n": 1, "c": [{"n": 2, "c": []}, {"n": 3}]}, {"n": 4}],
        "big": [123456789012345678901234567890, -9223372036854775808, 1.7976931348623157e308],
        "deep": {"a": [{"b": [[[{"c": "\u00e9\"'"}]]]}]},
    }


def outcome(source, values):
    try:
        compiled = chat_template_utils._compile_jinja_template(source)
        text = compiled.render(**values)
        text.encode()
        return {"text": text}
    except jinja2.exceptions.TemplateError as error:
        # transformers' raise_exception raises the base class itself.
        if type(error) is jinja2.exceptions.TemplateError:
            return {"raised": str(error.message)}
        return {"error": f"{type(error).__name__}: {error}"}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def snippets():
    lines = LANGUAGE.strip("\n")
    # The last ones have several lines.
    head, tail = lines.split("\n{% for x in list -%}", 1)
    multi = ("{% for x in list -%}" + tail).split("\n\n")
    yield from head.split("\n")
    for source in multi:
        yield from (source, source + "\n", source + "\n\n", source.replace("\n", "\r\n"), "\n" + source)


def main():
    data, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    cases = []
    for path in sorted((data / "data/templates").glob("*.jinja")):
        source = path.read_bytes().decode()
        for (name, messages), options in itertools.product(CONVERSATIONS.items(), OPTIONS):
            values = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": False,
                      "bos_token": "<|begin|>", "eos_token": "</s>", **options}
            cases.append({"template": path.name, "conversation": name, "variables": values, **outcome(source, values)})
    (output / "conversations.json").write_text(json.dumps(cases))
    cases = [{"source": source, **outcome(source, variables())} for source in snippets()]
    (output / "language.json").write_text(json.dumps({"variables": variables(), "cases": cases}))


if __name__ == "__main__":
    main()
