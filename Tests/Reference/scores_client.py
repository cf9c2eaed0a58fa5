#!/usr/bin/env python3
"""Log-probabilities of prompts over HTTP (`echo` with `logprobs`, as evaluation harnesses ask for them), against transformers.

  scores_client.py URL MODEL     MODEL is the folder that URL serves; ends with a line "N tokens" or an exception
"""
import json
import sys
import urllib.request

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

url, folder = sys.argv[1:]
tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
count = 0


def ask(**fields):
    request = urllib.request.Request(url + "/v1/completions", json.dumps({"echo": True, "temperature": 0, **fields}).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        body = answer.read().decode()
    if not fields.get("stream"):
        return json.loads(body)["choices"]
    choices = {}
    for line in body.split("\n\n"):
        if not line.startswith("data: {"):
            continue
        for piece in json.loads(line[6:])["choices"]:
            whole = choices.setdefault(piece["index"], {"index": piece["index"], "text": "", "logprobs": {}})
            whole["text"] += piece["text"]
            for name, values in piece["logprobs"].items():
                whole["logprobs"].setdefault(name, []).extend(values)
    return [choices[index] for index in sorted(choices)]


def check(choice, ids, text, top, generated):
    global count
    found = choice["logprobs"]
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    values = found["token_logprobs"]
    assert len(values) == len(ids) + generated and values[0] is None and found["top_logprobs"][0] is None, values
    for place in range(1, len(ids)):
        assert abs(values[place] - expected[place - 1, ids[place]].item()) < 5e-4, (place, values[place])
        likeliest = expected[place - 1].max().item()
        best = max(found["top_logprobs"][place].values())
        assert abs(best - max(values[place], likeliest if top else values[place])) < 5e-4, (place, best)
        # A harness asks this way whether the token would have been chosen.
        margin = expected[place - 1].topk(2).values.diff().abs().item()
        if top and margin > 1e-3:
            assert (values[place] == best) == (expected[place - 1].argmax().item() == ids[place]), place
        count += 1
    assert found["text_offset"][0] == 0 and all(a <= b for a, b in zip(found["text_offset"], found["text_offset"][1:]))
    if text is not None:
        assert choice["text"].startswith(text), choice["text"]
        for token, offset in list(zip(found["tokens"], found["text_offset"]))[:len(ids)]:
            assert "\ufffd" in token or text[offset:].startswith(token), (token, offset)


long = "The history of the river, of its bridges and of the city at its mouth is a long one. " * 12
texts = [long, "Water is", "caf\u00e9 \u65e5\u672c\u8a9e \U0001F600 and so on", long, "a"]
ids = [tokenizer.encode(text).ids for text in texts]
for top in (0, 1, 5):
    for generated in (0, 1, 3):
        for choice, tokens, text in zip(ask(prompt=texts, max_tokens=generated, logprobs=top, ignore_eos=True), ids, texts):
            check(choice, tokens, text, top, generated)
# By tokens, streamed, and again when they are cached.
for _ in range(2):
    for choice, tokens in zip(ask(prompt=ids, max_tokens=1, logprobs=1, stream=True, ignore_eos=True), ids):
        check(choice, tokens, None, 1, 1)
print(count, "tokens")
