/** Subscriptions: making, finding, pausing, trying and deleting them. */
import { assert, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { type Api, assertFaults, assertProblem } from "./api.ts";

const path = "/api/subscriptions/";
const notFound = "urn:order-service:subscription-not-found";

/** Nobody is there: what is posted fails, and nothing else depends on it. */
const nobody = "http://127.0.0.1:9/hook?token=t0ken";

export const subscriptionsSuite = (api: () => Api) =>
  describe("subscriptions", () => {
    const subscribe = (body: unknown) =>
      api().request("POST", path, {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });

    it("are made, with a secret that is shown once", async () => {
      const made = await subscribe({ url: nobody, types: ["order.retried"] });
      assert.strictEqual(made.status, 201, made.text);
      const { id, secret, ...rest } = made.json;
      assert.strictEqual(made.headers.location, `${path}${id}/`);
      assert.match(secret, /^whsec_[A-Za-z0-9+/]{32}$/);
      assert.strictEqual(rest.url, nobody);
      assert.deepStrictEqual(rest.types, ["order.retried"]);
      assert.deepStrictEqual(
        [rest.status, rest.reason, rest.delivered, rest.failures],
        ["ACTIVE", null, 0, 0],
      );
      const found = await api().get(made.headers.location ?? "");
      assert.strictEqual(found.status, 200);
      assert.notInclude(found.text, "whsec_");
      assert.strictEqual(found.json.id, id);
      const list = await api().get(path);
      assert.notInclude(list.text, "whsec_");
      assert.include(
        list.json.map((one: { id: string }) => one.id),
        id,
      );
      await api().request("DELETE", `${path}${id}`);
    });

    it("are refused with every fault at once", async () => {
      const faults = await subscribe({
        url: "https://user:password@receiver.example/",
        types: ["order.lost"],
        secret: "whsec_short",
      });
      assertFaults(faults, {
        "payload.url": /no user or password/,
        "payload.types.0": /must be one of order\.placed/,
        "payload.secret": /24 to 64 bytes in base64/,
      });
      assertFaults(await subscribe({}), { "payload.url": /is missing/ });
      assertFaults(await subscribe({ url: 7, types: "order.placed" }), {
        "payload.url": /must be a URL/,
        "payload.types": /must be an array/,
      });
      assertFaults(await subscribe([]), { payload: /must be a JSON object/ });
      assertProblem(
        await api().request("POST", path, { body: "{}" }),
        415,
        "urn:order-service:not-json",
      );
    });

    it("are paused, resumed, tried and deleted", async () => {
      const { id } = (await subscribe({ url: nobody })).json;
      const own = `${path}${id}/`;
      assert.strictEqual(
        (await api().post(`${own}pause`)).json.status,
        "PAUSED",
      );
      const paused = await api().post(`${own}pause/`);
      assert.strictEqual(paused.json.status, "PAUSED");
      const tried = await api().post(`${own}test/`);
      assert.strictEqual(tried.status, 200);
      assert.deepStrictEqual(
        [tried.json.delivered, tried.json.status],
        [false, null],
      );
      assert.match(tried.json.error, /^the receiver did not answer: /);
      assert.notInclude(tried.text, "t0ken");
      const resumed = await api().post(`${own}resume/`);
      assert.strictEqual(resumed.json.status, "ACTIVE");

      await api().place();
      const failing = await until("a failed delivery", async () => {
        const { json } = await api().get(own);
        return json.failures > 0 && json;
      });
      assert.match(failing.last_error, /^the receiver did not answer: /);
      assert.isString(failing.failing_since);
      assert.isString(failing.next_attempt_at);
      assert.isAbove(failing.lag_seconds, 0);

      const deleted = await api().request("DELETE", own);
      assert.strictEqual(deleted.status, 204);
      assert.strictEqual(deleted.text, "");
      assertProblem(await api().get(own), 404, notFound);
    });

    it.each(["nobody", "%00", "x".repeat(900), "a%2Fb"])(
      "are not found by %s",
      async (id) => {
        for (const action of ["pause/", "resume/", "test/"]) {
          assertProblem(
            await api().post(`${path}${id}/${action}`),
            404,
            notFound,
          );
        }
        assertProblem(await api().get(`${path}${id}`), 404, notFound);
        assertProblem(
          await api().request("DELETE", `${path}${id}/`),
          404,
          notFound,
        );
      },
    );
  });
