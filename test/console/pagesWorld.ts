/**
 * A service with orders in it for the tests of the pages, one of which is made of
 * scripts, and readers who look at it.
 */
import type { Page } from "playwright-core";
import { until } from "../support/serviceProcess.ts";
import { startBrowser } from "./browser.ts";
import {
  heading,
  openBrowser,
  ordersOf,
  type Reader,
  signIn,
  startWorld,
} from "./operator.ts";

/** What is a script wherever it is taken for markup, in 50 characters. */
export const evil = {
  id: "<img src=x onerror=window.pwned=1>",
  user: "<script>window.pwned=2</script>",
  item: '"><svg onload=window.pwned=3><iframe srcdoc="x">',
  error: "<b>no</b><img src=x onerror=window.pwned=4>",
  key: "</title><script>window.pwned=5</script>",
};

/** By their addresses; that of an order is one that failed. */
export const views: ReadonlyArray<readonly [string, string]> = [
  ["Overview", "/"],
  ["Orders", "/#/orders"],
  ["Order", `/#/orders/${encodeURIComponent(evil.id)}`],
  ["Dead letters", "/#/dead-letters"],
  ["Processing", "/#/processing"],
  ["Subscriptions", "/#/subscriptions"],
  ["Keys", "/#/keys"],
];

type Options = Parameters<typeof openBrowser>[2];

/** Orders that are final: 120 are COMPLETED, 21 FAILED. */
const addOrders = async (world: Awaited<ReturnType<typeof startWorld>>) => {
  world.receiver.answer("refused", 422);
  world.receiver.answer(evil.user, 400);
  await world.place([
    ...ordersOf("ursula", "good", 120),
    ...ordersOf("refused", "bad", 20),
    {
      order_id: evil.id,
      user_id: evil.user,
      item_ids: [evil.item, { [evil.item]: [evil.item] }],
    },
  ]);
  await until("all are final", async () => {
    const { status_counts: counts } = await world.ask(
      "GET",
      "/api/orders/metrics/",
    );
    return counts.COMPLETED === 120 && counts.FAILED === 21;
  });
  // No receiver's words come this far; who knows who else writes there.
  await world.query("UPDATE orders SET last_error = $1 WHERE order_id = $2", [
    evil.error,
    evil.id,
  ]);
  await world.query("UPDATE order_history SET error = $1 WHERE order_id = $2", [
    evil.error,
    evil.id,
  ]);
  await world.ask("POST", "/api/subscriptions/", {
    url: `${world.receiver.url}?${evil.id}`,
  });
};

export const startPages = async () => {
  const [world, browser] = await Promise.all([
    startWorld({ SUBSCRIPTIONS_TO: "any" }),
    startBrowser(),
  ]);
  const keys = {
    all: await world.key(evil.key, [
      "orders:place",
      "orders:read",
      "orders:operate",
      "admin",
    ]),
    reader: await world.key("reader", ["orders:read"]),
  };
  await addOrders(world);
  return {
    world,
    browser,
    keys,
    /** A browser for one test; whatever goes wrong in it fails the test. */
    reading: async (
      key: string,
      read: (page: Page, reader: Reader) => Promise<void>,
      options: Options = {},
      scripts: ReadonlyArray<string> = [],
    ) => {
      const reader = await openBrowser(browser, world, options, scripts);
      try {
        await signIn(reader.page, key);
        await read(reader.page, reader);
      } catch (error) {
        await reader.context.close();
        throw error;
      }
      await reader.close();
    },
    stop: async () => {
      await browser.close();
      await world.stop();
    },
  };
};

export type Pages = Awaited<ReturnType<typeof startPages>>;

/** Opens a view, and waits until what it is about is there. */
export const open = async (
  page: Page,
  [name, address]: readonly [string, string],
) => {
  await page.goto(address);
  await heading(page, new RegExp(`^${name}`)).waitFor();
  await page.locator(".loading").waitFor({ state: "detached" });
};

/** The orders of a list. */
export const rows = (page: Page) =>
  page.getByRole("table", { name: /Orders/ }).locator("tbody tr");
