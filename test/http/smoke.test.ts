import { Effect } from "effect";
import { assert, describe, it } from "vitest";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

describe("the service on PostgreSQL", () => {
  it("answers", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const service = yield* Effect.promise(() =>
        startService({ DATABASE_URL: url }),
      );
      const response = yield* Effect.promise(() =>
        fetch(`${service.url}/health/ready`),
      );
      assert.strictEqual(response.status, 200);
      assert.strictEqual(yield* Effect.promise(() => service.stop()), 0);
    }).pipe(Effect.provide(TestDatabase.layer), Effect.runPromise));
});
