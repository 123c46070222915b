// An agent in Node with the plain OpenTelemetry SDK: `agentlog collect` makes a task folder of what it sends.
//
//   npm install @opentelemetry/api @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto
//   OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 node collected_agent.js proto
//
// With OPENAI_BASE_URL it asks the model there, else what a model would answer is written here. It prints the id of its trace.
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { trace } = require("@opentelemetry/api");

const kind = process.argv[2] || "proto"; // or http (JSON), grpc
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const sdk = new NodeSDK({ serviceName: "node-agent", traceExporter: new OTLPTraceExporter(), instrumentations: [] });
sdk.start();
const tracer = trace.getTracer("node-agent");

const MODEL = "gpt-4o";

async function ask(messages) {
  const url = process.env.OPENAI_BASE_URL;
  if (!url) {
    const called = messages.some((message) => message.role === "tool");
    const content = called ? "It is dry in Vienna." : "I look it up.";
    const usage = called ? { prompt_tokens: 200, completion_tokens: 56 } : { prompt_tokens: 120, completion_tokens: 40 };
    return { model: MODEL, choices: [{ message: { role: "assistant", content }, finish_reason: "stop" }], usage };
  }
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
  const body = JSON.stringify({ model: MODEL, messages });
  const response = await fetch(`${url}/chat/completions`, { method: "POST", headers, body });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

function parts({ role, content }) {
  return { role, parts: [role === "tool" ? { type: "tool_call_response", response: content } : { type: "text", content }] };
}

async function chat(messages) {
  const request = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": MODEL,
    "gen_ai.input.messages": JSON.stringify(messages.map(parts)),
  };
  return tracer.startActiveSpan(`chat ${MODEL}`, { attributes: request }, async (span) => {
    try {
      const { model, choices, usage } = await ask(messages);
      const [{ message, finish_reason: reason }] = choices;
      span.setAttribute("gen_ai.response.model", model);
      span.setAttribute("gen_ai.response.finish_reasons", [reason]);
      span.setAttribute("gen_ai.usage.input_tokens", usage.prompt_tokens);
      span.setAttribute("gen_ai.usage.output_tokens", usage.completion_tokens);
      span.setAttribute("gen_ai.output.messages", JSON.stringify([{ ...parts(message), finish_reason: reason }]));
      return message.content;
    } finally {
      span.end();
    }
  });
}

async function main() {
  const agent = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "researcher",
    "gen_ai.conversation.id": "conversation-7",
  };
  const messages = [{ role: "user", content: process.argv[3] || "Does it rain in Vienna?" }];
  await tracer.startActiveSpan("invoke_agent researcher", { attributes: agent }, async (root) => {
    messages.push({ role: "assistant", content: await chat(messages) });
    const tool = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search" };
    tracer.startActiveSpan("execute_tool search", { attributes: tool }, (span) => span.end());
    messages.push({ role: "tool", content: "Vienna: dry" });
    await chat(messages);
    root.end();
    console.log(root.spanContext().traceId);
  });
  await sdk.shutdown();
}

main();
