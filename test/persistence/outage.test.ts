/** What the log says of a database that is away, and what callers hear. */
import { assert, describe, it } from "@effect/vitest";
import { Cause, Duration, Effect, Logger, Ref } from "effect";
import { SqlError } from "effect/sql";
import { TestClock } from "effect/testing";
import * as DatabaseFault from "../../src/persistence/DatabaseFault.ts";
import * as Outage from "../../src/persistence/Outage.ts";

const refused = new SqlError.SqlError({
  reason: new SqlError.ConnectionError({
    message: "PgConnection: Failed to connect",
    cause: Object.assign(new Error("connect ECONNREFUSED 10.1.2.3:5432"), {
      code: "ECONNREFUSED",
      syscall: "connect",
    }),
  }),
});

const fromServer = (code: string, message: string) =>
  new SqlError.SqlError({
    reason: new SqlError.UnknownError({
      message: "PgConnection: Query failed",
      cause: Object.assign(new Error(message), { code }),
    }),
  });

const timeout = new Cause.TimeoutError("Operation timed out");

/** A log, and an outage told to it, of a database that `isAway` or not. */
const told = Effect.gen(function* () {
  const lines: Array<string> = [];
  const isAway = yield* Ref.make(true);
  const outage = yield* Outage.make(
    Effect.flatMap(Ref.get(isAway), (away) =>
      away ? Effect.fail(refused) : Effect.void,
    ),
  ).pipe(
    Effect.provide(
      Logger.layer([
        Logger.make(({ logLevel, message }) => {
          const [words] = message as ReadonlyArray<string>;
          lines.push(`${logLevel} ${words}`);
        }),
      ]),
    ),
  );
  return { isAway, lines, outage };
});

const away = "the database cannot be reached (ECONNREFUSED)";

describe("an outage of the database", () => {
  it.effect("is told once, once a minute, and once when it is over", () =>
    Effect.gen(function* () {
      const { isAway, lines, outage } = yield* told;
      // An hour, in which somebody asks in vain every 200 ms.
      for (let turn = 0; turn < 5 * 3600; turn += 1) {
        yield* outage.failed(turn % 3 === 0 ? refused : timeout);
        yield* TestClock.adjust(Duration.millis(200));
      }
      yield* Ref.set(isAway, false);
      yield* TestClock.adjust(Duration.minutes(5));
      assert.deepStrictEqual(lines, [
        `Warn ${away}; waiting for it`,
        ...Array.from({ length: 60 }, () => `Warn still: ${away}`),
        "Info the database is back",
      ]);
      // And so is the next one.
      yield* Ref.set(isAway, true);
      yield* outage.failed(refused);
      yield* TestClock.adjust(Duration.seconds(1));
      assert.strictEqual(lines.at(-1), `Warn ${away}; waiting for it`);
    }),
  );

  it.effect("is told though nobody asks any more", () =>
    Effect.gen(function* () {
      const { lines, outage } = yield* told;
      yield* outage.failed(refused);
      yield* TestClock.adjust(Duration.minutes(10));
      assert.strictEqual(lines.length, 11);
    }),
  );

  it.effect("is told of where statements only time out", () =>
    Effect.gen(function* () {
      const { lines, outage } = yield* told;
      yield* outage.failed(timeout);
      yield* TestClock.adjust(Duration.seconds(1));
      assert.deepStrictEqual(lines, [`Warn ${away}; waiting for it`]);
    }),
  );

  it.effect("is not what one slow statement is, told once a minute", () =>
    Effect.gen(function* () {
      const { isAway, lines, outage } = yield* told;
      yield* Ref.set(isAway, false);
      for (let turn = 0; turn < 120; turn += 1) {
        yield* outage.failed(timeout);
        yield* outage.failed(fromServer("55P03", "lock timeout"));
        yield* TestClock.adjust(Duration.seconds(1));
      }
      assert.deepStrictEqual(lines.toSorted(), [
        ...Array.from(
          { length: 2 },
          () =>
            "Warn another session of the database holds what is to be changed (55P03)",
        ),
        ...Array.from(
          { length: 2 },
          () => "Warn the database did not answer in time",
        ),
      ]);
    }),
  );
});

describe("callers", () => {
  it.each([
    [refused, away, "10.1.2.3"],
    [
      fromServer("25006", "cannot execute SELECT in a read-only transaction"),
      "the database takes no changes at the moment (25006)",
      "cannot execute",
    ],
    [
      fromServer("28P01", 'password authentication failed for user "orders"'),
      "the database cannot be reached (28P01)",
      '"orders"',
    ],
    [
      fromServer("53100", 'could not extend file "base/16384/1": No space'),
      "the disk of the database is full, so nothing was stored; it is safe to send the same request again once the operator of PostgreSQL has made room",
      "base/16384",
    ],
    [
      fromServer("42501", "must be owner of table order_events"),
      "the role of DATABASE_URL may not do that; it must own the tables of the service (42501)",
      "order_events",
    ],
    [timeout, "the database did not answer in time", "Operation timed out"],
  ])(
    "hear fixed words, and the log the database's: %s",
    (error, reason, words) => {
      const fault = DatabaseFault.describe(error);
      assert.strictEqual(fault.reason, reason);
      assert.include(fault.words, words);
      assert.notInclude(fault.reason, words);
    },
  );
});
