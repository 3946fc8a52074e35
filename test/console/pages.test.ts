/** The pages of the console, one by one: for whom they are, and against whom. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { missing } from "./browser.ts";
import { heading, ordersOf } from "./operator.ts";
import {
  evil,
  open,
  type Pages,
  rows,
  startPages,
  views,
} from "./pagesWorld.ts";

/** The first page may take so many bytes over the wire. */
const firstPageBytesMax = 80_000;

describe.skipIf(missing !== undefined)("the console, in a browser", () => {
  let pages: Pages;
  beforeAll(async () => {
    pages = await startPages();
  });
  afterAll(() => pages?.stop());

  it(`takes less than ${firstPageBytesMax} bytes over the wire for the first page`, () =>
    pages.reading(pages.keys.all, async (page, { context }) => {
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
      pages.reading(pages.keys.all, async (page) => {
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
    pages.reading(pages.keys.all, async (page) => {
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
    pages.reading(pages.keys.all, async (page, { context }) => {
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
    pages.reading(pages.keys.all, async (_, { context }) => {
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
    pages.reading(pages.keys.all, async (page) => {
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
    pages.reading(pages.keys.all, async (page) => {
      await open(page, ["Orders", "/#/orders"]);
      await page.getByText(/Live$/).waitFor();
      const shows = (text: string) => rows(page).filter({ hasText: text });
      await pages.world.place(ordersOf("ursula", "new", 1));
      await shows("new-1").waitFor();
      await rows(page).nth(3).getByRole("checkbox").check();
      await page.getByText("1 order selected").waitFor();
      const before = await rows(page).allInnerTexts();
      await pages.world.place(ordersOf("ursula", "newer", 3));
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
      await pages.world.place(ordersOf("ursula", "newest", 2));
      await page.getByRole("button", { name: "Show 2 new" }).waitFor();
      assert.strictEqual(await shows("newest-").count(), 0);
      await page.evaluate(() => scrollTo({ top: 0 }));
      await shows("newest-2").waitFor();
    }));

  it("retries what is selected, and says what became of it", () =>
    pages.reading(pages.keys.all, async (page) => {
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
        const history = await pages.world.ask(
          "GET",
          "/api/orders/bad-1/history/",
        );
        return history.some(
          (entry: { type: string }) => entry.type === "retried",
        );
      });
    }));

  it("offers a key no more than its scopes", () =>
    pages.reading(pages.keys.reader, async (page) => {
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
    const key = await pages.world.key("leaving", ["orders:read"]);
    await pages.reading(key, async (page) => {
      const listed = await pages.world.ask("GET", "/api/keys/");
      const { id } = listed.find(
        (one: { name: string }) => one.name === "leaving",
      );
      await pages.world.ask("DELETE", `/api/keys/${id}/`);
      await heading(page, "Sign in").waitFor();
    });
  });
});
