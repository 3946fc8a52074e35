/** Asks the service, by the contract's names. */
import { endpoints } from "./contract.js";

/** @param {import("./contract.js").EndpointName} name */
export const call = async (name) => {
  const { method, path } = endpoints[name];
  const response = await fetch(path, { method });
  return response.json();
};
