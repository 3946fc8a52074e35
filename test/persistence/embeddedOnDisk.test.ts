/** The embedded database and the disk: what is on it, and when. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { PGlite } from "@electric-sql/pglite";
import { Effect } from "effect";
import { SqlClient } from "effect/sql";
import * as Embedded from "../../src/platform/Embedded.ts";
import {
  runtimes,
  spawnService,
  startService,
  until,
} from "../support/serviceProcess.ts";
import type { AnswersAndSyncs } from "./answersAndSyncs.ts";

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "orders-disk-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true })),
);

/** A process, killed when the test is over however that ends. */
const killedAtLast = <
  A extends {
    readonly child: { kill(how: "SIGKILL"): unknown };
    readonly ended: Promise<unknown>;
  },
>(
  start: () => A | Promise<A>,
) =>
  Effect.acquireRelease(
    Effect.promise(async () => start()),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL");
        return ended;
      }),
  );

const place = (url: string, order_id: string) =>
  fetch(`${url}/api/orders/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      order_id,
      user_id: "USER001",
      item_ids: ["ITEM001"],
      total_amount: 99.99,
    }),
  });

const badDisk = "test/persistence/serviceOnBadDisk.ts";

describe.each(runtimes)("the embedded database on %s", (runtime) => {
  it.live("answers a change when it is on the disk, and not before", () =>
    Effect.gen(function* () {
      const DATA_DIR = yield* temporaryDirectory;
      const { ended, output } = yield* killedAtLast(() =>
        spawnService(
          { DATA_DIR },
          { runtime, main: "test/persistence/answersAndSyncs.ts" },
        ),
      );
      assert.strictEqual(yield* Effect.promise(() => ended), 0, output());
      const told: AnswersAndSyncs = JSON.parse(output());
      assert.deepStrictEqual(told.oneByOne, {
        answers: 100,
        early: 0,
        syncs: 100,
      });
      // Whoever places at the same time shares a commit.
      assert.strictEqual(told.atOnce.early, 0);
      assert.isAtLeast(told.atOnce.syncs, 1);
      assert.isAtMost(told.atOnce.syncs, 20);
      // A new database gets its name when it is on the disk, and that is synced.
      assert.deepStrictEqual(told.unsyncedWhenNamed, []);
      assert.strictEqual(told.synced[0], "");
      // A checkpoint syncs tables and directories, too.
      assert.include(told.synced, "/postgres/pg_xact");
      assert.isTrue(
        told.synced.some((path) => /^\/postgres\/base\/\d+\/\d+$/.test(path)),
      );
    }),
  );

  it.live.each(
    runtime === "node" ? ["/pg_hba.conf", "/postgres"] : ["/pg_hba.conf"],
  )(
    "is made anew when the process is killed in its first start, before %s",
    (STOP_AT) =>
      Effect.gen(function* () {
        const DATA_DIR = yield* temporaryDirectory;
        const first = yield* killedAtLast(() =>
          spawnService({ DATA_DIR, STOP_AT }, { runtime, main: badDisk }),
        );
        yield* Effect.promise(() =>
          until("it stands still", async () =>
            first.output().includes("stands still"),
          ),
        );
        first.child.kill("SIGKILL");
        yield* Effect.promise(() => first.ended);
        const second = yield* killedAtLast(() =>
          startService({ DATA_DIR }, "ready", { runtime }),
        );
        const { status } = yield* Effect.promise(() => place(second.url, "A"));
        assert.strictEqual(status, 201);
        assert.strictEqual(yield* Effect.promise(() => second.stop()), 0);
      }),
    120_000,
  );

  it.live("ends with the process when the disk refuses to write", () =>
    Effect.gen(function* () {
      const DATA_DIR = yield* temporaryDirectory;
      const environment = {
        DATA_DIR,
        PROCESSING_TIME: "1 hour",
        PROCESSING_TIMEOUT: "2 hours",
        SHUTDOWN_TIMEOUT: "0 seconds",
      };
      const first = yield* killedAtLast(() =>
        startService(environment, "ready", { runtime, main: badDisk }),
      );
      const before = yield* Effect.promise(() => place(first.url, "A"));
      assert.strictEqual(before.status, 201);
      yield* Effect.promise(() => writeFile(join(DATA_DIR, "broken"), ""));
      const after = yield* Effect.promise(() =>
        place(first.url, "B").then(
          ({ status }) => status,
          () => "no answer",
        ),
      );
      assert.strictEqual(after, "no answer");
      assert.strictEqual(yield* Effect.promise(() => first.ended), 1);
      assert.match(
        first.output(),
        /order-service: the embedded database cannot go on.*could not fsync file "[0-9A-F]{24}": I\/O error/,
      );
      yield* Effect.promise(() => rm(join(DATA_DIR, "broken")));
      const second = yield* killedAtLast(() =>
        startService(environment, "ready", { runtime }),
      );
      const { status } = yield* Effect.promise(() =>
        fetch(`${second.url}/api/orders/A/`),
      );
      assert.strictEqual(status, 200);
    }),
  );
});

describe("a start that cannot have its DATA_DIR", () => {
  /** Starts, and waits for the end; what it wrote. */
  const endOf = (environment: Readonly<Record<string, string>>) =>
    Effect.gen(function* () {
      const { ended, output } = yield* killedAtLast(() =>
        spawnService(environment, { main: badDisk }),
      );
      assert.strictEqual(yield* Effect.promise(() => ended), 1, output());
      return output();
    });

  it.live.each(["/proc/data", "/proc/data/deeper", "/dev/null/data"])(
    "ends with 1 and says why: %s",
    (DATA_DIR) =>
      Effect.gen(function* () {
        assert.match(
          yield* endOf({ DATA_DIR }),
          /^order-service: DATA_DIR ".*" cannot be used: (no directory can be made there|a part of the path is a file): name .*\. Start again after that; no order is lost\.$/m,
        );
      }),
    60_000,
  );

  it.live(
    "says that the disk is full, at the first start and later",
    () =>
      Effect.gen(function* () {
        const DATA_DIR = yield* temporaryDirectory;
        const full =
          /The embedded database in ".*" does not start: the disk is full: make room on it\. Start again after that; no order is lost that was answered 201\.$/m;
        assert.match(yield* endOf({ DATA_DIR, FULL_FROM: "/base/" }), full);
        const service = yield* killedAtLast(() =>
          startService({ DATA_DIR }, "ready"),
        );
        assert.strictEqual(yield* Effect.promise(() => service.stop()), 0);
        assert.match(
          yield* endOf({ DATA_DIR, FULL_FROM: "/postmaster.pid" }),
          full,
        );
      }),
    120_000,
  );
});

describe("PGlite", () => {
  it.live("is told to wait for the disk, and to be small", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory;
      const settings = yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        return yield* sql<{ name: string; setting: string }>`
          SELECT name, setting FROM pg_settings
          WHERE name IN ('fsync', 'full_page_writes', 'shared_buffers', 'synchronous_commit', 'wal_sync_method')
          ORDER BY name`;
      }).pipe(Effect.provide(Embedded.layer({ dataDir })));
      assert.deepStrictEqual(
        settings.map(({ name, setting }) => `${name}=${setting}`),
        [
          "fsync=on",
          "full_page_writes=on",
          // In pages of 8 KiB: 64 MB.
          "shared_buffers=8192",
          "synchronous_commit=on",
          "wal_sync_method=fsync",
        ],
      );
    }),
  );

  it("does not wait by itself: else EmbeddedOnDisk.ts has nothing to do", () => {
    assert.include(PGlite.defaultStartParams, "-F");
  });
});
