/** A puppet's side of the conversation that tests/peers/puppet.py describes: lines of JSON in and out. */
import { createInterface } from "node:readline";

const plain = (key, value) => (typeof value === "bigint" ? Number(value) : value);

const write = (what) => process.stdout.write(JSON.stringify(what, plain) + "\n");

/** What a session hears: an event, or that its call was interrupted. */
export const hear = (session, what) => write({ heard: { session, ...what } });

/**
 * Does what comes, by the table of *verbs*; ends with standard input.
 * @param {Record<string, (what: any) => any>} verbs
 * @param {(error: any) => {error: string, args?: any[], kwargs?: object}} failure
 */
export async function obey(verbs, failure) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: verb, ...what } = JSON.parse(line);
    Promise.resolve()
      .then(() => verbs[verb](what))
      .then((ok) => write({ id, ok: ok ?? null }), (error) => write({ id, failed: failure(error) }));
  }
  process.exit(0);
}
