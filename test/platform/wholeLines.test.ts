import { once } from "node:events";
import { assert, describe, it } from "@effect/vitest";
import { wholeLines } from "../../src/platform/WholeLines.ts";

/** What comes out, chunk by chunk, when `chunks` go in. */
const passedOn = async (chunks: ReadonlyArray<string>) => {
  const lines = wholeLines();
  const out: Array<string> = [];
  lines.on("data", (chunk) => out.push(String(chunk)));
  for (const chunk of chunks) lines.write(chunk);
  lines.end();
  await once(lines, "end");
  return out;
};

describe("lines", () => {
  it.each([
    [["a\nb\n"], ["a\nb\n"]],
    [
      ["a\nb", "c", "d\ne", "\n"],
      ["a\n", "bcd\n", "e\n"],
    ],
    [
      ["a\n", "cut o"],
      ["a\n", "cut o\n"],
    ],
    [[], []],
  ])("%j are passed on whole", async (chunks, expected) => {
    assert.deepStrictEqual(await passedOn(chunks), expected);
  });
});
