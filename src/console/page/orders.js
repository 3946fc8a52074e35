/**
 * Orders, newest first. The first page is kept as it is now, until somebody reads
 * further down or selects: then it stands still, and says how many are new.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, cursorOf, urlOf } from "./api.js";
import { connection } from "./connection.js";
import { focusHeading } from "./focus.js";
import { useAtMostEvery, useEvents, usePoll } from "./live.js";
import { SelectionBar } from "./orderActions.js";
import { Filters, filterOf, isFiltered } from "./orderFilters.js";
import { OrderTable } from "./orderTable.js";
import { Copyable, Fault, Heading, Loading, placeCommand } from "./parts.js";
import { hrefOf } from "./router.js";
import { may } from "./session.js";
import { useStore } from "./store.js";
import { counted } from "./time.js";

/** @typedef {import("./orderTable.js").Order} Order */

/** Rows of a page. */
const pageRows = 50;

/** A filter that matches little gives short pages: so many are put together. */
const pagesMost = 8;

/** How often the first page is read, at most, and without events. */
const liveMillis = 1_000;
const pollMillis = { withEvents: 5_000, without: 2_000 };

/** From here on somebody reads further down, in pixels. */
const readingFrom = 160;

/** What an order is after an event. */
const statusAfter = {
  "order.placed": "PENDING",
  "order.retried": "PENDING",
  "order.attempt_failed": "PENDING",
  "order.completed": "COMPLETED",
  "order.failed": "FAILED",
  "order.cancelled": "CANCELLED",
};

/**
 * @param {import("./orderFilters.js").Filter} filter
 * @param {string | undefined} cursor
 */
const pageOf =
  (filter, cursor) =>
  /** @param {AbortSignal} signal */
  async (signal) => {
    /** @type {Array<Order>} */
    const orders = [];
    let at = cursor;
    for (let page = 0; page < pagesMost; page += 1) {
      const limit = pageRows - orders.length;
      const query = { ...filter, limit, cursor: at };
      const { answer, next } = await ask("orders.list", { query, signal });
      orders.push(...answer);
      at = cursorOf(next);
      if (at === undefined || orders.length >= pageRows) break;
    }
    return { orders, older: at };
  };

/** Whether somebody reads further down. */
const useIsReading = () => {
  const [isReading, setReading] = useState(false);
  useEffect(() => {
    const scrolled = () => setReading(scrollY > readingFrom);
    scrolled();
    addEventListener("scroll", scrolled, { passive: true });
    return () => removeEventListener("scroll", scrolled);
  }, []);
  return isReading;
};

/**
 * The page that is shown, and what is new since it stands still.
 *
 * @param {import("./orderFilters.js").Filter} filter
 * @param {string | undefined} cursor
 * @param {boolean} isHeld
 */
const useOrders = (filter, cursor, isHeld) => {
  const fresh = useRef(0);
  const [count, setCount] = useState(0);
  const [areEventsOff, setOff] = useState(false);
  // What was placed before a time does not become more.
  const hears = cursor === undefined && filter.created_before === undefined;
  const millis =
    hears && !areEventsOff ? pollMillis.withEvents : pollMillis.without;
  const polled = usePoll(
    pageOf(filter, cursor),
    millis,
    [filter, cursor],
    isHeld,
  );
  const act = useAtMostEvery(() => {
    if (isHeld) setCount(fresh.current);
    else polled.again();
  }, liveMillis);
  const state = useEvents(
    (type) => {
      const after = statusAfter[/** @type {keyof typeof statusAfter} */ (type)];
      const { status } = filter;
      const isNew =
        status.length === 0 ? type === "order.placed" : status.includes(after);
      if (isNew) fresh.current += 1;
      act();
    },
    { isOn: hears && !areEventsOff, userId: filter.user_id },
  );
  useEffect(() => {
    if (state === "off") setOff(true);
  }, [state]);
  useEffect(() => {
    fresh.current = 0;
    setCount(0);
  }, [isHeld, JSON.stringify([filter, cursor])]);
  return { polled, count };
};

/**
 * Whether the page is live; how many are new while it is not.
 *
 * @param {{ isHeld: boolean, count: number, isFirst: boolean, onShow: () => void }} props
 */
const Liveness = ({ count, isFirst, isHeld, onShow }) => {
  const isLost = useStore(connection).state === "lost";
  if (!isFirst)
    return html`<span class="faint">An older page: it stands still</span>`;
  return isHeld
    ? html`<span class="faint">Stands still while you read or select</span>
        <button type="button" class="small" onClick=${onShow}>${count === 0 ? "Go on" : `Show ${count.toLocaleString("en")} new`}</button>`
    : isLost
      ? html`<span class="faint">Not live: the connection is lost</span>`
      : html`<span class="live"><span aria-hidden="true">●</span> Live</span>`;
};

/** @param {{ filter: import("./orderFilters.js").Filter, isOlder: boolean }} props */
const None = ({ filter, isOlder }) => {
  if (isOlder) return html`<p class="empty">No older orders match.</p>`;
  if (isFiltered(filter)) {
    return html`<p class="empty">No order matches. <a href=${hrefOf("orders")}>Clear filters</a></p>`;
  }
  return html`<section class="box"><h2>No order yet</h2>
    <p>Place a first one from a terminal; it shows here at once:</p>
    <${Copyable} text=${placeCommand()} what="the command" />
  </section>`;
};

/**
 * All that the filters match, as a file.
 *
 * @param {{ filter: import("./orderFilters.js").Filter }} props
 */
const Download = ({ filter }) =>
  ["csv", "ndjson"].map(
    (format) =>
      html`<a download=${`orders.${format}`} href=${urlOf("orders.export", { query: { ...filter, format } })}>Download ${format.toUpperCase()}</a>`,
  );

/** @param {{ address: import("./router.js").Address }} props */
export const Orders = ({ address }) => {
  const filter = filterOf(address.query);
  const cursor = address.query.get("cursor") ?? undefined;
  const [selected, setSelected] = useState(
    /** @type {ReadonlySet<string>} */ (new Set()),
  );
  const isReading = useIsReading();
  const isHeld = isReading || selected.size > 0 || cursor !== undefined;
  const { count, polled } = useOrders(filter, cursor, isHeld);
  const where = address.query.toString();
  const before = useRef(cursor);
  useEffect(() => {
    // Another page begins at its top.
    if (before.current !== cursor) focusHeading();
    before.current = cursor;
  }, [cursor]);
  useEffect(() => setSelected(new Set()), [where]);
  const { data, fault } = polled;
  const orders = data?.orders ?? [];
  /** @param {string} id */
  const toggle = (id) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setSelected(next);
  };
  const clear = () => setSelected(new Set());
  const toggleAll = () =>
    setSelected(
      orders.every((one) => selected.has(one.order_id))
        ? new Set()
        : new Set(orders.map((one) => one.order_id)),
    );
  const show = () => {
    clear();
    scrollTo({ top: 0 });
  };
  const mayOperate = may("orders.retry");
  const isOlder = cursor !== undefined;
  return html`
    <${Heading} title="Orders"><${Liveness} isHeld=${isHeld} count=${count} isFirst=${!isOlder} onShow=${show} /><//>
    <${Filters} filter=${filter} />
    <${Fault} fault=${fault} />
    <${SelectionBar} actions=${["retry", "cancel"]} orders=${orders.filter((one) => selected.has(one.order_id))} onClear=${clear} onDone=${() => {
      clear();
      polled.again();
    }} />
    ${
      data === undefined
        ? fault === undefined && html`<${Loading} what="orders" />`
        : orders.length === 0
          ? html`<${None} filter=${filter} isOlder=${isOlder} />`
          : html`<${OrderTable} caption="Orders, newest first" orders=${orders} selected=${selected} onSelect=${mayOperate ? toggle : undefined} onSelectAll=${toggleAll} />`
    }
    <nav class="pages" aria-label="Pages of orders">
      ${isOlder && html`<a class="button" href=${hrefOf("orders", { query: { ...filter } })}>Newest</a>`}
      ${data?.older !== undefined && html`<a class="button" href=${hrefOf("orders", { query: { ...filter, cursor: data.older } })}>Older</a>`}
      <${Download} filter=${filter} />
      ${data !== undefined && html`<span class="faint">${counted(orders.length, "order")} on this page</span>`}
    </nav>`;
};
