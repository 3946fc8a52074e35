/** Dead letters: orders that are FAILED, by why, and what to do with them. */
import { html } from "htm/preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { call } from "./api.js";
import { groupsOf } from "./deadLetterGroups.js";
import { newest } from "./deadLetterPages.js";
import { usePoll } from "./live.js";
import { SelectionBar } from "./orderActions.js";
import { OrderTable } from "./orderTable.js";
import { Fault, Heading, Lacking, Loading, Table } from "./parts.js";
import { RetryAll } from "./retryAll.js";
import { hrefOf } from "./router.js";
import { lacking } from "./session.js";
import { ago, counted, countOf, Time } from "./time.js";

/** How often they are read, in milliseconds. */
const pollMillis = 5_000;

/** Rows that are shown at first, and then each time more are wanted. */
const rowsStep = 50;

/** In the address an order without a reason has this. */
const noReason = "(none)";

/** @param {string | null} error */
const textOf = (error) => error ?? "No reason was told";

/**
 * @param {{ groups: ReadonlyArray<import("./deadLetterGroups.js").Group>, chosen: string | undefined, onRetry: (error: string) => void }} props
 */
const Groups = ({ chosen, groups, onRetry }) => {
  const scope = lacking("orders.retryMany");
  return html`<${Table} caption="Dead letters by error" class="groups" columns=${[
    { name: "Error" },
    { name: "Orders", class: "number" },
    { name: "Latest" },
    { name: html`<span class="unseen">What to do</span>` },
  ]}>${groups.map(({ count, error, newest: at }) => {
    const key = error ?? noReason;
    return html`<tr key=${key} data-selected=${key === chosen}>
      <th scope="row"><a class="text error" data-row aria-current=${key === chosen ? "true" : undefined} href=${hrefOf("dead-letters", { query: { error: key === chosen ? undefined : key } })}>${textOf(error)}</a></th>
      <td class="number">${countOf(count)}</td>
      <td class="nowrap"><${Time} at=${at} /> <span class="faint">${ago(at)}</span></td>
      <td class="end">${
        error !== null &&
        html`<button type="button" class="small" disabled=${scope !== undefined} onClick=${() => onRetry(error)}>Retry all …<span class="unseen"> of: ${error}</span></button>`
      }</td>
    </tr>`;
  })}<//>`;
};

const None = () => html`<section class="box good">
  <p><span aria-hidden="true">✓</span> There are no dead letters.</p>
  <p class="faint">An order becomes one when its attempts are used up, or when an attempt fails for good. It then stands here, with its error, until somebody retries it.</p>
</section>`;

/** @param {AbortSignal} signal */
const read = async (signal) => {
  const [metrics, { isMore, orders }] = await Promise.all([
    call("orders.metrics", { signal }),
    newest(signal),
  ]);
  // Counts go on counting those that were archived.
  const total = isMore ? metrics.status_counts.FAILED : orders.length;
  return { total, isMore, orders };
};

/** @param {{ read: number, isMore: boolean, groups: number }} props */
const HowMany = ({ groups, isMore, read: count }) =>
  html`<p class="faint">${counted(groups, "error")}${isMore ? `, of the newest ${countOf(count)} dead letters` : ""}. Choose one to see its orders.</p>`;

/** @param {{ address: import("./router.js").Address }} props */
export const DeadLetters = ({ address }) => {
  const chosen = address.query.get("error") ?? undefined;
  const [selected, setSelected] = useState(
    /** @type {ReadonlySet<string>} */ (new Set()),
  );
  const [rows, setRows] = useState(rowsStep);
  const [retrying, setRetrying] = useState(
    /** @type {{ error: string | undefined } | undefined} */ (undefined),
  );
  const isHeld = selected.size > 0 || retrying !== undefined;
  const { again, data, fault } = usePoll(read, pollMillis, [], isHeld);
  const groups = useMemo(() => groupsOf(data?.orders ?? []), [data]);
  const orders = (data?.orders ?? []).filter(
    ({ last_error: error }) =>
      chosen === undefined || (error ?? noReason) === chosen,
  );
  useEffect(() => {
    setSelected(new Set());
    setRows(rowsStep);
  }, [chosen]);
  const shown = orders.slice(0, rows);
  /** @param {string} id */
  const toggle = (id) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setSelected(next);
  };
  const clear = () => setSelected(new Set());
  const close = () => {
    setRetrying(undefined);
    again();
  };
  const scope = lacking("orders.retryMany");
  const list = html`
    <${SelectionBar} actions=${["retry"]} orders=${orders.filter((one) => selected.has(one.order_id))} onClear=${clear} onDone=${() => {
      clear();
      again();
    }} />
    <${OrderTable} caption="Dead letters, newest first" orders=${shown} selected=${selected} onSelect=${scope === undefined ? toggle : undefined}
      onSelectAll=${() => setSelected(shown.every((one) => selected.has(one.order_id)) ? new Set() : new Set(shown.map((one) => one.order_id)))} />
    <div class="pages">
      ${orders.length > rows && html`<button type="button" onClick=${() => setRows(rows + rowsStep)}>Show more</button>`}
      <span class="faint">${countOf(shown.length)} of ${countOf(orders.length)}${data?.isMore ? ` among the newest ${countOf(data.orders.length)}` : ""}</span>
      ${data?.isMore && html`<a href=${hrefOf("orders", { query: { status: "FAILED" } })}>All dead letters, page by page</a>`}
    </div>`;
  return html`
    <${Heading} title="Dead letters">
      ${data !== undefined && html`<span class="faint">${countOf(data.total)} in all</span>`}
      <${Lacking} scope=${scope} />
      ${data !== undefined && groups.length > 0 && html`<button type="button" disabled=${scope !== undefined} onClick=${() => setRetrying({ error: undefined })}>Retry all dead letters …</button>`}
    <//>
    <${Fault} fault=${fault} />
    ${
      data === undefined
        ? fault === undefined && html`<${Loading} what="dead letters" />`
        : data.orders.length === 0
          ? html`<${None} />`
          : html`<section aria-label="By error">
              <${HowMany} groups=${groups.length} read=${data.orders.length} isMore=${data.isMore} />
              <${Groups} groups=${groups} chosen=${chosen} onRetry=${(/** @type {string} */ error) => setRetrying({ error })} />
            </section>
            <section><h2 class="text">${chosen === undefined ? "Newest" : chosen === noReason ? textOf(null) : chosen}</h2>
              ${chosen !== undefined && html`<p><a href=${hrefOf("dead-letters")}>Show those of all errors</a></p>`}
              ${orders.length === 0 ? html`<p class="empty">None of the newest dead letters has this error any more.</p>` : list}
            </section>`
    }
    ${retrying !== undefined && html`<${RetryAll} error=${retrying.error} onClose=${close} />`}`;
};
