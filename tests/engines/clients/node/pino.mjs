// Logs a thousand lines with pino through its transport for Elasticsearch.
//
// Usage: node pino.mjs URL, with the token in TOKEN; says what went wrong as one line of JSON.
import { writeSync } from "node:fs";
import pino from "pino";
import pinoElasticsearch from "pino-elasticsearch";

const failed = [];
const stream = pinoElasticsearch({
  index: "shop",
  node: process.argv[2],
  auth: { apiKey: process.env.TOKEN },
  esVersion: 8,
  flushBytes: 20_000,
});
for (const kind of ["insertError", "error", "unknown"]) {
  stream.on(kind, (error) => failed.push(`${kind}: ${error?.message ?? error}`));
}
const logger = pino({ level: "debug" }, stream);
for (let number = 1; number <= 1000; number += 1) {
  logger.child({ reqId: "r-pino" })[number % 10 ? "info" : "error"]({ number, request_id: "r-pino" }, `pino ${number}`);
}
stream.end();
stream.on("finish", () => {});
process.on("beforeExit", () => {
  writeSync(1, JSON.stringify({ failed }) + "\n");
  process.exit(0);
});
