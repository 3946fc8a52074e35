import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { parse } from "../../src/platform/Arguments.ts";

describe("the command line", () => {
  it.effect("may be empty: one instance", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parse([]), {
        help: false,
        instances: undefined,
        instance: undefined,
      });
    }),
  );

  it.effect.each(["--instances 4", "--instances=4"])("takes %s", (line) =>
    Effect.gen(function* () {
      const { instances } = yield* parse(line.split(" "));
      assert.strictEqual(instances, 4);
    }),
  );

  it.effect.each([
    ["--instances 0", "whole number from 1 to 32"],
    ["--instances -1", "whole number from 1 to 32"],
    ["--instances=-1", "whole number from 1 to 32"],
    ["--instances x", "whole number from 1 to 32"],
    ["--instances 1.5", "whole number from 1 to 32"],
    ["--instances 33", "whole number from 1 to 32"],
    ["--instances 1000", "whole number from 1 to 32"],
    ["--instances", "whole number from 1 to 32"],
    ["--workers 2", "'--workers'"],
    ["serve", "'serve'"],
  ] as const)("refuses %s in one line", ([line, words]) =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(parse(line.split(" ")));
      assert.include(message, words);
      assert.notInclude(message, "\n");
    }),
  );
});
