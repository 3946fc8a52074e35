/** An order: what it is, what became of it, and what can be done with it. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { call, faultOf, Problem } from "./api.js";
import { reservedOrderIds } from "./contract.js";
import { Confirm } from "./dialog.js";
import { useAtMostEvery, useEvents, usePoll } from "./live.js";
import { tell } from "./notice.js";
import {
  CopyButton,
  Facts,
  Fault,
  Heading,
  Lacking,
  Loading,
  Status,
} from "./parts.js";
import { hrefOf } from "./router.js";
import { lacking } from "./session.js";
import { ago, counted, lengthOf, moneyOf, secondsSince, Time } from "./time.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./orderTable.js").Order} Order */

/** How often it is read, in milliseconds: as it may change, or is final. */
const pollMillis = { open: 2_000, final: 15_000, processing: 3_000 };
const liveMillis = 500;

/** Items that are shown at first. */
const itemsFirst = 50;

/** @param {Order} order */
const isOpen = ({ status }) => status === "PENDING" || status === "PROCESSING";

/** @param {string} order_id */
const orderOf = (order_id) => async (/** @type {AbortSignal} */ signal) => {
  // A word of the service's paths would ask for something else.
  if (reservedOrderIds.includes(order_id)) return null;
  try {
    const request = { params: { order_id }, signal };
    const [order, history] = await Promise.all([
      call("orders.find", request),
      call("orders.history", request),
    ]);
    return { order, history };
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
};

/**
 * Why an order waits that has no time for its next attempt.
 *
 * @param {{ order: Order }} props
 */
const Waiting = ({ order }) => {
  const { data } = usePoll(
    (signal) => call("processing.get", { signal }),
    pollMillis.processing,
    [],
  );
  const length = lengthOf(Math.max(0, secondsSince(order.updated_at)));
  if (data?.state === "PAUSED") {
    return html`<p class="box warn">It has waited for ${length}: processing is PAUSED, and no order begins. <a href=${hrefOf("processing")}>Resume it on Processing</a></p>`;
  }
  if (data?.receiver?.circuit === "OPEN") {
    return html`<p class="box warn text">It has waited for ${length}: the receiver is away${data.receiver.last_error === null ? "" : `, ${data.receiver.last_error}`}. <a href=${hrefOf("processing")}>Processing</a></p>`;
  }
  return html`<p class="box">It has waited for its turn for ${length}. <a href=${hrefOf("processing")}>Processing</a></p>`;
};

/**
 * Why it is where it is, and until when.
 *
 * @param {{ order: Order }} props
 */
const Why = ({ order }) => {
  const { last_error: error, next_attempt_at: next } = order;
  switch (order.status) {
    case "PENDING":
      return next === null
        ? html`<${Waiting} order=${order} />`
        : html`<p class="box warn text">It waits for its next attempt, <${Time} at=${next} /> (${ago(next)})${error === null ? "." : `, because the last one failed: ${error}`}</p>`;
    case "PROCESSING":
      return html`<p class="box">An attempt is under way${order.processing_started_at !== null && html`, since <${Time} at=${order.processing_started_at} />`}.</p>`;
    case "FAILED":
      return html`<p class="box bad text">It is a dead letter: ${error ?? "no reason was told"}. It stays so until somebody retries it.</p>`;
    default:
      return null;
  }
};

/** @param {{ order: Order }} props */
const OrderFacts = ({ order }) =>
  html`<${Facts} of=${[
    ["Status", html`<${Status} is=${order.status} />`],
    [
      "User",
      html`<a class="text" href=${hrefOf("orders", { query: { user_id: order.user_id } })}>${order.user_id}</a>`,
    ],
    ["Amount", moneyOf(order.total_amount)],
    ["Attempts", order.attempts],
    ["Placed", html`<${Time} at=${order.created_at} />`],
    ["Changed", html`<${Time} at=${order.updated_at} />`],
    [
      "Latest attempt",
      html`<${Time} at=${order.processing_started_at} none="none" />`,
    ],
    ["Next attempt", html`<${Time} at=${order.next_attempt_at} none="none" />`],
    [
      "Completed",
      html`<${Time} at=${order.processing_completed_at} none="not yet" />`,
    ],
  ]} />`;

/** @param {{ items: ReadonlyArray<unknown> }} props */
const Items = ({ items }) => {
  const [isAll, setAll] = useState(false);
  const shown = isAll ? items : items.slice(0, itemsFirst);
  return html`<section><h2>${counted(items.length, "item")}</h2>
    <ul class="plain items">${shown.map(
      (item) =>
        html`<li class="text">${typeof item === "string" ? item : JSON.stringify(item)}</li>`,
    )}</ul>
    ${shown.length < items.length && html`<button type="button" onClick=${() => setAll(true)}>Show all ${items.length}</button>`}
  </section>`;
};

const actions = {
  retry: { name: "Retry", from: "FAILED" },
  cancel: { name: "Cancel", from: "PENDING" },
};

/** @param {{ order: Order, onDone: () => void, onFault: (fault: Error | undefined) => void }} props */
const Actions = ({ onDone, onFault, order }) => {
  const [isAsked, setAsked] = useState(false);
  const [isDoing, setDoing] = useState(false);
  /** @param {"retry" | "cancel"} action */
  const run = async (action) => {
    setAsked(false);
    if (isDoing) return;
    setDoing(true);
    try {
      const params = { order_id: order.order_id };
      const { status } = await call(`orders.${action}`, { params });
      onFault(undefined);
      tell(
        `${action === "retry" ? "Retried" : "Cancelled"}: the order is ${status}.`,
      );
    } catch (error) {
      onFault(faultOf(error));
    } finally {
      setDoing(false);
      onDone();
    }
  };
  /** @type {ReadonlyArray<"retry" | "cancel">} */
  const possible = ["retry", "cancel"];
  return html`${possible.map((action) => {
    const { from, name } = actions[action];
    if (order.status !== from) return null;
    const scope = lacking(`orders.${action}`);
    return html`<${Lacking} scope=${scope} />
      <button type="button" class=${action === "retry" ? "primary" : "danger"} disabled=${scope !== undefined} aria-busy=${isDoing} onClick=${() => (action === "cancel" ? setAsked(true) : run(action))}>${name}</button>`;
  })}
  ${
    isAsked &&
    html`<${Confirm} title="Cancel this order?" action="Cancel order" isDangerous onNo=${() => setAsked(false)} onYes=${() => run("cancel")}>A cancelled order stays so.<//>`
  }`;
};

/** @param {{ id: string }} props */
const NotFound = ({ id }) => html`
  <${Heading} title="No such order" />
  <p class="text">There is no order <code>${id}</code>. Ids are told apart by their case, and an order that was archived is not here any more.</p>
  <p><a href=${hrefOf("orders")}>Orders</a></p>`;

/** @param {{ address: import("./router.js").Address }} props */
export const OrderPage = ({ address }) => {
  const id = address.id ?? "";
  const [fault, setFault] = useState(
    /** @type {Error | undefined} */ (undefined),
  );
  const [millis, setMillis] = useState(pollMillis.open);
  const polled = usePoll(orderOf(id), millis, [id]);
  const order = polled.data?.order;
  const wanted =
    order === undefined || isOpen(order) ? pollMillis.open : pollMillis.final;
  if (wanted !== millis) setMillis(wanted);
  const read = useAtMostEvery(polled.again, liveMillis);
  const subject = JSON.stringify(id);
  useEvents((_, data) => data.includes(subject) && read(), {
    isOn: order !== undefined,
    userId: order?.user_id,
  });
  if (polled.data === null) return html`<${NotFound} id=${id} />`;
  if (order === undefined) {
    return html`<${Heading} title=${`Order ${id}`} /><${Fault} fault=${polled.fault} />
      ${polled.fault === undefined && html`<${Loading} what="the order" />`}`;
  }
  return html`
    <${Heading} title=${`Order ${id}`}>
      <${Actions} order=${order} onDone=${polled.again} onFault=${setFault} />
      <${CopyButton} text=${id} what="the order id" shown=${() => document.querySelector("h1")}>Copy id<//>
    <//>
    <${Fault} fault=${fault ?? polled.fault} />
    <${Why} order=${order} />
    <${OrderFacts} order=${order} />
    <${Timeline} entries=${polled.data?.history ?? []} />
    <${Items} items=${order.item_ids} />`;
};
