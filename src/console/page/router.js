/**
 * Where the reader is. The page is one file at `/`, so its views have their
 * addresses behind the `#`: `/#/orders?status=FAILED`. They can be sent to a
 * colleague, kept, and reloaded; a browser sends none of it to the service.
 */
import { useEffect, useState } from "preact/hooks";

/**
 * @typedef {object} Address
 * @property {string} page `""` is the overview
 * @property {string | undefined} id what is behind the page's name
 * @property {URLSearchParams} query
 */

/** @param {string} text */
const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/**
 * @param {string} hash
 * @returns {Address}
 */
export const addressOf = (hash) => {
  const [path = "", query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const [page = "", ...rest] = path.replace(/^\/+/, "").split("/");
  const id = rest.join("/");
  return {
    page,
    id: id === "" ? undefined : decoded(id),
    query: new URLSearchParams(query),
  };
};

/**
 * What links to a view; what is undefined or empty is left out of its query.
 *
 * @param {string} page
 * @param {{ id?: string | undefined, query?: Record<string, string | ReadonlyArray<string> | undefined> }} [to]
 */
export const hrefOf = (page, { id, query = {} } = {}) => {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value ?? []].flat()) {
      if (one !== "") search.append(name, one);
    }
  }
  const path = id === undefined ? page : `${page}/${encodeURIComponent(id)}`;
  return `#/${path}${search.size === 0 ? "" : `?${search}`}`;
};

/** @param {string} id */
export const orderHref = (id) => hrefOf("orders", { id });

/** @param {string} href */
export const go = (href) => {
  location.hash = href;
};

/** Where the reader is; the part is shown again when that changes. */
export const useAddress = () => {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    // It may have changed since it was first shown.
    changed();
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return addressOf(hash);
};
