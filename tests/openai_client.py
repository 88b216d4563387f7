"""What a program does with the `openai` library of PyPI: `openai_client.py MODEL BASE_URL TOKEN [BASE_URL TOKEN]...`.

It prints one line of JSON for each address: the models, an answer with a tool's call and its result, whole and streamed, the tokens, and what a
wrong key says.
"""
import json
import sys

import openai

model, *places = sys.argv[1:]
tools = [{"type": "function", "function": {"name": "look", "description": "Looks at a fruit", "parameters": {
    "type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}}}]


def said(client, messages, streams):
    """Asks once. Returns the message, the reason for its end and the tokens."""
    if not streams:
        whole = client.chat.completions.create(model=model, messages=messages, tools=tools)
        choice = whole.choices[0]
        return choice.message.model_dump(exclude_none=True), choice.finish_reason, whole.usage
    # The library's own way to put a stream together.
    with client.chat.completions.stream(
        model=model, messages=messages, tools=tools, stream_options={"include_usage": True}
    ) as stream:
        for _ in stream:
            pass
        whole = stream.get_final_completion()
    choice = whole.choices[0]
    message = choice.message.model_dump(exclude_none=True)
    message.pop("parsed", None)
    for call in message.get("tool_calls", []):
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    return message, choice.finish_reason, whole.usage


def conversation(client, streams):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Look at both"}]
    first, reason, _ = said(client, messages, streams)
    messages.append(first)
    for call in first["tool_calls"]:
        at = json.loads(call["function"]["arguments"])["at"]
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": f"{at} is red"})
    last, end, usage = said(client, messages, streams)
    return {
        "calls": [json.loads(call["function"]["arguments"])["at"] for call in first["tool_calls"]],
        "text": last["content"], "reasons": [reason, end], "tokens": [usage.prompt_tokens, usage.completion_tokens],
    }


for url, token in zip(places[::2], places[1::2]):
    client = openai.OpenAI(base_url=url, api_key=token, max_retries=0, timeout=30)
    try:
        openai.OpenAI(base_url=url, api_key="aiw-wrong", max_retries=0).models.list()
        refused = None
    except openai.AuthenticationError as error:
        refused = error.message
    print(json.dumps({
        "models": [known.id for known in client.models.list()],
        "model": client.models.retrieve(model).id,
        "whole": conversation(client, False),
        "streamed": conversation(client, True),
        "refused": refused,
    }))
