/** `POST /api/orders/`: what is taken in, exactly, and what is refused, in which words. */
import { Arbitrary, Effect } from "effect";
import { assert, describe, it } from "vitest";
import { OrderId } from "../../src/domain/Order.ts";
import {
  type Answer,
  type Api,
  assertFaults,
  assertProblem,
  newId,
  orderJson,
} from "./api.ts";

const conflict = "urn:order-service:order-conflict";

/** What an order says, without what has become of it since. */
const contentOf = ({ json }: Answer) => ({
  order_id: json.order_id,
  user_id: json.user_id,
  item_ids: json.item_ids,
  total_amount: json.total_amount,
});

export const placingSuite = (api: () => Api) => {
  describe("placing an order", () => {
    it("answers 201 with the order, and where it is", async () => {
      const placed = await api().place({
        order_id: '"ORD001"',
        item_ids: '["ITEM001",{"id":2}]',
      });
      assert.strictEqual(placed.status, 201);
      const { created_at, ...order } = placed.json;
      assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.deepStrictEqual(order, {
        order_id: "ORD001",
        user_id: "USER001",
        item_ids: ["ITEM001", { id: 2 }],
        total_amount: 99.99,
        status: "PENDING",
        updated_at: created_at,
        processing_started_at: null,
        processing_completed_at: null,
        attempts: 0,
        next_attempt_at: null,
        last_error: null,
      });
      assert.strictEqual(placed.headers["content-type"], "application/json");
      assert.strictEqual(placed.headers.location, "/api/orders/ORD001/");
      assert.match(placed.headers.etag ?? "", /^"[^"]+"$/);
      assert.isUndefined(placed.headers["idempotent-replayed"]);

      const found = await api().get(placed.headers.location ?? "");
      assert.strictEqual(found.status, 200);
      assert.deepStrictEqual(contentOf(found), contentOf(placed));
    });

    it("answers the same with a query, which takes it through the router", async () => {
      /** All of an answer but what changes while the order is worked on. */
      const shapeOf = (answer: Answer) => {
        const { date: _date, etag, ...headers } = answer.headers;
        const { json, status } = answer;
        return {
          status,
          headers: { ...headers, "content-length": undefined },
          hasEtag: etag !== undefined,
          fields: Object.keys(json),
          body: status < 300 ? contentOf(answer) : json,
        };
      };
      const order_id = newId();
      const place = (path: string, body: string) =>
        api().request("POST", path, {
          body,
          headers: { "content-type": "application/json" },
        });
      for (const body of [
        orderJson({ order_id: JSON.stringify(order_id) }),
        orderJson({ order_id: JSON.stringify(order_id), user_id: '"b"' }),
        orderJson({ order_id: '""', total_amount: "0" }),
        "{",
      ]) {
        await place("/api/orders/", body);
        const short = await place("/api/orders/", body);
        const long = await place("/api/orders/?", body);
        assert.deepStrictEqual(shapeOf(long), shapeOf(short), body);
      }
      const short = await place("/api/orders", orderJson());
      const long = await place("/api/orders?", orderJson());
      assert.deepStrictEqual([short.status, long.status], [201, 201]);
      assert.deepStrictEqual(
        Object.keys(long.headers).sort(),
        Object.keys(short.headers).sort(),
      );
    });

    it("answers the same order again with 200 and the stored one", async () => {
      const order = orderJson();
      const placed = await api().place(order);
      const again = await api().place(order);
      assert.strictEqual(placed.status, 201);
      assert.strictEqual(again.status, 200);
      assert.strictEqual(again.headers["idempotent-replayed"], "true");
      assert.strictEqual(again.headers.location, placed.headers.location);
      assert.match(again.headers.etag ?? "", /^"[^"]+"$/);
      assert.strictEqual(again.json.created_at, placed.json.created_at);
      assert.deepStrictEqual(contentOf(again), contentOf(placed));
    });

    it("knows the same order however it is written", async () => {
      const id = String(7_000_000_000_000_000 + process.pid);
      const written = [
        { order_id: id, user_id: "1", total_amount: "20" },
        { order_id: `"${id}"`, user_id: '"1"', total_amount: '"20.00"' },
        { order_id: `" ${id} "`, user_id: "1.0", total_amount: "2e1" },
        { order_id: id, user_id: '" 1"', total_amount: "20.0", note: '"new"' },
      ];
      const items = ['[{"a":1,"b":[1]}]', '[{"b":[1.0],"a":1e0}]'];
      const answers: Array<number> = [];
      for (const fields of written) {
        for (const item_ids of items) {
          const { status } = await api().place({ ...fields, item_ids });
          answers.push(status);
        }
      }
      assert.deepStrictEqual(answers, [201, ...Array(7).fill(200)]);
    });

    it("refuses other content under the same id, and keeps the first", async () => {
      const order = {
        order_id: JSON.stringify(newId()),
        user_id: '"a"',
        item_ids: '[1,{"x":null},"3"]',
        total_amount: "10.10",
      };
      const placed = await api().place(order);
      const others: ReadonlyArray<Readonly<Record<string, string>>> = [
        { user_id: '"b"' },
        { user_id: '"A"' },
        { total_amount: "10.11" },
        { item_ids: '[1,{"x":null}]' },
        { item_ids: '[{"x":null},1,"3"]' },
        { item_ids: '[1,{},"3"]' },
        { item_ids: '[1,{"x":null},3]' },
        { item_ids: '[true,{"x":null},"3"]' },
        { item_ids: '[1,{"x":null,"__proto__":{}},"3"]' },
      ];
      for (const other of others) {
        const answer = await api().place({ ...order, ...other });
        assertProblem(answer, 409, conflict);
        assert.strictEqual(answer.json.order_id, placed.json.order_id);
      }
      const found = await api().get(placed.headers.location ?? "");
      assert.deepStrictEqual(contentOf(found), contentOf(placed));
    });

    it("places an order once when many send it at the same time", async () => {
      const order = orderJson();
      const other = orderJson({
        order_id: JSON.stringify(JSON.parse(order).order_id),
        total_amount: "1",
      });
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          api().place(i % 3 === 2 ? other : order),
        ),
      );
      const created = answers.filter(({ status }) => status === 201);
      assert.lengthOf(created, 1);
      const kept = created[0] as Answer;
      for (const answer of answers) {
        if (answer === kept) continue;
        if (answer.status === 409) assertProblem(answer, 409, conflict);
        else {
          assert.strictEqual(answer.status, 200);
          assert.deepStrictEqual(contentOf(answer), contentOf(kept));
        }
      }
      const statuses = answers.map(({ status }) => status);
      assert.lengthOf(
        statuses.filter((status) => status === 409),
        kept.json.total_amount === 1 ? 20 : 10,
      );
    });

    it("answers what the reference system's callers send", async () => {
      // Its documentation, its Postman collection, and its load test.
      const documented = await api().place(
        '{"user_id":"USER001","order_id":"REF001","item_ids":["ITEM001","ITEM002"],"total_amount":199.99}',
      );
      assert.strictEqual(documented.status, 201);
      const postman = await api().request("POST", "/api/orders/", {
        headers: { "content-type": "application/json" },
        body: '{"user_id":1,"order_id":1,"item_ids":[1,2,3],"total_amount":200.3}',
      });
      assert.strictEqual(postman.status, 201);
      assert.deepStrictEqual(contentOf(postman), {
        order_id: "1",
        user_id: "1",
        item_ids: [1, 2, 3],
        total_amount: 200.3,
      });
      assert.include(postman.text, '"total_amount":200.3,');
      const load = await api().place({
        user_id: "1000",
        order_id: '"6f6a1b8e-9c60-4a40-9f47-6a76bd4b5dfb"',
        item_ids: "[7,12,99]",
        total_amount: "437.05",
      });
      assert.strictEqual(load.status, 201);
      for (const path of ["/api/orders/1", "/api/orders/REF001/"]) {
        assert.strictEqual((await api().get(path)).status, 200);
      }
      for (const field of [
        ...["order_id", "user_id", "item_ids", "total_amount", "status"],
        ...["created_at", "updated_at"],
        ...["processing_started_at", "processing_completed_at"],
      ]) {
        assert.property(postman.json, field);
      }
    });
  });

  describe("ids", () => {
    const nines = "9".repeat(49);
    it.each([
      ["an integer", "41", "41"],
      ["a negative integer", "-41", "-41"],
      ["an integer written with a fraction", "42.0", "42"],
      ["an integer written with an exponent", "43e2", "4300"],
      ["minus zero", "-0", "0"],
      ["the largest safe integer", "9007199254740991", "9007199254740991"],
      ["an integer past it", "9007199254740993", "9007199254740993"],
      ["one a number would round", "1".repeat(30), "1".repeat(30)],
      ["one of round digits", `1${"0".repeat(24)}`, `1${"0".repeat(24)}`],
      ["50 characters of digits", `-${nines}`, `-${nines}`],
    ])("takes %s as its digits", async (_, given, id) => {
      for (const name of ["order_id", "user_id"]) {
        const placed = await api().place({
          [name === "order_id" ? "user_id" : "order_id"]: `"${newId()}"`,
          [name]: given,
        });
        assert.strictEqual(placed.status, 201, placed.text);
        assert.strictEqual(placed.json[name], id);
        const found = await api().get(placed.headers.location ?? "");
        assert.strictEqual(found.json[name], id);
      }
    });

    it.each([
      ["a slash", "a/b"],
      ["only a slash", "/"],
      ["a slash at its end", "a/"],
      ["dots", "..."],
      ["dots before a word", "..a"],
      ["a space inside", "a b"],
      ["a no-break space inside", "a\u00a0b"],
      ["a percent sign", "100%"],
      ["what looks percent-encoded", "%2F%41%25"],
      ["a query", "a?limit=1"],
      ["a fragment", "a#b"],
      ["a semicolon", "a;b"],
      ["a plus", "a+b"],
      ["a colon", ":order_id"],
      ["a star", "*"],
      ["a backslash", "\\"],
      ["quotes", "\"'`"],
      ["angle brackets", "<script>"],
      ["a comma", "a,b"],
      ["braces", "{order_id}"],
      ["an accent", "Bücher"],
      ["a combining accent", "Bu\u0308cher"],
      ["Chinese", "订单"],
      ["Arabic", "طلب"],
      ["an emoji", "🎁"],
      ["a joined emoji", "👩‍👩‍👧"],
      ["50 characters of 4 bytes", "🎁".repeat(50)],
      ["a reserved word in capitals", "Metrics"],
      ["a word that begins like a reserved one", "cancelled"],
      ["a database's wildcard", "%_"],
      ["a database's quote", "'; DROP TABLE orders; --"],
      ["a property of objects", "__proto__"],
    ])("takes an id with %s, and finds it again", async (_, id) => {
      const placed = await api().place({
        order_id: JSON.stringify(id),
        user_id: JSON.stringify(id),
      });
      assert.strictEqual(placed.status, 201, placed.text);
      assert.strictEqual(placed.json.order_id, id);
      const location = placed.headers.location ?? "";
      assert.match(location, /^\/api\/orders\/[!-.0-~]+\/$/);
      for (const path of [location, location.replace(/\/$/, "")]) {
        const found = await api().get(path);
        assert.strictEqual(found.status, 200, path);
        assert.deepStrictEqual(contentOf(found), contentOf(placed));
      }
      const query = new URLSearchParams({ user_id: id });
      const listed = await api().get(`/api/orders/?${query}`);
      assert.deepStrictEqual(
        listed.json.map((order: { order_id: string }) => order.order_id),
        [id],
      );
    });

    it("finds any order that it has taken in", async () => {
      const ids = await Effect.runPromise(
        Arbitrary.sampleEffect(Arbitrary.schema(OrderId), { count: 100 }),
      );
      for (const id of ids) {
        // Spaces alone are refused: see the faults above.
        const kept = id.trim();
        if (kept === "") continue;
        const placed = await api().place({ order_id: JSON.stringify(id) });
        assert.include([200, 201, 409], placed.status, placed.text);
        const found = await api().get(
          `/api/orders/${encodeURIComponent(kept)}/`,
        );
        assert.strictEqual(found.status, 200, JSON.stringify(id));
        assert.strictEqual(found.json.order_id, kept);
      }
    });

    it("finds an id however a caller encodes its path", async () => {
      await api().place({ order_id: '"x;y/z~ä"' });
      for (const path of [
        "/api/orders/x;y%2Fz~%C3%A4/",
        "/api/orders/x%3by%2fz%7e%c3%a4",
        "/api/orders/%78%3B%79%2F%7A%7E%C3%A4/",
      ]) {
        const found = await api().get(path);
        assert.strictEqual(found.status, 200, path);
        assert.strictEqual(found.json.order_id, "x;y/z~ä");
      }
      // What comes before the semicolon is another order's id.
      await api().place({ order_id: '"x"' });
      assertProblem(
        await api().get("/api/orders/x;q/"),
        404,
        "urn:order-service:order-not-found",
      );
    });

    it.each([
      ["nothing", '""', /must not be blank/],
      ["only spaces", '" \u00a0\u2028 "', /must not be blank/],
      ["51 characters", `"${"🎁".repeat(51)}"`, /at most 50 characters/],
      ["51 digits", "1".repeat(51), /at most 50 characters/],
      ["a fraction", "1.5", /must be a string or an integer/],
      ["null", "null", /must be a string or an integer/],
      ["true", "true", /must be a string or an integer/],
      ["an array", '["a"]', /must be a string or an integer/],
      ["an object", "{}", /must be a string or an integer/],
      ["a huge number", "1e400", /must be a string or an integer/],
      ["a line break inside", '"a\\nb"', /control character.*remove it/],
      ["NUL", '"a\\u0000b"', /control character.*remove it/],
      ["DEL", '"a\\u007f"', /control character.*remove it/],
      ["half of a surrogate pair", '"\\ud83c"', /surrogate.*remove it/],
    ])("refuses %s", async (_, given, fault) => {
      assertFaults(await api().place({ order_id: given, user_id: given }), {
        "payload.order_id": fault,
        "payload.user_id": fault,
      });
    });

    it.each([
      ...["metrics", " metrics ", "retry", "cancel", "batch", "export"],
      ...["history", ".", ".."],
    ])('refuses "%s", which its own paths need', async (word) => {
      assertFaults(await api().place({ order_id: JSON.stringify(word) }), {
        "payload.order_id": /word of this service's own paths.*another/,
      });
      const placed = await api().place({ user_id: JSON.stringify(word) });
      assert.strictEqual(placed.status, 201);
    });
  });

  describe("money", () => {
    // Whatever says an amount of whole cents is taken, also as text, which is
    // how decimals travel between languages without becoming a binary number.
    it.each([
      ["0.01", 0.01],
      ["99999999.99", 99999999.99],
      ["0.29", 0.29],
      ["8.41", 8.41],
      ['"19.90"', 19.9],
      ["1e2", 100],
      ['"1e2"', 100],
      ["1.23E1", 12.3],
      // Spaces around are trimmed, as around ids.
      ['" 5 "', 5],
      // Python, Java and others print and read these.
      ['"5."', 5],
      ['".5"', 0.5],
      ['"+5"', 5],
      ['"0019.90"', 19.9],
      // Zeros change no value.
      ["19.900000000000000000000000", 19.9],
      ['"100000000000000000000e-20"', 1],
    ])("takes %s as %d", async (given, amount) => {
      const placed = await api().place({ total_amount: given });
      assert.strictEqual(placed.status, 201, placed.text);
      assert.strictEqual(placed.json.total_amount, amount);
      const found = await api().get(placed.headers.location ?? "");
      assert.include(found.text, `"total_amount":${amount},`);
    });

    const decimals = /must have at most two decimals/;
    const positive = /must be greater than zero/;
    const most = /must be at most 99999999.99/;
    const decimal = /must be a decimal such as "19.90"/;
    const number = /must be a number or a decimal string/;
    it.each([
      // Refused rather than rounded: which cent is meant is the caller's to say.
      ["0.30000000000000004", decimals],
      ["0.001", decimals],
      ["1.005", decimals],
      ["19.999999999999999999", decimals],
      ['"19.999999999999999999"', decimals],
      ["1.0000000000000001", decimals],
      ["99999999.990000000000001", decimals],
      ["5e-324", decimals],
      ["0", positive],
      ["-0", positive],
      ['"0.00"', positive],
      ["-1", positive],
      ['"-0.01"', positive],
      ["1e-400", positive],
      ["-1e400", positive],
      ["100000000", most],
      ["99999999.995", most],
      ["12345678901234567890", most],
      ["1e400", most],
      ['"1e400"', most],
      // Not decimals: a typing slip, or another notation.
      ['"NaN"', decimal],
      ['"Infinity"', decimal],
      ['"0x10"', decimal],
      ['"1,50"', decimal],
      ['"1 000"', decimal],
      ['"1_000"', decimal],
      ['"$5"', decimal],
      ['"٥"', decimal],
      ['"--5"', decimal],
      ['"."', decimal],
      ['""', decimal],
      ['" "', decimal],
      ["null", number],
      ["true", number],
      ["[5]", number],
      ["{}", number],
    ])("refuses %s", async (given, fault) => {
      assertFaults(await api().place({ total_amount: given }), {
        "payload.total_amount": fault,
      });
    });

    it("reads a million digits in no time", async () => {
      // Zeros that a careless pattern would go through once for each of them.
      const digits = `1${"0".repeat(1_000_000)}1`;
      for (const given of [digits, `"${digits}"`, `"0.${digits}"`]) {
        assertFaults(await api().place({ total_amount: given }), {
          "payload.total_amount": /at most/,
        });
      }
    });
  });

  describe("items", () => {
    const nested = (levels: number) =>
      `${"[".repeat(levels)}${"]".repeat(levels)}`;

    it.each([
      ["text", '"ITEM001"'],
      ["empty text", '""'],
      ["text of 4-byte characters", '"🎁"'],
      ["control characters", '"\\u0001\\t\\n"'],
      ["false", "false"],
      ["zero", "0"],
      ["a number of 16 digits", "0.3000000000000004"],
      ["the largest safe integer", "9007199254740991"],
      ["an empty object", "{}"],
      ["an empty array", "[]"],
      ["null inside an item", '[null,{"a":null}]'],
      ["keys in their order", '{"b":1,"a":2,"10":3}'],
      ["a key that is a property of objects", '{"__proto__":{"x":1}}'],
      ["what looks like the parser's own", '{"isLosslessNumber":true}'],
      ["32 levels", nested(32)],
      ["1000 of them", Array(1000).fill("1").join(",")],
    ])("keeps %s as given", async (_, item) => {
      const item_ids = `[${item}]`;
      const order = orderJson({ item_ids });
      const placed = await api().place(order);
      assert.strictEqual(placed.status, 201, placed.text);
      const found = await api().get(placed.headers.location ?? "");
      for (const { text } of [placed, found]) {
        assert.include(
          text,
          `"item_ids":${JSON.stringify(JSON.parse(item_ids))}`,
        );
      }
      assert.strictEqual((await api().place(order)).status, 200);
    });

    const inexact = /cannot be kept exactly: send it as a string/;
    it.each([
      ["null", "null", /must not be null/],
      ["33 levels", nested(33), /nested deeper than 32 levels/],
      ["NUL", '"a\\u0000"', /NUL character: remove it/],
      ["NUL in a key", '{"a\\u0000":1}', /NUL character: remove it/],
      ["half of a surrogate pair", '"\\udc00"', /surrogate.*remove it/],
      ["an integer that would be rounded", "9007199254740993", inexact],
      ["a fraction that would be rounded", "0.10000000000000000555", inexact],
      ["a number that is too large", "1e400", inexact],
      ["such a number deep inside", '[{"a":[1e400]}]', inexact],
    ])("refuses %s", async (_, item, fault) => {
      const answer = await api().place({ item_ids: `["fine",${item}]` });
      assertFaults(answer, { "payload.item_ids.1": fault });
    });

    it.each([
      ["no item", "[]", /must name at least one item/],
      [
        "1001 items",
        `[${Array(1001).fill("1").join(",")}]`,
        /at most 1000 items/,
      ],
      ["text", '"ITEM001"', /must be an array of items/],
      ["null", "null", /must be an array of items/],
      ["an object", '{"0":"ITEM001"}', /must be an array of items/],
    ])("refuses %s", async (_, item_ids, fault) => {
      assertFaults(await api().place({ item_ids }), {
        "payload.item_ids": fault,
      });
    });
  });

  describe("a body", () => {
    it("is told all its faults at once", async () => {
      assertFaults(await api().place("{}"), {
        "payload.order_id": /^is required$/,
        "payload.user_id": /^is required$/,
        "payload.item_ids": /^is required$/,
        "payload.total_amount": /^is required$/,
      });
      const several = await api().place({
        order_id: `"metrics"`,
        user_id: `"${"x".repeat(60)}\\u0000"`,
        item_ids: "[null,1,null]",
        total_amount: "-1",
      });
      assert.strictEqual(several.status, 400);
      const named = several.json.errors.map(
        ({ path }: { path: ReadonlyArray<string> }) => path.join("."),
      );
      assert.deepStrictEqual(
        new Set(named),
        new Set([
          "payload.order_id",
          "payload.user_id",
          "payload.item_ids.0",
          "payload.item_ids.2",
          "payload.total_amount",
        ]),
      );
    });

    it("may have fields the service does not know", async () => {
      const placed = await api().place({
        status: '"COMPLETED"',
        attempts: "7",
        created_at: '"1970-01-01T00:00:00Z"',
        deep: `${"[".repeat(200)}${"]".repeat(200)}`,
        ["__proto__"]: '{"user_id":"someone else"}',
      });
      assert.strictEqual(placed.status, 201);
      assert.strictEqual(placed.json.status, "PENDING");
      assert.strictEqual(placed.json.user_id, "USER001");
      assert.notProperty(placed.json, "deep");
    });

    it.each([
      ["null", "null"],
      ["an array", "[]"],
      ["text", '"order"'],
      ["a number", "1"],
      ["a huge number", "1e400"],
    ])("that is %s is refused", async (_, body) => {
      assertFaults(await api().place(body), {
        payload: /must be a JSON object/,
      });
    });

    it.each([
      ["is empty", "", /empty/],
      ["is only space", " \n", /empty/],
      ["breaks off", '{"order_id":', /not valid JSON/],
      ["goes on after its end", `${orderJson()} {}`, /not valid JSON/],
      ["has single quotes", "{'order_id':'a'}", /not valid JSON/],
      ["has a comma too many", '{"order_id":"a",}', /not valid JSON/],
      ["has a comment", '{/* */"order_id":"a"}', /not valid JSON/],
      ["says NaN", '{"total_amount":NaN}', /not valid JSON/],
      ["has a raw line break in text", '{"order_id":"a\nb"}', /not valid JSON/],
      [
        "names a field twice",
        '{"order_id":"a","order_id":"b"}',
        /Duplicate key 'order_id'/,
      ],
      [
        "names a key of an item twice",
        orderJson({ item_ids: '[{"a":1,"a":2}]' }),
        /Duplicate key 'a'/,
      ],
      ["is a form", "order_id=1&user_id=1", /not valid JSON/],
      ["is a mebibyte of [", "[".repeat(2 ** 20), /nested too deeply/],
      ["is deep objects", '{"a":'.repeat(2 ** 17), /nested too deeply/],
      ["is not UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
      ["is UTF-16", Buffer.from("\ufeff{}", "utf16le"), /not UTF-8/],
      [
        "has an overlong NUL",
        Buffer.concat([
          Buffer.from('{"order_id":"'),
          Buffer.from([0xc0, 0x80]),
          Buffer.from('"}'),
        ]),
        /not UTF-8/,
      ],
    ])("that %s is refused", async (_, body, fault) => {
      const answer = await api().place(body);
      assertProblem(answer, 400);
      assert.match(answer.json.detail, fault);
      assert.deepStrictEqual(answer.json.errors, [
        { path: ["payload"], message: answer.json.detail },
      ]);
    });

    it("may start with a byte order mark", async () => {
      const placed = await api().place(`\ufeff${orderJson()}`);
      assert.strictEqual(placed.status, 201);
    });

    it("may be sent in chunks", async () => {
      const placed = await api().place(orderJson(), { chunked: true });
      assert.strictEqual(placed.status, 201);
    });

    it.each([
      "application/json; charset=utf-8",
      "APPLICATION/JSON",
      "application/vnd.api+json",
    ])("may be %s", async (type) => {
      const placed = await api().place(orderJson(), {
        headers: { "content-type": type },
      });
      assert.strictEqual(placed.status, 201);
    });

    it.each(["text/plain", "application/x-www-form-urlencoded", "json", ""])(
      'that calls itself "%s" is answered 415',
      async (type) => {
        const answer = await api().place(orderJson(), {
          headers: { "content-type": type },
        });
        assertProblem(answer, 415, "urn:order-service:not-json");
        assert.include(answer.json.detail, "application/json");
      },
    );

    it("without a type, or compressed, is answered 415", async () => {
      const untyped = await api().request("POST", "/api/orders/", {
        body: orderJson(),
      });
      assertProblem(untyped, 415, "urn:order-service:not-json");
      const compressed = await api().place(orderJson(), {
        headers: { "content-encoding": "gzip" },
      });
      assertProblem(compressed, 415, "urn:order-service:not-json");
      const plain = await api().place(orderJson(), {
        headers: { "content-encoding": "identity" },
      });
      assert.strictEqual(plain.status, 201);
    });

    const ofBytes = (bytes: number) => {
      const order = orderJson({ note: '""' });
      const note = "x".repeat(bytes - order.length);
      return order.replace('"note":""', `"note":"${note}"`);
    };

    it("of a mebibyte is taken, of a byte more answered 413", async () => {
      for (const chunked of [false, true]) {
        const fits = await api().place(ofBytes(2 ** 20), { chunked });
        assert.strictEqual(fits.status, 201);
        const large = await api().place(ofBytes(2 ** 20 + 1), { chunked });
        assertProblem(large, 413, "urn:order-service:body-too-large");
        assert.include(large.json.detail, "1048576 bytes");
      }
    });

    it("of any JSON in any field is answered, never with a fault", async () => {
      const odd = [
        ...["null", "true", "0", "-0", "1e400", "-1e-400", "1e308", "[]"],
        ...["{}", '""', '" "', '"\\u0000"', '"\\ud800"', '"\\uffff"', '"🎁"'],
        ...["[null]", "[[]]", "[{}]", '{"a":{}}', '{"length":1}', "[[[[1]]]]"],
        ...['{"toJSON":1}', '{"__proto__":null}', '{"constructor":{}}'],
        ...['"__proto__"', '"toString"', `"${"x".repeat(1000)}"`],
        ...['"1e400"', '"-"', "123456789012345678901234567890.5", '"\\\\"'],
      ];
      for (const field of ["order_id", "user_id", "item_ids", "total_amount"]) {
        const answers = await Promise.all(
          odd.map((json) => api().place({ [field]: json })),
        );
        for (const [index, answer] of answers.entries()) {
          if ([200, 201, 409].includes(answer.status)) continue;
          assertProblem(answer, 400);
          for (const { message, path } of answer.json.errors) {
            assert.strictEqual(path[0], "payload");
            assert.strictEqual(path[1], field, odd[index]);
            assert.notMatch(message, /expected|\bgot\b|undefined/i);
          }
        }
      }
    });
  });
};
