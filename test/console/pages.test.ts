/** The pages of the console, one by one: for whom they are, and against whom. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { missing, startBrowser } from "./browser.ts";
import {
  heading,
  openBrowser,
  ordersOf,
  type Reader,
  signIn,
  startWorld,
  type World,
} from "./operator.ts";

const axe = readFileSync(
  createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
  "utf8",
);

/** The first page may take so many bytes over the wire. */
const firstPageBytesMax = 80_000;

/** What is a script wherever it is taken for markup, in 50 characters. */
const evil = {
  id: "<img src=x onerror=window.pwned=1>",
  user: "<script>window.pwned=2</script>",
  item: '"><svg onload=window.pwned=3><iframe srcdoc="x">',
  error: "<b>no</b><img src=x onerror=window.pwned=4>",
  key: "</title><script>window.pwned=5</script>",
};

/** By their addresses; that of an order is one that failed. */
const views: ReadonlyArray<readonly [string, string]> = [
  ["Overview", "/"],
  ["Orders", "/#/orders"],
  ["Order", `/#/orders/${encodeURIComponent(evil.id)}`],
  ["Dead letters", "/#/dead-letters"],
  ["Processing", "/#/processing"],
  ["Subscriptions", "/#/subscriptions"],
  ["Keys", "/#/keys"],
];

describe.skipIf(missing !== undefined)("the console, in a browser", () => {
  let browser: Browser;
  let world: World;
  let keys: { readonly all: string; readonly reader: string };

  beforeAll(async () => {
    [world, browser] = await Promise.all([
      startWorld({ SUBSCRIPTIONS_TO: "any" }),
      startBrowser(),
    ]);
    world.receiver.answer("refused", 422);
    world.receiver.answer(evil.user, 400);
    keys = {
      all: await world.key(evil.key, [
        "orders:place",
        "orders:read",
        "orders:operate",
        "admin",
      ]),
      reader: await world.key("reader", ["orders:read"]),
    };
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
    await world.query(
      "UPDATE order_history SET error = $1 WHERE order_id = $2",
      [evil.error, evil.id],
    );
    await world.ask("POST", "/api/subscriptions/", {
      url: `${world.receiver.url}?${evil.id}`,
    });
  });

  afterAll(async () => {
    await browser?.close();
    await world?.stop();
  });

  /** A browser for one test; whatever goes wrong in it fails the test. */
  const reading = async (
    key: string,
    read: (page: Page, reader: Reader) => Promise<void>,
    options: Parameters<typeof openBrowser>[2] = {},
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
  };

  /** Opens a view, and waits until what it is about is there. */
  const open = async (
    page: Page,
    [name, address]: readonly [string, string],
  ) => {
    await page.goto(address);
    await heading(page, new RegExp(`^${name}`)).waitFor();
    await page.locator(".loading").waitFor({ state: "detached" });
  };

  const rows = (page: Page) =>
    page.getByRole("table", { name: /Orders/ }).locator("tbody tr");

  it(`takes less than ${firstPageBytesMax} bytes over the wire for the first page`, () =>
    reading(keys.all, async (page, { context }) => {
      const again = await context.newPage();
      const session = await context.newCDPSession(again);
      await session.send("Network.enable");
      await session.send("Network.setCacheDisabled", { cacheDisabled: true });
      const urls = new Map<string, string>();
      const bytes = new Map<string, number>();
      session.on("Network.responseReceived", ({ requestId, response }) =>
        urls.set(requestId, new URL(response.url).pathname),
      );
      session.on(
        "Network.loadingFinished",
        ({ encodedDataLength, requestId }) => {
          const url = urls.get(requestId) ?? requestId;
          // What it asks of the API is no part of the page.
          if (!url.startsWith("/api/")) bytes.set(url, encodedDataLength);
        },
      );
      await again.goto("/");
      await heading(again, "Overview").waitFor();
      await again.locator(".uplot canvas").first().waitFor();
      const sum = Array.from(bytes.values()).reduce((a, b) => a + b, 0);
      assert.isTrue(bytes.has("/console/uplot.js"), "the charts are not in it");
      assert.isBelow(sum, firstPageBytesMax, JSON.stringify([...bytes]));
      void page;
    }));

  it.each(views)(
    "shows what orders hold as text, and runs none of it: %s",
    (...view) =>
      reading(keys.all, async (page) => {
        await open(page, view);
        if (view[0] === "Dead letters" || view[0] === "Order") {
          await page.getByText(evil.error).first().waitFor();
        }
        if (view[0] === "Order" || view[0] === "Orders") {
          await page.getByText(evil.user).first().waitFor();
          await page.getByText(evil.id).first().waitFor();
        }
        if (view[0] === "Order")
          await page.getByText(evil.item).first().waitFor();
        if (view[0] === "Keys")
          await page.getByText(evil.key).first().waitFor();
        const made = page.locator(
          "img[src=x], iframe, script:not([src]), [onload], [onerror], main b:text-is('no')",
        );
        assert.strictEqual(await made.count(), 0);
        assert.isUndefined(
          await page.evaluate(() => (window as { pwned?: number }).pwned),
        );
      }),
  );

  it("asks before it retries an error that is a script, and retries just those", () =>
    reading(keys.all, async (page) => {
      await open(page, ["Dead letters", "/#/dead-letters"]);
      await page
        .getByRole("row")
        .filter({ hasText: evil.error })
        .getByRole("button", { name: /Retry/ })
        .click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("button", { name: /^Retry 1 order: / }).waitFor();
      assert.isUndefined(
        await page.evaluate(() => (window as { pwned?: number }).pwned),
      );
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    }));

  it("keeps filters in the address, for a colleague and a reload", () =>
    reading(keys.all, async (page, { context }) => {
      await open(page, ["Orders", "/#/orders"]);
      await page.getByRole("checkbox", { name: "FAILED" }).check();
      await page.waitForURL(/status=FAILED/);
      await page.getByLabel("User id").fill("refused");
      await page.getByRole("button", { name: "Filter", exact: true }).click();
      await until("20 rows", async () => (await rows(page).count()) === 20);
      assert.match(page.url(), /status=FAILED/);
      assert.match(page.url(), /user_id=refused/);
      await page.reload();
      await until("20 rows", async () => (await rows(page).count()) === 20);
      assert.isTrue(
        await page.getByRole("checkbox", { name: "FAILED" }).isChecked(),
      );
      assert.strictEqual(
        await page.getByLabel("User id").inputValue(),
        "refused",
      );
      const colleague = await context.newPage();
      await colleague.goto(page.url());
      await until(
        "20 rows",
        async () => (await rows(colleague).count()) === 20,
      );
      await page.getByRole("link", { name: "Clear filters" }).click();
      await until("more rows", async () => (await rows(page).count()) > 20);
    }));

  it("shows what its address becomes while it loads", () =>
    reading(keys.all, async (_, { context }) => {
      await context.addInitScript(() => {
        addEventListener("DOMContentLoaded", () => {
          if (location.hash === "") location.hash = "#/processing";
        });
      });
      const page = await context.newPage();
      await page.goto("/");
      await heading(page, "Processing").waitFor();
    }));

  it("leads on to older orders, and back to the newest", () =>
    reading(keys.all, async (page) => {
      await open(page, ["Orders", "/#/orders"]);
      const first = await rows(page).first().innerText();
      const count = await rows(page).count();
      await page.getByRole("link", { name: "Older" }).click();
      await until(
        "others",
        async () => (await rows(page).first().innerText()) !== first,
      );
      await page.reload();
      await page.getByText("An older page: it stands still").waitFor();
      await page.getByRole("link", { name: "Newest" }).click();
      await until(
        "the first again",
        async () => (await rows(page).count()) === count,
      );
    }));

  it("is live, stands still while somebody selects or reads on, and says how many are new", () =>
    reading(keys.all, async (page) => {
      await open(page, ["Orders", "/#/orders"]);
      await page.getByText(/Live$/).waitFor();
      const shows = (text: string) => rows(page).filter({ hasText: text });
      await world.place(ordersOf("ursula", "new", 1));
      await shows("new-1").waitFor();
      await rows(page).nth(3).getByRole("checkbox").check();
      await page.getByText("1 order selected").waitFor();
      const before = await rows(page).allInnerTexts();
      await world.place(ordersOf("ursula", "newer", 3));
      const show = page.getByRole("button", { name: "Show 3 new" });
      await show.waitFor();
      assert.deepStrictEqual(
        (await rows(page).allInnerTexts()).map((row) => row.split("\t")[1]),
        before.map((row) => row.split("\t")[1]),
      );
      await show.click();
      await shows("newer-3").waitFor();
      await page.mouse.wheel(0, 600);
      await page.getByText("Stands still while you read or select").waitFor();
      await world.place(ordersOf("ursula", "newest", 2));
      await page.getByRole("button", { name: "Show 2 new" }).waitFor();
      assert.strictEqual(await shows("newest-").count(), 0);
      await page.evaluate(() => scrollTo({ top: 0 }));
      await shows("newest-2").waitFor();
    }));

  it("retries what is selected, and says what became of it", () =>
    reading(keys.all, async (page) => {
      await open(page, ["Orders", "/#/orders?status=FAILED&user_id=refused"]);
      for (const id of ["bad-1", "bad-2"]) {
        await page
          .getByRole("checkbox", { name: `Select ${id}`, exact: true })
          .check();
      }
      await page.getByRole("button", { name: "Retry 2 FAILED" }).click();
      await page
        .getByRole("dialog")
        .getByRole("button", { name: "Retry 2 orders" })
        .click();
      await page.getByText("2 orders are PENDING again.").waitFor();
      await until("it was tried again", async () => {
        const history = await world.ask("GET", "/api/orders/bad-1/history/");
        return history.some(
          (entry: { type: string }) => entry.type === "retried",
        );
      });
    }));

  it("offers a key no more than its scopes", () =>
    reading(keys.reader, async (page) => {
      const navigation = page.getByRole("navigation", {
        name: "Pages",
        exact: true,
      });
      assert.strictEqual(
        await navigation.getByRole("link", { name: "Keys" }).count(),
        0,
      );
      const acts = page.getByRole("button", {
        name: /^(Retry|Cancel|Pause|Resume|Test|Delete|Make|Roll|Revoke|Subscribe)/,
        disabled: false,
      });
      for (const view of views) {
        await open(page, view);
        assert.deepStrictEqual(await acts.allInnerTexts(), [], view[0]);
      }
      await open(page, ["Subscriptions", "/#/subscriptions"]);
      await page.getByText("orders:operate").waitFor();
    }));

  it("ends with the key: whoever is revoked is asked to sign in", async () => {
    const key = await world.key("leaving", ["orders:read"]);
    await reading(key, async (page) => {
      const listed = await world.ask("GET", "/api/keys/");
      const { id } = listed.find(
        (one: { name: string }) => one.name === "leaving",
      );
      await world.ask("DELETE", `/api/keys/${id}/`);
      await heading(page, "Sign in").waitFor();
    });
  });

  it("is used by the keyboard alone", () =>
    reading(keys.all, async (page) => {
      const { keyboard } = page;
      const focused = () =>
        page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
      const tabTo = async (name: string | RegExp) => {
        for (let pressed = 0; pressed < 200; pressed += 1) {
          await keyboard.press("Tab");
          const text = await focused();
          if (typeof name === "string" ? text === name : name.test(text))
            return;
        }
        assert.fail(`no Tab leads to ${name}`);
      };
      await keyboard.press("g");
      await keyboard.press("o");
      await heading(page, "Orders").waitFor();
      await rows(page).first().waitFor();
      await keyboard.press("j");
      await keyboard.press("j");
      await keyboard.press("k");
      const id = await focused();
      assert.strictEqual(
        id,
        await rows(page).first().getByRole("link").innerText(),
      );
      await keyboard.press("Enter");
      await heading(page, `Order ${id}`).waitFor();
      await keyboard.press("?");
      const dialog = page.getByRole("dialog", { name: "Keys of the keyboard" });
      await dialog.waitFor();
      await keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      // Nothing but Tab and Enter from here on.
      await page.goto("/");
      await heading(page, "Overview").waitFor();
      await keyboard.press("Tab");
      assert.strictEqual(await focused(), "Skip to the page");
      await tabTo("Dead letters");
      await keyboard.press("Enter");
      await heading(page, "Dead letters").waitFor();
      await page
        .getByRole("table", { name: "Dead letters by error" })
        .waitFor();
      await tabTo(/^Retry all … of: .*422/);
      await keyboard.press("Enter");
      const ask = page.getByRole("dialog");
      await ask.getByRole("button", { name: /^Retry \d+ orders/ }).waitFor();
      await tabTo("Back");
      await keyboard.press("Enter");
      await ask.waitFor({ state: "detached" });
      assert.match(await focused(), /^Retry all … of: .*422/);
    }));

  it.each(views)("scrolls no page sideways in a narrow window: %s", (...view) =>
    reading(
      keys.all,
      async (page) => {
        await open(page, view);
        const { inner, scroll } = await page.evaluate(() => ({
          inner: innerWidth,
          scroll: document.documentElement.scrollWidth,
        }));
        assert.isAtMost(scroll, inner);
      },
      { viewport: { width: 320, height: 640 } },
    ),
  );

  it("tells times in the reader's zone, and in UTC on hover", () =>
    reading(keys.all, async (page) => {
      await open(page, ["Order", "/#/orders/good-1"]);
      const { created_at } = await world.ask("GET", "/api/orders/good-1/");
      const time = page.locator(`time[datetime="${created_at}"]`).first();
      const title = (await time.getAttribute("title")) ?? "";
      assert.include(title, created_at.slice(11, 19));
      assert.include(title, "UTC");
      const there = new Date(new Date(created_at).getTime() + 5.5 * 3_600_000);
      assert.include(await time.innerText(), there.toISOString().slice(11, 19));
    }));

  describe.each(["light", "dark"] as const)(
    "has nothing that axe finds, in the %s scheme",
    (colorScheme) => {
      const check = async (page: Page, what: string) => {
        const { violations } = await page.evaluate(async () => {
          const { axe } = window as unknown as {
            axe: {
              run: (context: unknown, options: unknown) => Promise<AxeResults>;
            };
          };
          return axe.run(document, {
            runOnly: [
              "wcag2a",
              "wcag2aa",
              "wcag21a",
              "wcag21aa",
              "wcag22aa",
              "best-practice",
            ],
          });
        });
        assert.deepStrictEqual(
          violations.map(
            ({ id, nodes }) =>
              `${what}: ${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`,
          ),
          [],
        );
      };
      // The policy would not let it in: the other tests keep that.
      const options = {
        colorScheme,
        bypassCSP: true,
        // What is half shown has half its contrast.
        reducedMotion: "reduce",
      } as const;

      it("where one signs in", async () => {
        const reader = await openBrowser(browser, world, options, [axe]);
        await reader.page.goto("/");
        await heading(reader.page, "Sign in").waitFor();
        await check(reader.page, "Sign in");
        await reader.page.getByLabel("Key", { exact: true }).fill("none");
        await reader.page.getByRole("button", { name: "Sign in" }).click();
        await reader.page.getByRole("alert").waitFor();
        await check(reader.page, "Sign in, refused");
        await reader.close();
      });

      it.each(views)("on %s", (...view) =>
        reading(
          keys.all,
          async (page) => {
            await open(page, view);
            if (view[0] === "Overview")
              await page.locator(".uplot canvas").first().waitFor();
            await check(page, view[0]);
            if (view[0] === "Dead letters") {
              await page
                .getByRole("button", { name: /^Retry all/ })
                .first()
                .click();
              await page
                .getByRole("dialog")
                .getByRole("button", { name: /^Retry \d/ })
                .waitFor();
              await check(page, "Retry all");
            }
          },
          options,
          [axe],
        ),
      );
    },
  );
});
