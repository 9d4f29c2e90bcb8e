// Reads an AsyncAPI document from standard input and validates it with AsyncAPI's own parser.
// Prints its channels and how many messages each has; says why and exits with 1 when it refuses it.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const errors = diagnostics.filter((d) => d.severity === 0);
if (!document || errors.length > 0) {
  for (const d of errors) console.error(`${d.path.join(".")}: ${d.message} (${d.code})`);
  process.exit(1);
}
for (const channel of document.channels().all()) {
  console.log(channel.address(), channel.messages().all().length);
}
