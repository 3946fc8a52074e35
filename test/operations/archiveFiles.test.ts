/** Who may read what the service writes, and what it must not write to. */
import {
  chmod,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeServices } from "@effect/platform-node";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Logger } from "effect";
import * as ArchiveFiles from "../../src/operations/ArchiveFiles.ts";
import { makeDirectory } from "../../src/platform/DiskSync.ts";

const temporary = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "modes-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true })),
);

const modeOf = (path: string) =>
  Effect.promise(async () => (await stat(path)).mode & 0o777);

describe("the files of the service", () => {
  it.live("of an archive can be read by its user alone", () =>
    Effect.gen(function* () {
      const directory = join(yield* temporary, "made", "archive");
      const files = yield* ArchiveFiles.make(directory);
      yield* files.check;
      yield* files.append(
        { name: "orders.ndjson.gz", bytes: 0 },
        new Uint8Array(3),
      );
      assert.strictEqual(yield* modeOf(directory), 0o700);
      assert.strictEqual(
        yield* modeOf(join(directory, "orders.ndjson.gz")),
        0o600,
      );
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(directory)), [
        "orders.ndjson.gz",
      ]);
    }).pipe(Effect.provide(NodeServices.layer)),
  );

  it.live(
    "of an archive lead nowhere else, and an open directory is named",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporary;
        const target = join(yield* temporary, "target");
        yield* Effect.promise(async () => {
          await writeFile(target, "kept");
          // Names that were in use, or may be guessed.
          await symlink(target, join(directory, ".probe"));
          await symlink(target, join(directory, ".probe-0"));
          await chmod(directory, 0o755);
        });
        const lines: Array<string> = [];
        const files = yield* ArchiveFiles.make(directory);
        yield* Effect.provide(
          files.check,
          Logger.layer([
            Logger.make(({ message }) => {
              lines.push(String(message));
            }),
          ]),
        );
        assert.strictEqual(
          yield* Effect.promise(() => readFile(target, "utf8")),
          "kept",
        );
        assert.match(lines.join(), /can be read by other users.*chmod 700/);
      }).pipe(Effect.provide(NodeServices.layer)),
  );

  it.live("of the embedded database are in a directory of its user alone", () =>
    Effect.gen(function* () {
      const directory = join(yield* temporary, "above", "data");
      makeDirectory(directory);
      assert.strictEqual(yield* modeOf(directory), 0o700);
    }),
  );
});
