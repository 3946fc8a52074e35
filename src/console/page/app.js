/** The frame of the console: where one can go, who is signed in, and the page. */
import { html, render } from "htm/preact";
import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import { connection } from "./connection.js";
import { keepFocus } from "./focus.js";
import { NoticeBar, tell } from "./notice.js";
import { Fault, Heading, Loading } from "./parts.js";
import { hrefOf, useAddress } from "./router.js";
import { load, may, session, signOut } from "./session.js";
import { Shortcuts } from "./shortcuts.js";
import { SignIn } from "./signIn.js";
import { useStore } from "./store.js";

/** @typedef {(props: { address: import("./router.js").Address }) => unknown} Page */

/**
 * A page is loaded when it is first gone to.
 *
 * @type {Readonly<Record<string, () => Promise<Page>>>}
 */
const pages = {
  "": async () => (await import("./overview.js")).Overview,
  orders: async () => (await import("./orders.js")).Orders,
  order: async () => (await import("./order.js")).OrderPage,
  "dead-letters": async () => (await import("./deadLetters.js")).DeadLetters,
  processing: async () => (await import("./processing.js")).Processing,
  subscriptions: async () => (await import("./subscriptions.js")).Subscriptions,
  keys: async () => (await import("./keys.js")).Keys,
};

/** @type {ReadonlyArray<readonly [string, string]>} */
const links = [
  ["", "Overview"],
  ["orders", "Orders"],
  ["dead-letters", "Dead letters"],
  ["processing", "Processing"],
  ["subscriptions", "Subscriptions"],
  ["keys", "Keys"],
];

const ConnectionLine = () => {
  const now = useStore(connection);
  const [isBack, setBack] = useState(false);
  const [wasLost, setLost] = useState(false);
  useEffect(() => {
    if (now.state === "lost") setLost(true);
    if (now.state === "lost" || !wasLost) return;
    setLost(false);
    setBack(true);
    const timer = setTimeout(() => setBack(false), 5_000);
    return () => clearTimeout(timer);
  }, [now.state === "lost"]);
  const text =
    now.state === "lost"
      ? "Connection lost — trying again"
      : now.state === "troubled"
        ? `The service cannot answer now — trying again. ${now.detail}`
        : isBack
          ? "Connected again"
          : "";
  return html`<div role="status" class="connection" data-state=${text === "" ? "none" : now.state}>${text}</div>`;
};

/** @param {{ page: string }} props */
const Navigation = ({ page }) => {
  const who = useStore(session);
  const leave = () =>
    signOut().catch(() => tell("Not signed out: the service does not answer."));
  const shown = links.filter(([to]) => to !== "keys" || may("keys.list"));
  return html`<header>
    <a class="brand" href="#/"><img src="/console/icon.svg" alt="" width="20" height="20" /> Order service</a>
    <nav aria-label="Pages"><ul>
      ${shown.map(([to, name]) => html`<li><a href=${hrefOf(to)} aria-current=${to === page ? "page" : undefined}>${name}</a></li>`)}
    </ul></nav>
    <div class="who">
      <${Shortcuts} />
      <a href="/docs">API</a>
      ${
        who?.access === "keys" &&
        html`<span class="text faint" title="The name of the key">${who.name}</span>
          <button type="button" class="quiet" onClick=${leave}>Sign out</button>`
      }
    </div>
  </header>`;
};

/** @param {{ address: import("./router.js").Address }} props */
const Main = ({ address }) => {
  const [broken, mend] = useErrorBoundary();
  const name =
    address.page === "orders" && address.id !== undefined
      ? "order"
      : address.page;
  const [known, setKnown] = useState(
    /** @type {{ name: string, Page?: Page, fault?: Error } | undefined} */ (
      undefined
    ),
  );
  useEffect(() => {
    let isWanted = true;
    mend();
    pages[name]?.().then(
      (Page) => isWanted && setKnown({ name, Page }),
      (fault) => isWanted && setKnown({ name, fault }),
    );
    return () => {
      isWanted = false;
    };
  }, [name]);
  if (!(name in pages)) {
    return html`<${Heading} title="No such page" /><p>Nothing has this address. <a href="#/">Overview</a></p>`;
  }
  if (broken instanceof Error) {
    return html`<${Heading} title="Order service" /><${Fault} fault=${broken} />`;
  }
  if (known?.name !== name) return html`<${Loading} what="the page" />`;
  return known.Page === undefined
    ? html`<${Heading} title="Order service" /><${Fault} fault=${known.fault} />`
    : html`<${known.Page} key=${`${name}/${address.id ?? ""}`} address=${address} />`;
};

const App = () => {
  const address = useAddress();
  const who = useStore(session);
  const { state } = useStore(connection);
  useEffect(() => {
    if (who === undefined && state !== "lost") load();
  }, [who, state]);
  const body =
    who === undefined
      ? html`<main id="main"><${Loading} what="the console" /></main>`
      : who === null
        ? html`<${SignIn} />`
        : html`<${Navigation} page=${address.page} />
          <main id="main" tabindex="-1"><${Main} address=${address} /></main>`;
  return html`
    <${ConnectionLine} />
    <div class=${who ? "frame" : "frame alone"}>${body}</div>
    <${NoticeBar} />`;
};

/** Links within the page are no views of it. */
const Skip = () => {
  /** @param {MouseEvent} event */
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the page</a>`;
};

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
keepFocus(root);
render(html`<${Skip} /><${App} />`, root);
