import { assert, describe, it } from "@effect/vitest";
import { Arbitrary, DateTime, Schema } from "effect";
import { Order, OrderId, TotalAmount, UserId } from "../../src/domain/Order.ts";
import { formatAccepted, formats } from "../../src/http/ExportFormats.ts";
import { ordersIn, rowsOf } from "../support/csv.ts";

const at = DateTime.makeUnsafe("2026-01-31T12:00:00.123Z");

const order = (fields: Partial<Order> = {}): Order => ({
  order_id: OrderId.make("A"),
  user_id: UserId.make("Ü ser"),
  item_ids: ["ITEM001"],
  total_amount: TotalAmount.make(19.9),
  status: "FAILED",
  created_at: at,
  updated_at: at,
  processing_started_at: null,
  processing_completed_at: null,
  attempts: 1,
  next_attempt_at: null,
  last_error: null,
  ...fields,
});

const csvOf = (orders: ReadonlyArray<Order>) =>
  formats.csv.head +
  formats.csv.write(orders) +
  formats.csv.close(orders.length);

const encode = Schema.encodeSync(Order);

/** What spreadsheets take for a formula where a cell begins with it. */
const formula = /^[=+\-@\t\r\n＝＋－＠]/;

/** The cells as a program would find them that takes this for the separator. */
const cellsBy = (separator: string, text: string) =>
  text
    .split(/\r\n|\r|\n/)
    .flatMap((line) => line.split(separator))
    .map((cell) => cell.replace(/^"+/, ""));

/** Texts of what is dangerous, more often than chance would make them. */
const odd = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(
      Schema.Literals([
        ...([
          "=",
          "+",
          "-",
          "@",
          "\t",
          "\r",
          "\n",
          "'",
          '"',
          ",",
          ";",
        ] as const),
        ...([
          "＝",
          "＋",
          "－",
          "＠",
          "a",
          " ",
          "1",
          "é",
          "\r\n",
          '""',
        ] as const),
      ]),
    ),
    { maxLength: 12 },
  ),
  (pieces) => pieces.join(""),
);

describe("orders as CSV", () => {
  it("are rows under a header, and end with how many there are", () => {
    assert.strictEqual(
      csvOf([order({ item_ids: ["x", { n: 1 }], last_error: 'said "no"' })]),
      [
        "\ufefforder_id,user_id,item_ids,total_amount,status,created_at,updated_at,processing_started_at,processing_completed_at,attempts,next_attempt_at,last_error",
        '"A","Ü ser","[""x"",{""n"":1}]",19.9,FAILED,2026-01-31T12:00:00.123Z,2026-01-31T12:00:00.123Z,,,1,,"said ""no"""',
        "# exported,1,,,,,,,,,,",
        "",
      ].join("\r\n"),
    );
  });

  it("show what begins like a formula as text", () => {
    const cells = (text: string) =>
      rowsOf(csvOf([order({ last_error: text })]))[1]?.at(-1);
    assert.strictEqual(cells("=1+1"), "'=1+1");
    assert.strictEqual(cells("+1"), "'+1");
    assert.strictEqual(cells("-1"), "'-1");
    assert.strictEqual(cells("@SUM(A1)"), "'@SUM(A1)");
    assert.strictEqual(cells("\t=1"), "'\t'=1");
    assert.strictEqual(cells("\r=1"), "'\r'=1");
    assert.strictEqual(cells("＝1"), "'＝1");
    assert.strictEqual(cells("'=1"), "''=1");
    assert.strictEqual(cells("a;=1"), "a;'=1");
    assert.strictEqual(cells("1-1=0"), "1-1=0");
  });

  it.prop(
    "give back the very texts, and no cell is a formula, whatever separates them",
    { text: odd, item: odd },
    ({ item, text }) => {
      const given = order({ last_error: `x${text}`, item_ids: [item, text] });
      const orders = [given, order({ last_error: text || null })];
      const written = csvOf(orders);
      assert.deepStrictEqual(
        ordersIn(written),
        orders.map((_) => encode(_)),
      );
      for (const row of rowsOf(written)) {
        for (const cell of row) assert.notMatch(cell, formula);
      }
      for (const separator of [";", "\t"]) {
        for (const cell of cellsBy(separator, written)) {
          assert.notMatch(cell, /^[=+\-@＝＋－＠]/, JSON.stringify(written));
        }
      }
    },
    { arbitrary: { runs: 500 } },
  );
});

describe("the form of an export", () => {
  it.each([
    [undefined, "ndjson"],
    ["", "ndjson"],
    ["*/*", "ndjson"],
    ["text/csv", "csv"],
    ["TEXT/CSV; charset=utf-8", "csv"],
    ["text/*", "csv"],
    ["text/csv;q=0.5, application/x-ndjson", "ndjson"],
    ["application/x-ndjson;q=0.1, text/csv;q=0.2", "csv"],
    ["text/csv;q=0, */*", "ndjson"],
    ["application/x-ndjson;q=0, */*", "csv"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "ndjson"],
    ["application/json", "ndjson"],
    ["text/csv;q=x", "ndjson"],
  ])("for Accept: %s is %s", (accept, format) => {
    assert.strictEqual(formatAccepted(accept), format);
  });
});
