#!/usr/bin/env python3
"""Expected token ids and texts from PyPI `tokenizers`, for TextTests.

    pip install tokenizers==0.23.3
    python3 Tests/Reference/tokenizers_reference.py DATA OUTPUT

DATA is the folder that MINIMA_DATA names (it holds data/ and models/); OUTPUT is the folder that
MINIMA_REFERENCE names (default: .build/reference/tokenizers). One to three minutes.

A list file is little-endian: uint32 count, then count + 1 uint32 item offsets, then the items
(UTF-8 bytes in *.texts, int32 ids in *.ids).
"""
import array
import json
import lzma
import pathlib
import random
import struct
import sys

from tokenizers import Tokenizer, normalizers

SEPARATOR = "\n\n<|endoftext|>\n\n"
SCALAR_LIMIT = 0x110000


def write_list(path, items, code):
    offsets, total = [0], 0
    for item in items:
        total += len(item)
        offsets.append(total)
    with open(path, "wb") as file:
        file.write(struct.pack("<I", len(items)))
        array.array("I", offsets).tofile(file)
        for item in items:
            file.write(item if code is None else array.array(code, item).tobytes())


def write_texts(path, texts):
    write_list(path, [text.encode() for text in texts], None)


def write_ids(path, lists):
    write_list(path, lists, "i")


def any_scalar(rng):
    while True:
        value = rng.randrange(rng.choice([0x80, 0x800, 0x3000, 0x10000, 0x20000, SCALAR_LIMIT]))
        if not 0xD800 <= value <= 0xDFFF:
            return chr(value)


def pieces(rng):
    """One random fragment; the kinds are those that tokenizers get wrong."""
    kind = rng.randrange(20)
    if kind < 4:
        return rng.choice(["the", "Hello", "world", "and", "Tokenizer", "e", "I'M", "we'LL", "don't", "'S",
                           "it's", "'\u017f", "they'RE", "'ve", "x'", "''d"])
    if kind == 4:
        return "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 9)))
    if kind == 5:
        return rng.choice([" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\n ", "\u00a0", "\u2003",
                           "\u3000", "\u2028", "\u2029", "\u0085", "\u000b", "\f", "\u200b", "\u1680", "\u202f",
                           "\ufeff", "\u180e", "\x1c", "\x1f"]) * rng.randrange(1, 4)
    if kind == 6:
        return rng.choice(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<0x41>",
                           "<|im_start|", "<|", "|>", "<<s>>", "[A]", "[B]", " [L] ", " [R] ", "word", "sword",
                           "\u00c9cole", "E\u0301cole"])
    if kind == 7:
        return "".join(chr(rng.randrange(0x300, 0x370)) for _ in range(rng.randrange(1, 5)))
    if kind == 8:
        return rng.choice("aeiouAEIOUcnsz") + "".join(
            rng.choice("\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u0323\u031b\u0345") for _ in range(rng.randrange(1, 4)))
    if kind == 9:
        return "".join(chr(rng.randrange(0x4E00, 0xA000)) for _ in range(rng.randrange(1, 6)))
    if kind == 10:
        return "".join(rng.choice(
            ["\U0001F600", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "\U0001F1E9\U0001F1EA", "\u2764\ufe0f",
             "\U0001F44D\U0001F3FD", "\u2705", "\U0001F999"]) for _ in range(rng.randrange(1, 3)))
    if kind == 11:
        return "".join(chr(rng.randrange(0x20)) for _ in range(rng.randrange(1, 3)))
    if kind == 12:
        return rng.choice("aA =-_*.\n\u4e00\u00e9") * rng.randrange(1, 120)
    if kind == 13:
        return "".join(chr(rng.randrange(0x1100, 0x1200)) for _ in range(rng.randrange(1, 4))) + "\uac00\u11a8"
    if kind == 14:
        return "".join(chr(rng.choice([rng.randrange(0x900, 0xE00), rng.randrange(0x600, 0x700),
                                       rng.randrange(0x590, 0x600)])) for _ in range(rng.randrange(1, 6)))
    if kind == 15:
        return "".join(chr(rng.choice([rng.randrange(0xF900, 0xFB50), rng.randrange(0x1F00, 0x2000),
                                       rng.randrange(0x2100, 0x2200), rng.randrange(0x1D15E, 0x1D1C0),
                                       rng.randrange(0x2F800, 0x2FA20)])) for _ in range(rng.randrange(1, 4)))
    if kind == 16:
        return "".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~") for _ in range(rng.randrange(1, 6)))
    if kind == 17:
        return rng.choice("\u0660\u00b2\u00bd\u2167\u4e00\U0001d7d8\u0967") * rng.randrange(1, 5)
    return "".join(any_scalar(rng) for _ in range(rng.randrange(1, 8)))


def random_texts(count):
    rng = random.Random(20260213)
    texts = ["", " ", "\n", "\u0301", "a\u0301", "\u0301a"]
    while len(texts) < count:
        glue = rng.choice(["", "", " "])
        texts.append(glue.join(pieces(rng) for _ in range(rng.randrange(1, 10))))
    return texts


def every_scalar():
    """Every scalar of the planes in use, alone and between letters and marks; 64 to a text."""
    texts = []
    for start in [*range(0, 0x40000, 64), *range(0xE0000, 0xE0400, 64), *range(0x10FF00, SCALAR_LIMIT, 64)]:
        scalars = [chr(value) for value in range(start, start + 64) if not 0xD800 <= value <= 0xDFFF]
        if scalars:
            texts.append("\n".join(
                f"{c} a{c}\u0301{c}1 {c}\u0345\u0323{c}\t\u1100{c}\uac00{c}\u11a8 \u0308{c}" for c in scalars))
    return texts


def variants(tiny, stories):
    """Tokenizers for what no downloaded file shows, made from those that are here."""
    llama3 = json.loads(json.dumps(tiny))
    llama3["normalizer"] = None
    split = llama3["pre_tokenizer"]["pretokenizers"][0]
    split["pattern"]["Regex"] = split["pattern"]["Regex"].replace("|\\p{N}|", "|\\p{N}{1,3}|")
    llama3["model"]["ignore_merges"] = True
    # Without most merges, whole words are found only by ignoring merges.
    llama3["model"]["merges"] = llama3["model"]["merges"][:300]
    llama3["post_processor"] = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "TemplateProcessing",
         "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}}}]}

    flags = json.loads(json.dumps(tiny))
    size = len(flags["model"]["vocab"])

    def added(content, **options):
        token = {"id": size + len(flags["added_tokens"]) - 3, "content": content, "single_word": False,
                 "lstrip": False, "rstrip": False, "normalized": False, "special": False}
        token.update(options)
        flags["added_tokens"].append(token)

    added("[A]")
    added("[A][A]")
    added("[L]", lstrip=True, special=True)
    added("[R]", rstrip=True)
    added("[B]", lstrip=True, rstrip=True, normalized=True)
    added("word", single_word=True)
    added("\u00c9cole", normalized=True)
    added("    ")

    spaced = json.loads(json.dumps(tiny))
    spaced["normalizer"] = None
    spaced["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    spaced["model"]["merges"] = [" ".join(merge) for merge in spaced["model"]["merges"]]

    # Some bytes are missing: their symbols become the unknown token.
    holes = json.loads(json.dumps(tiny))
    holes["model"]["merges"] = []
    holes["model"]["vocab"] = {token: id for token, id in holes["model"]["vocab"].items()
                               if id < 259 and token not in "aeiou\u00e3"}
    holes["model"]["unk_token"] = "<|endoftext|>"

    def metaspace(scheme, split):
        result = json.loads(json.dumps(stories))
        result["normalizer"] = None
        mark = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
        result["pre_tokenizer"] = mark
        result["decoder"] = mark
        return result

    # No byte tokens: unknown scalars stay unknown, fused or not.
    unknown = json.loads(json.dumps(stories))
    unknown["model"]["byte_fallback"] = False
    loose = json.loads(json.dumps(unknown))
    loose["model"]["fuse_unk"] = False
    # A merge across the start of a word forbids cutting there.
    crossing = json.loads(json.dumps(stories))
    crossing["model"]["vocab"]["e\u2581"] = len(crossing["model"]["vocab"])
    crossing["model"]["merges"].insert(0, ["e", "\u2581"])
    return {"llama3": llama3, "flags": flags, "spaced": spaced, "holes": holes,
            "metaspace-always": metaspace("always", True), "metaspace-first": metaspace("first", False),
            "metaspace-never": metaspace("never", True), "unknown": unknown, "loose": loose, "crossing": crossing}


def random_id_lists(rng, tokenizer, count):
    ids = sorted(tokenizer.get_vocab(with_added_tokens=True).values())
    small = [id for id in ids if id < 400]
    return [[rng.choice(small if rng.random() < 0.6 else ids) for _ in range(rng.randrange(0, 12))]
            for _ in range(count)]


def main():
    data, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    files = {
        "tiny": data / "models/tiny/tokenizer.json",
        "qwen2": data / "data/tokenizers/qwen2/tokenizer.json",
        "gpt2": data / "data/tokenizers/gpt2/tokenizer.json",
        "stories260K": data / "models/stories260K/hf/tokenizer.json",
    }
    tokenizers = {name: Tokenizer.from_file(str(path)) for name, path in files.items()}
    validation = lzma.open(data / "data/corpus/valid.txt.xz").read().decode()
    documents = [document for document in validation.split(SEPARATOR) if document]
    texts = random_texts(10_000)
    write_texts(output / "random.texts", texts)

    scalars = every_scalar()
    composed = normalizers.NFC()
    write_texts(output / "scalars.texts", scalars)
    write_texts(output / "scalars-nfc.texts", [composed.normalize_str(text) for text in scalars])
    for name in ("tiny", "gpt2"):
        write_ids(output / f"{name}.scalars.ids", [tokenizers[name].encode(text).ids for text in scalars])

    for name, tokenizer in tokenizers.items():
        write_ids(output / f"{name}.corpus.ids",
                  [tokenizer.encode(text, add_special_tokens=False).ids for text in documents])
    parsed = {name: json.loads(path.read_text()) for name, path in files.items() if name in ("tiny", "stories260K")}
    for name, content in variants(parsed["tiny"], parsed["stories260K"]).items():
        folder = output / "variants" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=name == "spaced"))
        tokenizers[f"variants/{name}"] = Tokenizer.from_file(str(folder / "tokenizer.json"))

    for name, tokenizer in tokenizers.items():
        path = output / name
        path.mkdir(parents=True, exist_ok=True)
        write_ids(path / "random.ids", [tokenizer.encode(text).ids for text in texts])
        tokenizer.encode_special_tokens = True
        write_ids(path / "plain.ids", [tokenizer.encode(text, add_special_tokens=False).ids for text in texts])
        tokenizer.encode_special_tokens = False
        lists = random_id_lists(random.Random(7), tokenizer, 2_000)
        write_ids(path / "decode.ids", lists)
        write_texts(path / "decode.texts", [tokenizer.decode(ids, skip_special_tokens=False) for ids in lists])
        write_texts(path / "decode-skip.texts", [tokenizer.decode(ids, skip_special_tokens=True) for ids in lists])

    # The tokens that perplexity is measured on (models/README.md, "the recipe").
    stream = []
    for document in validation[:1_200_000].split(SEPARATOR):
        stream += tokenizers["tiny"].encode(document, add_special_tokens=False).ids + [0]
    wikitext = (data / "data/wikitext2/wiki.test.raw").read_bytes().decode()
    write_ids(output / "recipe.ids",
              [stream, tokenizers["tiny"].encode(wikitext, add_special_tokens=False).ids])


if __name__ == "__main__":
    main()
