/**
 * Events become visible in another order than they are numbered: what a reader
 * of the log sees while transactions that write them are open.
 */
import { assert, layer } from "@effect/vitest";
import { Effect, Fiber, Layer, Schema } from "effect";
import { SqlClient } from "effect/sql";
import type { OrderEvent } from "../../src/domain/OrderEvent.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { clear, instanceOf } from "./eventLogSubject.ts";
import { holds, readOn } from "./eventLogSuite.ts";
import * as OpenWrites from "./openWrites.ts";
import { newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(7);

const fresh = Effect.gen(function* () {
  yield* (yield* Database).migrated;
  yield* clear;
  return yield* instanceOf("one:8000");
});

const namesOf = (events: ReadonlyArray<OrderEvent>) =>
  events.map(({ order_id }) => String(order_id));

/** The last number that was taken, whatever became of it. */
const lastNumber = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const [row] = yield* sql<{ last: bigint }>`
    SELECT last_value AS last FROM order_events_seq`;
  return row?.last ?? 0n;
});

/** The writers of the property, each with a connection of its own. */
const writers = 3;

const Step = Schema.Struct({
  writer: Schema.Int.check(
    Schema.isBetween({ minimum: 0, maximum: writers - 1 }),
  ),
  move: Schema.Literals(["write", "write", "write", "commit", "roll back"]),
  size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 })),
});

layer(Database.layer.pipe(Layer.provideMerge(TestDatabase.layerSql)), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("the log of events, while transactions are open", (it) => {
  it.effect("ends before what may yet appear, and has it all later", () =>
    Effect.gen(function* () {
      const { log, repository } = yield* fresh;
      const [other] = yield* OpenWrites.make(1);
      yield* repository.insert(newOrder("before"), partition);
      const oldest = yield* log.oldest;
      const { end } = yield* readOn(log, oldest, 1);

      yield* other.write(["open"]);
      yield* repository.insert(newOrder("after 1"), partition);
      yield* repository.insert(newOrder("after 2"), partition);
      const latest = yield* log.latest;
      for (const place of [end, latest]) {
        for (let look = 0; look < 5; look += 1) {
          const read = yield* log.read(place, 10);
          assert.deepStrictEqual(
            [namesOf(read.events), read.isEnd],
            [[], true],
          );
        }
      }
      // What may have been told already is not told again.
      assert.deepStrictEqual(namesOf((yield* readOn(log, oldest, 1)).events), [
        "before",
      ]);
      // As soon as a millisecond has gone by.
      yield* Effect.repeat(log.heldUpSeconds, { until: (_) => _ > 0 });

      yield* other.commit;
      for (const place of [end, latest]) {
        const { events } = yield* readOn(log, place, 3);
        assert.deepStrictEqual(namesOf(events), ["open", "after 1", "after 2"]);
      }
      yield* Effect.repeat(log.heldUpSeconds, { until: (_) => _ === 0 });
    }).pipe(Effect.scoped),
  );

  it.effect("does so, too, when what is open is the youngest of all", () =>
    Effect.gen(function* () {
      const { log } = yield* fresh;
      const [other] = yield* OpenWrites.make(1);
      const oldest = yield* log.oldest;
      yield* other.write(["open"]);
      let place = oldest;
      for (let look = 0; look < 5; look += 1) {
        place = (yield* log.read(place, 10)).end;
      }
      const latest = yield* log.latest;
      yield* other.commit;
      for (const from of [place, latest]) {
        const { events } = yield* readOn(log, from, 1);
        assert.deepStrictEqual(namesOf(events), ["open"]);
      }
    }).pipe(Effect.scoped, Effect.timeout("20 seconds")),
  );

  it.effect("goes on when what was open is rolled back", () =>
    Effect.gen(function* () {
      const { log, repository } = yield* fresh;
      const [other] = yield* OpenWrites.make(1);
      yield* other.write(["never"]);
      yield* repository.insert(newOrder("after"), partition);
      const oldest = yield* log.oldest;
      assert.isEmpty((yield* log.read(oldest, 10)).events);
      yield* other.rollBack;
      const { events } = yield* readOn(log, oldest, 1);
      assert.deepStrictEqual(namesOf(events), ["after"]);
    }).pipe(Effect.scoped),
  );

  it.effect("passes over nothing, whatever the order of commits", () =>
    Effect.gen(function* () {
      yield* holds(Schema.Array(Step), 60, (steps) =>
        Effect.gen(function* () {
          const { log } = yield* fresh;
          const open = yield* OpenWrites.make(writers);
          const pending = open.map((): Array<string> => []);
          const committed: Array<string> = [];
          const oldest = yield* log.oldest;

          const read: Array<OrderEvent> = [];
          let last: bigint | undefined;
          const reader = yield* Effect.gen(function* () {
            let place = oldest;
            // Until it has come past all numbers, whether or not it saw them.
            let isPast = false;
            while (!isPast) {
              const { end, events, isEnd } = yield* log.read(place, 3);
              read.push(...events);
              place = end;
              isPast = isEnd && last !== undefined && place.record >= last;
            }
          }).pipe(Effect.forkScoped);

          for (const [at, { move, size, writer }] of steps.entries()) {
            const own = open[writer] as OpenWrites.OpenWrites;
            const names = pending[writer] as Array<string>;
            if (move === "write") {
              const some = Array.from(
                { length: size },
                (_, index) => `${writer}-${at}-${index}`,
              );
              yield* own.write(some);
              names.push(...some);
            } else if (move === "commit") {
              // Before it may be read.
              committed.push(...names.splice(0));
              yield* own.commit;
            } else {
              names.splice(0);
              yield* own.rollBack;
            }
          }
          for (const [writer, own] of open.entries()) {
            committed.push(...(pending[writer] as Array<string>));
            yield* own.commit;
          }
          last = yield* lastNumber;
          yield* Fiber.join(reader);

          assert.sameMembers(namesOf(read), committed);
          const again = yield* readOn(log, oldest, committed.length);
          assert.deepStrictEqual(
            read.map(({ id }) => id),
            again.events.map(({ id }) => id),
          );
        }),
      );
    }),
  );
});
