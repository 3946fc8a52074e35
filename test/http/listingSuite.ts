/** `GET /api/orders/`: order, pages, filters. */
import { assert, beforeAll, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { type Answer, type Api, assertFaults, newId, nextOf } from "./api.ts";

interface Listed {
  readonly order_id: string;
  readonly created_at: string;
}

const idsOf = (orders: ReadonlyArray<Listed>) =>
  orders.map(({ order_id }) => order_id);

const query = (parameters: Readonly<Record<string, string>>) =>
  `/api/orders/?${new URLSearchParams(parameters)}`;

export const listingSuite = (api: () => Api) => {
  describe("listing orders", () => {
    const user = newId();
    const count = 60;
    /** Of how many the orders of one go are. */
    const together = 20;
    /** The ids of each go, the latest first. */
    const goes: Array<ReadonlyArray<string>> = [];
    /** As listed in one page, newest first. */
    let all: ReadonlyArray<Listed>;

    const list = async (parameters: Readonly<Record<string, string>> = {}) => {
      const answer = await api().get(query({ user_id: user, ...parameters }));
      assert.strictEqual(answer.status, 200, answer.text);
      return answer.json as ReadonlyArray<Listed>;
    };

    beforeAll(async () => {
      // Placed together, so that many are created in the same millisecond;
      // in several goes, so that not all are.
      for (let gone = 0; gone < count; gone += together) {
        const answers = await Promise.all(
          Array.from({ length: together }, () =>
            api().place({ user_id: JSON.stringify(user) }),
          ),
        );
        for (const { status } of answers) assert.strictEqual(status, 201);
        goes.unshift(idsOf(answers.map(({ json }) => json)).toSorted());
      }
      // What is listed twice must be the same twice: nothing moves any more.
      all = await until("all are completed", async () => {
        const done = await list({ limit: "500", status: "COMPLETED" });
        return done.length === count && done;
      });
    });

    it("gives the newest first", () => {
      assert.lengthOf(all, count);
      // Those placed together may be in any order.
      const listed = goes.map((_, go) =>
        idsOf(all.slice(go * together, (go + 1) * together)).toSorted(),
      );
      assert.deepStrictEqual(listed, goes);
      const times = all.map(({ created_at }) => created_at);
      assert.isBelow(new Set(times).size, count, "no two at the same time");
      assert.isAbove(new Set(times).size, 1, "all at the same time");
    });

    it("gives as many as asked for, or 50", async () => {
      assert.lengthOf(await list(), 50);
      for (const limit of [1, 7, 59, 60, 61]) {
        const page = await list({ limit: String(limit) });
        assert.deepStrictEqual(page, all.slice(0, limit));
      }
      const every = await api().get("/api/orders/?limit=500");
      assert.isAtLeast(every.json.length, count);
    });

    it.each([1, 7, 20, 59])(
      "visits every order exactly once in pages of %d, also at the same time",
      async (limit) => {
        const pages = await api().pages(
          query({ user_id: user, limit: String(limit) }),
        );
        assert.deepStrictEqual(idsOf(pages.flat()), idsOf(all));
        assert.lengthOf(pages, Math.ceil(count / limit));
      },
    );

    it("says that there is no more exactly when there is none", async () => {
      const exactly = await api().get(
        query({ user_id: user, limit: String(count) }),
      );
      assert.isUndefined(exactly.headers.link);
      const less = await api().get(
        query({ user_id: user, limit: String(count - 1) }),
      );
      const rest = await api().get(nextOf(less) ?? "");
      assert.deepStrictEqual(idsOf(rest.json), idsOf(all.slice(-1)));
      assert.isUndefined(rest.headers.link);
      const none = await api().get(query({ user_id: newId() }));
      assert.deepStrictEqual(none.json, []);
      assert.isUndefined(none.headers.link);
    });

    it("is not disturbed by orders that come in between pages", async () => {
      const reader = newId();
      const placed: Array<string> = [];
      const place = async () => {
        const { json } = await api().place({ user_id: `"${reader}"` });
        placed.push(json.order_id);
      };
      for (let i = 0; i < 5; i += 1) await place();
      const before = [...placed].reverse();
      const visited: Array<string> = [];
      let next: string | undefined = query({ user_id: reader, limit: "2" });
      while (next !== undefined) {
        const page: Answer = await api().get(next);
        visited.push(...idsOf(page.json));
        next = nextOf(page);
        await place();
      }
      assert.deepStrictEqual(visited, before);
    });

    it("visits all orders of all users", async () => {
      const pages = await api().pages("/api/orders/?limit=37");
      const ids = idsOf(pages.flat());
      assert.strictEqual(new Set(ids).size, ids.length);
      const { json } = await api().get("/api/orders/metrics/");
      const counted = Object.values<number>(json.status_counts);
      assert.strictEqual(
        ids.length,
        counted.reduce((sum, some) => sum + some, 0),
      );
    });

    it("takes created_after inclusively and created_before exclusively", async () => {
      const middle = all[count / 2] as Listed;
      const at = middle.created_at;
      const since = all.filter(({ created_at }) => created_at >= at);
      const before = all.filter(({ created_at }) => created_at < at);
      const limit = "500";
      assert.include(idsOf(since), middle.order_id);
      assert.deepStrictEqual(await list({ limit, created_after: at }), since);
      assert.deepStrictEqual(await list({ limit, created_before: at }), before);
      assert.deepStrictEqual(
        await list({ limit, created_after: at, created_before: at }),
        [],
      );
      const pages = await api().pages(
        query({ user_id: user, limit: "3", created_before: at }),
      );
      assert.deepStrictEqual(idsOf(pages.flat()), idsOf(before));
    });

    it("takes times as ISO 8601 has them", async () => {
      const at = (all[0] as Listed).created_at;
      const shifted = new Date(Date.parse(at) + 3.5 * 3_600_000)
        .toISOString()
        .replace("Z", "+03:30");
      const same = await list({ created_after: at });
      assert.isNotEmpty(same);
      for (const created_after of [
        shifted,
        at.replace("Z", ""),
        at.replace("Z", "000Z"),
        at.toLowerCase(),
      ]) {
        assert.deepStrictEqual(await list({ created_after }), same);
      }
      const day = at.slice(0, 10);
      assert.isNotEmpty(await list({ created_after: day }));
      assert.deepStrictEqual(await list({ created_before: day }), []);
      assert.isNotEmpty(await list({ created_before: "9999-12-31T23:59:59Z" }));
      assert.isNotEmpty(await list({ created_after: "0000-01-01" }));
    });

    it("filters by any of several statuses", async () => {
      const holder = newId();
      const held = await api().place({
        user_id: `"${holder}"`,
        item_ids: '["hold"]',
      });
      const waiting = await api().place({
        user_id: `"${holder}"`,
        item_ids: '["later"]',
      });
      const path = query({ user_id: holder });
      const { order_id: heldId } = held.json;
      const { order_id: waitingId } = waiting.json;
      await api().until(held, "PROCESSING");
      await api().until(waiting, "PENDING", 1);

      for (const [statuses, ids] of [
        ["status=PROCESSING", [heldId]],
        ["status=PENDING", [waitingId]],
        ["status=PENDING&status=PROCESSING", [waitingId, heldId]],
        ["status=PROCESSING&status=PENDING", [waitingId, heldId]],
        ["status=PENDING&status=PENDING", [waitingId]],
        ["status=FAILED&status=CANCELLED&status=COMPLETED", []],
      ] as const) {
        const ofUser = await api().get(`${path}&${statuses}`);
        assert.deepStrictEqual(idsOf(ofUser.json), [...ids], statuses);
        const ofAll = await api().pages(`/api/orders/?limit=9&${statuses}`);
        const found = idsOf(ofAll.flat());
        assert.strictEqual(new Set(found).size, found.length);
        const wanted = statuses.match(/[A-Z]+/g) ?? [];
        for (const { status } of ofAll.flat() as unknown as ReadonlyArray<{
          status: string;
        }>) {
          assert.include(wanted, status);
        }
        assert.includeMembers(found, [...ids]);
      }
    });

    it("keeps its filters from page to page, odd characters too", async () => {
      const odd = `${newId()}?a=1&b=2;c+d %26#é🎁<>"`;
      for (let i = 0; i < 3; i += 1) {
        await api().place({ user_id: JSON.stringify(odd) });
      }
      await api().place({ user_id: `"${odd.split("?")[0]}"` });
      // A "?" and a "/" may stand in a query as they are.
      const written = encodeURIComponent(odd).replaceAll("%3F", "?");
      const pages = await api().pages(`/api/orders?limit=1&user_id=${written}`);
      assert.lengthOf(pages, 3);
      for (const order of pages.flat() as unknown as ReadonlyArray<{
        user_id: string;
      }>) {
        assert.strictEqual(order.user_id, odd);
      }
    });

    it("finds a user with space around, as placing trims it", async () => {
      const spaced = await api().get(
        query({ user_id: ` ${user} `, limit: "500" }),
      );
      assert.deepStrictEqual(idsOf(spaced.json), idsOf(all));
    });

    it("takes format=json, which the reference system has", async () => {
      const answer = await api().get(
        `${query({ user_id: user })}&format=json&&`,
      );
      assert.strictEqual(answer.status, 200);
      assert.deepStrictEqual(answer.json, await list());
    });

    const size = /must be a whole number from 1 to 500/;
    const status = /must be one of PENDING, .*repeat the parameter/;
    const time = /must be a time such as 2026-01-31T12:00:00Z/;
    const cursor = /is not a cursor of this service: follow the Link/;
    const once = /must be given only once/;
    it.each([
      ["limit=", size],
      ["limit=0", size],
      ["limit=501", size],
      ["limit=-1", size],
      ["limit=1.5", size],
      ["limit=1e1", size],
      ["limit=0x10", size],
      ["limit=%202", size],
      ["limit=Infinity", size],
      ["limit=ten", size],
      ["limit=1&limit=2", once],
      ["status=", status],
      ["status=pending", status],
      ["status=DONE", status],
      ["status=PENDING,FAILED", status],
      ["status=%E0%A4%A", status],
      ["user_id=", /must not be blank/],
      ["user_id=%20", /must not be blank/],
      ["user_id=%00", /control character/],
      [`user_id=${"x".repeat(51)}`, /at most 50 characters/],
      ["user_id=a&user_id=b", once],
      ["created_after=", time],
      ["created_after=yesterday", time],
      ["created_after=1", time],
      ["created_after=2026", time],
      ["created_after=1767225600", time],
      ["created_after=Jan%201%202026", time],
      ["created_after=2026-02-30", time],
      ["created_after=2026-13-01T00:00:00Z", time],
      ["created_after=2026-01-01T25:00:00Z", time],
      // The "+" of a query is a space.
      ["created_after=2026-01-01T00:00:00+02:00", time],
      // No year of the database's calendar.
      ["created_after=-271821-04-20T00:00:00Z", time],
      ["created_before=%2B275760-09-13T00:00:00Z", time],
      ["created_before=x", time],
      ["created_before=2026-01-01&created_before=2026-01-01", once],
      ["cursor=", cursor],
      ["cursor=x", cursor],
      ["cursor=1", cursor],
      ["cursor=%00", cursor],
      ["cursor=LTEuMQ", cursor],
      ["cursor=a&cursor=b", once],
    ])("refuses ?%s", async (parameters, fault) => {
      const name = parameters.split("=")[0];
      const place = name === "status" ? "query.status.0" : `query.${name}`;
      assertFaults(await api().get(`/api/orders/?${parameters}`), {
        [place]: fault,
      });
    });

    it("is told all faults of a query at once", async () => {
      assertFaults(
        await api().get(
          "/api/orders/?limit=0&status=PENDING&status=x&user_id=&created_after=1&created_before=2&cursor=3",
        ),
        {
          "query.limit": size,
          "query.status.1": status,
          "query.user_id": /blank/,
          "query.created_after": time,
          "query.created_before": time,
          "query.cursor": cursor,
        },
      );
    });
  });
};
