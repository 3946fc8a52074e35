/** Who gets events posted, and how that goes. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { call, faultOf, Problem } from "./api.js";
import { eventTypes } from "./contract.js";
import { Confirm } from "./dialog.js";
import { usePoll } from "./live.js";
import { tell } from "./notice.js";
import { Copyable, Fault, Heading, Loading, Status, Table } from "./parts.js";
import { lacking } from "./session.js";
import { ago, countOf, lengthOf, Time } from "./time.js";

/** How often they are read, in milliseconds. */
const pollMillis = 3_000;

/** @typedef {import("./contract.js").Answer<"subscriptions.find">} Subscription */

/** @param {{ of: Subscription }} props */
const Delivery = ({ of }) => {
  if (of.failing_since === null) {
    return of.delivered_at === null
      ? html`<span class="faint">nothing yet</span>`
      : html`<${Time} at=${of.delivered_at} />`;
  }
  return html`<span class="bad-text text">${of.last_error ?? "fails"}</span>
    <span class="faint">since <${Time} at=${of.failing_since} />, ${countOf(of.failures)} times${of.next_attempt_at === null ? "" : `, again ${ago(of.next_attempt_at)}`}</span>`;
};

/**
 * @param {{ of: Subscription, onAct: (action: "test" | "pause" | "resume" | "remove", of: Subscription) => void }} props
 */
const Row = ({ of, onAct }) => {
  const [isAsked, setAsked] = useState(false);
  const unseen = html`<span class="unseen"> ${of.url}</span>`;
  return html`<tr>
    <th scope="row"><span class="text">${of.url}</span><br /><span class="faint">${of.types.length === 0 ? "all types" : of.types.join(", ")}</span></th>
    <td><${Status} is=${of.status} />${of.reason !== null && html`<p class="text faint">${of.reason}</p>`}</td>
    <td class="number">${of.lag_seconds === 0 ? "none" : lengthOf(of.lag_seconds)}</td>
    <td class="number">${countOf(of.delivered)}</td>
    <td><${Delivery} of=${of} /></td>
    <td><div class="row-actions">
      <button type="button" class="small" onClick=${() => onAct("test", of)}>Test${unseen}</button>
      ${
        of.status === "ACTIVE"
          ? html`<button type="button" class="small" onClick=${() => onAct("pause", of)}>Pause${unseen}</button>`
          : html`<button type="button" class="small" onClick=${() => onAct("resume", of)}>Resume${unseen}</button>`
      }
      <button type="button" class="small danger" onClick=${() => setAsked(true)}>Delete${unseen}</button>
      ${
        isAsked &&
        html`<${Confirm} title="Delete this subscription?" action="Delete" isDangerous onNo=${() => setAsked(false)} onYes=${() => {
          setAsked(false);
          onAct("remove", of);
        }}><p>${of.url}</p><p>Nothing is posted there any more, and its place is lost.</p><//>`
      }
    </div></td>
  </tr>`;
};

/** @param {{ onMade: (secret: string) => void }} props */
const Make = ({ onMade }) => {
  const [fault, setFault] = useState(
    /** @type {Error | undefined} */ (undefined),
  );
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const element = /** @type {HTMLFormElement} */ (event.currentTarget);
    const form = new FormData(element);
    try {
      const secret = String(form.get("secret")).trim();
      const body = {
        url: String(form.get("url")).trim(),
        types: form.getAll("types"),
        ...(secret === "" ? {} : { secret }),
      };
      const made = await call("subscriptions.subscribe", { body });
      setFault(undefined);
      element.reset();
      onMade(made.secret);
    } catch (error) {
      setFault(faultOf(error));
    }
  };
  return html`<section><h2>Subscribe</h2>
    <${Fault} fault=${fault} />
    <form class="stack" onSubmit=${submit}>
      <div class="field wide"><label for="url">Where events are posted to</label>
        <input id="url" name="url" type="url" required placeholder="https://…" spellcheck=${false} /></div>
      <div class="field wide"><label for="secret">Secret; empty: one is made</label>
        <input id="secret" name="secret" autocomplete="off" spellcheck=${false} placeholder="whsec_…" /></div>
      <fieldset class="choice"><legend>Types; none is all</legend>${eventTypes.map(
        (type) =>
          html`<label><input type="checkbox" name="types" value=${type} />${type}</label>`,
      )}</fieldset>
      <button type="submit" class="primary">Subscribe</button>
    </form>
  </section>`;
};

/** @param {{ secret: string, onClose: () => void }} props */
const Secret = ({
  onClose,
  secret,
}) => html`<section class="box warn" aria-label="Secret">
  <p><strong>The secret, shown this once.</strong> The receiver checks signatures with it.</p>
  <${Copyable} text=${secret} what="the secret" />
  <button type="button" onClick=${onClose}>Done</button>
</section>`;

const columns = [
  { name: "Receiver" },
  { name: "Status" },
  { name: "Lag", class: "number" },
  { name: "Delivered", class: "number" },
  { name: "Last delivery" },
  { name: html`<span class="unseen">What to do</span>` },
];

export const Subscriptions = () => {
  const [failed, setFailed] = useState(
    /** @type {Error | undefined} */ (undefined),
  );
  const [secret, setSecret] = useState(
    /** @type {string | undefined} */ (undefined),
  );
  const scope = lacking("subscriptions.list");
  const { again, data, fault } = usePoll(
    async (signal) =>
      scope === undefined ? call("subscriptions.list", { signal }) : [],
    pollMillis,
    [scope],
  );
  /** @param {"test" | "pause" | "resume" | "remove"} action @param {Subscription} of */
  const act = async (action, of) => {
    try {
      const params = { id: of.id };
      if (action === "test") {
        const { delivered, error, status } = await call("subscriptions.test", {
          params,
        });
        tell(
          delivered
            ? `The receiver took the test (${status}).`
            : `The test failed: ${error ?? `answered ${status}`}`,
        );
      } else {
        await call(`subscriptions.${action}`, { params });
        tell(
          {
            pause: "Paused: it keeps its place.",
            remove: "Deleted.",
            resume: "Resumed at its place.",
          }[action],
        );
      }
      setFailed(undefined);
    } catch (error) {
      setFailed(faultOf(error));
    }
    again();
  };
  if (scope !== undefined) {
    return html`<${Heading} title="Subscriptions" /><p class="box">Your key does not have the scope <code>${scope}</code>, which subscriptions need.</p>`;
  }
  const areOff = fault instanceof Problem && fault.status === 409;
  return html`
    <${Heading} title="Subscriptions" />
    <${Fault} fault=${failed ?? fault} />
    ${secret !== undefined && html`<${Secret} secret=${secret} onClose=${() => setSecret(undefined)} />`}
    ${
      data === undefined
        ? fault === undefined && html`<${Loading} what="subscriptions" />`
        : data.length === 0
          ? html`<p class="empty">Nobody gets events posted yet. Subscribe a receiver below: it gets what happens from then on, in order, signed.</p>`
          : html`<${Table} caption="Subscriptions, oldest first" columns=${columns}>${data.map(
              (of) => html`<${Row} key=${of.id} of=${of} onAct=${act} />`,
            )}<//>`
    }
    ${
      !areOff &&
      html`<${Make} onMade=${(/** @type {string} */ made) => {
        setSecret(made);
        again();
      }} />`
    }`;
};
