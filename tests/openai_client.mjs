// What a program does with the `openai` library of npm: `openai_client.mjs LIBRARY MODEL BASE_URL TOKEN [BASE_URL TOKEN]...`. It
// prints what openai_client.py does.
const [library, model, ...places] = process.argv.slice(2);
const { default: OpenAI } = await import(library);
const tools = [{ type: "function", function: { name: "look", description: "Looks at a fruit", parameters: {
  type: "object", properties: { at: { type: "string" } }, required: ["at"] } } }];

async function said(client, messages, streams) {
  let whole;
  if (streams) {
    // The library's own way to put a stream together.
    const stream = client.chat.completions.stream({ model, messages, tools, stream_options: { include_usage: true } });
    whole = await stream.finalChatCompletion();
  } else {
    whole = await client.chat.completions.create({ model, messages, tools });
  }
  const { message, finish_reason } = whole.choices[0];
  return [message, finish_reason, whole.usage];
}

async function conversation(client, streams) {
  const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "Look at both" }];
  const [first, reason] = await said(client, messages, streams);
  messages.push(first);
  for (const call of first.tool_calls) {
    const { at } = JSON.parse(call.function.arguments);
    messages.push({ role: "tool", tool_call_id: call.id, content: `${at} is red` });
  }
  const [last, end, usage] = await said(client, messages, streams);
  return {
    calls: first.tool_calls.map((call) => JSON.parse(call.function.arguments).at),
    text: last.content, reasons: [reason, end], tokens: [usage.prompt_tokens, usage.completion_tokens],
  };
}

while (places.length > 0) {
  const [baseURL, apiKey] = places.splice(0, 2);
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
  const stranger = new OpenAI({ baseURL, apiKey: "aiw-wrong", maxRetries: 0 });
  const refused = await stranger.models.list().then(() => null, (error) => (error.status === 401 ? error.message : null));
  const models = [];
  for await (const known of client.models.list()) models.push(known.id);
  console.log(JSON.stringify({
    models, model: (await client.models.retrieve(model)).id,
    whole: await conversation(client, false), streamed: await conversation(client, true), refused,
  }));
}
