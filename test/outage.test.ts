/** A real process whose database goes away and comes back. */
import { assert, it } from "@effect/vitest";
import { Effect } from "effect";
import { startPostgres } from "./support/postgresServer.ts";
import { startService, until } from "./support/serviceProcess.ts";

/** Long enough for every part that asks the database to have asked in vain. */
const outageSeconds = 12;

it.live(
  "an outage takes a few lines of the log, and callers hear fixed words",
  () =>
    Effect.gen(function* () {
      const postgres = yield* Effect.acquireRelease(
        Effect.promise(() => startPostgres()),
        (postgres) => Effect.promise(() => postgres.stop()),
      );
      const service = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startService({ DATABASE_URL: `${postgres.url}/postgres` }),
        ),
        (service) => Effect.promise(() => service.stop("SIGKILL")),
      );
      const linesBefore = service.output().length;
      const ask = async (path: string) => {
        const answer = await fetch(`${service.url}${path}`);
        return { ok: answer.ok, body: await answer.text() };
      };
      yield* Effect.promise(() => postgres.crash());
      const bodies = new Set<string>();
      const over = Date.now() + outageSeconds * 1000;
      while (Date.now() < over) {
        for (const path of ["/api/orders/", "/health/ready"]) {
          bodies.add((yield* Effect.promise(() => ask(path))).body);
        }
        yield* Effect.sleep("100 millis");
      }
      yield* Effect.promise(() => postgres.start());
      yield* Effect.promise(() =>
        until("it is ready", async () => (await ask("/health/ready")).ok),
      );
      yield* Effect.promise(() =>
        until("it says so", async () =>
          service.output().includes("the database is back"),
        ),
      );
      const lines = service
        .output()
        .slice(linesBefore)
        .split("\n")
        .filter((line) =>
          /"level":"(WARN|ERROR|FATAL)"|back|recover/.test(line),
        )
        .map((line) => JSON.parse(line) as { message: string; cause?: string });
      const said = lines
        .map(({ message }) => message)
        // One for each request, whatever it was answered.
        .filter((message) => message !== "request");
      assert.isAtMost(said.length, 4, said.join("\n"));
      assert.strictEqual(
        said.filter((line) => line.startsWith("the database cannot be")).length,
        1,
        said.join("\n"),
      );
      assert.strictEqual(
        said.filter((line) => line === "the database is back").length,
        1,
      );
      assert.isTrue(lines.every(({ cause }) => cause === undefined));
      for (const body of bodies) {
        assert.notMatch(body, /Pg|127\.0\.0\.1|Query failed|terminating/);
      }
    }),
  90_000,
);
