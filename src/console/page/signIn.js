/** Who nobody knows signs in here, with a key. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { NoAnswer, Problem } from "./api.js";
import { Heading } from "./parts.js";
import { signIn } from "./session.js";

/** @param {unknown} error */
const reasonOf = (error) => {
  if (error instanceof Problem && error.status === 401) {
    return "This is no key of this service, or it is not good any more. Look whether all of it is there.";
  }
  if (error instanceof Problem) return error.message;
  if (error instanceof NoAnswer)
    return "The service does not answer: try again.";
  return String(error);
};

export const SignIn = () => {
  const [reason, setReason] = useState(
    /** @type {string | undefined} */ (undefined),
  );
  const [isAsking, setAsking] = useState(false);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const key = String(new FormData(form).get("key") ?? "").trim();
    if (!/^[\x21-\x7e]+$/.test(key)) {
      return setReason("A key is letters and digits, without spaces.");
    }
    if (isAsking) return;
    setAsking(true);
    try {
      await signIn(key);
    } catch (error) {
      setReason(reasonOf(error));
      setAsking(false);
    }
  };
  return html`<main id="main" class="signin">
    <${Heading} title="Sign in" />
    <p>Show a key of this service. The browser keeps it for 30 days, where no script can read it.</p>
    <form onSubmit=${submit}>
      <label for="key">Key</label>
      <input id="key" name="key" type="password" autocomplete="current-password" autocapitalize="none" spellcheck=${false} required aria-invalid=${reason !== undefined} aria-describedby=${reason === undefined ? undefined : "reason"} />
      ${reason !== undefined && html`<p id="reason" role="alert" class="bad-text">${reason}</p>`}
      <button type="submit" class="primary" aria-busy=${isAsking}>Sign in</button>
    </form>
    <p class="faint">Whoever runs the service makes keys, at first with its <code>ADMIN_KEY</code>. To look around, a key needs the scope <code>orders:read</code>.</p>
  </main>`;
};
