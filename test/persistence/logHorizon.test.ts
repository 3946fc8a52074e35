/**
 * The law of the horizon, over any order in which transactions take numbers and
 * end, and statements are made and answered.
 */
import { assert, describe, it, layer } from "@effect/vitest";
import {
  Arbitrary,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Schedule,
  Schema,
} from "effect";
import { SqlClient } from "effect/sql";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import * as LogHorizon from "../../src/persistence/LogHorizon.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as TestDatabase from "../support/testDatabase.ts";

/** A transaction of the database: its id, its numbers, and whether it is open. */
interface Transaction {
  readonly id: bigint;
  readonly numbers: Array<bigint>;
  isOpen: boolean;
}

const Step = Schema.Struct({
  do: Schema.Literals(["begin", "take", "end", "ask", "ask", "answer"]),
  which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })),
});

/** What a statement saw when its snapshot was made, and how it is answered. */
interface Statement {
  readonly answer: (moment: LogHorizon.Moment) => bigint;
  readonly xmin: bigint;
  readonly openNumbers: ReadonlyArray<bigint>;
}

/** Plays the steps, and looks at each answer. */
const play = (steps: ReadonlyArray<typeof Step.Type>) => {
  const horizon = LogHorizon.make();
  const transactions: Array<Transaction> = [];
  /** As in PostgreSQL, a snapshot takes nothing from here on for ended. */
  let afterEnded = 1n;
  const statements: Array<Statement> = [];
  let nextId = 1n;
  let last = 0n;
  const open = () => transactions.filter((_) => _.isOpen);
  for (const { do: what, which } of steps) {
    const chosen = open()[which % Math.max(1, open().length)];
    if (what === "begin") {
      transactions.push({ id: nextId, numbers: [], isOpen: true });
      nextId += 1n;
    } else if (what === "take" && chosen !== undefined) {
      last += 1n;
      chosen.numbers.push(last);
    } else if (what === "end" && chosen !== undefined) {
      chosen.isOpen = false;
      if (chosen.id >= afterEnded) afterEnded = chosen.id + 1n;
    } else if (what === "ask") {
      const ids = open().map((_) => _.id);
      statements.push({
        answer: horizon.asking(),
        xmin: ids.reduce((a, b) => (a < b ? a : b), afterEnded),
        openNumbers: open().flatMap((_) => _.numbers),
      });
    } else if (what === "answer" && statements.length > 0) {
      const [answered] = statements.splice(which % statements.length, 1);
      if (answered === undefined) continue;
      // The last number and the next id are read after the snapshot was made.
      const { xmin } = answered;
      const settled = answered.answer({ xmin, last, next: nextId });
      for (const number of answered.openNumbers) {
        assert.isTrue(settled < number, `${settled} >= ${number}`);
      }
    }
  }
};

describe("the horizon of the log", () => {
  it.effect(
    "lies below every number that a statement does not see the end of",
    () =>
      Arbitrary.checkEffect(
        Arbitrary.schema(
          Schema.Array(Step).check(
            Schema.isMinLength(15),
            Schema.isMaxLength(40),
          ),
        ),
        (steps) => Effect.sync(() => play(steps)).pipe(Effect.as(true)),
        { runs: 5000 },
      ).pipe(
        Effect.map((result) =>
          assert.isUndefined(Arbitrary.formatCheckFailure(result)),
        ),
      ),
  );

  it("comes forward once what was open then has ended", () => {
    const horizon = LogHorizon.make();
    const at = (last: bigint, xmin: bigint, next: bigint) =>
      horizon.asking()({ last, xmin, next });
    assert.strictEqual(at(5n, 3n, 8n), 0n);
    // The transaction 3 is still open, and may have any number up to 5.
    assert.strictEqual(at(6n, 3n, 9n), 0n);
    assert.strictEqual(at(7n, 3n, 10n), 0n);
    assert.strictEqual(at(7n, 9n, 10n), 5n);
    assert.strictEqual(horizon.settledTo(), 5n);
    assert.strictEqual(at(9n, 10n, 10n), 7n);
  });

  it("is forgotten where the log is another, not where an answer is overtaken", () => {
    const horizon = LogHorizon.make();
    const ask = horizon.asking;
    ask()({ last: 5n, xmin: 8n, next: 8n });
    const overtaken = ask();
    ask()({ last: 6n, xmin: 8n, next: 8n });
    assert.strictEqual(horizon.settledTo(), 5n);
    // It was sent when nothing was settled, and read the number before.
    overtaken({ last: 4n, xmin: 8n, next: 8n });
    assert.strictEqual(horizon.settledTo(), 5n);
    const ofThisLog = ask();
    assert.strictEqual(ask()({ last: 3n, xmin: 9n, next: 9n }), 0n);
    assert.strictEqual(horizon.settledTo(), 0n);
    // What was sent before that says nothing of the log as it is now.
    assert.strictEqual(ofThisLog({ last: 7n, xmin: 9n, next: 9n }), 0n);
    assert.strictEqual(horizon.settledTo(), 0n);
  });
});

layer(
  OrderRepositorySql.layer.pipe(
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(TestDatabase.layerSql),
  ),
  { excludeTestServices: true },
)("the log of a new database", (it) => {
  it.effect(
    "is settled up to nothing: its first number is yet to be taken",
    () =>
      Effect.gen(function* () {
        yield* (yield* Database).migrated;
        const repository = yield* OrderRepository;
        for (let n = 0; n < 5; n += 1) {
          const read = yield* repository.readLog(Partition.make(3), 0n, 10);
          assert.strictEqual(read.settledTo, 0n);
          assert.strictEqual(read.readTo, 0n);
        }
      }),
  );

  it.effect(
    "is not settled up to what the latest transaction of all holds open",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        yield* (yield* Database).migrated;
        const repository = yield* OrderRepository;
        const taken = yield* Deferred.make<bigint>();
        const mayEnd = yield* Deferred.make<void>();
        // No transaction ends after it: to a snapshot its id is not below xmax.
        const open = yield* Effect.forkChild(
          sql.withTransaction(
            Effect.gen(function* () {
              const [row] = yield* sql<{ seq: bigint }>`
                INSERT INTO orders
                  (order_id, user_id, item_ids, total_amount, partition, seq)
                SELECT 'OPEN', 'U', '[1]', 1, 3, nextval('orders_seq')
                WHERE pg_current_xact_id() IS NOT NULL
                RETURNING seq`;
              yield* Deferred.succeed(taken, row?.seq ?? 0n);
              yield* Deferred.await(mayEnd);
            }),
          ),
        );
        const seq = yield* Deferred.await(taken);
        const look = repository.readLog(Partition.make(3), 0n, 10);
        for (let n = 0; n < 5; n += 1) {
          assert.isTrue((yield* look).settledTo < seq);
        }
        yield* Deferred.succeed(mayEnd, undefined);
        yield* Fiber.join(open);
        // Other tests have transactions open, too, on the same server.
        yield* look.pipe(
          Effect.repeat({
            until: ({ settledTo }) => settledTo >= seq,
            schedule: Schedule.spaced("50 millis"),
          }),
          Effect.timeout("20 seconds"),
        );
      }),
  );
});
