import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";
import { AppConfig, settingFaults } from "../../src/AppConfig.ts";
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

describe("RUNNER_HOST", () => {
  const faultOf = (host: string) =>
    AppConfig.parse(ConfigProvider.fromUnknown({ RUNNER_HOST: host })).pipe(
      Effect.match({ onSuccess: () => "none", onFailure: settingFaults }),
    );

  it.effect("is refused where the cluster's table has no room for it", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* faultOf("h".repeat(240)), "none");
      assert.include(
        yield* faultOf("h".repeat(241)),
        "RUNNER_HOST: must have at most 240 characters",
      );
    }),
  );
});
