/** Which orders are listed: as fields, and as it stands in the address. */
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { reservedOrderIds, statuses } from "./contract.js";
import { tell } from "./notice.js";
import { go, hrefOf, orderHref } from "./router.js";
import { inputOf, momentOf, zone } from "./time.js";

/**
 * The filters in an address, as the API takes them.
 *
 * @param {URLSearchParams} query
 */
export const filterOf = (query) => ({
  status: query.getAll("status"),
  user_id: query.get("user_id") ?? undefined,
  created_after: query.get("created_after") ?? undefined,
  created_before: query.get("created_before") ?? undefined,
});

/** @typedef {ReturnType<typeof filterOf>} Filter */

/** @param {Filter} filter */
export const isFiltered = ({ status, ...rest }) =>
  status.length > 0 || Object.values(rest).some((value) => value !== undefined);

/**
 * @param {FormData} form
 * @returns {Filter}
 */
const filterIn = (form) => {
  /** @param {string} name */
  const textOf = (name) => String(form.get(name) ?? "").trim();
  return {
    status: form.getAll("status").map(String),
    user_id: textOf("user_id") || undefined,
    created_after: momentOf(textOf("created_after")),
    created_before: momentOf(textOf("created_before")),
  };
};

/** An id goes straight to its order. */
const Find = () => {
  /** @param {SubmitEvent} event */
  const find = (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const id = String(new FormData(form).get("order_id") ?? "").trim();
    if (reservedOrderIds.includes(id)) tell(`No order can be called ${id}.`);
    else if (id !== "") go(orderHref(id));
  };
  return html`<form role="search" aria-label="Find an order" class="find" onSubmit=${find}>
    <label for="order_id">Order id</label>
    <input id="order_id" name="order_id" autocomplete="off" spellcheck=${false} />
    <button type="submit">Find</button>
  </form>`;
};

/**
 * A field that is as the address says when that changes; what somebody writes in
 * it meanwhile stays.
 *
 * @param {{ name: string, label: string, value: string, type?: string }} props
 */
const Field = ({ label, name, type = "text", value }) => {
  const ref = useRef(/** @type {HTMLInputElement | null} */ (null));
  useLayoutEffect(() => {
    if (ref.current !== null) ref.current.value = value;
  }, [value]);
  return html`<div class="field"><label for=${name}>${label}</label>
    <input id=${name} name=${name} ref=${ref} type=${type} step=${type === "text" ? undefined : "1"} title=${type === "text" ? undefined : `In ${zone}`} autocomplete="off" spellcheck=${false} /></div>`;
};

/** @param {{ filter: Filter }} props */
export const Filters = ({ filter }) => {
  /** @param {HTMLFormElement} form */
  const apply = (form) =>
    go(hrefOf("orders", { query: filterIn(new FormData(form)) }));
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    apply(/** @type {HTMLFormElement} */ (event.currentTarget));
  };
  /** @param {Event} event */
  const picked = (event) =>
    apply(
      /** @type {HTMLFormElement} */ (
        /** @type {HTMLInputElement} */ (event.currentTarget).form
      ),
    );
  return html`<div class="filters">
    <${Find} />
    <form aria-label="Filter orders" onSubmit=${submit}>
      <fieldset class="choice"><legend>Status</legend>${statuses.map(
        (status) =>
          html`<label><input type="checkbox" name="status" value=${status} checked=${filter.status.includes(status)} onChange=${picked} />${status}</label>`,
      )}</fieldset>
      <${Field} name="user_id" label="User id" value=${filter.user_id ?? ""} />
      <${Field} name="created_after" label="Placed from" type="datetime-local" value=${inputOf(filter.created_after ?? null)} />
      <${Field} name="created_before" label="Placed before" type="datetime-local" value=${inputOf(filter.created_before ?? null)} />
      <button type="submit">Filter</button>
      ${isFiltered(filter) && html`<a class="button quiet" href=${hrefOf("orders")}>Clear filters</a>`}
    </form>
  </div>`;
};
