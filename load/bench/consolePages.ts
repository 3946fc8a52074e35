/**
 * The console with a large table: how long until a page shows what it is about,
 * and how long the slowest of its requests takes, in a real browser.
 */
import type { Browser, Page } from "playwright-core";
import { startBrowser } from "../../test/console/browser.ts";
import * as PastOrders from "./pastOrders.ts";
import type { Section } from "./report.ts";
import {
  type Bench,
  median,
  startService,
  takingInOnly,
  withClient,
} from "./Setup.ts";

/** A hundred thousand dead letters of five million orders. */
const failedPerMille = 20;

interface View {
  readonly name: string;
  readonly address: string;
  /** What the page is about. */
  readonly content: string;
}

const views: ReadonlyArray<View> = [
  {
    name: "Overview",
    address: "/",
    content: "section[aria-label='Orders by status'] .tile",
  },
  { name: "Orders", address: "/#/orders", content: "table tbody tr" },
  {
    name: "Orders that are FAILED",
    address: "/#/orders?status=FAILED",
    content: "table tbody tr",
  },
  {
    name: "Dead letters",
    address: "/#/dead-letters",
    content: "table.groups tbody tr",
  },
  {
    name: "Processing",
    address: "/#/processing",
    content: "table tbody tr",
  },
];

/** As if a service had counted for a week; the newest end now. */
const addSamples = (database: string) =>
  withClient(database, (client) =>
    client.query(`INSERT INTO metrics_samples
      SELECT slot, to_timestamp(slot * 10), slot, 2000, 256, slot - 2256, 0, 0,
        slot / 100, 1.5, slot, slot * 0.1, slot, slot * 1.1
      FROM (SELECT floor(extract(epoch FROM now()) / 10)::bigint - n AS slot
        FROM generate_series(1, 7 * 24 * 360) AS n) AS slots
      ON CONFLICT DO NOTHING`),
  );

interface Visit {
  readonly contentMillis: number;
  /** Of what was asked of the API until then and in the second after. */
  readonly slowestMillis: number;
  readonly slowest: string;
}

/** What the API was asked, and how long each answer took. */
const requestsOf = (page: Page) =>
  page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .map((entry) => entry as PerformanceResourceTiming)
      .filter(({ name }) => name.includes("/api/"))
      // The stream of events does not end.
      .filter(({ name }) => !name.includes("/stream/"))
      .map(({ name, requestStart, responseEnd }) => ({
        path: new URL(name).pathname + new URL(name).search,
        millis: responseEnd - requestStart,
      })),
  );

/** Opened by a browser that has never been here. */
const visit = async (
  browser: Browser,
  url: string,
  { address, content }: View,
): Promise<Visit> => {
  const context = await browser.newContext({ baseURL: url, locale: "en-GB" });
  const page = await context.newPage();
  const began = performance.now();
  await page.goto(address, { waitUntil: "commit" });
  await page.locator(content).first().waitFor();
  const contentMillis = performance.now() - began;
  // What it asks for once its content is there is of the page, too.
  await page
    .waitForLoadState("networkidle", { timeout: 2_000 })
    .catch(() => {});
  const requests = await requestsOf(page);
  await context.close();
  const [slowest] = requests.toSorted((a, b) => b.millis - a.millis);
  if (slowest === undefined) throw new Error(`${address} asks for nothing`);
  return {
    contentMillis,
    slowestMillis: slowest.millis,
    slowest: slowest.path.replace(/\?.*/, "?…"),
  };
};

const measure = async (bench: Bench, browser: Browser, url: string) => {
  const rounds = bench.quick ? 3 : 7;
  const visits = new Map<View, Array<Visit>>(views.map((view) => [view, []]));
  // The first round warms up: code is compiled, and pages are read.
  for (let turn = 0; turn <= rounds; turn += 1) {
    bench.progress(`console: round ${turn} of ${rounds}`);
    for (const [view, done] of visits) {
      const made = await visit(browser, url, view);
      if (turn > 0) done.push(made);
    }
  }
  return visits;
};

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const database = await bench.database();
  const migrated = await startService(bench, { DATABASE_URL: database });
  await migrated.stop();
  await PastOrders.checkDisk(bench.rows);
  await PastOrders.addPastOrders({
    database,
    orders: bench.rows,
    failedPerMille,
    onProgress: (made) =>
      bench.progress(`console: ${made} of ${bench.rows} orders made`),
  });
  await addSamples(database);
  const service = await startService(bench, {
    ...takingInOnly,
    DATABASE_URL: database,
  });
  const browser = await startBrowser();
  try {
    const visits = await measure(bench, browser, service.url);
    const of = (view: View, field: "contentMillis" | "slowestMillis") =>
      median((visits.get(view) ?? []).map((one) => one[field]));
    return [
      {
        title: "The console",
        note: `With ${bench.rows.toLocaleString("en-US")} orders, ${(bench.rows * failedPerMille) / 1000} of them dead letters, and samples of a week; the table was never analysed. Chromium ${browser.version()} on the same machine, with an empty cache each time; medians of ${bench.quick ? 3 : 7} visits, milliseconds. Content: from the address to what the page is about. Requests: from sending to the end of the answer, as the browser measures it.`,
        rows: views.map((view) => {
          const all = visits.get(view) ?? [];
          const worst = all.toSorted(
            (a, b) => b.slowestMillis - a.slowestMillis,
          )[0];
          return {
            page: view.name,
            content: of(view, "contentMillis"),
            "content, worst": Math.max(...all.map((one) => one.contentMillis)),
            "slowest request": of(view, "slowestMillis"),
            "slowest, worst": worst?.slowestMillis ?? 0,
            "which that was": worst?.slowest ?? "",
          };
        }),
        goals: [
          {
            name: "the first page's content",
            value: of(views[0] as View, "contentMillis"),
            limit: 1000,
            is: "at most",
          },
          {
            name: "the slowest request of any page",
            value: Math.max(...views.map((view) => of(view, "slowestMillis"))),
            limit: 100,
            is: "at most",
          },
        ],
      },
    ];
  } finally {
    await browser.close();
    await service.stop();
  }
};
