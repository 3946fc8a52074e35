/** The console for everybody: by keyboard, in narrow windows, by axe, in any zone. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { missing } from "./browser.ts";
import { heading, openBrowser } from "./operator.ts";
import { open, type Pages, rows, startPages, views } from "./pagesWorld.ts";

const axe = readFileSync(
  createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
  "utf8",
);

describe.skipIf(missing !== undefined)("the console, for everybody", () => {
  let pages: Pages;
  beforeAll(async () => {
    pages = await startPages();
  });
  afterAll(() => pages?.stop());

  it("is used by the keyboard alone", () =>
    pages.reading(pages.keys.all, async (page) => {
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
    pages.reading(
      pages.keys.all,
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
    pages.reading(pages.keys.all, async (page) => {
      await open(page, ["Order", "/#/orders/good-1"]);
      const { created_at } = await pages.world.ask(
        "GET",
        "/api/orders/good-1/",
      );
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
        const reader = await openBrowser(pages.browser, pages.world, options, [
          axe,
        ]);
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
        pages.reading(
          pages.keys.all,
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
