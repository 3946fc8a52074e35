/** Reads exports as CSV, as any program could (RFC 4180). */
import { assert } from "vitest";

/** The rows of a text; what is quoted may hold anything. */
export const rowsOf = (text: string): ReadonlyArray<ReadonlyArray<string>> => {
  const rows: Array<Array<string>> = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/y;
  let row: Array<string> = [];
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex;
    const [, quoted, plain, end] = cell.exec(text) ?? assert.fail(`at ${at}`);
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
};

/** The text of a cell before a "'" was put where a formula could begin. */
export const withoutGuard = (cell: string): string =>
  cell.replace(/(?<=^"*|[;\t\r\n]"*)'/g, "");

const numbers = new Set(["total_amount", "attempts"]);
const mayBeNull = new Set([
  ...["processing_started_at", "processing_completed_at"],
  ...["next_attempt_at", "last_error"],
]);

/** The orders of an export, as the contract writes them; it must be whole. */
export const ordersIn = (text: string): ReadonlyArray<object> => {
  assert.isTrue(text.startsWith("\ufeff"), "no byte order mark");
  const [head = [], ...rows] = rowsOf(text.slice(1));
  for (const row of rows) assert.lengthOf(row, head.length);
  const [mark, exported, ...empty] = rows.pop() ?? [];
  assert.deepStrictEqual([mark, exported], ["# exported", `${rows.length}`]);
  assert.strictEqual(empty.join(""), "");
  return rows.map((row) =>
    Object.fromEntries(
      head.map((name, index) => {
        const cell = row[index] ?? "";
        if (numbers.has(name)) return [name, Number(cell)];
        if (name === "item_ids") return [name, JSON.parse(withoutGuard(cell))];
        if (cell === "" && mayBeNull.has(name)) return [name, null];
        return [name, withoutGuard(cell)];
      }),
    ),
  );
};
