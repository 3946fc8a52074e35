import { html, render } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { call } from "./api.js";

const App = () => {
  const [metrics, setMetrics] = useState(/** @type {unknown} */ (undefined));
  useEffect(() => {
    call("orders.metrics").then(setMetrics);
  }, []);
  return html`<main><h1>Order service</h1><pre>${JSON.stringify(metrics, null, 2)}</pre></main>`;
};

render(
  html`<${App} />`,
  /** @type {HTMLElement} */ (document.getElementById("app")),
);
