/**
 * A program: on a new embedded database in DATA_DIR it changes rows and places
 * orders, and says what was on the disk when it had each answer.
 */
import { NodeRuntime } from "@effect/platform-node";
import { Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import {
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import { before, synced, unsynced } from "../support/watchedDisk.ts";

/** Changes that were answered. */
interface Answered {
  readonly answers: number;
  /** Those answered before all of the log was on the disk. */
  readonly early: number;
  /** How often the log was synced for them. */
  readonly syncs: number;
}

export interface AnswersAndSyncs {
  readonly oneByOne: Answered;
  readonly atOnce: Answered;
  /** What was not on the disk when the new database got its name. */
  readonly unsyncedWhenNamed: ReadonlyArray<string>;
  /** What was synced from then on, without the directory's name. */
  readonly synced: ReadonlyArray<string>;
}

const dataDir = process.env.DATA_DIR as string;

let unsyncedWhenNamed: ReadonlyArray<string> = ["the database has no name yet"];
before.rename = (_, to) => {
  if (to !== `${dataDir}/postgres`) return;
  unsyncedWhenNamed = [...unsynced];
  synced.length = 0;
};

const isLog = (path: string) => /\/pg_wal\/[0-9A-F]{24}$/.test(path);
const logSyncs = () => synced.filter(isLog).length;

const answered = Effect.fnUntraced(function* <E, R>(
  answers: number,
  concurrency: 1 | "unbounded",
  change: (index: number) => Effect.Effect<unknown, E, R>,
) {
  let early = 0;
  const syncsBefore = logSyncs();
  yield* Effect.forEach(
    Array.from({ length: answers }, (_, index) => index),
    (index) =>
      Effect.map(change(index), () => {
        if ([...unsynced].some(isLog)) early += 1;
      }),
    { concurrency },
  );
  return { answers, early, syncs: logSyncs() - syncsBefore };
});

const newOrder = (index: number): NewOrder => ({
  order_id: OrderId.make(`A${index}`),
  user_id: UserId.make("USER001"),
  item_ids: ["ITEM001"],
  total_amount: TotalAmount.make(12.5),
});

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const { migrated } = yield* Database;
  const repository = yield* OrderRepository;
  yield* migrated;
  yield* sql`CREATE TABLE changed (value integer)`;
  const oneByOne = yield* answered(
    100,
    1,
    (value) => sql`INSERT INTO changed VALUES (${value})`,
  );
  const atOnce = yield* answered(200, "unbounded", (index) =>
    repository.insert(newOrder(index), Partition.make(3)),
  );
  yield* sql`CHECKPOINT`;
  const told: AnswersAndSyncs = {
    oneByOne,
    atOnce,
    unsyncedWhenNamed,
    synced: synced.map((path) => path.slice(dataDir.length)),
  };
  console.log(JSON.stringify(told));
}).pipe(
  Effect.provide(
    OrderRepositorySql.layer.pipe(
      Layer.provideMerge(Database.layer),
      Layer.provideMerge(Connections.layerShared),
      Layer.provideMerge(Embedded.layer({ dataDir })),
    ),
  ),
);

NodeRuntime.runMain(program);
