/** Who may do what, where access is closed. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { call, faultOf } from "./api.js";
import { scopes } from "./contract.js";
import { Confirm, Dialog } from "./dialog.js";
import { usePoll } from "./live.js";
import { tell } from "./notice.js";
import { Copyable, Fault, Heading, Loading, Table } from "./parts.js";
import { lacking, session } from "./session.js";
import { momentOf, Time, zone } from "./time.js";

/** How often they are read, in milliseconds. */
const pollMillis = 10_000;

/** @typedef {import("./contract.js").Answer<"keys.list">[number]} Key */

/** How long an old key may go on after a roll, in seconds. */
const graces = [
  ["0", "not at all"],
  ["3600", "for an hour"],
  ["86400", "for a day"],
  ["604800", "for a week"],
];

/** @param {Key} key */
const endedOf = ({ expires_at: expires, revoked_at: revoked }) => {
  if (revoked !== null) return "revoked";
  return expires !== null && new Date(expires).getTime() < Date.now()
    ? "expired"
    : undefined;
};

/** @param {{ of: Key, onClose: () => void, onRoll: (grace: number) => void }} props */
const Roll = ({ of, onClose, onRoll }) => {
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(
      /** @type {HTMLFormElement} */ (event.currentTarget),
    );
    onRoll(Number(form.get("grace")));
  };
  return html`<${Dialog} title=${`Roll the key of ${of.name}`} onClose=${onClose}>
    <form onSubmit=${submit}>
      <p>A new key takes its place, with the same name and scopes.</p>
      <label for="grace">The old one goes on</label>
      <select id="grace" name="grace">${graces.map(([value, name]) => html`<option value=${value}>${name}</option>`)}</select>
      <div class="actions end"><button type="button" onClick=${onClose}>Back</button><button type="submit" class="primary">Roll key</button></div>
    </form>
  <//>`;
};

/** @param {{ of: Key, onRoll: (of: Key, grace: number) => void, onRevoke: (of: Key) => void }} props */
const Row = ({ of, onRevoke, onRoll }) => {
  const [asked, setAsked] = useState(
    /** @type {"roll" | "revoke" | undefined} */ (undefined),
  );
  const ended = endedOf(of);
  const close = () => setAsked(undefined);
  return html`<tr class=${ended === undefined ? "" : "ended"}>
    <th scope="row" class="text">${of.name}</th>
    <td><code>${of.start}…</code></td>
    <td>${of.scopes.join(", ")}</td>
    <td>${of.rate_limit ?? html`<span class="faint">as RATE_LIMIT</span>`}</td>
    <td class="nowrap"><${Time} at=${of.created_at} /></td>
    <td>${
      ended === undefined
        ? html`<${Time} at=${of.expires_at} none="never" />${of.old_key_until !== null && html`<br /><span class="faint">old key until <${Time} at=${of.old_key_until} /></span>`}`
        : html`${ended} <${Time} at=${of.revoked_at ?? of.expires_at} />`
    }</td>
    <td><div class="row-actions">${
      ended === undefined &&
      html`<button type="button" class="small" onClick=${() => setAsked("roll")}>Roll<span class="unseen"> ${of.name}</span></button>
        <button type="button" class="small danger" onClick=${() => setAsked("revoke")}>Revoke<span class="unseen"> ${of.name}</span></button>`
    }
    ${
      asked === "roll" &&
      html`<${Roll} of=${of} onClose=${close} onRoll=${(
        /** @type {number} */ grace,
      ) => {
        close();
        onRoll(of, grace);
      }} />`
    }
    ${
      asked === "revoke" &&
      html`<${Confirm} title=${`Revoke the key of ${of.name}?`} action="Revoke key" isDangerous onNo=${close} onYes=${() => {
        close();
        onRevoke(of);
      }}>Within 10 s it is refused everywhere, and cannot be brought back.<//>`
    }</div></td>
  </tr>`;
};

/** @param {FormData} form */
const bodyIn = (form) => {
  /** @param {string} name */
  const textOf = (name) => String(form.get(name) ?? "").trim();
  return {
    name: textOf("name"),
    scopes: form.getAll("scopes"),
    expires_at: momentOf(textOf("expires_at")) ?? null,
    rate_limit: textOf("rate_limit") || null,
  };
};

/** @param {{ onMade: (key: string) => void }} props */
const Make = ({ onMade }) => {
  const [fault, setFault] = useState(
    /** @type {Error | undefined} */ (undefined),
  );
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const element = /** @type {HTMLFormElement} */ (event.currentTarget);
    try {
      const { key } = await call("keys.make", {
        body: bodyIn(new FormData(element)),
      });
      setFault(undefined);
      element.reset();
      onMade(key);
    } catch (error) {
      setFault(faultOf(error));
    }
  };
  return html`<section><h2>Make a key</h2>
    <${Fault} fault=${fault} />
    <form class="stack" onSubmit=${submit}>
      <div class="field"><label for="name">Whose it is</label><input id="name" name="name" required maxlength="50" autocomplete="off" /></div>
      <fieldset class="choice"><legend>Scopes</legend>${scopes.map(
        (scope) =>
          html`<label><input type="checkbox" name="scopes" value=${scope} />${scope}</label>`,
      )}</fieldset>
      <div class="field"><label for="expires_at">Good until; empty: for ever</label><input id="expires_at" name="expires_at" type="datetime-local" title=${`In ${zone}`} /></div>
      <div class="field"><label for="rate_limit">Its own limit; empty: RATE_LIMIT</label><input id="rate_limit" name="rate_limit" placeholder="600/minute" autocomplete="off" /></div>
      <button type="submit" class="primary">Make key</button>
    </form>
  </section>`;
};

/** @param {{ made: string, onClose: () => void }} props */
const Made = ({
  made,
  onClose,
}) => html`<section class="box warn" aria-label="The new key">
  <p><strong>The key, shown this once.</strong> The service keeps only its SHA-256.</p>
  <${Copyable} text=${made} what="the key" />
  <button type="button" onClick=${onClose}>Done</button>
</section>`;

const columns = [
  ...["Name", "Key", "Scopes", "Limit", "Made", "Ends"].map((name) => ({
    name,
  })),
  { name: html`<span class="unseen">What to do</span>` },
];

export const Keys = () => {
  const scope = lacking("keys.list");
  const [made, setMade] = useState(
    /** @type {string | undefined} */ (undefined),
  );
  const [failed, setFailed] = useState(
    /** @type {Error | undefined} */ (undefined),
  );
  const { again, data, fault } = usePoll(
    async (signal) =>
      scope === undefined ? call("keys.list", { signal }) : [],
    pollMillis,
    [scope],
  );
  /** @param {() => Promise<void>} action */
  const act = async (action) => {
    try {
      await action();
      setFailed(undefined);
    } catch (error) {
      setFailed(faultOf(error));
    }
    again();
  };
  if (scope !== undefined) {
    return html`<${Heading} title="Keys" /><p class="box">Your key does not have the scope <code>${scope}</code>, which keys need.</p>`;
  }
  /** @param {Key} of @param {number} grace */
  const roll = (of, grace) =>
    act(async () => {
      const params = { key_id: of.id };
      setMade((await call("keys.roll", { params, body: { grace } })).key);
    });
  /** @param {Key} of */
  const revoke = (of) =>
    act(async () => {
      await call("keys.revoke", { params: { key_id: of.id } });
      tell(`Revoked: the key of ${of.name} is refused everywhere within 10 s.`);
    });
  return html`
    <${Heading} title="Keys" />
    ${session.get()?.access === "open" && html`<p class="box">Access is open: no key is looked at. With <code>ACCESS=keys</code> each request needs one.</p>`}
    <${Fault} fault=${failed ?? fault} />
    ${made !== undefined && html`<${Made} made=${made} onClose=${() => setMade(undefined)} />`}
    ${
      data === undefined
        ? fault === undefined && html`<${Loading} what="keys" />`
        : data.length === 0
          ? html`<p class="empty">There is no key yet. Make the first one below.</p>`
          : html`<${Table} caption="Keys, newest first" columns=${columns}>${data.map(
              (of) =>
                html`<${Row} key=${of.id} of=${of} onRoll=${roll} onRevoke=${revoke} />`,
            )}<//>`
    }
    <${Make} onMade=${(/** @type {string} */ key) => {
      setMade(key);
      again();
    }} />`;
};
