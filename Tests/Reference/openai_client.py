#!/usr/bin/env python3
"""The official `openai` package against a server of ours: every endpoint that it knows, whole and streamed.

  openai_client.py URL KEY       KEY is one that lets in; ends with a line "N checks" or an exception
"""
import json, sys

import openai

url, key = sys.argv[1:]
client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=60)
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(what)


def refused(kind, **fields):
    try:
        client.chat.completions.create(**{"model": model, "messages": talk, "max_tokens": 1, **fields})
    except kind as error:
        check(error.body and error.body["message"], "an error says why")
        return error
    raise AssertionError(f"{fields} was not refused")


models = client.models.list().data
model = models[0].id
check(len(models) == 1 and models[0].object == "model", "one model")
talk = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "Tell me of the lighthouse."}]

# Completions.
whole = client.completions.create(model=model, prompt="The history of", max_tokens=12, temperature=0, logprobs=2, stop=["\n\n\n"])
check(whole.choices[0].text and whole.usage.completion_tokens <= 12, "a completion")
logprobs = whole.choices[0].logprobs
check(len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == len(logprobs.text_offset), "its log-probabilities")
text, usage = "", None
for chunk in client.completions.create(model=model, prompt="The history of", max_tokens=12, temperature=0, stream=True,
                                       stream_options={"include_usage": True}):
    text += "".join(choice.text for choice in chunk.choices)
    usage = chunk.usage or usage
check(text == whole.choices[0].text, "streamed it is the same")
check(usage.total_tokens == whole.usage.total_tokens, "and counted the same")
many = client.completions.create(model=model, prompt=["One", "Two"], n=2, max_tokens=3, seed=5, echo=True, temperature=0.9, top_p=0.9,
                                 presence_penalty=0.5, frequency_penalty=0.5, logit_bias={"5": -100}, user="somebody")
check([choice.index for choice in many.choices] == [0, 1, 2, 3], "choices of prompts")
check(all(choice.text.startswith(["One", "Two"][choice.index // 2]) for choice in many.choices), "each behind its prompt")
again = client.completions.create(model=model, prompt=[5, 6, 7], max_tokens=8, seed=7, temperature=1)
check(again.choices[0].text == client.completions.create(model=model, prompt=[5, 6, 7], max_tokens=8, seed=7, temperature=1).choices[0].text,
      "a seed gives the same again")
extra = client.completions.create(model=model, prompt="a", max_tokens=5, extra_body={"top_k": 3, "min_p": 0.1, "ignore_eos": True, "repetition_penalty": 1.1})
check(extra.usage.completion_tokens == 5, "vLLM's fields")

# Chats.
chat = client.chat.completions.create(model=model, messages=talk, max_completion_tokens=20, temperature=0, logprobs=True, top_logprobs=3)
check(chat.choices[0].message.role == "assistant" and chat.choices[0].finish_reason in ("stop", "length"), "a chat")
check(all(len(token.top_logprobs) == 3 for token in chat.choices[0].logprobs.content), "its log-probabilities")
with client.chat.completions.stream(model=model, messages=talk, max_completion_tokens=20, temperature=0) as stream:
    for event in stream:
        pass
    check(stream.current_completion_snapshot.choices[0].message.content == chat.choices[0].message.content, "streamed it is the same")
schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "year": {"type": "integer", "minimum": 0, "maximum": 99}},
          "required": ["name", "year"], "additionalProperties": False}
formed = client.chat.completions.create(model=model, messages=talk, max_tokens=400, seed=1,
                                        response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}})
check(set(json.loads(formed.choices[0].message.content)) == {"name", "year"}, "a response format")

# Tools: what must be called is called, and its result can be told.
tool = {"type": "function", "function": {"name": "tide", "description": "The tide at a place.",
        "parameters": {"type": "object", "properties": {"place": {"enum": ["Brest", "Oslo"]}}, "required": ["place"], "additionalProperties": False}}}
for choice in ("required", {"type": "function", "function": {"name": "tide"}}):
    called = client.chat.completions.create(model=model, messages=talk, tools=[tool], tool_choice=choice, max_tokens=400, seed=2)
    call = called.choices[0].message.tool_calls[0]
    check(called.choices[0].finish_reason == "tool_calls" and call.function.name == "tide", "a call")
    check(json.loads(call.function.arguments)["place"] in ("Brest", "Oslo"), "its arguments")
with client.chat.completions.stream(model=model, messages=talk, tools=[tool], tool_choice="required", max_tokens=400, seed=2) as stream:
    for event in stream:
        pass
    streamed = stream.get_final_completion().choices[0].message.tool_calls[0]
    check(streamed.function.name == "tide" and json.loads(streamed.function.arguments), "a streamed call")
told = talk + [called.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "high"}]
check(client.chat.completions.create(model=model, messages=told, tools=[tool], max_tokens=5).choices[0].finish_reason, "its result is told")

# Responses.
response = client.responses.create(model=model, input="Tell me of the lighthouse.", instructions="Be terse.", max_output_tokens=16, temperature=0)
check(response.output_text and response.usage.output_tokens <= 16, "a response")
pieces = ""
for event in client.responses.create(model=model, input="Tell me of the lighthouse.", instructions="Be terse.", max_output_tokens=16, temperature=0,
                                     stream=True):
    pieces += event.delta if event.type == "response.output_text.delta" else ""
check(pieces == response.output_text, "streamed it is the same")

# What no method of the package asks for.
tokens = client.post(url + "/tokenize", body={"prompt": "The history"}, cast_to=object)
check(client.post(url + "/detokenize", body={"tokens": tokens["tokens"]}, cast_to=object)["prompt"] == "The history", "tokens and back")
check(client.get(url + "/health", cast_to=object)["status"] == "ok", "health")
check("paths" in client.get(url + "/openapi.json", cast_to=object), "the description")

# Refusals are the package's own errors.
check(refused(openai.BadRequestError, temperature=9).status_code == 400, "a wrong value")
check(refused(openai.NotFoundError, model="other").code == "model_not_found", "a wrong model")
check(refused(openai.BadRequestError, extra_body={"temprature": 1}).status_code == 400, "a misspelt field")
try:
    openai.OpenAI(base_url=url + "/v1", api_key="not-a-key-of-it", max_retries=0).models.list()
    raise AssertionError("a wrong key lets in")
except openai.AuthenticationError as error:
    check(error.status_code == 401, "a wrong key")
print(f"{checks} checks")
