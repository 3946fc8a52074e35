/**
 * What callers are promised over HTTP, seen from outside. One suite for every
 * way to run the service: any runtime, any database, any way to call it.
 */
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { Api } from "./api.ts";
import { batchSuite } from "./batchSuite.ts";
import { browsersSuite } from "./browsersSuite.ts";
import { consoleSuite } from "./consoleSuite.ts";
import { edgeSuite } from "./edgeSuite.ts";
import { eventsSuite } from "./eventsSuite.ts";
import { exportSuite } from "./exportSuite.ts";
import { listingSuite } from "./listingSuite.ts";
import { orderStatesSuite } from "./orderStatesSuite.ts";
import { placingSuite } from "./placingSuite.ts";
import { processingSuite } from "./processingSuite.ts";
import { receiverSettings, startReceiver } from "./receiver.ts";
import { subscriptionsSuite } from "./subscriptionsSuite.ts";
import type { Transport } from "./transports.ts";

/** A service on an empty database that listens and is ready. */
export interface RunningService {
  readonly transport: Transport;
  /** Stops it, and takes its database away. */
  readonly stop: () => Promise<unknown>;
}

/** `start` starts a service with these settings, and those it needs itself. */
export const contractSuite = (
  name: string,
  start: (
    settings: Readonly<Record<string, string>>,
  ) => Promise<RunningService>,
) =>
  describe(name, () => {
    let receiver: Awaited<ReturnType<typeof startReceiver>> | undefined;
    let service: RunningService | undefined;
    let api: Api;

    beforeAll(async () => {
      receiver = await startReceiver();
      service = await start({
        ...receiverSettings,
        ALLOWED_HOSTS: "127.0.0.1, order-service, a.example:8080, [::1]",
        SUBSCRIPTIONS_TO: "any",
        FULFILLMENT_URL: receiver.url,
      });
      api = new Api(service.transport);
    });

    afterAll(async () => {
      api?.close();
      // The receiver last: it waits for the connections the service keeps.
      await service?.stop();
      await receiver?.stop();
    });

    it("counts nothing before the first order", async () => {
      const { json } = await api.get("/api/orders/metrics/");
      assert.strictEqual(json.total_orders_processed, 0);
      assert.deepStrictEqual(json.status_counts, {
        PENDING: 0,
        PROCESSING: 0,
        COMPLETED: 0,
        FAILED: 0,
        CANCELLED: 0,
      });
      assert.isNull(json.average_processing_time_seconds);
      assert.isNull(json.oldest_pending_age_seconds);
      assert.deepStrictEqual((await api.get("/api/orders/")).json, []);
    });

    placingSuite(() => api);
    batchSuite(() => api);
    listingSuite(() => api);
    exportSuite(() => api);
    orderStatesSuite(() => api);
    eventsSuite(() => api);
    subscriptionsSuite(() => api);
    processingSuite(() => api);
    browsersSuite(() => api);
    consoleSuite(() => api);
    edgeSuite(() => api);
  });
