/** Texts that the command reads and writes: CSV, JSON, and what a terminal gets. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Stream } from "effect";
import { cellOf, cellsOf, csvLine, unguarded } from "../../src/cli/Csv.ts";
import {
  batchesOf,
  batchRows,
  type ImportFormat,
  rowMax,
} from "../../src/cli/ImportRows.ts";
import { orderIn } from "../../src/cli/OrderText.ts";
import {
  safeJson,
  safeText,
  shortened,
  widthOf,
} from "../../src/cli/SafeText.ts";

describe("CSV", () => {
  const texts = [
    ...[
      "",
      "plain",
      "a,b",
      'a "b"',
      "a\r\nb",
      " a ",
      "=1+1",
      "'=1",
      "''",
      "-1",
    ],
    ...['["=1","a;=b"]', "a;-b", '"=1"', "＝1", "\t=1", "@a", "a\n@b", "é…"],
  ];

  it.each(texts)("gives back %j as it was", (text) => {
    const { cells, fault } = cellsOf(csvLine([text, "x"]).slice(0, -2));
    assert.isUndefined(fault);
    assert.deepStrictEqual(cells.map(unguarded), [text, "x"]);
  });

  it("guards what a spreadsheet would take for a formula", () => {
    for (const text of ["=1", "+1", "-1", "@a", "a;=1", '"=1"']) {
      assert.notMatch(cellOf(text), /(^"*|;)"*[=+\-@]/, text);
    }
    // A number is one.
    assert.strictEqual(cellOf(-1), "-1");
  });

  it.each([
    ['a"b,c', "within"],
    ['"a"b,c', "follows"],
    ['"a', "closed"],
  ])("says what is wrong with %j", (line, fault) => {
    assert.include(cellsOf(line).fault, fault);
  });
});

const header = "order_id,user_id,item_ids,total_amount";

describe("rows of an import", () => {
  const read = (
    format: ImportFormat,
    text: string | Uint8Array,
    pieces = 1_000_000,
  ) =>
    Effect.gen(function* () {
      const bytes =
        typeof text === "string" ? new TextEncoder().encode(text) : text;
      const chunks = Array.from(
        { length: Math.ceil(bytes.length / pieces) },
        (_, index) => bytes.subarray(index * pieces, (index + 1) * pieces),
      );
      const batches = yield* Stream.runCollect(
        batchesOf(Stream.fromIterable(chunks), format, { line: 0, offset: 0 }),
      );
      return { batches, rows: batches.flatMap(({ rows }) => rows) };
    });

  it.effect("are the lines as they are, whatever the pieces they come in", () =>
    Effect.gen(function* () {
      const lines = [
        '{"a":1.00}',
        "",
        '{"b":"é…"}\r',
        ' {"exported":2} ',
        "{c",
      ];
      for (const pieces of [1, 2, 3, 7, 1000]) {
        const { batches, rows } = yield* read(
          "ndjson",
          lines.join("\n"),
          pieces,
        );
        assert.deepStrictEqual(
          rows.map(({ json, line }) => [line, json]),
          [
            [1, '{"a":1.00}'],
            [3, '{"b":"é…"}'],
            [5, "{c"],
          ],
          `in pieces of ${pieces}`,
        );
        assert.strictEqual(
          batches.at(-1)?.end.offset,
          new TextEncoder().encode(lines.join("\n")).length,
        );
      }
    }),
  );

  it.effect("come in batches that end where they say", () =>
    Effect.gen(function* () {
      const line = '{"order_id":"1"}\n';
      const { batches } = yield* read("ndjson", line.repeat(1201));
      assert.deepStrictEqual(
        batches.map(({ end, rows }) => [rows.length, end.line, end.offset]),
        [
          [batchRows, 500, 500 * line.length],
          [batchRows, 1000, 1000 * line.length],
          [201, 1201, 1201 * line.length],
        ],
      );
    }),
  );

  it.effect("of CSV are orders, with every digit and line break", () =>
    Effect.gen(function* () {
      const text = `\ufeffx,Total_Amount,${header}\r\n`.replace(
        ",total_amount\r\n",
        "\r\n",
      );
      const rows = [
        'x,0.30,A,U,"[1.00,""b"",12345678901234567890]"',
        'x,1,"\'=A","U ""1"",\n2",I1; I2',
        "# exported,2,,,",
      ];
      for (const pieces of [1, 5, 1000]) {
        const found = yield* read("csv", text + rows.join("\r\n"), pieces);
        assert.deepStrictEqual(
          found.rows.map(({ json, line }) => [line, json]),
          [
            [
              2,
              '{"order_id":"A","user_id":"U","item_ids":[1.00,"b",12345678901234567890],"total_amount":"0.30"}',
            ],
            [
              3,
              '{"order_id":"=A","user_id":"U \\"1\\",\\n2","item_ids":["I1","I2"],"total_amount":"1"}',
            ],
          ],
        );
      }
    }),
  );

  it.effect("of CSV: a stray quote harms no other row", () =>
    Effect.gen(function* () {
      const { rows } = yield* read(
        "csv",
        `${header}\nA,U"1,i,1\nB,"U",i,1\nC,"U,i,1\nD,U,i,1\n`,
      );
      assert.deepStrictEqual(
        rows.map(({ fault, input }) => [
          input.slice(0, 1),
          fault !== undefined,
        ]),
        [
          ["A", true],
          ["B", false],
          // It is open to the end: the rows after it are read all the same.
          ["C", true],
          ["D", false],
        ],
      );
    }),
  );

  it.effect("that are too long, or are not text, are told and passed", () =>
    Effect.gen(function* () {
      const long = "x".repeat(rowMax + 10);
      const { rows } = yield* read(
        "ndjson",
        `{a\n${long}${long}\n{b\n`,
        65_536,
      );
      assert.deepStrictEqual(
        rows.map(({ json, line }) => [line, json]),
        [
          [1, "{a"],
          [2, undefined],
          [3, "{b"],
        ],
      );
      const broken = yield* read("ndjson", new Uint8Array([123, 255, 10, 123]));
      assert.deepStrictEqual(
        broken.rows.map(({ fault, json }) => [fault, json]),
        [
          ["is not UTF-8", undefined],
          [undefined, "{"],
        ],
      );
    }),
  );

  it.effect("of CSV need a header", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read("csv", "order_id,amount\nA,1\n"));
      assert.include(error.message, "user_id, item_ids, total_amount");
    }),
  );
});

describe("an order as JSON", () => {
  it.effect("keeps its digits", () =>
    Effect.gen(function* () {
      const order = yield* orderIn(
        '{"order_id":12345678901234567890,"user_id":"u","item_ids":[1.50,{"total_amount":2}],"total_amount":0.300000000000000001}',
      );
      assert.deepStrictEqual(order, {
        order_id: "12345678901234567890",
        user_id: "u",
        item_ids: [1.5, { total_amount: 2 }],
        total_amount: "0.300000000000000001",
      });
    }),
  );

  it.effect.each(["[1]", "{", "12345678901234567890", '{"item_ids":[1e999]}'])(
    "is not %s",
    (text) =>
      Effect.map(Effect.flip(orderIn(text)), ({ message }) =>
        assert.match(message, /Not an order|not JSON|exactly/),
      ),
  );
});

describe("texts of others", () => {
  it("move no cursor", () => {
    assert.strictEqual(
      safeText("a\x1b[2Jb\u202ec\x9b\n"),
      "a\\x1b[2Jb\\x202ec\\x9b\\x0a",
    );
    assert.strictEqual(
      safeJson(JSON.stringify("\x9b\x1b")),
      '"\\u009b\\u001b"',
    );
    assert.strictEqual(JSON.parse(safeJson('"\x9b"')), "\x9b");
  });

  it("are cut by the places they take", () => {
    assert.strictEqual(widthOf("日本"), 4);
    assert.strictEqual(shortened("日本語", 5), "日本…");
    assert.strictEqual(shortened("abc", 3), "abc");
    assert.strictEqual(widthOf("e\u0301"), 1);
  });
});
