/** Who is signed in, and what they may. */
import { call, heard, Problem } from "./api.js";
import * as connection from "./connection.js";
import { endpoints, scopes } from "./contract.js";
import { storeOf } from "./store.js";

/** @typedef {import("./contract.js").Answer<"session.who">} Session */

/**
 * Undefined until it is known; null: nobody.
 *
 * @type {import("./store.js").Store<Session | null | undefined>}
 */
export const session = storeOf(
  /** @type {Session | null | undefined} */ (undefined),
);

heard.noAnswer = connection.lost;
heard.answer = (problem) => {
  connection.answered(problem);
  if (problem?.status === 401) session.set(null);
};

/** After so long it is asked again who is signed in, in milliseconds. */
const againMillis = 2_000;

/** Asks who is signed in; again if the service cannot say now. */
export const load = async () => {
  try {
    session.set(await call("session.who"));
  } catch (error) {
    // Without a connection it is asked again once there is one.
    if (error instanceof Problem && error.status !== 401) {
      setTimeout(load, againMillis);
    }
  }
};

/**
 * @param {string} key
 * @throws {Problem | import("./api.js").NoAnswer}
 */
export const signIn = async (key) =>
  session.set(
    await call("session.signIn", {
      headers: { authorization: `Bearer ${key}` },
    }),
  );

export const signOut = async () => {
  await call("session.signOut");
  session.set(null);
};

/**
 * The scope that the reader's key lacks for a request, if it does.
 *
 * @param {import("./contract.js").EndpointName} name
 */
export const lacking = (name) => {
  const needed = endpoints[name]?.needed;
  const scope = scopes.find((one) => one === needed);
  return scope === undefined || session.get()?.scopes.includes(scope)
    ? undefined
    : scope;
};

/** @param {import("./contract.js").EndpointName} name */
export const may = (name) => lacking(name) === undefined;
