// Reads CloudEvents in structured JSON from standard input, one a line, and validates each with
// CloudEvents' own JavaScript SDK. Prints how many it accepted; says why and exits with 1 at the
// first that it refuses.
import { createInterface } from "node:readline";
import { CloudEvent, HTTP, ValidationError } from "cloudevents";

let accepted = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  try {
    const event = HTTP.toEvent({
      headers: { "content-type": "application/cloudevents+json" },
      body: line,
    });
    if (!(event instanceof CloudEvent) || !event.validate()) {
      throw new Error("not a valid event");
    }
    accepted++;
  } catch (err) {
    const why = err instanceof ValidationError ? JSON.stringify(err.errors ?? err.message) : String(err);
    console.error(`refused event ${accepted + 1}: ${why}\n${line}`);
    process.exit(1);
  }
}
console.log(accepted);
