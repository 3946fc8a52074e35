/**
 * A program: the service, on a disk on its way to a disaster. Before the first
 * change of a file whose path ends with STOP_AT it says so and stands still, to
 * be killed just there. Once there is a file `broken` in DATA_DIR, the disk
 * refuses to sync the log; with FULL_FROM it has no room for such a file.
 */
import fs from "node:fs";
import { join } from "node:path";
import { before } from "../support/watchedDisk.ts";

const stopAt = process.env.STOP_AT;

const standStillAt = (path: string) => {
  if (stopAt === undefined || !path.endsWith(stopAt)) return;
  console.log("stands still");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};

const broken = join(process.env.DATA_DIR as string, "broken");

const fullFrom = process.env.FULL_FROM;

before.change = (path) => {
  standStillAt(path);
  if (fullFrom !== undefined && path.includes(fullFrom)) {
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
    });
  }
};
before.rename = (_, to) => standStillAt(to);
before.sync = (path) => {
  if (path.includes("/pg_wal/") && fs.existsSync(broken)) {
    throw Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO" });
  }
};

await import("../../src/main.ts");
