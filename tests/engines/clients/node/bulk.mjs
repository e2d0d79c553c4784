// Sends a thousand events twice with the official client's bulk helper, then one that can never be taken.
//
// Usage: node bulk.mjs URL, with the token in TOKEN; says what became of them as one line of JSON.
import { writeSync } from "node:fs";
import { Client } from "@elastic/elasticsearch";

const [node, events] = [process.argv[2], 1000];

async function send(client, index, first, last) {
  const failed = {};
  const stats = await client.helpers.bulk({
    datasource: Array.from({ length: last - first + 1 }, (_, n) => first + n),
    flushBytes: 20_000,
    concurrency: 2,
    wait: 10,
    retries: 5,
    onDocument: (number) => [
      { create: { _index: index, _id: `js-${number}` } },
      { message: `js ${number}`, "log.level": "info", "http.request.id": "r-js" },
    ],
    onDrop: ({ status, error }) => {
      const told = `${status} ${error?.type}`;
      failed[told] = (failed[told] ?? 0) + 1;
    },
  });
  return { stored: stats.successful, failed, retried: stats.retry };
}

const client = new Client({ node, auth: { apiKey: process.env.TOKEN }, compression: true, maxRetries: 5 });
const info = await client.info();
const said = { info: info.version.number };
said.first = await send(client, "shop", 1, events);
said.again = await send(client, "shop", 1, events);
said.never = await send(client, "Not Allowed", events + 1, events + 1);
const stranger = new Client({ node, auth: { apiKey: "nonsense" } });
said.stranger = await send(stranger, "shop", events + 2, events + 2).catch((error) => `${error.name} ${error.statusCode}`);
writeSync(1, JSON.stringify(said) + "\n");
