// How a client program speaks with its test: a line of JSON each way. What it wants to know is on its command line.
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** What the test told at the start. */
export const told = JSON.parse(process.argv[3] ?? "{}");

/** Have the person open an address; where they were led back to. */
export async function open(address, more = {}) {
  process.stdout.write(`${JSON.stringify({ open: String(address), ...more })}\n`);
  const { value } = await lines.next();
  return new URL(JSON.parse(value));
}

/** Have the person approve a device; returns once they have. */
export async function approve(address, code) {
  process.stdout.write(`${JSON.stringify({ approve: String(address), code })}\n`);
  await lines.next();
}

/** Run the scenario that is named on the command line, and print what it returns. */
export async function run(scenarios) {
  const result = await scenarios[process.argv[2]]();
  process.stdout.write(`${JSON.stringify({ result })}\n`);
  process.exit(0);
}

/** What something fails with: its name, its code, or what the server said. */
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error.error ?? error.code ?? error.name;
  }
  return null;
}
