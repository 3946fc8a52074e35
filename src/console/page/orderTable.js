/** Orders as rows. */
import { html } from "htm/preact";
import { Status } from "./parts.js";
import { orderHref } from "./router.js";
import { ago, lengthOf, moneyOf, secondsSince, Time } from "./time.js";

/** @typedef {import("./contract.js").Answer<"orders.find">} Order */

/**
 * Why an order is where it is, in a few words.
 *
 * @param {Order} order
 */
export const whyOf = (order) => {
  switch (order.status) {
    case "PENDING":
      return order.next_attempt_at === null
        ? order.last_error
        : `next attempt ${ago(order.next_attempt_at)}${order.last_error === null ? "" : `: ${order.last_error}`}`;
    case "PROCESSING":
      return order.processing_started_at === null
        ? null
        : `for ${lengthOf(Math.max(0, secondsSince(order.processing_started_at)))}`;
    case "COMPLETED":
      return order.processing_completed_at === null
        ? null
        : `${lengthOf(Math.max(0, secondsSince(order.created_at, order.processing_completed_at)))} after it was placed`;
    default:
      return order.last_error;
  }
};

/** @param {{ order: Order, isSelected: boolean, onSelect: ((id: string) => void) | undefined }} props */
const Row = ({
  isSelected,
  onSelect,
  order,
}) => html`<tr data-selected=${isSelected}>
  ${
    onSelect !== undefined &&
    html`<td class="pick"><label><span class="unseen">Select ${order.order_id}</span><input type="checkbox" checked=${isSelected} onChange=${() => onSelect(order.order_id)} /></label></td>`
  }
  <th scope="row"><a class="cut id" data-row href=${orderHref(order.order_id)} title=${order.order_id}>${order.order_id}</a></th>
  <td><${Status} is=${order.status} /></td>
  <td><span class="cut id" title=${order.user_id}>${order.user_id}</span></td>
  <td class="number">${moneyOf(order.total_amount)}</td>
  <td class="nowrap"><${Time} at=${order.created_at} /></td>
  <td class="number">${order.attempts}</td>
  <td><span class="cut why">${whyOf(order)}</span></td>
</tr>`;

/**
 * @param {{ caption: string, orders: ReadonlyArray<Order>, selected: ReadonlySet<string>, onSelect?: ((id: string) => void) | undefined, onSelectAll?: (() => void) | undefined }} props
 * without `onSelect` nothing can be selected
 */
export const OrderTable = ({
  caption,
  onSelect,
  onSelectAll,
  orders,
  selected,
}) => {
  const isAll =
    orders.length > 0 && orders.every((one) => selected.has(one.order_id));
  return html`<div class="scroll" role="region" aria-label=${caption} tabindex="0"><table class="orders">
    <caption class="unseen">${caption}</caption>
    <thead><tr>
      ${
        onSelect !== undefined &&
        html`<th scope="col" class="pick"><label><span class="unseen">Select all on this page</span><input type="checkbox" checked=${isAll} onChange=${onSelectAll} /></label></th>`
      }
      <th scope="col">Order</th><th scope="col">Status</th><th scope="col">User</th>
      <th scope="col" class="number">Amount</th><th scope="col">Placed</th>
      <th scope="col" class="number">Attempts</th><th scope="col">Why, since when</th>
    </tr></thead>
    <tbody>${orders.map(
      (order) =>
        html`<${Row} key=${order.order_id} order=${order} onSelect=${onSelect} isSelected=${selected.has(order.order_id)} />`,
    )}</tbody>
  </table></div>`;
};
