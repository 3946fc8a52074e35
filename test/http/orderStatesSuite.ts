/** One order by its id: finding it, and moving it on. */
import { assert, describe, it } from "vitest";
import { type Answer, type Api, assertFaults, assertProblem } from "./api.ts";

const notFound = "urn:order-service:order-not-found";
const notInStatus = "urn:order-service:order-not-in-status";

/** Paths of orders that are not there, or can never be. */
const noOrder = [
  ["never placed", "nobody-placed-this"],
  ["too long for an id", "x".repeat(51)],
  ["very long", "x".repeat(900)],
  ["several thousand characters", "x".repeat(5000)],
  ["NUL", "%00"],
  ["NUL inside", "a%00b"],
  ["a line break", "a%0Ab"],
  ["a space", "%20"],
  ["a percent sign", "never%25placed"],
] as const;

/** Paths that are no text at all, or too long to be looked at. */
const noPath = [
  ["broken UTF-8", "%E0%A4%A"],
  ["a broken escape", "%"],
  ["another", "%zz"],
  ["half of a surrogate pair", "%ED%A0%80"],
] as const;

const locationOf = (placed: Answer) => placed.headers.location ?? "";

export const orderStatesSuite = (api: () => Api) => {
  describe("finding an order", () => {
    it("gives it with its ETag, and tells when it has changed", async () => {
      const placed = await api().place({ item_ids: '["later"]' });
      const path = locationOf(placed);
      await api().until(placed, "PENDING", 1);
      const found = await api().get(path);
      const etag = found.headers.etag ?? "";
      assert.match(etag, /^"[^"]+"$/);
      assert.notStrictEqual(etag, placed.headers.etag);

      for (const known of [etag, `W/${etag}`, `"a", ${etag} , "b"`, "*"]) {
        const unchanged = await api().get(path, { "if-none-match": known });
        assert.strictEqual(unchanged.status, 304, known);
        assert.strictEqual(unchanged.text, "");
        assert.strictEqual(unchanged.headers.etag, etag);
      }
      for (const other of ['"other"', etag.slice(1, -1), "", `${etag}x`]) {
        const changed = await api().get(path, { "if-none-match": other });
        assert.strictEqual(changed.status, 200, other);
        assert.strictEqual(changed.text, found.text);
      }

      await api().post(`${path}cancel/`);
      const cancelled = await api().get(path, { "if-none-match": etag });
      assert.strictEqual(cancelled.status, 200);
      assert.strictEqual(cancelled.json.status, "CANCELLED");
      assert.notStrictEqual(cancelled.headers.etag, etag);
    });

    it("sees it completed, with its times", async () => {
      const placed = await api().place();
      const { json } = await api().until(placed, "COMPLETED");
      assert.strictEqual(json.attempts, 1);
      assert.strictEqual(json.created_at, placed.json.created_at);
      assert.strictEqual(json.updated_at, json.processing_completed_at);
      const times = [
        json.created_at,
        json.processing_started_at,
        json.processing_completed_at,
      ];
      assert.deepStrictEqual(times, times.toSorted());
      assert.isNull(json.next_attempt_at);
      assert.isNull(json.last_error);
    });

    it("says when it is tried again, and why", async () => {
      const placed = await api().place({ item_ids: '["later"]' });
      const { json } = await api().until(placed, "PENDING", 1);
      assert.isAbove(
        Date.parse(json.next_attempt_at) - Date.parse(json.updated_at),
        3_500_000,
      );
      assert.strictEqual(json.last_error, "the receiver answered 500");
      assert.isNull(json.processing_completed_at);
    });
  });

  describe("an order that is not there", () => {
    const requests = [
      ["found", "GET", ""],
      ["cancelled", "POST", "cancel/"],
      ["retried", "POST", "retry/"],
    ] as const;

    for (const [done, method, tail] of requests) {
      it.each(noOrder)(`(%s) is not ${done}`, async (_, id) => {
        const path = `/api/orders/${id}/${tail}`;
        for (const asked of [path, path.slice(0, -1)]) {
          const answer = await api().request(method, asked);
          assertProblem(answer, 404, notFound);
          assert.strictEqual(answer.json.order_id, decodeURIComponent(id));
        }
      });

      it.each(noPath)(`(%s) is not ${done}`, async (_, id) => {
        const path = `/api/orders/${id}/${tail}`;
        assertProblem(
          await api().request(method, path),
          404,
          "urn:order-service:path-not-found",
        );
      });
    }
  });

  describe("cancelling an order", () => {
    it("makes a PENDING one CANCELLED, once", async () => {
      const placed = await api().place({ item_ids: '["later"]' });
      const path = `${locationOf(placed)}cancel/`;
      await api().until(placed, "PENDING", 1);
      const cancelled = await api().post(path);
      assert.strictEqual(cancelled.status, 200);
      assert.strictEqual(cancelled.json.status, "CANCELLED");
      assert.isNull(cancelled.json.next_attempt_at);
      assert.strictEqual(cancelled.json.attempts, 1);
      assert.deepStrictEqual(
        (await api().get(locationOf(placed))).json,
        cancelled.json,
      );
      for (const asked of [path, path.slice(0, -1)]) {
        const again = await api().post(asked);
        assertProblem(again, 409, notInStatus);
        assert.strictEqual(again.json.order_status, "CANCELLED");
        assert.include(again.json.detail, "while it is PENDING");
      }
    });

    it("happens once when many ask at the same time", async () => {
      const placed = await api().place({ item_ids: '["later"]' });
      await api().until(placed, "PENDING", 1);
      const answers = await Promise.all(
        Array.from({ length: 10 }, () =>
          api().post(`${locationOf(placed)}cancel/`),
        ),
      );
      const statuses = answers.map(({ status }) => status).sort();
      assert.deepStrictEqual(statuses, [200, ...Array(9).fill(409)]);
    });

    it("is refused once it is worked on, and when it is done", async () => {
      for (const [item, status] of [
        ["hold", "PROCESSING"],
        ["anything", "COMPLETED"],
        ["refuse-once", "FAILED"],
      ] as const) {
        const placed = await api().place({ item_ids: `["${item}"]` });
        const found = await api().until(placed, status);
        const refused = await api().post(`${locationOf(placed)}cancel/`);
        assertProblem(refused, 409, notInStatus);
        assert.strictEqual(refused.json.order_status, status);
        const after = await api().get(locationOf(placed));
        assert.deepStrictEqual(after.json, found.json);
      }
    });
  });

  describe("retrying an order", () => {
    it("makes a FAILED one PENDING with all its attempts, and completes it", async () => {
      const placed = await api().place({ item_ids: '["refuse-once"]' });
      const failed = await api().until(placed, "FAILED");
      assert.strictEqual(failed.json.attempts, 1);
      assert.strictEqual(failed.json.last_error, "the receiver answered 422");
      const retried = await api().post(`${locationOf(placed)}retry`);
      assert.strictEqual(retried.status, 200);
      assert.strictEqual(retried.json.status, "PENDING");
      assert.strictEqual(retried.json.attempts, 0);
      assert.isNull(retried.json.next_attempt_at);
      const completed = await api().until(placed, "COMPLETED");
      assert.strictEqual(completed.json.attempts, 1);
    });

    it("is refused unless it is FAILED", async () => {
      for (const [item, status, attempts] of [
        ["hold", "PROCESSING", 1],
        ["anything", "COMPLETED", 1],
        ["later", "PENDING", 1],
      ] as const) {
        const placed = await api().place({ item_ids: `["${item}"]` });
        await api().until(placed, status, attempts);
        const refused = await api().post(`${locationOf(placed)}retry/`);
        assertProblem(refused, 409, notInStatus);
        assert.strictEqual(refused.json.order_status, status);
        assert.include(refused.json.detail, "while it is FAILED");
      }
    });
  });

  describe("retrying many dead letters", () => {
    const bury = async (user_id: string, count: number) => {
      const placed: Array<Answer> = [];
      for (let index = 0; index < count; index++) {
        const order = {
          user_id: JSON.stringify(user_id),
          item_ids: '["refuse-once"]',
        };
        placed.push(await api().place(order));
      }
      for (const order of placed) await api().until(order, "FAILED");
      return placed;
    };
    const retry = (body: string | undefined, query = "") =>
      api().request("POST", `/api/orders/retry/${query}`, {
        ...(body === undefined
          ? {}
          : { body, headers: { "content-type": "application/json" } }),
      });
    const statuses = (orders: ReadonlyArray<Answer>) =>
      Promise.all(
        orders.map(async (order) => {
          const found = await api().get(locationOf(order));
          return found.json.status as string;
        }),
      );

    it("takes the oldest of a user's, as many as asked for", async () => {
      const buried = await bury("many", 3);
      const others = await bury("others", 1);
      const first = await retry('{"user_id":"many","limit":2}');
      assert.strictEqual(first.status, 200);
      const { next_cursor, ...told } = first.json;
      assert.deepStrictEqual(told, { retried: 2, more: true });
      // What lies before the place is not looked at.
      const on = await retry(
        JSON.stringify({ user_id: "many", dry_run: true, cursor: next_cursor }),
      );
      assert.strictEqual(on.json.matching, 1);
      const past = await retry(
        undefined,
        `?user_id=many&dry_run=true&cursor=${next_cursor}`,
      );
      assert.strictEqual(past.json.matching, 1);
      assert.strictEqual((await retry('{"cursor":"no"}')).status, 400);
      for (const order of buried.slice(0, 2)) {
        await api().until(order, "COMPLETED");
      }
      assert.deepStrictEqual(await statuses(buried.slice(2)), ["FAILED"]);
      assert.deepStrictEqual(await statuses(others), ["FAILED"]);
      // All of them: those of other tests too.
      assert.isAtLeast((await retry('{"all":true}')).json.retried, 2);
      for (const order of [...buried, ...others]) {
        await api().until(order, "COMPLETED");
      }
    });

    it("reads what is asked from the query too, and the body first", async () => {
      const buried = await bury("query", 2);
      const created = String(buried[1]?.json.created_at);
      const older = `?user_id=query&created_before=${created}`;
      assert.strictEqual((await retry(undefined, older)).json.retried, 1);
      const nobody = await retry('{"user_id":"nobody"}', "?user_id=query");
      assert.strictEqual(nobody.json.retried, 0);
      const all = await retry("{}", "?limit=500&all=true");
      assert.isAtLeast(all.json.retried, 1);
    });

    it("counts only, where a dry run is asked for in either place", async () => {
      const buried = await bury("dry", 3);
      const expected = {
        ...{ retried: 0, more: true, dry_run: true },
        ...{ matching: 3, capped: false },
      };
      const asked = [
        await retry('{"user_id":"dry","limit":1}', "?dry_run=true"),
        await retry('{"user_id":"dry","dry_run":true}', "?dry_run=false"),
        await retry('{"user_id":"dry","dry_run":false}', "?dry_run=true"),
      ];
      for (const { json, status } of asked) {
        assert.strictEqual(status, 200);
        assert.deepStrictEqual(json, expected);
      }
      assert.deepStrictEqual(
        await statuses(buried),
        buried.map(() => "FAILED"),
      );
      assert.strictEqual((await retry('{"user_id":"dry"}')).json.retried, 3);
      const none = await retry(undefined, "?user_id=dry&dry_run=true");
      assert.deepStrictEqual(none.json, {
        ...{ retried: 0, more: false, dry_run: true },
        ...{ matching: 0, capped: false },
      });
    });

    it("takes those of one error", async () => {
      const [buried] = await bury("error", 1);
      const { last_error } = (await api().get(locationOf(buried as Answer)))
        .json;
      const other = JSON.stringify({ user_id: "error", error: "other" });
      assert.strictEqual((await retry(other)).json.retried, 0);
      const query = new URLSearchParams({
        user_id: "error",
        error: last_error,
      });
      assert.strictEqual((await retry(undefined, `?${query}`)).json.retried, 1);
    });

    it.each([
      ['{"limit":0}', "limit"],
      ['{"limit":501}', "limit"],
      ['{"limit":"many"}', "limit"],
      ['{"created_before":"yesterday"}', "created_before"],
      ['{"user_id":true}', "user_id"],
      ['{"dry_run":"yes"}', "dry_run"],
      ['{"error":5}', "error"],
      ['{"error":"a\\u0000"}', "error"],
      ['{"error":"\\ud800"}', "error"],
    ])("refuses %s, naming the field", async (body, field) => {
      const refused = await retry(body);
      assertProblem(refused, 400, "about:blank");
      assert.include(refused.json.errors[0].path, field);
    });

    it.each([
      ["", undefined],
      ["?limit=500", undefined],
      ["?dry_run=true", undefined],
      ["?all=false", "{}"],
      ["", '{"limit":1,"all":false}'],
      ["?all=true", '{"all":false}'],
    ])("changes nothing without a filter: %s %s", async (query, body) => {
      const [buried] = await bury("nobody chose these", 1);
      const refused = await retry(body, query);
      assertFaults(refused, { "query.all": /is needed without a filter/ });
      assert.include(refused.json.detail, "No order was changed");
      assert.include(
        refused.json.detail,
        "name `user_id`, `created_before`, `error`, or say `all=true`",
      );
      await api().until(buried as Answer, "FAILED");
    });

    it("refuses a body that is no JSON object", async () => {
      assertProblem(await retry("[]"), 400, "about:blank");
      assertProblem(await retry("{"), 400, "about:blank");
    });
  });

  describe("cancelling many orders", () => {
    const place = (user_id: string, items: string) =>
      api().place({ user_id: JSON.stringify(user_id), item_ids: items });
    const cancel = (body: string | undefined, query = "") =>
      api().request("POST", `/api/orders/cancel/${query}`, {
        ...(body === undefined
          ? {}
          : { body, headers: { "content-type": "application/json" } }),
      });

    it("cancels those of a user that are PENDING, or only counts them", async () => {
      const user = "cancelled together";
      const waiting = [
        await place(user, '["later"]'),
        await place(user, '["later"]'),
      ];
      const done = await place(user, '["ITEM001"]');
      await api().until(done, "COMPLETED");
      for (const order of waiting) await api().until(order, "PENDING", 1);
      const dry = await cancel(
        undefined,
        `?dry_run=true&user_id=${encodeURIComponent(user)}`,
      );
      assert.deepStrictEqual(dry.json, {
        ...{ cancelled: 0, more: true, dry_run: true },
        ...{ matching: 2, capped: false },
      });
      const one = await cancel(JSON.stringify({ user_id: user, limit: 1 }));
      assert.strictEqual(one.status, 200);
      assert.deepInclude(one.json, { cancelled: 1, more: true });
      await api().until(waiting[0] as Answer, "CANCELLED");
      const rest = await cancel(JSON.stringify({ user_id: user }));
      assert.deepStrictEqual(rest.json, { cancelled: 1, more: false });
      const history = await api().get(
        `${locationOf(waiting[1] as Answer)}history/`,
      );
      assert.strictEqual(history.json.at(-1).type, "cancelled");
      assert.strictEqual(
        (await api().get(locationOf(done))).json.status,
        "COMPLETED",
      );
    });

    it.each([
      ["?user=zz", undefined, "query.user", /Did you mean `user_id`\?/],
      ["?dryrun=true", undefined, "query.dryrun", /Did you mean `dry_run`\?/],
      ["", '{"userId":"zz"}', "payload.userId", /Did you mean `user_id`\?/],
      ["", '{"error":"x"}', "payload.error", /It takes `all`, `cursor`, /],
    ] as const)(
      "cancels nobody's orders for %s %s, and says what was meant",
      async (query, body, where, message) => {
        const waiting = await place("nobody meant me", '["later"]');
        await api().until(waiting, "PENDING", 1);
        assertFaults(await cancel(body, query), { [where]: message });
        await api().until(waiting, "PENDING", 1);
      },
    );

    it("refuses what names no orders, naming the field", async () => {
      const refused = await cancel('{"limit":501}');
      assertProblem(refused, 400, "about:blank");
      assert.include(refused.json.errors[0].path, "limit");
      assertFaults(await cancel(undefined, "?dry_run=yes&limit=0"), {
        "query.dry_run": /true or false/,
        "query.limit": /whole number/,
      });
    });
  });
};
