#!/usr/bin/env python3
"""JSON schemas with instances, judged by jsonschema (draft 2020-12), for TextTests.

    python3 Tests/Reference/schemas_reference.py OUTPUT

OUTPUT/schemas.json: a list of {"schema", "instances": [{"text", "valid", "canonical"}]}. Canonical instances are
written as constrained decoding would: properties in the schema's order, no escapes that are not needed.
"""
import json
import pathlib
import random
import sys

from jsonschema import Draft202012Validator

WORDS = ["a", "b", "name", "na", "names", "id", "caf\u00e9", "x y", "q\"t", "\u65e5\u672c", "\U0001F600", "n\nl", ""]
# (pattern, strings that match it)
PATTERNS = [
    ("^[a-z]{2,4}$", ["ab", "abcd", "xyz"]), ("^\\d{4}-\\d{2}-\\d{2}$", ["2026-11-22", "0000-00-00"]),
    ("^(foo|bar)+$", ["foo", "barfoo"]), ("b", ["b", "abc", "\u00e9b"]), ("^a", ["a", "a\"\\\n"]), ("z$", ["z", "xyz"]),
    ("^[^a-z]*$", ["", "A1", "\u00e9\u65e5"]), ("^\\w+@\\w+\\.(com|org)$", ["me@x.com", "a_1@b.org"]),
    ("^.{3}$", ["abc", "\u65e5\u672c\u8a9e"]), ("^(a|ab)(c|bcd)?$", ["a", "ab", "abcd", "abbcd"]),
    ("^\"\\\\\\t\\u00e9$", ["\"\\\t\u00e9"]), ("^[\\s\\d]?x{0}$", ["", " ", "5"]), ("^a|b$", ["ax", "xb"]),
    ("^[b-z]", ["b", "z\u00e9"]), ("^(?:[A-F0-9]{2}:){2}[A-F0-9]{2}$", ["00:FF:1A"]), ("^$", [""]), ("^[-+]?[0-9]+$", ["-1", "+22", "3"]),
]
# Patterns of names that exclude one another, and names.
NAME_PATTERNS = [("^x-", ["x-", "x-1", "x-caf\u00e9"]), ("^\\d+$", ["12", "7"]), ("Z$", ["aZ", "Z"])]
# Schemas that exclude one another.
ALTERNATIVES = [
    {"type": "null"}, {"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^[b-z]"}, {"enum": ["A", "", True]},
    {"type": "integer", "minimum": 10, "maximum": 20}, {"type": "number", "maximum": 5}, {"const": 30.5},
    {"type": "array", "maxItems": 1, "items": {"type": "boolean"}}, {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "null"}},
    {"type": "object", "properties": {"t": {"const": "a"}, "v": {"type": "integer"}}, "required": ["t"]},
    {"type": "object", "properties": {"t": {"enum": ["b", "c"]}}, "required": ["t"], "additionalProperties": False},
]


def schema(rng, depth=0):
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "const", "pattern", "bounds", "multiple"]
    if depth < 3:
        kinds += ["object", "object", "array", "array", "anyOf", "oneOf", "types", "ref", "any"]
    kind = rng.choice(kinds)
    if kind == "string":
        low = rng.choice([None, 0, 1, 3])
        high = rng.choice([None, (low or 0) + rng.randrange(4)])
        return prune({"type": "string", "minLength": low, "maxLength": high, "title": rng.choice([None, "t"])})
    if kind in ("boolean", "null"):
        return {"type": kind}
    if kind in ("integer", "number"):
        return {"type": kind}
    if kind == "bounds":
        low = rng.choice([None, rng.randrange(-120, 120)])
        high = rng.choice([None, (low or 0) + rng.randrange(1, 300)])
        names = rng.choice([("minimum", "maximum"), ("exclusiveMinimum", "exclusiveMaximum")])
        if names[0].startswith("e") and high is not None:
            high += 2
        return prune({"type": rng.choice(["integer", "number"]), names[0]: low, names[1]: high})
    if kind == "multiple":
        # Exact as binary fractions too: what jsonschema divides by.
        step = rng.choice([1, 2, 3, 7, 10, 100, 0.5, 0.25, 1.5])
        low = rng.choice([None, rng.randrange(-200, 200)])
        high = rng.choice([None, (low or 0) + rng.randrange(250, 400)])
        return prune({"type": rng.choice(["integer", "number"]), "multipleOf": step, "minimum": low, "maximum": high})
    if kind == "oneOf":
        return {"oneOf": rng.sample(ALTERNATIVES, rng.randrange(2, 6))}
    if kind == "enum":
        pool = ["a", "b", "ab", "caf\u00e9", "q\"", 1, -2.5, None, True, [1, "x"], {"k": [None], "l": {}}, 10**17, 1e-7]
        return {"enum": rng.sample(pool, rng.randrange(1, 6))}
    if kind == "const":
        return {"const": rng.choice(["x", 3, None, {"a": {"b": [1, 2]}}, [], "\u65e5\n"])}
    if kind == "pattern":
        result = {"type": "string", "pattern": rng.choice(PATTERNS)[0]}
        if rng.random() < 0.3:
            result["maxLength"] = rng.randrange(3, 12)
        return result
    if kind == "types":
        return {"type": rng.sample(["string", "integer", "number", "boolean", "null", "object", "array"], 2)}
    if kind == "any":
        return rng.choice([True, {}, {"description": "anything"}])
    if kind == "anyOf":
        return {"anyOf": [schema(rng, depth + 1) for _ in range(rng.randrange(1, 4))]}
    if kind == "ref":
        return {"$ref": rng.choice(["#/$defs/leaf", "#/$defs/tree", "#/$defs/list", "#/$defs/a~1b%25"])}
    if kind == "array":
        result = {"type": "array"}
        if rng.random() < 0.7:
            result["items"] = schema(rng, depth + 1)
        if rng.random() < 0.3:
            result["prefixItems"] = [schema(rng, depth + 1) for _ in range(rng.randrange(1, 3))]
            if rng.random() < 0.4:
                result["items"] = False
        low = rng.choice([0, 0, 1, 2])
        if result.get("items") is not False or low <= len(result.get("prefixItems", [])):
            if low:
                result["minItems"] = low
        if rng.random() < 0.5:
            result["maxItems"] = low + rng.randrange(3)
        return result
    names = rng.sample(WORDS, rng.randrange(0, 5))
    result = {"type": "object", "properties": {name: schema(rng, depth + 1) for name in names}}
    required = [name for name in names if rng.random() < 0.5]
    additional = rng.choice([None, False, False, True, "schema"])
    if additional == "schema":
        result["additionalProperties"] = schema(rng, depth + 1)
    elif additional is not None:
        result["additionalProperties"] = additional
    if additional is not False and rng.random() < 0.2:
        required.append("extra")
    if required:
        result["required"] = required
    if rng.random() < 0.3:
        result["patternProperties"] = {
            pattern: schema(rng, depth + 1) for pattern, _ in rng.sample(NAME_PATTERNS[:2] if rng.random() < 0.7 else NAME_PATTERNS[2:], 1)}
        if additional is False and rng.random() < 0.5:
            result["patternProperties"] = {pattern: schema(rng, depth + 1) for pattern, _ in NAME_PATTERNS[:2]}
    return result


DEFINITIONS = {
    "leaf": {"type": "string", "enum": ["leaf", "l"]},
    "a/b%": {"type": "integer", "minimum": 0, "maximum": 10},
    "tree": {"type": "object", "properties": {
        "v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}},
        "required": ["v"], "additionalProperties": False},
    "list": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {
        "head": {"$ref": "#/$defs/leaf"}, "tail": {"$ref": "#/$defs/list"}},
        "required": ["head", "tail"], "additionalProperties": False}]},
}


def prune(value):
    return {key: item for key, item in value.items() if item is not None}


def text(rng, low=0, high=None):
    count = rng.randrange(low, (low + 5 if high is None else high) + 1)
    return "".join(rng.choice("ab \u00e9\u65e5\U0001F600\"\\\n\x01/") for _ in range(count))


def anything(rng, depth=0):
    kind = rng.randrange(5 if depth > 2 else 7)
    if kind < 4:
        return [None, rng.random() < 0.5, rng.randrange(-500, 500), rng.randrange(-99, 99) / 4][kind]
    if kind == 4:
        return text(rng)
    if kind == 5:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(3))]
    return {rng.choice(WORDS): anything(rng, depth + 1) for _ in range(rng.randrange(3))}


def follow(reference):
    name = reference.removeprefix("#/$defs/").replace("%25", "%").replace("~1", "/")
    return DEFINITIONS[name]


def sample(rng, schema, depth=0):
    """An instance, mostly valid, in the order in which constrained decoding writes."""
    if schema is True or schema == {} or set(schema) == {"description"}:
        return anything(rng, 2)
    if "$ref" in schema:
        return sample(rng, follow(schema["$ref"]), depth + 1)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return sample(rng, schema["anyOf"][0] if depth > 4 else rng.choice(schema["anyOf"]), depth + 1)
    if "oneOf" in schema:
        return sample(rng, rng.choice(schema["oneOf"]), depth + 1)
    if "multipleOf" in schema:
        step = schema["multipleOf"] if schema["type"] == "number" else {0.5: 1, 0.25: 1, 1.5: 3}.get(schema["multipleOf"], schema["multipleOf"])
        low = schema.get("minimum", schema.get("maximum", 200) - 250)
        value = step * (low // step + rng.randrange(1, int(200 // step)))
        return int(value) if value == int(value) else value
    kind = schema["type"]
    if isinstance(kind, list):
        kind = rng.choice(kind)
    if kind == "string":
        if "pattern" in schema:
            return rng.choice(dict(PATTERNS)[schema["pattern"]])
        return text(rng, schema.get("minLength", 0), schema.get("maxLength"))
    if kind in ("integer", "number"):
        low, high = -100, 100
        low = schema.get("minimum", schema.get("exclusiveMinimum", low - 1) + 1)
        high = schema.get("maximum", schema.get("exclusiveMaximum", max(high, low + 3) + 1) - 1)
        if low > high:
            low = high
        value = rng.randrange(low, high + 1)
        return value if kind == "integer" or value == high or rng.random() < 0.5 else value + (-0.25 if value < 0 and value > low else 0.25) * (value >= 0 or value > low)
    if kind in ("boolean", "null"):
        return None if kind == "null" else rng.random() < 0.5
    if kind == "array":
        prefix = schema.get("prefixItems", [])
        items = schema.get("items", True)
        low = schema.get("minItems", 0)
        high = schema.get("maxItems", low + 3)
        if items is False:
            high = min(high, len(prefix))
        count = rng.randrange(low, max(low, high if depth < 5 else low) + 1)
        return [sample(rng, prefix[k] if k < len(prefix) else items, depth + 1) for k in range(count)]
    result = {}
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        if name in required or rng.random() < (0.5 if depth < 5 else 0):
            result[name] = sample(rng, part, depth + 1)
    additional = schema.get("additionalProperties", True)
    for name in required:
        if name not in result:
            result[name] = sample(rng, additional, depth + 1)
    for pattern, names in NAME_PATTERNS:
        part = schema.get("patternProperties", {}).get(pattern)
        for name in names if part is not None else []:
            if rng.random() < (0.5 if depth < 5 else 0):
                result[name] = sample(rng, part, depth + 1)
    if additional is not False and rng.random() < 0.4:
        for name in ("nam", "zzz", "caf\u00e8"):
            if name not in schema.get("properties", {}):
                result[name] = sample(rng, additional, depth + 1)
    return result


def mutate(rng, value):
    """Another value, near this one."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        result = dict(value)
        name = rng.choice(list(result))
        choice = rng.randrange(4)
        if choice == 0:
            del result[name]
        elif choice == 1:
            result[rng.choice(WORDS)] = anything(rng, 2)
        elif choice == 2:
            result = dict(sorted(result.items(), key=lambda item: rng.random()))
        else:
            result[name] = mutate(rng, result[name])
        return result
    if isinstance(value, list) and value and rng.random() < 0.8:
        result = list(value)
        place = rng.randrange(len(result))
        choice = rng.randrange(3)
        if choice == 0:
            del result[place]
        elif choice == 1:
            result.insert(place, anything(rng, 2))
        else:
            result[place] = mutate(rng, result[place])
        return result
    if isinstance(value, str) and rng.random() < 0.7:
        place = rng.randrange(len(value) + 1)
        return value[:place] + rng.choice(["", "a", "\u00e9", "-", "9"]) + value[place + rng.randrange(2):]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.7:
        return value + rng.choice([-1, 1, 100, -100, 0.5])
    return anything(rng, 1)


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main():
    output = pathlib.Path(sys.argv[1])
    output.mkdir(parents=True, exist_ok=True)
    rng = random.Random(20261122)
    items = []
    while len(items) < 450:
        part = schema(rng)
        if part is True:
            continue
        whole = {**part, "$defs": DEFINITIONS}
        validator = Draft202012Validator(whole)
        instances = []
        for _ in range(12):
            value = sample(rng, part)
            instances.append({"text": dump(value), "valid": validator.is_valid(value),
                              "canonical": validator.is_valid(value)})
            for _ in range(3):
                other = mutate(rng, value)
                spelled = json.dumps(other, indent=rng.choice([None, None, 2]), ensure_ascii=rng.random() < 0.3)
                instances.append({"text": spelled, "valid": validator.is_valid(other), "canonical": False})
        items.append({"schema": whole, "instances": instances})
    (output / "schemas.json").write_text(json.dumps(items))


if __name__ == "__main__":
    main()
