// An agent in Node with the plain OpenTelemetry SDK: `agentlog collect` makes a task folder of what it sends.
//
//   npm install @opentelemetry/api @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto
//   OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 node collected_agent.js proto
//
// It calls no model: what a model would answer is written here. It prints the id of its trace.
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { trace } = require("@opentelemetry/api");

const kind = process.argv[2] || "proto"; // or http (JSON), grpc
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const sdk = new NodeSDK({ serviceName: "node-agent", traceExporter: new OTLPTraceExporter(), instrumentations: [] });
sdk.start();
const tracer = trace.getTracer("node-agent");

function chat(input, output, finished) {
  const asked = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
  };
  tracer.startActiveSpan("chat gpt-4o", { attributes: asked }, (span) => {
    span.setAttribute("gen_ai.usage.input_tokens", input);
    span.setAttribute("gen_ai.usage.output_tokens", output);
    span.setAttribute("gen_ai.response.finish_reasons", [finished]);
    span.end();
  });
}

async function main() {
  const agent = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "researcher",
    "gen_ai.conversation.id": "conversation-7",
  };
  tracer.startActiveSpan("invoke_agent researcher", { attributes: agent }, (root) => {
    chat(120, 40, "tool_calls");
    const tool = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search" };
    tracer.startActiveSpan("execute_tool search", { attributes: tool }, (span) => span.end());
    chat(200, 56, "stop");
    root.end();
    console.log(root.spanContext().traceId);
  });
  await sdk.shutdown();
}

main();
