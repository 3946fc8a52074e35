/** The rules of `migrations/README.md` that can be read off a migration. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import {
  migrations,
  neededBy,
  newestMigration,
} from "../../src/persistence/Migrations.ts";

const folder = fileURLToPath(new URL("../../migrations/", import.meta.url));
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .sort();

/** What code of the release before could still be using, or break. */
const contracts =
  /\b(?:DROP\s+(?!NOT\s+NULL|CONSTRAINT)|RENAME\s|TRUNCATE\s|SET\s+NOT\s+NULL|TYPE\s+\w|ADD\s+(?:CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN)\b|CREATE\s+UNIQUE\s+INDEX|CREATE\s+(?:OR\s+REPLACE\s+)?TRIGGER)/i;

const withoutComments = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");

/** Whether a migration takes away and its name does not say what it needs. */
const isSilent = (name: string, text: string) =>
  contracts.test(withoutComments(text)) && neededBy(name) === 0;

describe("the migrations", () => {
  it.effect("are listed by number, without a gap, up to the newest", () =>
    Effect.gen(function* () {
      const listed = yield* migrations;
      assert.deepStrictEqual(
        listed.map(
          ([number, name]) => `${String(number).padStart(4, "0")}_${name}.ts`,
        ),
        files,
      );
      assert.deepStrictEqual(
        listed.map(([number]) => number),
        Array.from({ length: newestMigration }, (_, index) => index + 1),
      );
    }),
  );

  it.effect("need none that comes after them", () =>
    Effect.gen(function* () {
      for (const [number, name] of yield* migrations) {
        assert.isAtMost(neededBy(name), number, name);
      }
    }),
  );

  it("say what they need when they take away", () => {
    assert.deepStrictEqual(
      files.filter((file) =>
        isSilent(
          file.replace(/\.ts$/, ""),
          readFileSync(`${folder}/${file}`, "utf8"),
        ),
      ),
      [],
    );
  });
});

describe("this test", () => {
  it.each([
    ["0002_drop", "ALTER TABLE orders DROP COLUMN last_error"],
    ["0002_rename", "ALTER TABLE orders\n  RENAME COLUMN a TO b"],
    ["0002_type", "ALTER TABLE orders ALTER COLUMN a SET DATA TYPE text"],
    ["0002_strict", "ALTER TABLE orders ALTER COLUMN a SET NOT NULL"],
    ["0002_check", "ALTER TABLE orders ADD CONSTRAINT a CHECK (b > 0)"],
    ["0002_once", "CREATE UNIQUE INDEX a ON orders (b)"],
    ["0002_needs_nothing", "DROP TABLE order_statistics"],
  ])("refuses %s: %s", (name, text) => {
    assert.isTrue(isSilent(name, text));
  });

  it.each([
    ["0002_drop_needs_0001", "ALTER TABLE orders DROP COLUMN last_error"],
    ["0002_optional", "ALTER TABLE orders ALTER COLUMN a DROP NOT NULL"],
    ["0002_free", "ALTER TABLE orders DROP CONSTRAINT a"],
    ["0002_add", "ALTER TABLE orders ADD COLUMN a text"],
    ["0002_index", "CREATE INDEX a ON orders (b)"],
    ["0002_words", "/** The next release may drop it. */ // or rename it"],
  ])("accepts %s: %s", (name, text) => {
    assert.isFalse(isSilent(name, text));
  });
});
